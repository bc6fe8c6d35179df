"""Load for fault tests: a vendor that delivers calls without a break, and dashboards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.program import Program, mixed_calls
from tests.support.retrying import RetryingVendor
from tests.support.service import Tenant
from tests.support.verify import verify
from tests.support.watcher import Watcher, watching

AROUND = 20
"""Calls that must be acknowledged before a fault, and again after it."""


@dataclass
class Load:
    """A vendor that is delivering, and the dashboards that watch."""

    running: Program
    tenant: Tenant
    stranger: Tenant
    """Signed in; none of its requests are in the server's caches."""
    vendor: RetryingVendor
    watchers: list[Watcher]

    async def acknowledged_more(self, calls: int) -> None:
        """Return when `calls` more calls have been acknowledged."""
        await self.vendor.until_acknowledged(len(self.vendor.acknowledged) + calls)

    async def refused_more(self, calls: int) -> None:
        """Return when `calls` more requests have got 503."""
        goal = self.vendor.statuses[503] + calls
        await self.vendor.until(lambda: self.vendor.statuses[503] >= goal)


@asynccontextmanager
async def load_on(running: Program) -> AsyncIterator[Load]:
    """Deliver calls until the block ends; then assert that no call was lost or hung and no dashboard missed an event."""
    tenant, stranger = await running.tenant(), await running.tenant()
    vendor = running.vendor(tenant)
    ending = False

    def calls() -> Iterator[dict[str, Any]]:
        while not ending:
            yield from mixed_calls(20)

    async with watching(running.urls, tenant.token, 4, keep=True) as watchers:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(vendor.deliver(calls(), at_once=16))
            load = Load(running, tenant, stranger, vendor, watchers)
            await load.acknowledged_more(AROUND)
            try:
                yield load
                await load.acknowledged_more(AROUND)
            finally:
                ending = True
        found = await verify(running.database, vendor.ledger, tenant)
        events = found.events[tenant.organization_id]
        await asyncio.gather(*(watcher.until(len(events)) for watcher in watchers))
    assert (vendor.hung, vendor.broken, vendor.wrong) == (0, 0, [])
    assert len(vendor.acknowledged) == len(vendor.ledger) == len(found.calls)
    for watcher in watchers:
        assert [text.decode() for text in watcher.texts] == events
