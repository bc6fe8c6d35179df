"""A mongod of a test's own, to be killed, frozen, restarted and voted out of office."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from pymongo.errors import AutoReconnect

from tether_rt.mongo import client as store
from tether_rt.mongo.mongod_process import find_binary, socket_path
from tether_rt.mongo.private_mongod import PrivateMongod


class OwnMongod:
    """A replica set of one on a unix socket; its address and data outlive each process."""

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
        """Start it; after a kill it recovers what its journal has."""
        await self._mongod.stop()
        self._mongod = PrivateMongod(self._folder, self._binary)
        await self._mongod.start()

    async def stop(self) -> None:
        with suppress(ProcessLookupError):
            self.resume()
        await self._mongod.stop()

    async def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self._signal(signal.SIGKILL)
        while self._mongod.pid is not None:  # noqa: ASYNC110 - a process sets no event
            await asyncio.sleep(0.005)

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    async def step_down(self, away_s: int) -> None:
        """Make it a secondary for so long; with nobody else to vote for it is primary again afterwards."""
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
    """Return a mongod that forgets soon: its history (oplog) after 1 MB instead of 1 GB, what has expired after a second.

    It has a checkpoint every second, too, instead of every minute: what no checkpoint has yet it does not forget.
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
