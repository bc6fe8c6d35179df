"""Processes that are killed while recordings are still to be fetched: others finish them, each once, never two at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.audio import mp3
from tests.support.full_disk import full_disk
from tests.support.program import Program, program
from tests.support.proxy import Passage, proxy_to
from tests.support.s3 import S3Server
from tests.support.service import Tenant, sample
from tests.support.vendor import Request, Vendor, head, vendor_server
from tests.support.waiting import eventually
from tether_rt.ingest.later_recordings import MAX_AT_ONCE_PER_ORGANIZATION

VOICE = mp3(2)
ASYNC = {"Prefer": "respond-async"}
COUNT = MAX_AT_ONCE_PER_ORGANIZATION + 10


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
    """Some attempts are in their middle when it is killed, and there are more than an organization has at once."""
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
            return len(host.begun) > MAX_AT_ONCE_PER_ORGANIZATION

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


async def test_a_kill_between_upload_and_commit_leaves_one_recording_of_the_call(
    mongodb_uri: str, s3_server: S3Server, tmp_path: Path, host: Host
) -> None:
    bucket = s3_server.create_bucket()
    store = urlsplit(s3_server.endpoint_url)
    host.finishes.set()
    async with proxy_to(store.hostname or "", store.port or 0) as uploads:
        variables = {
            "TETHER_PRIVATE_RECORDING_HOSTS": host.vendor.host,
            "R2_ENDPOINT_URL": f"http://127.0.0.1:{uploads.port}",
            "R2_ACCESS_KEY_ID": S3Server.ACCESS_KEY_ID,
            "R2_SECRET_ACCESS_KEY": S3Server.SECRET_ACCESS_KEY,
            "R2_BUCKET": bucket,
        }
        async with program(tmp_path, mongodb_uri, variables=variables) as running:
            tenant = await running.tenant()
            is_killed = asyncio.Event()

            async def kill_when_uploaded(passage: Passage, up: bool, piece: bytes) -> bool:
                if up and piece.startswith(b"PUT "):
                    passage.notes["put"] = 1
                elif not up and "put" in passage.notes:
                    await running.server.kill()
                    is_killed.set()
                    return False
                return True

            uploads.look = kill_when_uploaded
            answer = await tenant.post_call(sample(recording=host.url(0)), headers=ASYNC)
            assert answer.status == 201
            await is_killed.wait()
            uploads.look = None
            (orphan,) = s3_server.keys(bucket)
            await running.server.start()

            async def only_the_calls_own_is_left() -> bool:
                call = await running.database["calls"].find_one({"_id": answer.body["callId"]})
                assert call is not None
                keys = [recording["key"] for recording in call["recordings"]]
                return len(keys) == 1 and s3_server.keys(bucket) == keys != [orphan]

            await eventually(only_the_calls_own_is_left)
            assert s3_server.get(bucket, s3_server.keys(bucket)[0]) == VOICE


async def test_a_full_disk_gives_no_recording_up(mongodb_uri: str, tmp_path: Path, host: Host) -> None:
    host.finishes.set()
    with full_disk(tmp_path / "disk", 320 << 20) as disk:
        variables = {"TETHER_PRIVATE_RECORDING_HOSTS": host.vendor.host, "TETHER_DATA_DIR": str(disk.folder)}
        async with program(tmp_path, mongodb_uri, variables=variables) as running:
            tenant = await running.tenant()
            disk.fill(running.server.process.pid)
            answer = await tenant.post_call(sample(recording=host.url(0)), headers=ASYNC)
            assert answer.status == 201

            async def was_in_vain() -> bool:
                return 'tether_later_recordings_total{outcome="away"} 1.0' in (await tenant.get("/metrics")).body.decode()

            await eventually(was_in_vain)
            disk.free()

            async def is_stored() -> bool:
                call = (await tenant.get(f"/api/calls/{answer.body['callId']}")).body["call"]
                assert call["recordingStatus"] != "failed"
                return bool(call["recordingStatus"] == "stored")

            await eventually(is_stored)
