"""Faults at random and several at a time, for minutes: those that the other tests cause one by one."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import pytest

from tests.faults.load import Load, load_on
from tests.faults.test_feed import kill_change_streams
from tests.support.database import OwnMongod
from tests.support.program import Program, program
from tests.support.proxy import Proxy, proxy_to_unix

ROUNDS = 120


class Trouble:
    """The faults, each a method; at its end everything is running again."""

    def __init__(self, mongod: OwnMongod, line: Proxy, running: Program, load: Load, chance: random.Random) -> None:
        self._mongod = mongod
        self._line = line
        self._running = running
        self._load = load
        self._chance = chance

    async def kill_a_server(self) -> None:
        server = self._chance.choice(self._running.servers)
        await server.kill()
        await asyncio.sleep(self._chance.uniform(0, 2))
        await server.start()

    async def stop_a_server(self) -> None:
        server = self._chance.choice(self._running.servers)
        assert await server.stop() == 0
        await server.start()

    async def kill_mongod(self) -> None:
        await self._mongod.kill()
        await asyncio.sleep(self._chance.uniform(0, 4))
        await self._mongod.start()

    async def freeze_mongod(self) -> None:
        self._mongod.pause()
        await asyncio.sleep(self._chance.uniform(0, 8))
        self._mongod.resume()

    async def step_down(self) -> None:
        await self._mongod.step_down(away_s=self._chance.randint(1, 3))

    async def cut_the_line(self) -> None:
        for _ in range(self._chance.randint(1, 5)):
            self._line.cut()
            await asyncio.sleep(self._chance.uniform(0, 0.5))

    async def freeze_the_line(self) -> None:
        self._line.freeze()
        await asyncio.sleep(self._chance.uniform(0, 8))
        self._line.thaw()

    async def kill_streams(self) -> None:
        await kill_change_streams(self._running.database.client, self._running.database.name)

    async def drop_dashboards(self) -> None:
        for watcher in self._load.watchers:
            if self._chance.random() < 0.5:
                watcher.drop()


@pytest.mark.soak
async def test_whatever_happens_and_whenever_no_acknowledged_call_is_lost_and_no_dashboard_misses_an_event(
    mongod: OwnMongod, tmp_path: Path
) -> None:
    seed = int(os.environ.get("SOAK_SEED") or random.randrange(1 << 32))
    print(f"SOAK_SEED={seed}")  # noqa: T201 - shown when it fails
    chance = random.Random(seed)
    async with (
        proxy_to_unix(mongod.socket) as line,
        program(
            tmp_path,
            f"mongodb://127.0.0.1:{line.port}/?directConnection=true",
            processes=2,
            patience_s=ROUNDS * 30,
        ) as running,
        load_on(running) as load,
    ):
        trouble = Trouble(mongod, line, running, load, chance)
        kinds: list[Any] = [getattr(trouble, name) for name in vars(Trouble) if not name.startswith("_")]
        for _ in range(ROUNDS):
            await chance.choice(kinds)()
            await load.acknowledged_more(chance.randint(0, 20))
            assert load.vendor.wrong == []
        await running.ready()
        load.vendor.broken = 0  # the requests to a server that was killed
