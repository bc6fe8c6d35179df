"""The server is killed (SIGKILL) under load: every acknowledged call is stored, and no call only in part."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.program import Program, mixed_calls, program
from tests.support.verify import verify
from tests.support.watcher import watching

CALLS_PER_KILL = 50


async def kill_in_the_middle_of_load(running: Program, kills: int) -> None:
    """Kill the server `kills` times while a vendor delivers, start it again each time, and verify what is stored."""
    total = CALLS_PER_KILL * (kills + 1)
    tenant = await running.tenant()
    vendor = running.vendor(tenant)
    async with watching(running.urls, tenant.token, 3, keep=True) as watchers:
        delivering = asyncio.create_task(vendor.deliver(mixed_calls(total)))
        for number in range(kills):
            await vendor.until_acknowledged(CALLS_PER_KILL * number + 20)
            await running.server.kill()
            await running.server.start()
        await delivering
        found = await verify(running.database, vendor.ledger, tenant)
        events = found.events[tenant.organization_id]
        await asyncio.gather(*(watcher.until(len(events)) for watcher in watchers))
    assert len(found.calls) == total == len(vendor.acknowledged)
    assert (vendor.hung, vendor.wrong) == (0, [])
    for watcher in watchers:
        assert [text.decode() for text in watcher.texts] == events
        assert watcher.greetings > kills


@pytest.mark.parametrize("kills", [1, pytest.param(5, marks=pytest.mark.soak)])
@pytest.mark.parametrize("private", [True, False], ids=["private-mongod", "shared-mongod"])
async def test_killing_the_server_in_the_middle_of_load_loses_no_acknowledged_call(
    private: bool, kills: int, mongodb_uri: str, tmp_path: Path
) -> None:
    async with program(tmp_path, None if private else mongodb_uri) as running:
        await kill_in_the_middle_of_load(running, kills)
