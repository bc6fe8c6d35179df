"""From the `recording` field to the store, on disk and in S3: a recording is stored whole or not at all."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import pytest

from tests.support import audio
from tests.support.s3 import S3Server
from tests.support.small_disk import small_disk
from tests.support.vendor import Vendor, body, head, raw, repeated, status
from tests.support.waiting import eventually
from tether_rt.domain.call import Recording
from tether_rt.errors import BadRequest, Unavailable
from tether_rt.recordings.disk import DiskStore
from tether_rt.recordings.fetch.fetcher import RecordingFetcher
from tether_rt.recordings.fetch.limits import Limits
from tether_rt.recordings.intake import RecordingIntake
from tether_rt.recordings.r2 import R2Store
from tether_rt.recordings.spool import Spool
from tether_rt.recordings.store import RecordingStore
from tether_rt.recordings.uploads import Uploads

ORGANIZATION = "a" * 24
ROOT = Path(__file__).parents[2]


async def no_call(organization_id: str, call_ids: Collection[str]) -> set[str]:
    return set()


class Place:
    """An intake on a real store."""

    def __init__(self, store: RecordingStore, folder: Path, vendor: Vendor) -> None:
        self.store = store
        self.vendor = vendor
        self.spool_folder = folder / "spool"
        self.spool = Spool(self.spool_folder)
        self.seen: list[tuple[str, int]] = []
        fetcher = RecordingFetcher([vendor.host], Limits(window_s=0.5, retry_s=0.1))
        self.uploads = Uploads(folder / "uploads", store, no_call)
        self.intake = RecordingIntake(
            self.uploads, fetcher, self.spool, lambda: "d" * 24, lambda kind, size, seconds: self.seen.append((kind, size))
        )

    async def start(self) -> None:
        await self.spool.start()
        await self.uploads.start()

    async def close(self) -> None:
        await self.uploads.close()
        await self.spool.close()

    async def taken(self, text: str, organization_id: str, call_id: str = "c" * 24, *, is_first: bool = True) -> Recording:
        return await self.intake.take(text, organization_id, call_id, is_first=is_first)

    async def content(self, key: str) -> bytes:
        return b"".join([piece async for piece in self.store.read(key, 0, 1 << 40)])


@pytest.fixture(params=["disk", "r2"])
async def place(request: pytest.FixtureRequest, tmp_path: Path, s3_server: S3Server, vendor: Vendor) -> AsyncIterator[Place]:
    store: RecordingStore
    if request.param == "disk":
        store = DiskStore(tmp_path, min_free_bytes=0)
    else:
        bucket = s3_server.create_bucket()
        store = R2Store(s3_server.endpoint_url, S3Server.ACCESS_KEY_ID, S3Server.SECRET_ACCESS_KEY, bucket)
    await store.start()
    place = Place(store, tmp_path, vendor)
    await place.start()
    yield place
    await place.close()
    await store.close()
    assert list(place.spool_folder.iterdir()) == [], "every spool file is gone"


def base64_of(recording: bytes) -> str:
    return base64.b64encode(recording).decode()


KINDS = [
    (audio.mp3(2), "mp3", "audio/mpeg", 2.0),
    (audio.wav(2), "wav", "audio/wav", 2.0),
    (audio.ogg(2), "ogg", "audio/ogg", 2.0),
    (audio.m4a(2), "m4a", "audio/mp4", 2.0),
    (audio.flac(2), "flac", "audio/flac", 2.0),
    (audio.webm(), "webm", "audio/webm", None),
    (audio.adts(2), "aac", "audio/aac", 2.0),
    (audio.amr(2), "amr", "audio/amr", 2.0),
    (audio.wave64(2), "w64", "audio/x-w64", 2.0),
    (audio.au(2), "au", "audio/basic", 2.0),
]


@pytest.mark.parametrize(("recording", "extension", "content_type", "seconds"), KINDS, ids=[kind[1] for kind in KINDS])
@pytest.mark.parametrize("way", ["inline", "url"])
async def test_each_audio_type_is_stored_as_what_it_is_whatever_it_claims(
    place: Place, way: str, recording: bytes, extension: str, content_type: str, seconds: float | None
) -> None:
    if way == "url":
        text = place.vendor.serve("/call.html", body(recording, Content_Type="text/html"))
    else:
        text = "data:audio/x-claim;base64," + base64_of(recording)
    taken = await place.taken(text, ORGANIZATION)
    assert taken.recording_id == "d" * 24
    assert taken.key == f"recordings/{ORGANIZATION}/{'c' * 24}.{extension}"
    assert (taken.content_type, taken.size_bytes, taken.sha256) == (
        content_type,
        len(recording),
        hashlib.sha256(recording).hexdigest(),
    )
    assert taken.duration_s == (None if seconds is None else pytest.approx(seconds, abs=0.1))
    assert await place.content(taken.key) == recording
    assert place.seen == [(way, len(recording))]


@pytest.mark.parametrize("size_bytes", [1_000, 100_000, 2_000_000, 12_000_000])
async def test_recordings_of_every_size_are_stored_as_sent(place: Place, size_bytes: int) -> None:
    """On the loop, in a thread, through a file, in parts."""
    recording = audio.mp3_of(size_bytes, salt=os.urandom(16))
    inline = await place.taken(base64_of(recording), ORGANIZATION, "c" * 24)
    fetched = await place.taken(place.vendor.serve("/x", body(recording)), ORGANIZATION, "d" * 24)
    assert inline == fetched._replace(key=inline.key)
    assert inline.sha256 == hashlib.sha256(recording).hexdigest()
    assert await place.content(inline.key) == recording


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "recording is empty"),
        ("   \n", "recording is empty"),
        ("data:audio/mpeg;base64,", "recording is empty"),
        (" " * 2_000_000, "recording is empty"),
        ("helloworld", "recording is not audio"),
        ("hello world", "recording is not base64: character 6 is a space inside a line"),
        (base64_of(audio.wav(0)), "recording holds no sound: it is WAV without audio in it"),
        (base64_of(audio.id3(b"Recording failed: disk full")), "recording holds no sound: it is MP3 without audio in it"),
        (base64_of(audio.id3(bytes(2_000_000))), "recording holds no sound"),
        (base64_of(b"<html>" + bytes(100)), "recording is not audio: MP3, WAV, OGG, M4A, FLAC or WebM is expected"),
        (base64_of(b"%PDF" + bytes(2_000_000)), "recording is not audio"),
        ("not base64!", "recording is neither an http(s) URL nor base64"),
        ("A" * 2_000_000 + "!", "recording is neither an http(s) URL nor base64"),
        ("ftp://vendor.example/x.mp3", "recording must be base64 or a URL that starts with http:// or https://"),
        ("FILE:///etc/passwd", "recording must be base64 or a URL"),
        ("javascript:alert(1)", "recording is neither"),
        ("http://127.0.0.1/x.mp3", "recording points to an address that is not public"),
        ("  HTTP://LOCALHOST/x.mp3 ", "recording points to an address that is not public"),
        ("https://", "recording is a URL whose host"),
        ("http://vendor.example/" + "x" * 3_000_000, "recording is a URL of more than 8192 characters"),
        ("http://vendor.example/" + " " * 3_000_000, "recording is a URL of more than 8192 characters"),
    ],
)
async def test_text_that_is_no_recording_is_refused_with_the_reason(place: Place, text: str, reason: str) -> None:
    with pytest.raises(BadRequest, match="^" + re.escape(reason)):
        await place.taken(text, ORGANIZATION)
    assert place.seen == []


async def test_a_fetched_recording_must_be_audio_too(place: Place) -> None:
    url = place.vendor.serve("/", body(b"<html>Please sign in</html>", Content_Type="audio/mpeg"))
    with pytest.raises(BadRequest, match="recording is not audio"):
        await place.taken(url, ORGANIZATION)
    with pytest.raises(BadRequest, match="answered 404"):
        await place.taken(place.vendor.serve("/gone", status(404)), ORGANIZATION)
    drip = place.vendor.serve("/drip", repeated(head(200) + audio.mp3(), b"x", pause_s=0.05))
    with pytest.raises(BadRequest, match="too slowly"):
        await place.taken(drip, ORGANIZATION)
    lie = place.vendor.serve("/lie", raw(head(200, Content_Length=10_000_000) + audio.mp3()))
    with pytest.raises(Unavailable, match="broke off"):
        await place.taken(lie, ORGANIZATION)


async def test_the_same_bytes_of_two_calls_are_two_recordings(place: Place) -> None:
    text = base64_of(audio.mp3())
    one, two = await asyncio.gather(*(place.taken(text, ORGANIZATION, letter * 24) for letter in "cd"))
    assert one.key != two.key
    assert await place.content(one.key) == await place.content(two.key)


async def test_later_recordings_of_one_call_have_keys_of_their_own(place: Place) -> None:
    text = base64_of(audio.mp3_of(1_500_000))
    first = await place.taken(text, ORGANIZATION)
    later = await asyncio.gather(*(place.taken(text, ORGANIZATION, is_first=False) for _ in range(5)))
    assert len({recording.key for recording in (first, *later)}) == 6
    assert all(re.fullmatch(rf"recordings/{ORGANIZATION}/{'c' * 24}-[0-9]{{1,9}}\.mp3", one.key) for one in later)


async def test_a_recording_in_a_spool_file_is_stored_with_a_key_of_its_own(place: Place) -> None:
    recording = audio.mp3(2)
    first = await place.taken(base64_of(recording), ORGANIZATION)
    async with place.spool.writing() as writer:
        writer.write(recording)
        taken = await place.intake.take_file(writer.finish(), ORGANIZATION, "c" * 24)
    assert re.fullmatch(rf"recordings/{ORGANIZATION}/{'c' * 24}-\d+\.mp3", taken.key)
    assert (taken.kind, taken.sha256, taken.duration_s) == ("MP3", first.sha256, first.duration_s)
    assert await place.content(taken.key) == recording


async def test_a_spool_file_that_is_no_audio_is_refused(place: Place) -> None:
    async with place.spool.writing() as writer:
        writer.write(b"just words " * 1000)
        with pytest.raises(BadRequest, match="not audio") as refusal:
            await place.intake.take_file(writer.finish(), ORGANIZATION, "c" * 24)
    assert refusal.value.field == "recording"


async def test_the_store_away_is_503_and_leaves_nothing(s3_server: S3Server, tmp_path: Path, vendor: Vendor) -> None:
    store = R2Store("http://127.0.0.1:9", "id", "secret", "bucket")
    await store.start()
    place = Place(store, tmp_path, vendor)
    await place.start()
    for text in (base64_of(audio.mp3()), base64_of(audio.mp3_of(2_000_000)), vendor.serve("/", body(audio.mp3()))):
        with pytest.raises(Unavailable, match="cannot be reached"):
            await place.taken(text, ORGANIZATION)
    await place.close()
    await store.close()
    assert list(place.spool_folder.iterdir()) == []


async def test_a_full_disk_is_503_and_leaves_nothing(tmp_path: Path, vendor: Vendor) -> None:
    def left(folder: Path) -> list[str]:
        return [path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".uploads"]  # of the journal

    with small_disk(tmp_path / "small", 2_000_000) as folder:
        store = DiskStore(folder, min_free_bytes=0)
        await store.start()
        place = Place(store, folder, vendor)
        await place.start()
        large = audio.mp3_of(5_000_000)
        for text in (base64_of(large), vendor.serve("/", body(large))):
            with pytest.raises(Unavailable, match="full"):
                await place.taken(text, ORGANIZATION)
            await eventually(lambda: not left(folder))
        small = await place.taken(base64_of(audio.mp3()), ORGANIZATION)
        await place.close()
        await store.close()
        assert left(folder) == [Path(small.key).name]


async def test_cancelled_at_any_moment_it_leaves_a_whole_recording_or_none(place: Place) -> None:
    recording = audio.mp3_of(3_000_000)
    url = place.vendor.serve("/", body(recording))
    for number in range(20):
        text = url if number % 2 else base64_of(recording)
        task = asyncio.create_task(place.taken(text, ORGANIZATION))
        await asyncio.sleep(number * 0.003)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    taken = await place.taken(url, ORGANIZATION)
    assert await place.content(taken.key) == recording


PROBE = """
import asyncio, pathlib, sys
from tether_rt.recordings.intake import RecordingIntake
from tether_rt.recordings.spool import Spool
from tether_rt.recordings.fetch.fetcher import RecordingFetcher
from tether_rt.recordings.disk import DiskStore
from tether_rt.recordings.r2 import R2Store
from tether_rt.recordings.uploads import Uploads

kind, folder, host, endpoint_url, bucket = sys.argv[1:]

def memory_kib(name):
    line = next(line for line in open("/proc/self/status") if line.startswith(name))
    return int(line.split()[1])

async def main():
    folder_path = pathlib.Path(folder)
    store = DiskStore(folder_path) if kind == "disk" else R2Store(endpoint_url, "id", "secret", bucket)
    spool = Spool(folder_path / "spool")
    await store.start()
    await spool.start()
    fetcher = RecordingFetcher([host])
    uploads = Uploads(folder_path / "uploads", store, None)
    await uploads.start()
    intake = RecordingIntake(uploads, fetcher, spool, lambda: "d" * 24)
    # The first ones load modules and fill pools; what is measured is what size adds.
    await asyncio.gather(*(intake.take(f"http://{host}/warm", "a" * 24, str(number) * 24) for number in range(3)))
    before_kib = memory_kib("VmRSS")
    taken = await intake.take(f"http://{host}/large", "a" * 24, "c" * 24)
    print(taken.size_bytes, memory_kib("VmHWM") - before_kib)
    await uploads.close()
    await spool.close()
    await store.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["disk", "r2"])
async def test_memory_does_not_grow_with_the_size_of_what_is_fetched(
    kind: str, tmp_path: Path, s3_server: S3Server, vendor: Vendor
) -> None:
    frames = audio.mp3_of(100_000)
    large_bytes = len(frames) * 1500
    vendor.serve("/warm", repeated(head(200), frames, times=10))
    vendor.serve("/large", repeated(head(200, Content_Length=large_bytes), frames, times=1500))
    probe = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROBE, kind, str(tmp_path), vendor.host, s3_server.endpoint_url, s3_server.create_bucket(),
        cwd=ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    output, _ = await probe.communicate()
    assert probe.returncode == 0
    size_bytes, growth_kib = map(int, output.split())
    assert size_bytes == large_bytes > 149_000_000
    assert growth_kib < 24 * 1024
