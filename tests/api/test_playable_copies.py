"""Copies of recordings that browsers do not play, over HTTP: on disk and in an S3 store."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import miniaudio
import pytest

from tests.conftest import r2_settings, settings_on
from tests.support import audio, encoded
from tests.support.program import program
from tests.support.s3 import S3Server
from tests.support.service import Answer, Service, Tenant, running, sample

KINDS: Final[dict[str, Callable[[], bytes]]] = {
    "GSM 6.10 in WAV": lambda: audio.gsm_in_wav(2),
    "IMA ADPCM in WAV": encoded.adpcm_in_wav,
    "AMR": encoded.amr,
    "AMR in MP4": lambda: encoded.encoded("3gp", "libopencore_amrnb"),
    "Wave64": lambda: audio.wave64(2),
    "AU": lambda: audio.au(2),
    "AAC without a container (ADTS)": lambda: encoded.encoded("adts", "aac"),
    "OGG": encoded.opus,
    "WebM": encoded.webm,
    "WAV": lambda: audio.wav(2, codec=7),
}


@pytest.fixture(scope="module")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("copies")


@pytest.fixture(scope="module")
async def service(mongodb_uri: str, folder: Path) -> AsyncIterator[Service]:
    async with running(settings_on(mongodb_uri, folder)) as service:
        yield service


@pytest.fixture
async def tenant(service: Service) -> Tenant:
    return await service.tenant()


async def call_with(tenant: Tenant, recording: bytes) -> str:
    answer = await tenant.post_call(sample("delivery", recording=base64.b64encode(recording).decode()))
    assert answer.status == 201, answer.body
    return str(answer.body["callId"])


async def ask(tenant: Tenant, call_id: str) -> Answer:
    return await tenant.get(f"/api/calls/{call_id}/recording?playable=1")


async def content(service: Service, url: str) -> tuple[int, str, bytes]:
    async with service.http.get(url) as response:
        return response.status, response.headers["Content-Type"], await response.read()


@pytest.mark.parametrize("kind", KINDS)
async def test_what_browsers_do_not_play_has_a_copy_that_they_play(service: Service, tenant: Tenant, kind: str) -> None:
    original = KINDS[kind]()
    call_id = await call_with(tenant, original)
    shown = (await tenant.get(f"/api/calls/{call_id}")).body["call"]["recordings"][0]
    assert shown["kind"] == kind
    answer = await ask(tenant, call_id)
    assert answer.status == 200, answer.body
    status, content_type, copy = await content(service, answer.body["playableUrl"])
    assert (status, content_type) == (200, "audio/mpeg")
    assert miniaudio.mp3_get_info(copy).duration == pytest.approx(2, abs=0.2)  # encoders pad
    assert (await content(service, answer.body["audioUrl"]))[2] == original


async def test_a_copy_is_made_once_for_all_who_ask(service: Service, tenant: Tenant, folder: Path) -> None:
    call_id = await call_with(tenant, encoded.amr())
    before = await made(service)
    answers = await asyncio.gather(*(ask(tenant, call_id) for _ in range(10)))
    assert [answer.status for answer in answers] == [200] * 10
    assert (await ask(tenant, call_id)).status == 200
    assert await made(service) == before + 1
    files = sorted(path.name for path in (folder / "recordings" / tenant.organization_id).iterdir())
    assert len(files) == 2
    assert files[0].startswith(f"{call_id}-")
    assert files[1] == f"{call_id}.amr"


async def made(service: Service, outcome: str = "made") -> float:
    async with service.http.get(f"{service.base_url}/metrics") as response:
        text = await response.text()
    name = f'tether_recording_copies_total{{outcome="{outcome}"}} '
    return float(next(line for line in text.splitlines() if line.startswith(name)).removeprefix(name))


async def test_a_call_shows_nothing_of_its_copies_and_keeps_them_when_it_changes(service: Service, tenant: Tenant) -> None:
    call_id = await call_with(tenant, encoded.amr())
    before = (await tenant.get(f"/api/calls/{call_id}")).body["call"]
    first = (await ask(tenant, call_id)).body
    change = {"callId": call_id, "recording": base64.b64encode(encoded.amr(1)).decode()}
    changed = await tenant.request("PATCH", "/api/calls/ingest", token=tenant.api_key, json=change)
    assert changed.status == 200, changed.body
    after = (await tenant.get(f"/api/calls/{call_id}")).body["call"]
    assert before.keys() == after.keys()
    assert "copies" not in after
    second = (await ask(tenant, call_id)).body
    assert second["recordingId"] != first["recordingId"]
    assert (await content(service, first["playableUrl"]))[0] == 200
    _, _, copy = await content(service, second["playableUrl"])
    assert miniaudio.mp3_get_info(copy).duration == pytest.approx(1, abs=0.15)


async def test_a_recording_of_which_no_copy_can_be_made_says_so_and_is_left_alone(service: Service, tenant: Tenant) -> None:
    call_id = await call_with(tenant, audio.adts())
    before = await made(service, "undecodable")
    for _ in range(2):
        answer = await ask(tenant, call_id)
        assert (answer.status, answer.body["code"]) == (404, "no_copy")
        assert answer.body["error"] == (
            "This recording is AAC without a container (ADTS), and there is no copy of it that browsers play: it could not be"
            " decoded. Download the recording, and open it in a media player."
        )
    assert await made(service, "undecodable") == before + 1
    assert (await tenant.get(f"/api/calls/{call_id}/recording")).status == 200


async def test_a_link_to_a_copy_opens_it_alone_and_another_organization_has_none(service: Service, tenant: Tenant) -> None:
    call_id = await call_with(tenant, encoded.amr())
    links = (await ask(tenant, call_id)).body
    for url in (links["audioUrl"] + "&playable=1", links["playableUrl"].replace("playable=1&", "")):
        assert (await content(service, url))[0] == 403
    assert (await content(service, links["playableUrl"].replace("playable=1", "playable=2")))[0] == 400
    stranger = await service.tenant()
    assert (await ask(stranger, call_id)).status == 404
    assert (await tenant.get(f"/api/calls/{call_id}/recording?playable=yes")).status == 400


async def test_a_copy_in_an_s3_store_has_a_link_of_the_store(mongodb_uri: str, tmp_path: Path, s3_server: S3Server) -> None:
    settings = settings_on(mongodb_uri, tmp_path, **r2_settings(s3_server))
    async with running(settings) as service:
        tenant = await service.tenant()
        call_id = await call_with(tenant, encoded.amr())
        answer = await ask(tenant, call_id)
        assert answer.status == 200, answer.body
        assert s3_server.endpoint_url in answer.body["playableUrl"]
        status, content_type, copy = await content(service, answer.body["playableUrl"])
        assert (status, content_type) == (200, "audio/mpeg")
        assert miniaudio.mp3_get_info(copy).duration == pytest.approx(2, abs=0.15)


WITHOUT = "import sys\nsys.modules['av'] = None\n"


async def test_a_server_without_the_converter_names_the_kind_and_what_to_install(mongodb_uri: str, tmp_path: Path) -> None:
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "sitecustomize.py").write_text(WITHOUT)
    root = Path(__file__).parents[2]
    variables = {"PYTHONPATH": f"{tmp_path / 'without'}:{root}"}
    async with program(tmp_path, mongodb_uri, variables=variables) as running_program:
        tenant = await running_program.tenant()
        call_id = await call_with(tenant, encoded.amr())
        answer = await ask(tenant, call_id)
        assert (answer.status, answer.body["code"]) == (404, "converter_missing")
        assert answer.body["error"] == (
            "This recording is AMR, and this server cannot make a copy that browsers play: its operator has to install"
            " tether-rt[media]. Download the recording, and open it in a media player."
        )
        shown = await tenant.get(f"/api/calls/{call_id}/peaks")
        assert (shown.status, shown.body["peaks"]) == (200, None)
        assert (await tenant.get(f"/api/calls/{call_id}/recording")).status == 200


@pytest.mark.parametrize("make", [encoded.opus, encoded.m4a, encoded.webm, encoded.pcm_in_wav])
async def test_two_channels_have_a_waveform_each(tenant: Tenant, make: Any) -> None:
    call_id = await call_with(tenant, make(2.0, channels=2))
    shown = (await tenant.get(f"/api/calls/{call_id}/peaks")).body
    left, right = shown["channels"]
    half = len(left) // 2
    assert min(left[5 : half - 5]) > 100 > 20 > max(right[5 : half - 5])
    assert min(right[half + 5 : -5]) > 100 > 20 > max(left[half + 5 : -5])
    assert shown["peaks"] == list(map(max, left, right))


@pytest.mark.parametrize("make", [encoded.opus, encoded.m4a, encoded.webm, encoded.pcm_in_wav, encoded.amr])
async def test_one_channel_has_one_waveform(tenant: Tenant, make: Any) -> None:
    shown = (await tenant.get(f"/api/calls/{await call_with(tenant, make())}/peaks")).body
    assert shown["channels"] is None
    assert len(shown["peaks"]) == pytest.approx(100, abs=8)
    assert min(shown["peaks"][5:90]) > 100
