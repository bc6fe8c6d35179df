"""The recording store is down, slow, full or failing: calls that need it get 503, all others are stored."""

from __future__ import annotations

import asyncio
import uuid
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from tests.faults.load import load_on
from tests.support.audio import mp3_of
from tests.support.faulty_store import FaultyStore, faulty_store
from tests.support.full_disk import full_disk
from tests.support.hung_disk import HungDisk
from tests.support.program import Program, program
from tests.support.retrying import RetryingVendor
from tests.support.s3 import S3Server
from tests.support.service import missed, sample
from tests.support.verify import verify
from tests.support.waiting import eventually

SIZES = (20_000, 2_000_000, 9_000_000)
"""Taken in memory, through a file, and up in parts."""


async def test_a_disk_that_hangs_delays_only_calls_with_a_recording_and_stores_none_before_its_recording(
    mongodb_uri: str, tmp_path: Path
) -> None:
    disk = HungDisk(tmp_path)
    async with program(tmp_path, mongodb_uri, variables=disk.variables) as running:
        tenant = await running.tenant()
        vendor = running.vendor(tenant)
        disk.hang()
        calls = [voiced(4_000) for _ in range(11)]
        waiting = [asyncio.create_task(vendor.deliver([one])) for one in calls]
        try:
            for _ in range(20):
                status, _ = await vendor.post(missed())
                assert status == 201
            assert vendor.wrong == []
            assert not any(task.done() for task in waiting)
            assert len((await verify(running.database, vendor.ledger)).calls) == 20
        finally:
            disk.let_go()
        await asyncio.gather(*waiting)
        await verify(running.database, vendor.ledger, tenant)
        assert (vendor.hung, vendor.broken, vendor.wrong) == (0, 0, [])


async def test_a_disk_that_goes_on_hanging_is_503_for_calls_with_a_recording(mongodb_uri: str, tmp_path: Path) -> None:
    disk = HungDisk(tmp_path)
    async with program(tmp_path, mongodb_uri, variables=disk.variables) as running:
        tenant = await running.tenant()
        vendor = running.vendor(tenant)
        disk.hang()
        calls = [voiced(4_000) for _ in range(11)]
        try:
            answers = await asyncio.gather(*(vendor.post(one) for one in calls))
            assert {status for status, _ in answers} == {503}
            assert "The recording folder did not answer in time; send the request again." in {
                body["error"] for _, body in answers
            }
        finally:
            disk.let_go()
        await vendor.deliver(calls)
        await verify(running.database, vendor.ledger, tenant)
        assert (vendor.hung, vendor.broken, vendor.wrong) == (0, 0, [])


@pytest.fixture
async def bucket(s3_server: S3Server) -> AsyncIterator[FaultyStore]:
    async with faulty_store(s3_server) as bucket:
        yield bucket


def voiced(size_bytes: int) -> dict[str, Any]:
    """Return a call with a recording of its own of about that size."""
    recording = mp3_of(size_bytes, salt=uuid.uuid4().bytes)
    return sample(voice=False, recording=b64encode(recording).decode())


def unfinished(folder: Path) -> list[Path]:
    """Return what is being written, or was left so, in a data directory."""
    return list(folder.rglob("*.part"))


async def refused(vendor: RetryingVendor, calls: list[dict[str, Any]]) -> set[str]:
    """Post calls of which none can be stored, beside one that needs no recording; return the sentences."""
    *answers, (status, _) = await asyncio.gather(*map(vendor.post, calls), vendor.post(missed()))
    assert status == 201
    assert [status for status, _ in answers] == [503] * len(calls)
    return {body["error"] for _, body in answers}


async def says(running: Program, part: str, state: str) -> None:
    """Wait until `/readyz` says so of one part, and see that it says `ok` of the others."""

    async def says_so() -> bool:
        status, checks = await running.readiness()
        return checks == {**dict.fromkeys(checks, "ok"), part: state} and (status == 200) == (state == "ok")

    await eventually(says_so)


REFUSALS = {
    "down": "The recording store cannot be reached just now; send the request again.",
    "silent": "The recording store did not answer in time; send the request again.",
    "500": "The recording store failed (HTTP 500); send the request again.",
    "403": "The recording store denies access; its operator must mend the settings.",
}
NAMED_BY_READYZ = {"down", "403"}
"""One without an answer and one with: `/readyz` asks the store only once in 5 s."""


async def test_a_store_that_fails_refuses_recordings_with_503_and_nothing_is_half_written(
    bucket: FaultyStore, mongodb_uri: str, tmp_path: Path
) -> None:
    async with program(tmp_path, mongodb_uri, variables=bucket.variables) as running:
        tenant = await running.tenant()
        vendor = running.vendor(tenant)
        calls = []
        for fault, sentence in REFUSALS.items():
            await bucket.fail(fault)
            calls += (new := [voiced(size) for size in SIZES])
            assert await refused(vendor, new) == {sentence}
            if fault in NAMED_BY_READYZ:
                await says(running, "store", sentence)
        assert len((await verify(running.database, vendor.ledger)).calls) == len(REFUSALS), "those without a recording"
        assert unfinished(tmp_path) == []

        await bucket.heal()
        await vendor.deliver(calls)
        await says(running, "store", "ok")
        assert len((await verify(running.database, vendor.ledger, tenant)).calls) == len(REFUSALS) + len(calls)
        assert bucket.behind.unfinished_uploads(bucket.name) == 0
        assert (vendor.hung, vendor.broken, vendor.wrong) == (0, 0, [])


async def test_a_slow_store_delays_nobody_who_does_not_need_it(bucket: FaultyStore, mongodb_uri: str, tmp_path: Path) -> None:
    """Uploads of one organization overlap, its other calls go on, and no call is there before its recording."""
    async with program(tmp_path, mongodb_uri, variables=bucket.variables) as running:
        tenant = await running.tenant()
        vendor = running.vendor(tenant)
        bucket.forwards.clear()
        slow = [asyncio.create_task(vendor.post(voiced(SIZES[0]))) for _ in range(20)]
        others = await asyncio.gather(*(vendor.post(missed()) for _ in range(20)))
        assert {status for status, _ in others} == {201}
        await eventually(lambda: bucket.held >= len(slow))
        assert not any(task.done() for task in slow)
        assert len((await verify(running.database, vendor.ledger)).calls) == len(others)
        bucket.forwards.set()
        assert {status for status, _ in await asyncio.gather(*slow)} == {201}
        await verify(running.database, vendor.ledger, tenant)


async def test_a_full_disk_refuses_recordings_with_503_and_nothing_is_half_written(mongodb_uri: str, tmp_path: Path) -> None:
    sentence = "The recording folder is full; send the request again later."
    with full_disk(tmp_path / "disk", 320 << 20) as disk:
        async with program(tmp_path, mongodb_uri, variables={"TETHER_DATA_DIR": str(disk.folder)}) as running:
            tenant = await running.tenant()
            vendor = running.vendor(tenant)
            await vendor.deliver([voiced(SIZES[0])])
            await says(running, "store", "ok")
            disk.fill(running.server.process.pid)

            calls = [voiced(size) for size in SIZES]
            assert await refused(vendor, calls) == {sentence}
            await says(running, "store", sentence if disk.is_mounted else "ok")
            assert unfinished(disk.folder) == []
            assert len((await verify(running.database, vendor.ledger)).calls) == 2

            disk.free()
            await says(running, "store", "ok")
            await vendor.deliver(calls)
            assert len((await verify(running.database, vendor.ledger, tenant)).calls) == 2 + len(SIZES)
            assert (vendor.hung, vendor.broken, vendor.wrong) == (0, 0, [])


@pytest.mark.soak
async def test_a_full_disk_under_the_private_mongod_is_503_and_everything_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with full_disk(tmp_path / "disk", 400 << 20) as disk:
        async with program(tmp_path, variables={"TETHER_DATA_DIR": str(disk.folder)}) as running, load_on(running) as load:
            (started,) = (line for line in running.server.lines() if line["event"] == "private MongoDB started")
            junk = running.database.client["other"]["junk"]
            await junk.insert_one({})
            disk.fill(started["pid"])
            with suppress(AutoReconnect):
                while True:  # more than fits into mongod's memory, so that it must put something on the disk
                    await junk.insert_many({"junk": "x" * 100_000} for _ in range(50))
            await load.refused_more(40)
            disk.free()
            await running.ready()
            await load.acknowledged_more(40)
            died = next(line for line in running.server.lines() if line["event"] == "private MongoDB died")
            assert died["reason"] == "No space left on device" or not disk.is_mounted
