"""Recordings that a browser cannot play, played from their copies; and what the player remembers."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Page, Route, expect

from tests.api.test_playable_copies import WITHOUT
from tests.e2e.conftest import Agent, NewAgent
from tests.e2e.test_listen import AUDIO_URL
from tests.support import audio, encoded
from tests.support.program import program
from tests.support.service import ROOT, Service, Tenant, sample

COPY: Final = r"playable=1|-\d+\.mp3[?]"
"""In the address of a copy, on this server's disk or in R2."""


async def opened(agent: Agent, tenant: Tenant, recording: bytes) -> str:
    """Store a call with this recording and open it; return its id."""
    call = sample("appointment", recording=base64.b64encode(recording).decode(), duration=60)
    answer = await tenant.post_call(call)
    assert answer.status == 201, answer.body
    call_id = str(answer.body["callId"])
    await agent.enter(tenant, f"/#/calls/{call_id}")
    return call_id


async def plays_the_copy(page: Page) -> None:
    await page.get_by_role("button", name="Play", exact=True).click()
    await page.wait_for_function(
        f"() => {{ const a = document.querySelector('audio'); return /{COPY}/.test(a.src) && a.currentTime > 0.3; }}"
    )


@pytest.mark.parametrize("make", [audio.gsm_in_wav, encoded.amr, encoded.adpcm_in_wav])
async def test_what_no_browser_plays_is_played_from_its_copy_and_saved_as_it_was(
    service: Service, tenant: Tenant, new_agent: NewAgent, tmp_path: Path, make: Callable[[float], bytes]
) -> None:
    agent = await new_agent(service.base_url)
    page = agent.page
    recording = make(60)
    await opened(agent, tenant, recording)
    await plays_the_copy(page)
    await page.get_by_role("slider", name="Playback position").fill("30")
    await page.wait_for_function("() => document.querySelector('audio').currentTime > 30.1")
    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Download recording").click()
    await (await downloading.value).save_as(tmp_path / "recording")
    assert (tmp_path / "recording").read_bytes() == recording


async def test_a_browser_that_lacks_a_codec_plays_the_copy(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    """As older iPhones do, which have no Opus."""
    agent = await new_agent(service.base_url)
    await agent.page.add_init_script(
        "HTMLMediaElement.prototype.canPlayType = (type) => (/ogg|webm/.test(type) ? '' : 'maybe');"
    )
    await opened(agent, tenant, encoded.opus(4))
    await plays_the_copy(agent.page)


async def test_a_browser_that_finds_out_that_it_cannot_play_something_plays_the_copy(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    agent = await new_agent(service.base_url)

    async def spoil(route: Route) -> None:
        if re.search(COPY, route.request.url):
            await route.continue_()
        else:
            await route.fulfill(status=200, content_type="audio/wav", body="no audio")

    await agent.page.route(AUDIO_URL, spoil)
    await opened(agent, tenant, audio.wav(4, codec=7))
    await plays_the_copy(agent.page)


async def test_while_a_copy_is_made_the_page_says_so_and_then_plays(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    agent = await new_agent(service.base_url)
    page = agent.page
    busy = {"success": False, "error": "A copy that browsers play is being made.", "code": "copy_not_ready"}

    async def not_yet(route: Route) -> None:
        await route.fulfill(status=503, content_type="application/json", body=json.dumps(busy))

    await page.route("**/recording?playable=1", not_yet, times=2)
    await opened(agent, tenant, encoded.amr(4))
    await expect(page.get_by_text("Preparing the recording for your browser…")).to_be_visible()
    await plays_the_copy(page)
    await expect(page.get_by_text("Preparing the recording for your browser…")).to_have_count(0)


async def test_without_a_converter_the_page_says_what_the_recording_is_and_offers_to_save_it(
    mongodb_uri: str, new_agent: NewAgent, tmp_path: Path
) -> None:
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "sitecustomize.py").write_text(WITHOUT)
    async with program(tmp_path, mongodb_uri, variables={"PYTHONPATH": f"{tmp_path / 'without'}:{ROOT}"}) as running:
        tenant = await running.tenant()
        agent = await new_agent(running.server.url)
        await opened(agent, tenant, audio.gsm_in_wav(4))
        player = agent.page.get_by_role("group", name="Recording")
        await expect(player.get_by_role("alert")).to_contain_text(
            "This recording is GSM 6.10 in WAV, and this server cannot make a copy"
        )
        await expect(player.get_by_role("button", name="Try again")).to_have_count(0)
        await expect(player.get_by_role("button", name="Download recording")).to_be_visible()


async def test_speed_and_volume_are_remembered_from_call_to_call(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    agent = await new_agent(service.base_url)
    page = agent.page
    await opened(agent, tenant, audio.mp3(4))
    await page.get_by_label("Playback speed").select_option("1.5")
    await page.get_by_role("slider", name="Volume").fill("0.4")
    other = (await tenant.post_call(sample("delivery"))).body["callId"]
    for _ in range(2):
        await page.goto(f"{service.base_url}/#/calls/{other}")
        await expect(page.get_by_label("Playback speed")).to_have_value("1.5")
        await expect(page.get_by_role("slider", name="Volume")).to_have_value("0.4")
        await page.wait_for_function(
            "() => { const a = document.querySelector('audio'); return a.volume === 0.4 && a.playbackRate === 1.5; }"
        )
        await page.reload()


async def test_media_keys_know_the_call_and_lead_nowhere_when_it_is_closed(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    agent = await new_agent(service.base_url)
    page = agent.page
    await opened(agent, tenant, audio.mp3(4))
    await page.wait_for_function("() => navigator.mediaSession.metadata?.title === 'Priya Nair'")
    await page.get_by_role("link", name="Back to calls").click()
    await page.wait_for_function("() => navigator.mediaSession.metadata === null")


COLOURS: Final = """(canvas) => {
    const { width, height } = canvas;
    const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const line = copy.getImageData(0, Math.floor(height / 2), width, 1).data;
    const near = (share) => {
        const found = new Set();
        for (let x = Math.floor((share - 0.02) * width); x < (share + 0.02) * width; x += 1) {
            const [red, green, blue, alpha] = line.slice(4 * x, 4 * x + 4);
            if (alpha > 80) found.add([red, green, blue].map((value) => Math.round(value / 16)).join());
        }
        return [...found];
    };
    return [near(0.15), near(0.35), near(0.65), near(0.85)];
}"""


async def test_a_recording_with_a_channel_for_each_side_is_coloured_by_who_is_heard(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    """One side is heard in the first half, the other one in the second, whatever the only turn says."""
    agent = await new_agent(service.base_url)
    turn = [{"role": "agent", "message": "Hello.", "timestamp": 0}]
    recording = base64.b64encode(encoded.pcm_in_wav(40, channels=2)).decode()
    answer = await tenant.post_call(sample("appointment", recording=recording, duration=40, transcript=turn))
    await agent.enter(tenant, f"/#/calls/{answer.body['callId']}")
    canvas = agent.page.locator(".wave-canvas")

    async def colours() -> Any:
        return await canvas.evaluate(COLOURS)

    await expect(canvas).to_be_visible()
    await agent.page.wait_for_function(f"() => new Set(({COLOURS})(document.querySelector('.wave-canvas')).flat()).size === 2")
    first, second, third, fourth = await colours()
    assert first == second != third == fourth
