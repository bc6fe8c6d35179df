"""A large recording goes into the store in parts while it still arrives, and what is given up half way leaves nothing there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import audio
from tests.support.s3 import S3Server
from tests.support.vendor import Answer, Request, Vendor, body, head, in_turn
from tests.support.waiting import eventually
from tether_rt.errors import BadRequest, Unavailable
from tether_rt.recordings.fetch.fetcher import RecordingFetcher
from tether_rt.recordings.fetch.limits import Limits
from tether_rt.recordings.intake import RecordingIntake
from tether_rt.recordings.r2 import R2Store
from tether_rt.recordings.spool import Spool
from tether_rt.recordings.uploads import Uploads

ORGANIZATION = "a" * 24
CALL = "c" * 24
PART_BYTES = 5 * 1024 * 1024


@dataclass
class Place:
    """An intake with a real S3 store that takes parts of `PART_BYTES`."""

    intake: RecordingIntake
    uploads: Uploads
    server: S3Server
    bucket: str

    async def parts(self) -> int:
        return await asyncio.to_thread(self.server.unfinished_parts, self.bucket)

    async def leaves_nothing(self) -> bool:
        unfinished = await asyncio.to_thread(self.server.unfinished_uploads, self.bucket)
        return not unfinished and not await asyncio.to_thread(self.server.keys, self.bucket)


async def no_call(organization_id: str, call_ids: Collection[str]) -> set[str]:
    return set()


@pytest.fixture
async def place(tmp_path: Path, s3_server: S3Server, vendor: Vendor) -> AsyncIterator[Place]:
    bucket = s3_server.create_bucket()
    keys = (S3Server.ACCESS_KEY_ID, S3Server.SECRET_ACCESS_KEY)
    store = R2Store(s3_server.endpoint_url, *keys, bucket, part_bytes=PART_BYTES)
    await store.start()
    spool = Spool(tmp_path / "spool")
    await spool.start()
    uploads = Uploads(tmp_path / "uploads", store, no_call, doubt_s=0.1)
    await uploads.start()
    removing = asyncio.create_task(uploads.run())
    fetcher = RecordingFetcher([vendor.host], Limits(window_s=5, retry_s=5))
    yield Place(RecordingIntake(uploads, fetcher, spool, lambda: "d" * 24), uploads, s3_server, bucket)
    removing.cancel()
    await asyncio.wait({removing})
    await uploads.close()
    await spool.close()
    await store.close()


def in_two(first: bytes, rest: bytes, may_go_on: asyncio.Event) -> Answer:
    """Send the beginning, and the rest when it may."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, Content_Length=len(first) + len(rest)) + first)
        await writer.drain()
        await may_go_on.wait()
        writer.write(rest)
        await writer.drain()

    return answer


async def has_parts(place: Place, number: int) -> None:
    async def has() -> bool:
        return await place.parts() >= number

    await eventually(has)


@pytest.mark.parametrize("way", ["within the request", "later"])
async def test_parts_are_stored_before_the_rest_has_arrived(place: Place, vendor: Vendor, way: str) -> None:
    recording = audio.mp3_of(2 * PART_BYTES + 100_000, salt=os.urandom(16))
    may_go_on = asyncio.Event()
    at = 2 * PART_BYTES + 50_000
    url = vendor.serve("/x", in_two(recording[:at], recording[at:], may_go_on))
    taking = place.intake.take(url, ORGANIZATION, CALL) if way != "later" else place.intake.fetch_once(url, ORGANIZATION, CALL)
    task = asyncio.create_task(taking)
    await has_parts(place, 1)
    assert not task.done()
    may_go_on.set()
    taken = await task
    with place.uploads.deciding(taken.key) as upload:
        upload.keep()
    assert place.server.get(place.bucket, taken.key) == recording
    assert place.server.keys(place.bucket) == [taken.key]
    assert place.server.unfinished_uploads(place.bucket) == 0


async def test_one_that_breaks_off_is_stored_anew_and_whole(place: Place, vendor: Vendor) -> None:
    """The host sends something else the second time: nothing of the first try is in what is stored."""
    first = audio.mp3_of(3 * PART_BYTES, salt=b"first")
    recording = audio.mp3_of(2 * PART_BYTES, salt=b"second")

    async def breaks_off(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, Content_Length=len(first)) + first[: 2 * PART_BYTES])
        await writer.drain()
        await has_parts(place, 1)
        writer.close()

    taken = await place.intake.take(vendor.serve("/x", in_turn(breaks_off, body(recording))), ORGANIZATION, CALL)
    assert place.server.get(place.bucket, taken.key) == recording
    assert place.server.unfinished_uploads(place.bucket) == 0


async def test_what_is_not_taken_is_given_back(place: Place, vendor: Vendor) -> None:
    """A fetch that fails, one that is cancelled, and a recording that turns out to hold no sound."""
    recording = audio.mp3_of(2 * PART_BYTES)
    at = PART_BYTES + 600_000
    url = vendor.serve("/x", in_two(recording[:at], recording[at:], asyncio.Event()))
    task = asyncio.create_task(place.intake.fetch_once(url, ORGANIZATION, CALL))
    await has_parts(place, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await place.leaves_nothing()

    silent = audio.id3(bytes(2 * PART_BYTES))
    with pytest.raises(BadRequest, match="holds no sound"):
        await place.intake.take(vendor.serve("/silent", body(silent)), ORGANIZATION, CALL)
    await eventually(lambda: not place.uploads.undecided)
    assert await place.leaves_nothing()


async def test_a_store_that_goes_away_meanwhile_is_said_when_all_has_arrived(tmp_path: Path, vendor: Vendor) -> None:
    recording = audio.mp3_of(2 * PART_BYTES)

    async def deny(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head(500, Content_Length=0))

    store = R2Store(f"http://{vendor.host}", "id", "secret", "bucket", part_bytes=PART_BYTES)
    vendor.routes["/bucket"] = deny
    await store.start()
    uploads = Uploads(tmp_path / "other", store, no_call)
    await uploads.start()
    spool = Spool(tmp_path / "other-spool")
    await spool.start()
    intake = RecordingIntake(uploads, RecordingFetcher([vendor.host]), spool, lambda: "d" * 24)
    with pytest.raises(Unavailable):
        await intake.take(vendor.serve("/x", body(recording)), ORGANIZATION, CALL)
    await uploads.close()
    await spool.close()
    assert list((tmp_path / "other-spool").iterdir()) == []
    await store.close()
