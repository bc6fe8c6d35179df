"""MongoDB goes away in every way it can: the vendor is told so in time, nothing is lost, and everything goes on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.database import OwnMongod
from tests.support.program import Program, mixed_calls, program
from tests.support.retrying import PATIENCE_S, RetryingVendor
from tests.support.service import Tenant, missed
from tests.support.verify import verify
from tests.support.watcher import Watcher, watching


@dataclass
class Load:
    """A vendor in the middle of delivering, and dashboards that look on."""

    running: Program
    tenant: Tenant
    stranger: Tenant
    """Signed in, but nobody the server would remember from a moment ago."""
    vendor: RetryingVendor
    watchers: list[Watcher]

    async def acknowledged_more(self, calls: int) -> None:
        """Return once so many more calls were acknowledged."""
        await self.vendor.until_acknowledged(len(self.vendor.acknowledged) + calls)

    async def refused_more(self, calls: int) -> None:
        """Return once so many more requests were answered 503."""
        goal = self.vendor.statuses[503] + calls
        await self.vendor.until(lambda: self.vendor.statuses[503] >= goal)


@asynccontextmanager
async def load_on(running: Program) -> AsyncIterator[Load]:
    """Deliver calls until the block ends, then see that nothing was lost, hung or broken, and nothing missed."""
    tenant, stranger = await running.tenant(), await running.tenant()
    vendor = running.vendor(tenant)
    ending = False

    def calls() -> Iterator[dict[str, Any]]:
        while not ending:
            yield from mixed_calls(20)

    async with watching(running.urls, tenant.token, 3, keep=True) as watchers:
        delivering = asyncio.create_task(vendor.deliver(calls(), at_once=16))
        load = Load(running, tenant, stranger, vendor, watchers)
        await load.acknowledged_more(40)
        yield load
        await load.acknowledged_more(40)
        ending = True
        await delivering
        found = await verify(running.database, vendor.ledger, tenant)
        events = found.events[tenant.organization_id]
        await asyncio.gather(*(watcher.until(len(events)) for watcher in watchers))
    assert (vendor.hung, vendor.broken, vendor.wrong) == (0, 0, [])
    assert len(vendor.acknowledged) == len(vendor.ledger) == len(found.calls)
    for watcher in watchers:
        assert [text.decode() for text in watcher.texts] == events


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


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


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
