"""Recordings as telephone systems really make them: taken with their length, or refused in words."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import settings_on
from tests.support import audio
from tests.support.service import Service, Tenant, running, sample
from tests.support.vendor import Request, Vendor, body, head, in_turn, raw, status, vendor_server


@pytest.fixture(scope="module")
async def vendor() -> AsyncIterator[Vendor]:
    async with vendor_server() as vendor:
        yield vendor


@pytest.fixture(scope="module")
async def service(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory, vendor: Vendor) -> AsyncIterator[Service]:
    folder: Path = tmp_path_factory.mktemp("recordings")
    async with running(settings_on(mongodb_uri, folder, private_recording_hosts=vendor.host)) as service:
        yield service


@pytest.fixture(scope="module")
async def tenant(service: Service) -> Tenant:
    return await service.tenant()


async def recording_of(tenant: Tenant, recording: bytes, prefix: str = "") -> dict[str, Any]:
    """Send a call with this recording and return what is shown of it: `recordings[0]`, and the answer about the recording."""
    answer = await tenant.post_call(sample("delivery", recording=prefix + base64.b64encode(recording).decode()))
    assert answer.status == 201, answer.body
    call = (await tenant.get(f"/api/calls/{answer.body['callId']}")).body["call"]
    link = (await tenant.get(f"/api/calls/{answer.body['callId']}/recording")).body
    peaks = (await tenant.get(f"/api/calls/{answer.body['callId']}/peaks")).body
    assert link["duration"] == peaks["duration"] == call["recordings"][0]["duration"]
    return {**call["recordings"][0], "peaks": peaks["peaks"]}


@pytest.mark.parametrize(
    ("recording", "seconds"),
    [
        (audio.mp3_of_two_rates(), 12.024),
        (audio.mp3(2.02)[100:], 2),
        (bytes(5000) + audio.mp3(2), 2),
        (audio.wav(2, said_bytes=0), 2),
        (audio.wav(2, bytes_s=0), 2),
    ],
    ids=["two rates", "mid frame", "zeros in front", "into a pipe", "no byte rate"],
)
async def test_a_recording_lasts_as_long_as_it_plays(tenant: Tenant, recording: bytes, seconds: float) -> None:
    shown = await recording_of(tenant, recording)
    assert shown["duration"] == pytest.approx(seconds, abs=0.06)
    assert shown["playable"] is True
    assert len(shown["peaks"]) == pytest.approx(seconds * 50, abs=5)


async def test_the_duration_of_a_recording_is_never_that_of_its_call(tenant: Tenant) -> None:
    assert (await recording_of(tenant, audio.webm()))["duration"] is None


@pytest.mark.parametrize(
    ("recording", "kind", "content_type"),
    [
        (audio.amr(), "AMR", "audio/amr"),
        (audio.adts(), "AAC without a container (ADTS)", "audio/aac"),
        (audio.wave64(), "Wave64", "audio/x-w64"),
        (audio.gsm_in_wav(), "GSM 6.10 in WAV", "audio/wav"),
    ],
)
async def test_audio_that_browsers_do_not_play_is_taken_and_marked(
    tenant: Tenant, recording: bytes, kind: str, content_type: str
) -> None:
    shown = await recording_of(tenant, recording)
    assert (shown["kind"], shown["playable"], shown["contentType"]) == (kind, False, content_type)
    assert shown["duration"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    "prefix",
    ["data:application/octet-stream;base64,", 'data:audio/webm;codecs="opus,vorbis";base64,', "data:image/png;base64,"],
)
async def test_the_content_of_a_data_url_decides_and_not_its_type(tenant: Tenant, prefix: str) -> None:
    assert (await recording_of(tenant, audio.mp3(), prefix))["kind"] == "MP3"


@pytest.mark.parametrize(
    ("recording", "reason"),
    [
        (base64.b64encode(audio.wav(0)).decode(), "recording holds no sound: it is WAV without audio in it"),
        (base64.b64encode(audio.id3(b"Recording failed")).decode(), "recording holds no sound: it is MP3 without audio in it"),
        ("data:audio/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(100)).decode(), "recording is not audio"),
        (base64.b64encode(audio.wav()).decode().replace("A", " ", 1), "is a space inside a line; spaces were plus signs"),
    ],
)
async def test_what_is_no_sound_is_refused_in_words(tenant: Tenant, recording: str, reason: str) -> None:
    answer = await tenant.post_call(sample("delivery", recording=recording))
    assert answer.status == 400
    assert reason in answer.body["error"]


# ---------------------------------------------------------------------- hosts


async def test_a_recording_that_is_there_some_seconds_after_its_call_is_kept(
    service: Service, tenant: Tenant, vendor: Vendor
) -> None:
    half = raw(head(200, Content_Length=100_000) + audio.mp3())
    url = vendor.serve("/late.mp3", in_turn(status(404), status(404), status(503, Retry_After=1), half, body(audio.mp3())))
    answer = await tenant.post_call(sample("delivery", recording=url))
    assert answer.status == 201, answer.body
    assert vendor.requests[-1].target == "/late.mp3"
    shown = (await tenant.get(f"/api/calls/{answer.body['callId']}")).body["call"]["recordings"][0]
    metrics = service.server.app.metrics.exposition().decode()
    assert 'tether_fetches_failed_total{code="recording_not_found"} 2.0' in metrics
    assert 'tether_fetches_failed_total{code="recording_unavailable"} 2.0' in metrics
    assert (shown["bytes"], shown["sha256"]) == (len(audio.mp3()), hashlib.sha256(audio.mp3()).hexdigest())


@pytest.mark.parametrize(
    ("code", "status_of_answer", "name"),
    [(404, 400, "recording_not_found"), (403, 400, "recording_forbidden"), (503, 503, "recording_unavailable")],
)
async def test_a_host_that_does_not_get_ready_in_ten_seconds_is_told_to_the_vendor(
    tenant: Tenant, vendor: Vendor, code: int, status_of_answer: int, name: str
) -> None:
    answer = await tenant.post_call(sample("delivery", recording=vendor.serve(f"/{code}", status(code))))
    assert (answer.status, answer.body["code"]) == (status_of_answer, name)
    assert answer.body["error"] == f"recording could not be fetched: its host answered {code}"
    assert ("retry-after" in {header.lower() for header in answer.headers}) == (status_of_answer == 503)
    assert len([request for request in vendor.requests if request.target == f"/{code}"]) >= 4


async def test_a_recording_that_is_gone_is_refused_at_once(tenant: Tenant, vendor: Vendor) -> None:
    answer = await tenant.post_call(sample("delivery", recording=vendor.serve("/gone", status(410))))
    assert (answer.status, answer.body["code"], answer.body["field"]) == (400, "recording_gone", "recording")
    assert [request.target for request in vendor.requests].count("/gone") == 1


async def test_a_call_that_is_sent_again_while_its_recording_is_fetched_is_fetched_once(tenant: Tenant, vendor: Vendor) -> None:
    is_asked, may_answer = asyncio.Event(), asyncio.Event()
    whole = body(audio.mp3())

    async def slow(request: Request, writer: asyncio.StreamWriter) -> None:
        is_asked.set()
        await may_answer.wait()
        await whole(request, writer)

    before = len(vendor.requests)
    call = sample("delivery", recording=vendor.serve("/slow", slow))
    first = asyncio.create_task(tenant.post_call(call))
    await is_asked.wait()
    again = [asyncio.create_task(tenant.post_call(call)) for _ in range(3)]
    other = await tenant.post_call({**call, "externalCallId": "another", "recording": vendor.serve("/fast", whole)})
    assert other.status == 201, "another call does not wait"
    may_answer.set()
    answers = await asyncio.gather(first, *again)
    assert [answer.status for answer in answers] == [201, 200, 200, 200]
    assert len({answer.body["callId"] for answer in answers}) == 1
    assert [request.target for request in vendor.requests[before:]] == ["/slow", "/fast"]
