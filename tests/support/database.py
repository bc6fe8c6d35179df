"""A mongod of a test's own, which it may kill, freeze, restart and make step down."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from pymongo.errors import AutoReconnect

from tests.support.waiting import eventually
from tether_rt.mongo import client as store
from tether_rt.mongo.mongod_process import find_binary, socket_path
from tether_rt.mongo.private_mongod import PrivateMongod


class OwnMongod:
    """A replica set with one member on a Unix socket. Its address and data outlive each process."""

    def __init__(self, folder: Path, binary: Path | None = None) -> None:
        self._folder = folder
        self._binary = binary
        self._mongod = PrivateMongod(folder, binary)

    @property
    def uri(self) -> str:
        return self._mongod.uri

    @property
    def socket(self) -> Path:
        return socket_path(self._folder.absolute() / "mongod")

    async def start(self) -> None:
        """Start it; after a kill it recovers from its journal."""
        await self._mongod.stop()
        self._mongod = PrivateMongod(self._folder, self._binary)
        await self._mongod.start()

    async def stop(self) -> None:
        with suppress(ProcessLookupError):
            self.resume()
        await self._mongod.stop()

    async def kill(self) -> None:
        """Send SIGKILL and return when the process is gone."""
        self._signal(signal.SIGKILL)
        await eventually(lambda: self._mongod.pid is None)

    def pause(self) -> None:
        """Send SIGSTOP: connections stay open and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    async def step_down(self, away_s: int) -> None:
        """Make it a secondary for `away_s` seconds; then, as the only member, it becomes primary again."""
        client = store.connect(self.uri)
        try:
            # It may close the connection instead of answering.
            with suppress(AutoReconnect):
                await client.admin.command({"replSetStepDown": away_s, "secondaryCatchUpPeriodSecs": 0, "force": True})
        finally:
            client.close()

    def _signal(self, number: signal.Signals) -> None:
        pid = self._mongod.pid
        if pid is None:
            raise ProcessLookupError
        os.kill(pid, number)


def forgetful_mongod(folder: Path) -> Path:
    """Return a mongod with 1 MB of oplog instead of 1 GB that removes expired documents every second.

    It makes a checkpoint every second, too, instead of every minute: the oplog keeps what no checkpoint has.
    """
    script = folder / "mongod"
    script.write_text(
        f"""#!{sys.executable}
import os, sys
words = sys.argv[1:]
words[words.index("--oplogSize") + 1] = "1"
words += ["--syncdelay", "1", "--setParameter", "ttlMonitorSleepSecs=1"]
os.execv({find_binary()!r}, ["mongod", *words])
"""
    )
    script.chmod(0o755)
    return script


@asynccontextmanager
async def own_mongod(folder: Path, binary: Path | None = None) -> AsyncIterator[OwnMongod]:
    """Run a mongod until the block ends."""
    mongod = OwnMongod(folder, binary)
    await mongod.start()
    try:
        yield mongod
    finally:
        await mongod.stop()
