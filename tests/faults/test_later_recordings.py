"""Processes that are killed while recordings are still to be fetched: others finish them, each once, never two at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.audio import mp3
from tests.support.program import Program, eventually, program
from tests.support.service import Tenant, sample
from tests.support.vendor import Request, Vendor, head, vendor_server

VOICE = mp3(2)
ASYNC = {"Prefer": "respond-async"}
COUNT = 10


class Host:
    """Recordings that a host begins to send, and finishes when it is told to."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.finishes = asyncio.Event()
        self.begun: Counter[str] = Counter()
        self.most_at_once: Counter[str] = Counter()
        self._now: Counter[str] = Counter()

    def url(self, number: int) -> str:
        return self.vendor.serve(f"/{number}", self.answer)

    async def answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        target = request.target
        self.begun[target] += 1
        self._now[target] += 1
        self.most_at_once[target] = max(self.most_at_once[target], self._now[target])
        try:
            writer.write(head(200, Content_Length=len(VOICE)) + VOICE[:1000])
            await writer.drain()
            while not self.finishes.is_set():
                if writer.transport.is_closing():
                    return
                await asyncio.sleep(0.02)
            writer.write(VOICE[1000:])
            await writer.drain()
            writer.close()
        finally:
            self._now[target] -= 1


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    async with vendor_server() as vendor:
        yield Host(vendor)


async def send(tenant: Tenant, host: Host) -> list[str]:
    answers = [await tenant.post_call(sample(recording=host.url(number)), headers=ASYNC) for number in range(COUNT)]
    assert [(answer.status, answer.body["recording"]) for answer in answers] == [(201, "pending")] * COUNT
    return [answer.body["callId"] for answer in answers]


async def require_each_once(running: Program, tenant: Tenant, call_ids: list[str]) -> None:
    """Return once every call has its recording; each was announced once, and nothing is left to be fetched."""

    async def all_are_stored() -> bool:
        own = {"organizationId": tenant.organization_id, "recordingStatus": "stored"}
        return bool(await running.database["calls"].count_documents(own) == COUNT)

    await eventually(all_are_stored)

    async def nothing_is_left() -> bool:
        return bool(await running.database["pending_recordings"].count_documents({}) == 0)

    await eventually(nothing_is_left)
    calls = await running.database["calls"].find({"_id": {"$in": call_ids}}, {"recordings": 1}).to_list(None)
    assert [len(call["recordings"]) for call in calls] == [1] * COUNT
    segments = await running.database["feed"].find({"organizationId": tenant.organization_id}).to_list(None)
    told = [event for segment in segments for event in segment["events"] if "call_recording_ready" in event]
    assert len(told) == COUNT


async def test_a_killed_process_leaves_its_recordings_to_another(mongodb_uri: str, tmp_path: Path, host: Host) -> None:
    """Some attempts are in their middle when it is killed, and some not begun: an organization has 4 at once."""
    variables = {"TETHER_PRIVATE_RECORDING_HOSTS": host.vendor.host}
    async with program(tmp_path, mongodb_uri, variables=variables) as running:
        tenant = await running.tenant()
        call_ids = await send(tenant, host)

        async def some_are_begun() -> bool:
            return len(host.begun) >= 4

        await eventually(some_are_begun)
        await running.server.kill()
        assert len(host.begun) < COUNT
        host.finishes.set()
        await running.server.start()
        await require_each_once(running, tenant, call_ids)


async def test_two_processes_never_fetch_the_same_at_once(mongodb_uri: str, tmp_path: Path, host: Host) -> None:
    variables = {"TETHER_PRIVATE_RECORDING_HOSTS": host.vendor.host}
    async with program(tmp_path, mongodb_uri, processes=2, variables=variables) as running:
        tenant = await running.tenant()
        call_ids = await send(tenant, host)

        async def both_are_at_work() -> bool:
            return len(host.begun) >= 8

        await eventually(both_are_at_work)
        await running.servers[1].kill()
        await running.servers[1].start()
        host.finishes.set()
        await require_each_once(running, tenant, call_ids)
        assert set(host.most_at_once.values()) == {1}


async def test_a_process_that_is_stopped_gives_its_recordings_back(mongodb_uri: str, tmp_path: Path, host: Host) -> None:
    variables = {"TETHER_PRIVATE_RECORDING_HOSTS": host.vendor.host}
    async with program(tmp_path, mongodb_uri, variables=variables) as running:
        tenant = await running.tenant()
        call_ids = await send(tenant, host)

        async def some_are_begun() -> bool:
            return len(host.begun) >= 4

        await eventually(some_are_begun)
        assert await running.server.stop() == 0
        left: list[dict[str, Any]] = await running.database["pending_recordings"].find({}).to_list(None)
        assert [("holder" in one, one["attempts"]) for one in left] == [(False, 0)] * COUNT
        host.finishes.set()
        await running.server.start()
        await require_each_once(running, tenant, call_ids)
