"""The laboratory of one scenario: its folder, its mongod, and every process that was started for it, which ends with it."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import pymongo
from pymongo.errors import PyMongoError

from bench.process import BenchError, Child, Tool
from tether_rt.mongo.mongod_process import find_binary

ROOT: Final = Path(__file__).parents[1]
CACHE: Final = ROOT / "bench" / ".cache"
"""What is installed for the peers, and what runs leave while they last; git-ignored."""

_OPTIONS: Final = (
    "--replSet bench --bind_ip 127.0.0.1 --oplogSize 1024 --quiet --slowOpSampleRate 0 --noscripting "
    "--setParameter diagnosticDataCollectionEnabled=false --setParameter shutdownTimeoutMillisForSignaledShutdown=100"
).split()


class Lab:
    """Use it with `with`; `mongodb_uri` is the replica set that all contestants share, over loopback TCP."""

    def __init__(self, peers_python: Path, folder: Path) -> None:
        """`folder` is the run's, which removes it when all is measured.

        Not earlier: for minutes ext4 passes by what was deleted whenever a file is made, which cost the next scenario's
        recordings 300 µs each instead of 20.
        """
        self.peers_python = peers_python
        self.folder = folder
        self.mongod: Child
        self.mongodb_uri = ""
        self._ending = ExitStack()
        self._count = 0

    def __enter__(self) -> Lab:
        self.folder.mkdir()
        try:
            self._start_mongod()
        except BaseException:
            self._ending.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ending.close()

    def scope(self) -> ExitStack:
        """Return a stack for what is to end before the laboratory does; whatever is left on it ends with the laboratory."""
        stack = ExitStack()
        self._ending.callback(stack.close)
        return stack

    def client(self) -> pymongo.MongoClient[dict[str, Any]]:
        """Return a client of the shared mongod for the benchmark's own use."""
        return pymongo.MongoClient(self.mongodb_uri)

    def child(self, scope: ExitStack, name: str, *command: str | Path, **env: str) -> Child:
        """Start a process that ends with `scope`."""
        child = Child(name, command, self._new_path(name, "log"), _environment(env), self.folder)
        scope.callback(child.stop)
        return child

    def tool(self, scope: ExitStack, name: str, *command: str | Path, **env: str) -> Tool:
        """Start a process that is spoken to, and ends with `scope`."""
        tool = Tool(name, command, _environment(env), self.folder, self._new_path(name.replace(" ", "-"), "err"))
        scope.callback(tool.stop)
        return tool

    def program(self, scope: ExitStack, name: str, *arguments: str) -> Tool:
        """Start one of `bench.programs` with this Python."""
        return self.tool(scope, name, sys.executable, "-m", f"bench.programs.{name}", *arguments)

    def new_folder(self, name: str) -> Path:
        """Return a new folder inside the laboratory's."""
        path = self._new_path(name, "d")
        path.mkdir()
        return path

    def _new_path(self, name: str, suffix: str) -> Path:
        self._count += 1
        return self.folder / f"{self._count:03d}-{name}.{suffix}"

    def _start_mongod(self) -> None:
        port = free_port()
        data = self.new_folder("mongod")
        self.mongod = self.child(self._ending, "mongod", find_binary(), "--port", str(port), "--dbpath", data, *_OPTIONS)
        self.mongodb_uri = f"mongodb://127.0.0.1:{port}/?replicaSet=bench"
        member = {"_id": 0, "host": f"127.0.0.1:{port}"}
        deadline = time.monotonic() + 60
        with pymongo.MongoClient[dict[str, Any]](port=port, directConnection=True, serverSelectionTimeoutMS=200) as client:
            while True:
                try:
                    hello = client.admin.command("hello")
                    if hello.get("isWritablePrimary"):
                        return
                    if "setName" not in hello:
                        client.admin.command("replSetInitiate", {"_id": "bench", "members": [member]})
                except PyMongoError as error:
                    if time.monotonic() > deadline:
                        raise BenchError(f"mongod does not start: {error}") from error
                time.sleep(0.05)


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment(extra: dict[str, str]) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("TETHER_", "R2_", "MONGODB_"))}
    return {**own, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "NODE_ENV": "production", **extra}
