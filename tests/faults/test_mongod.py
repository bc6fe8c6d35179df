"""MongoDB goes away in every way it can: the vendor is told so in time, nothing is lost, and everything goes on by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from tests.faults.load import Load, load_on
from tests.support.database import OwnMongod
from tests.support.doors import UPGRADE
from tests.support.program import program
from tests.support.retrying import PATIENCE_S
from tests.support.service import missed


async def everything_says_503_in_time(load: Load) -> None:
    """Ask for everything that needs MongoDB: each answer is 503, says when to come back, and comes within 5 s."""
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    tenant, stranger = load.tenant, load.stranger
    asked = [
        tenant.get("/api/calls/history", timeout=timeout),
        tenant.get("/api/contacts", timeout=timeout),
        tenant.post("/api/conversation/all", {"contactId": "0" * 24}, timeout=timeout),
        tenant.request("POST", "/api/auth/login", json={"email": "a@example.com", "password": "b"}, timeout=timeout),
        stranger.get("/api/auth/verify-token", timeout=timeout),
        stranger.get("/api/calls/history", timeout=timeout),
        stranger.get("/ws", headers=UPGRADE, timeout=timeout),
        stranger.post_call(missed(), timeout=timeout),
        stranger.get("/readyz", timeout=timeout),
    ]
    for answer in await asyncio.gather(*asked):
        assert answer.status == 503, answer
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.body["success"] is False
    assert (await tenant.get("/healthz", timeout=timeout)).status == 200
    status, checks = await load.running.readiness()
    assert (status, checks["store"]) == (503, "ok")
    assert checks["mongodb"] != "ok"


async def test_killing_mongod_in_the_middle_of_load_is_503_then_everything_goes_on(mongod: OwnMongod, tmp_path: Path) -> None:
    async with program(tmp_path, mongod.uri) as running, load_on(running) as load:
        for _ in range(2):
            await mongod.kill()
            await load.refused_more(10)
            await everything_says_503_in_time(load)
            await mongod.start()
            await running.ready()
            await load.acknowledged_more(40)


async def test_a_frozen_mongod_is_503_within_5_s_and_goes_on_when_it_thaws(mongod: OwnMongod, tmp_path: Path) -> None:
    async with program(tmp_path, mongod.uri) as running, load_on(running) as load:
        mongod.pause()
        try:
            async with asyncio.TaskGroup() as meanwhile:
                meanwhile.create_task(asyncio.sleep(20))
                await everything_says_503_in_time(load)  # asked of connections that seem well
                await load.refused_more(16)
                await everything_says_503_in_time(load)
                await load.refused_more(16)
                await everything_says_503_in_time(load)
        finally:
            mongod.resume()
        await running.ready()
        await load.acknowledged_more(40)


async def test_an_election_costs_retries_and_nothing_else(mongod: OwnMongod, tmp_path: Path) -> None:
    async with program(tmp_path, mongod.uri) as running, load_on(running) as load:
        for _ in range(2):
            await mongod.step_down(away_s=2)
            await load.acknowledged_more(40)
