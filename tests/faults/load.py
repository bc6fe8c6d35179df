"""A vendor in the middle of delivering and dashboards that look on, while something is done to the program."""

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

    async with watching(running.urls, tenant.token, 4, keep=True) as watchers:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(vendor.deliver(calls(), at_once=16))
            load = Load(running, tenant, stranger, vendor, watchers)
            await load.acknowledged_more(40)
            try:
                yield load
                await load.acknowledged_more(40)
            finally:
                ending = True
        found = await verify(running.database, vendor.ledger, tenant)
        events = found.events[tenant.organization_id]
        await asyncio.gather(*(watcher.until(len(events)) for watcher in watchers))
    assert (vendor.hung, vendor.broken, vendor.wrong) == (0, 0, [])
    assert len(vendor.acknowledged) == len(vendor.ledger) == len(found.calls)
    for watcher in watchers:
        assert [text.decode() for text in watcher.texts] == events
