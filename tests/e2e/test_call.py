"""One call: its waveform, its transcript, and what can be copied and downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.async_api import Locator, Page, expect

from tests.e2e.conftest import NewAgent, on_disk
from tests.support.service import Service, Tenant, sample

pytestmark = on_disk

HEBREW = "שלום, איך אפשר לעזור?"


def _turns(count: int, **timed: Any) -> list[dict[str, Any]]:
    return [{"role": ("agent", "user")[at % 2], "message": f"Turn number {at}.", **timed} for at in range(count)]


async def _audio(page: Page, expression: str) -> Any:
    return await page.locator("audio").evaluate(f"(a) => a.{expression}")


async def _is_drawn(canvas: Locator) -> bool:
    colours = """(canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const seen = new Set();
      for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 40) seen.add(`${data[at] >> 4},${data[at + 1] >> 4}`);
      return seen.size;
    }"""
    return int(await canvas.evaluate(colours)) >= 2


async def test_the_recording_is_controlled_by_pointer_and_keyboard(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    call_id = (await tenant.post_call(sample("appointment"))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{call_id}")
    page = agent.page
    await expect(page.get_by_role("button", name="Skip silence")).to_be_visible()
    assert await _is_drawn(page.locator("canvas")), "two speakers, two colours"

    wave = page.get_by_role("slider", name="Playback position")
    box = await wave.bounding_box()
    assert box is not None
    await wave.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    await page.wait_for_function("() => Math.abs(document.querySelector('audio').currentTime - 15.7) < 1")
    await page.keyboard.press("ArrowRight")
    await page.wait_for_function("() => Math.abs(document.querySelector('audio').currentTime - 20.7) < 1")
    await page.get_by_role("heading", name="Priya Nair").focus()
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("ArrowLeft")
    await page.wait_for_function("() => Math.abs(document.querySelector('audio').currentTime - 10.7) < 1")
    await page.get_by_label("Playback speed").select_option("3×")
    await page.get_by_role("heading", name="Priya Nair").focus()
    await page.keyboard.press("Space")
    await page.wait_for_function("() => !document.querySelector('audio').paused")
    assert await _audio(page, "playbackRate") == 3
    await page.wait_for_function("() => document.querySelector('audio').currentTime > 13")
    turn = page.locator(".turn[data-now]")
    await expect(turn).to_be_in_viewport()
    await page.keyboard.press("Space")
    await page.wait_for_function("() => document.querySelector('audio').paused")

    skip = page.get_by_role("button", name="Skip silence")
    await skip.click()
    await expect(skip).to_have_attribute("aria-pressed", "true")
    await page.locator(".turn").nth(1).click()
    await page.wait_for_function("() => !document.querySelector('audio').paused")
    await page.evaluate("""() => {
      const audio = document.querySelector("audio");
      audio.addEventListener("seeking", () => { window.hasSkipped = !audio.paused; });
    }""")
    await page.wait_for_function("() => window.hasSkipped")


async def test_the_colour_of_a_turn_ends_where_it_must_have_ended(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    turns = [{"role": "agent", "message": "Good morning.", "timestamp": 0}]
    call_id = (await tenant.post_call(sample("appointment", transcript=turns))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{call_id}")
    await expect(agent.page.get_by_role("button", name="Skip silence")).to_be_visible()
    colours = """(canvas) => {
      const { width, height } = canvas;
      const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
      const [spoken, unknown] = [new Set(), new Set()];
      for (let at = 0; at < data.length; at += 4) {
        const share = ((at / 4) % width) / width;
        const part = share < 0.12 ? spoken : share > 0.3 ? unknown : null;
        if (data[at + 3] > 95) part?.add(data.slice(at, at + 3).map((value) => value >> 4).join());
      }
      return [[...spoken], [...unknown]];
    }"""
    spoken, unknown = [set(part) for part in await agent.page.locator("canvas").evaluate(colours)]
    assert spoken
    assert unknown
    assert spoken.isdisjoint(unknown)


async def test_a_link_to_a_position_the_recording_and_the_transcript_can_be_saved(
    service: Service, tenant: Tenant, new_agent: NewAgent, tmp_path: Path
) -> None:
    call_id = (await tenant.post_call(sample("appointment"))).body["callId"]
    agent = await new_agent(service.base_url, permissions=["clipboard-read", "clipboard-write"])
    await agent.enter(tenant, f"/#/calls/{call_id}?t=12.5")
    page = agent.page
    await expect(page.get_by_text("0:12 / 0:31")).to_be_visible()
    await expect(page.locator(".turn[data-now]")).to_contain_text("Actually no")
    await page.wait_for_function("() => document.querySelector('audio').currentTime === 12.5")

    await page.get_by_role("button", name="Copy link at 0:12").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    link = await page.evaluate("() => navigator.clipboard.readText()")
    assert link == f"{service.base_url}/#/calls/{call_id}?t=12.5"

    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Download recording").click()
    await (await downloading.value).save_as(tmp_path / "recording")
    assert (tmp_path / "recording").stat().st_size > 100_000

    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Download transcript").click()
    await (await downloading.value).save_as(tmp_path / "transcript.txt")
    text = (tmp_path / "transcript.txt").read_text()
    assert "[0:12] Priya Nair: Actually no, I am travelling on Thursday." in text


async def test_a_transcript_without_times_and_in_hebrew_is_shown(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    turns = [{"role": "agent", "message": HEBREW}, {"role": "user", "message": "Shalom"}]
    call_id = (await tenant.post_call(sample("appointment", transcript=turns))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{call_id}")
    page = agent.page
    text = page.locator(".turn-text").first
    await expect(text).to_have_text(HEBREW)
    assert await text.evaluate("(p) => getComputedStyle(p).direction") == "rtl"
    assert await page.locator(".turn-text").last.evaluate("(p) => getComputedStyle(p).direction") == "ltr"
    await expect(page.locator(".turn-time")).to_have_count(0)
    await page.get_by_role("button", name="Play", exact=True).click()
    await page.wait_for_function("() => document.querySelector('audio').currentTime > 0.2")
    await expect(page.locator(".turn[data-now]")).to_have_count(0)


async def test_two_thousand_turns_and_a_call_without_a_recording_are_shown(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    long = (await tenant.post_call(sample("appointment", transcript=_turns(2000, timestamp=0)))).body["callId"]
    silent = (await tenant.post_call(sample("no-answer", voice=False, recording=...))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{long}?search=1999")
    page = agent.page
    await expect(page.locator(".turn")).to_have_count(2000)
    await expect(page.locator(".turn mark")).to_be_in_viewport()
    await page.keyboard.press("k")  # the previous call of the list
    await agent.open(f"/#/calls/{silent}")
    await expect(page.get_by_role("link", name="Call back")).to_be_visible()
    await expect(page.get_by_role("group", name="Recording")).to_have_count(0)
