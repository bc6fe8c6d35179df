"""Recordings from disk over a signed link: every range a player asks for, and nothing for whoever has no right to it."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conftest import settings_on
from tests.support.audio import wav
from tests.support.raw import RawAnswer, connection
from tests.support.service import SAMPLES, SECRET, Service, Tenant, running, sample
from tests.support.waiting import eventually
from tether_rt.auth.credentials import Keyring

AUDIO = (SAMPLES / "delivery.mp3").read_bytes()
KEYS = Keyring(SECRET)


@dataclass(frozen=True, slots=True)
class Link:
    """A recording on a server, and the way to it."""

    service: Service
    tenant: Tenant
    folder: Path
    path: str
    recording_id: str

    async def get(self, method: str = "GET", path: str | None = None, **headers: str) -> RawAnswer:
        async with connection(self.service.base_url) as raw:
            await raw.request(f"{method} {path or self.path}", headers)
            return await raw.answer(of_head=method == "HEAD")

    def signed(self, recording_id: str, expires: int) -> str:
        """Return a path with our signature for this recording and this end."""
        return f"/api/recordings/{self.recording_id}?expires={expires}&signature={KEYS.link_signature(recording_id, expires)}"


async def linked(service: Service, folder: Path, audio: bytes) -> Link:
    """Store a call with this recording and ask for its link."""
    tenant = await service.tenant()
    answer = await tenant.post_call(sample("delivery", recording=base64.b64encode(audio).decode()))
    assert answer.status == 201, answer.body
    shown = (await tenant.get(f"/api/calls/{answer.body['callId']}/recording")).body
    url = urlsplit(shown["audioUrl"])
    assert f"{url.scheme}://{url.netloc}" == service.base_url
    return Link(service, tenant, folder, f"{url.path}?{url.query}", shown["recordingId"])


@pytest.fixture(scope="module")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings")


@pytest.fixture(scope="module")
async def on_disk(mongodb_uri: str, folder: Path) -> AsyncIterator[Service]:
    async with running(settings_on(mongodb_uri, folder)) as service:
        yield service


@pytest.fixture(scope="module")
async def link(on_disk: Service, folder: Path) -> Link:
    return await linked(on_disk, folder, AUDIO)


async def test_the_whole_recording_is_what_was_sent(link: Link) -> None:
    answer = await link.get()
    assert (answer.status, answer.body) == (200, AUDIO)
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"] == "private, max-age=600, immutable"
    assert answer.headers["content-disposition"] == f'inline; filename="{link.recording_id}.mp3"'
    assert answer.headers["x-content-type-options"] == "nosniff"


SIZE = len(AUDIO)


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=100-199", 100, 200),
        ("bytes = 100 - 199", 100, 200),
        ("bytes=0-", 0, SIZE),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        (f"bytes=5-{10**17}", 5, SIZE),
        ("bytes=-1", SIZE - 1, SIZE),
        (f"bytes=-{SIZE + 5}", 0, SIZE),
    ],
)
async def test_a_range_is_answered_with_its_bytes_and_its_place(link: Link, asked: str, start: int, end: int) -> None:
    answer = await link.get(Range=asked)
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.body == AUDIO[start:end]


@pytest.mark.parametrize(
    "asked", ["bytes=5-2", "bytes=0-1,5-6", "bytes=a-b", "bytes=-", "bytes=", "items=0-5", "bytes=" + "9" * 30 + "-"]
)
async def test_an_invalid_range_is_ignored(link: Link, asked: str) -> None:
    answer = await link.get(Range=asked)
    assert (answer.status, len(answer.body)) == (200, SIZE)
    assert "content-range" not in answer.headers


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=-0", f"bytes={10**17}-{10**17 + 1}"])
async def test_a_range_that_lies_outside_is_416_and_says_how_long_the_recording_is(link: Link, asked: str) -> None:
    answer = await link.get(Range=asked)
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{SIZE}"
    assert answer.body["error"] == "The range lies outside the recording."


async def test_head_says_what_get_would(link: Link) -> None:
    answer = await link.get("HEAD")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, str(SIZE), b"")
    ranged = await link.get("HEAD", Range="bytes=0-9")
    assert (ranged.status, ranged.headers["content-length"]) == (206, "10")


async def test_a_link_holds_for_ten_minutes_and_not_longer(link: Link) -> None:
    (expires,) = parse_qs(urlsplit(link.path).query)["expires"]
    assert 0 < int(expires) - time.time() <= 600
    now = int(time.time())
    assert (await link.get(path=link.signed(link.recording_id, now + 60))).status == 200
    assert (await link.get(path=link.signed(link.recording_id, now - 1))).status == 403


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("?expires=&signature=", 400),
        ("?expires=soon&signature=x", 400),
        ("?expires=-1&signature=x", 400),
        ("?expires=9999999999999&signature=x", 400),
        ("?expires=9999999999&signature=", 403),
        ("?expires=9999999999&signature=%00", 403),
        ("?expires=9999999999&signature=%F0%9F%98%80", 403),
        ("?expires=9999999999&signature=%FF", 400),
    ],
)
async def test_what_is_no_link_of_ours_plays_nothing(link: Link, query: str, status: int) -> None:
    answer = await link.get(path=f"/api/recordings/{link.recording_id}{query}")
    assert answer.status == status
    assert answer.body["success"] is False


async def test_the_link_of_one_recording_plays_no_other(link: Link) -> None:
    other = await linked(link.service, link.folder, AUDIO + bytes(100))
    answer = await link.get(path=link.path.replace(link.recording_id, other.recording_id))
    assert answer.status == 403
    signed_for_nothing = link.signed("0" * 24, int(time.time()) + 60).replace(link.recording_id, "0" * 24)
    assert (await link.get(path=signed_for_nothing)).status == 404


def files(folder: Path, size: int) -> list[Path]:
    return [path for path in folder.rglob("*.mp3") if path.stat().st_size == size]


def open_recordings() -> list[Path]:
    return [path for path in Path("/proc/self/fd").iterdir() if path.resolve().suffix == ".wav"]


async def test_a_recording_whose_file_is_gone_is_404_and_remembered_by_no_cache(on_disk: Service, folder: Path) -> None:
    link = await linked(on_disk, folder, AUDIO + b"gone")
    (gone,) = files(folder, SIZE + 4)
    gone.unlink()
    for headers in ({}, {"Range": "bytes=0-9"}):
        answer = await link.get(**headers)
        assert answer.status == 404
        assert answer.headers["cache-control"] == "no-store"
        assert "content-range" not in answer.headers


async def test_a_player_that_turns_away_in_the_middle_costs_nothing_that_stays(
    on_disk: Service, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    link = await linked(on_disk, folder, wav(seconds=600))
    for _ in range(10):
        async with connection(on_disk.base_url) as raw:
            await raw.request(f"GET {link.path}")
            await raw.reader.readexactly(100_000)
    web = on_disk.server.app.web
    await eventually(lambda: not web.active)
    await eventually(lambda: not open_recordings())  # closed in a thread, after the request
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
