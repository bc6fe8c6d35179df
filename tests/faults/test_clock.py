"""A server's wall clock jumps, forward and back: numbers, resume, duplicates and sessions are not affected."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from tests.support.database import OwnMongod
from tests.support.jumping import Clock
from tests.support.program import mixed_calls, program
from tests.support.verify import verify
from tests.support.waiting import eventually
from tests.support.watcher import watching
from tether_rt.mongo import client as store

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
JUMPS = (-HOUR_S, HOUR_S, -30 * DAY_S, 0.0, -20 * 365 * DAY_S)


async def removed_what_is_old(database: store.Database) -> None:
    """Return once MongoDB has completed a pass of removing expired documents."""

    async def passes() -> int:
        status = await database.client.admin.command("serverStatus")
        return int(status["metrics"]["ttl"]["passes"])

    before = await passes()

    async def has_looked() -> bool:
        return await passes() >= before + 2

    await eventually(has_looked)


async def test_a_clock_that_jumps_changes_no_number_loses_no_event_and_makes_no_second_call(
    forgetful: OwnMongod, tmp_path: Path
) -> None:
    clock = Clock(tmp_path)
    async with program(tmp_path, forgetful.uri, processes=2) as running:
        # The second process has a clock that is right, as most machines have.
        jumping, steady = running.servers
        jumping.variables.update(clock.variables)
        await jumping.stop()
        await jumping.start()
        tenant = await running.tenant()
        vendor = running.vendor(tenant)
        signed_in_at_the_other = replace(tenant, base_url=steady.url)
        calls = []
        async with watching(running.urls, tenant.token, 4, keep=True) as watchers:
            for times, offset_s in enumerate(JUMPS, 2):
                clock.jump(offset_s)
                calls += (new := mixed_calls(8))
                await asyncio.gather(*(vendor.post(call, door) for door, call in enumerate(new)))
                again = await asyncio.gather(*(vendor.post(call, door) for door, call in enumerate(reversed(calls))))
                assert {status for status, _ in again} == {200}
                for watcher in watchers[1:]:
                    watcher.drop()
                await asyncio.gather(*(watcher.greeted(times) for watcher in watchers[1:]))
                for who in (tenant, signed_in_at_the_other):
                    assert (await who.get("/api/auth/verify-token")).status == 200
            await removed_what_is_old(running.database)
            seen = await running.last_number(tenant)
            async with watching(running.urls, tenant.token, 2, after=0, keep=True) as late:
                await asyncio.gather(*(watcher.until(seen) for watcher in (*watchers, *late)))
            found = await verify(running.database, vendor.ledger)
            events = found.events[tenant.organization_id]
            for watcher in (*watchers, *late):
                assert [text.decode() for text in watcher.texts] == events
        assert len(found.calls) == len(calls)
        assert (vendor.hung, vendor.broken, vendor.wrong) == (0, 0, [])
