"""MongoDB is killed, freezes or elects: callers get 503 in time, no call is lost, and the server recovers by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.faults.load import Load, load_on
from tests.support.database import OwnMongod
from tests.support.doors import UPGRADE
from tests.support.program import program
from tests.support.retrying import PATIENCE_S
from tests.support.service import Answer, Tenant, missed


async def not_ready(anyone: Tenant, timeout: aiohttp.ClientTimeout) -> Answer:
    """Return the first answer of `/readyz` that says no: an outcome from before is remembered for a second."""
    while (answer := await anyone.get("/readyz", timeout=timeout)).status == 200:  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.1)
    return answer


async def everything_says_503_in_time(load: Load) -> None:
    """Send every kind of request that needs MongoDB; each must get 503 with `Retry-After` before the timeout."""
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
        not_ready(stranger, timeout),
    ]
    answers = await asyncio.gather(*asked)
    for answer in answers:
        assert answer.status == 503, answer
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.body["success"] is False
    assert (await tenant.get("/healthz", timeout=timeout)).status == 200
    checks = answers[-1].body["checks"]
    assert checks["store"] == "ok"
    assert checks["mongodb"] != "ok"


@pytest.mark.parametrize("times", [1, pytest.param(4, marks=pytest.mark.soak)])
async def test_killing_mongod_in_the_middle_of_load_is_503_then_everything_goes_on(
    times: int, mongod: OwnMongod, tmp_path: Path
) -> None:
    async with program(tmp_path, mongod.uri) as running, load_on(running) as load:
        for _ in range(times):
            await mongod.kill()
            await asyncio.gather(load.refused_more(10), everything_says_503_in_time(load))
            await mongod.start()
            await running.ready()
            await load.acknowledged_more(40)


@pytest.mark.parametrize("rounds", [1, pytest.param(6, marks=pytest.mark.soak)])
async def test_a_frozen_mongod_is_503_within_5_s_and_goes_on_when_it_thaws(
    rounds: int, mongod: OwnMongod, tmp_path: Path
) -> None:
    async with program(tmp_path, mongod.uri) as running, load_on(running) as load:
        mongod.pause()
        try:
            # First on connections that seem well, then on those that have timed out.
            for _ in range(1 + rounds):
                await asyncio.gather(load.refused_more(16), everything_says_503_in_time(load))
        finally:
            mongod.resume()
        await running.ready()
        await load.acknowledged_more(40)


@pytest.mark.parametrize("times", [1, pytest.param(5, marks=pytest.mark.soak)])
async def test_an_election_costs_retries_and_nothing_else(times: int, mongod: OwnMongod, tmp_path: Path) -> None:
    async with program(tmp_path, mongod.uri) as running, load_on(running) as load:
        for _ in range(times):
            await mongod.step_down(away_s=1)
            await load.acknowledged_more(40)
