"""Three mongods that elect a primary among themselves, as in production, to be killed and frozen one at a time."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from tether_rt.mongo.mongod_process import find_binary

_NAME = "three"
_SETTINGS = {"electionTimeoutMillis": 2_000, "heartbeatIntervalMillis": 500, "chainingAllowed": False}
"""A failover takes 10 s with MongoDB's own, and a member that copies from one that froze is slow to find another."""
_OPTIONS = "--wiredTigerCacheSizeGB 0.25 --oplogSize 100 --setParameter diagnosticDataCollectionEnabled=false --quiet".split()


class ReplicaSet:
    """Members are numbered from 0 to 2."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        with ExitStack() as held:
            sockets = [held.enter_context(socket.socket()) for _ in range(3)]
            for one in sockets:
                one.bind(("127.0.0.1", 0))
            self.ports = [one.getsockname()[1] for one in sockets]

    @property
    def uri(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"mongodb://{hosts}/?replicaSet={_NAME}"

    async def start(self) -> None:
        """Start all three and return once there is a primary."""
        for number in range(3):
            self.start_member(number)
        for port in self.ports:
            # A client waits until somebody listens; the members look for each other once.
            async with _client(f"mongodb://127.0.0.1:{port}/?directConnection=true") as client:
                await client.admin.command("ping")
        members = [{"_id": number, "host": f"127.0.0.1:{port}"} for number, port in enumerate(self.ports)]
        async with _client(f"mongodb://127.0.0.1:{self.ports[0]}/?directConnection=true") as client:
            await client.admin.command("replSetInitiate", {"_id": _NAME, "members": members, "settings": _SETTINGS})
        while await self.primary() is None:  # noqa: ASYNC110 - an election sets no event
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            await asyncio.to_thread(process.wait)

    def start_member(self, number: int) -> None:
        """Start a member, for the first time or after it was killed."""
        data = self._folder / f"member{number}"
        data.mkdir(parents=True, exist_ok=True)
        with (self._folder / f"member{number}.log").open("ab") as log:
            place = ["--dbpath", str(data), "--bind_ip", "127.0.0.1", "--port", str(self.ports[number]), "--nounixsocket"]
            command = [find_binary(), "--replSet", _NAME, *place, *_OPTIONS]
            self._processes[number] = subprocess.Popen(command, stdout=log, stderr=log)

    async def kill_member(self, number: int) -> None:
        self._processes[number].kill()
        await asyncio.to_thread(self._processes[number].wait)

    def pause_member(self, number: int) -> None:
        os.kill(self._processes[number].pid, signal.SIGSTOP)

    def resume_member(self, number: int) -> None:
        os.kill(self._processes[number].pid, signal.SIGCONT)

    async def primary(self) -> int | None:
        """Return which member the others take for the primary, None while there is none."""
        for port in self.ports:
            uri = f"mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=500&socketTimeoutMS=500"
            with suppress(PyMongoError):
                async with _client(uri) as client:
                    hello = await client.admin.command("hello")
                    if hello.get("isWritablePrimary"):
                        return self.ports.index(port)
        return None

    async def step_down(self) -> None:
        """Have the primary give up, for the others to elect another."""
        async with _client(self.uri) as client:
            await client.admin.command({"replSetStepDown": 30, "secondaryCatchUpPeriodSecs": 10, "force": True})


def _client(uri: str) -> AsyncMongoClient[dict[str, Any]]:
    return AsyncMongoClient(uri)


@asynccontextmanager
async def replica_set(folder: Path) -> AsyncIterator[ReplicaSet]:
    """Run three mongods until the block ends."""
    members = ReplicaSet(folder)
    try:
        await members.start()
        yield members
    finally:
        await members.stop()
