"""Many dashboards at once, and dashboards that do not read: memory stays bounded and no other dashboard misses an event."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.program import Program, missed_calls, program
from tests.support.service import Tenant
from tests.support.verify import verify
from tests.support.waiting import eventually
from tests.support.watcher import upgraded_socket, watching

STALLED = 40
HUNDREDS = pytest.mark.parametrize("dashboards", [300, pytest.param(1_000, marks=pytest.mark.soak)])

GROWTH_MB = 64
"""What all dashboards of one test may add to the server's resident memory. Each stalled one leaves 1 MiB unsent before it is
closed; without shared bytes that would be 60 MB. 1,000 connections take about 20 MB."""


@asynccontextmanager
async def watched(folder: Path, mongodb_uri: str) -> AsyncIterator[tuple[Program, Tenant, float]]:
    """Run the program with one user who may open 3,000 dashboards; yield also the server's resident memory in MB."""
    async with program(folder, mongodb_uri, variables={"TETHER_MAX_DASHBOARDS_PER_USER": "3000"}) as running:
        tenant = await running.tenant()
        vendor = running.vendor(tenant)
        await vendor.deliver(missed_calls(50))
        yield running, tenant, running.resident_mb()


def long_calls() -> list[dict[str, Any]]:
    """Return 40 calls whose events take about 16 KB each."""
    return missed_calls(40, summary="x" * 16_000)


async def test_dashboards_that_stop_reading_or_read_a_byte_a_second_cost_a_bounded_memory_and_hold_up_nobody(
    mongodb_uri: str, tmp_path: Path
) -> None:
    async with watched(tmp_path, mongodb_uri) as (running, tenant, before_mb), AsyncExitStack() as stack:
        vendor = running.vendor(tenant)
        stalled = [await upgraded_socket(running.server.url, tenant.token, 4096) for _ in range(STALLED)]
        dripping = [await upgraded_socket(running.server.url, tenant.token, 4096, after=0) for _ in range(2)]
        for raw in (*stalled, *dripping):
            stack.callback(raw.close)
        drips = [asyncio.create_task(drip(raw)) for raw in dripping]
        async with watching(running.urls, tenant.token, 5) as live:
            # First what the kernel holds for each of them fills up, some MB, then what the server may hold.
            while await running.metric('tether_dashboard_closes_total{code="4408"}') < STALLED + len(dripping):
                await vendor.deliver(long_calls())
                seen = await running.last_number(tenant)
                await asyncio.gather(*(watcher.until(seen) for watcher in live))
            assert await running.metric('tether_dashboard_closes_total{code="4408"}') == STALLED + len(dripping)

            async def forgotten() -> bool:
                return await running.metric("tether_dashboards") == len(live)

            await eventually(forgotten)
            behind = [await upgraded_socket(running.server.url, tenant.token, 4096, after=0) for _ in range(STALLED // 2)]
            for raw in behind:
                stack.callback(raw.close)
            await vendor.deliver(long_calls())
            seen = await running.last_number(tenant)
            await asyncio.gather(*(watcher.until(seen) for watcher in live))
            assert running.peak_mb() - before_mb < GROWTH_MB
        for task in drips:
            task.cancel()
        await asyncio.gather(*drips, return_exceptions=True)
        found = await verify(running.database, vendor.ledger)
        events = found.events[tenant.organization_id]
        # A client that was closed connects again with its position, and has every event.
        async with watching(running.urls, tenant.token, 3, after=150, keep=True) as back:
            await asyncio.gather(*(watcher.until(len(events)) for watcher in back))
            assert [text.decode() for text in back[0].texts] == events[150:]


async def drip(raw: socket.socket) -> None:
    """Read a byte a second."""
    while await asyncio.get_running_loop().sock_recv(raw, 1):  # noqa: ASYNC110 - the pace is what it is about
        await asyncio.sleep(1)


@HUNDREDS
async def test_hundreds_of_dashboards_that_connect_at_once_are_let_in_and_see_everything(
    dashboards: int, mongodb_uri: str, tmp_path: Path
) -> None:
    async with watched(tmp_path, mongodb_uri) as (running, tenant, before_mb):
        vendor = running.vendor(tenant)
        async with watching(running.urls, tenant.token, dashboards, after=0) as watchers:
            await vendor.deliver(missed_calls(20))
            seen = await running.last_number(tenant)
            await asyncio.gather(*(watcher.until(seen) for watcher in watchers))
            assert running.peak_mb() - before_mb < GROWTH_MB
        assert {watcher.greetings for watcher in watchers} == {1}
        assert {tuple(watcher.refusals) for watcher in watchers} == {()}


@HUNDREDS
async def test_hundreds_of_dashboards_that_drop_at_once_come_back_to_where_they_were_and_miss_nothing(
    dashboards: int, mongodb_uri: str, tmp_path: Path
) -> None:
    async with watched(tmp_path, mongodb_uri) as (running, tenant, before_mb):
        vendor = running.vendor(tenant)
        async with watching(running.urls, tenant.token, dashboards) as watchers:
            staying, dropping = watchers[:10], watchers[10:]
            delivering = asyncio.create_task(vendor.deliver(missed_calls(100), at_once=8))
            await vendor.until_acknowledged(20)
            for watcher in dropping:
                watcher.drop()
            await asyncio.gather(*(watcher.greeted(2) for watcher in dropping))
            await delivering
            seen = await running.last_number(tenant)
            await asyncio.gather(*(watcher.until(seen) for watcher in watchers))
            assert running.peak_mb() - before_mb < GROWTH_MB
        assert {watcher.greetings for watcher in staying} == {1}
        assert {watcher.greetings for watcher in dropping} == {2}
        await verify(running.database, vendor.ledger)
