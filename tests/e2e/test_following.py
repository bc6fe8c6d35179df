"""The words follow the sound: after a jump, the turn that is spoken is marked and in sight at once, paused or playing."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import Agent, NewAgent, on_disk
from tests.support import audio
from tests.support.service import Service, Tenant, sample

pytestmark = on_disk

WORDS = "and on it goes "
WAVE, PLAY = ".wave-seek", ".player-button"

_WHERE = """(turn) => {
  const [one, pane] = [turn, turn.closest(".call")].map((element) => element.getBoundingClientRect());
  const covered = document.querySelector(".player").getBoundingClientRect().bottom;
  return {
    isInSight: one.top >= covered - 1 && one.bottom <= pane.bottom + 1,
    isInTheMiddle: Math.abs(one.top + one.height / 2 - pane.top - pane.height / 2) < pane.height / 4,
  };
}"""
_FRAMES = "() => new Promise((done) => { const go = (n) => (n ? requestAnimationFrame(() => go(n - 1)) : done()); go(20); })"


@dataclass
class LongCall:
    """A call with a recording of this length, and as many turns."""

    seconds: int
    turns: int

    def body(self) -> dict[str, Any]:
        transcript = [
            {
                "role": ("agent", "user")[at % 2],
                "message": f"Turn {at}. {(WORDS * 20)[: at * 37 % 300]}{'A pear tree.' if at % 40 == 7 else ''}",
                "timestamp": at * self.seconds / self.turns,
            }
            for at in range(self.turns)
        ]
        recording = base64.b64encode(audio.long_mp3(self.seconds)).decode()
        return sample("appointment", recording=recording, duration=self.seconds, transcript=transcript)

    def spoken(self, seconds: float) -> str:
        """Return how the turn begins that is spoken at a second."""
        return f"Turn {int(seconds * self.turns / self.seconds)}."


CALLS = pytest.mark.parametrize("call", [LongCall(600, 61), LongCall(10_800, 2000)], ids=["10 minutes", "3 hours"])


async def _in_sight(page: Page, message: str, *, where: str = "isInTheMiddle") -> None:
    """Wait until the turn with the message alone is marked and in sight, where it stays."""
    turn = page.locator(".turn[data-now]")
    await expect(turn).to_contain_text(message)
    await expect(turn).to_have_count(1)
    handle = await turn.element_handle()
    await page.wait_for_function(f"(turn) => ({_WHERE})(turn).{where}", arg=handle)
    await page.evaluate(_FRAMES)
    assert (await turn.evaluate(_WHERE))[where], "it was only passing"


async def _opened(service: Service, tenant: Tenant, new_agent: NewAgent, call: LongCall, query: str) -> tuple[Agent, str]:
    call_id = (await tenant.post_call(call.body())).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{call_id}?{query}")
    await expect(agent.page.locator(".turn").first).to_be_attached()
    return agent, call_id


async def _position(page: Page) -> float:
    return float(await page.locator(WAVE).input_value())


async def _scroll_away(page: Page) -> None:
    """Scroll with the wheel to the beginning of the page."""
    await page.locator(".turn[data-now]").hover()
    await page.mouse.wheel(0, -1_000_000)
    await page.wait_for_function("() => document.querySelector('.call').scrollTop === 0")


@CALLS
async def test_a_link_to_a_moment_brings_its_words(
    service: Service, tenant: Tenant, new_agent: NewAgent, call: LongCall
) -> None:
    at = call.seconds * 0.66 // 1
    agent, call_id = await _opened(service, tenant, new_agent, call, f"t={at:.0f}")
    await _in_sight(agent.page, call.spoken(at))
    later = call.seconds * 0.84 // 1
    await agent.open(f"/#/calls/{call_id}?t={later:.0f}")
    await _in_sight(agent.page, call.spoken(later))
    await agent.open(f"/#/calls/{call_id}?t=0")
    await _in_sight(agent.page, "Turn 0.", where="isInSight")
    await agent.open(f"/#/calls/{call_id}?search=pear&t={at:.0f}")
    await _in_sight(agent.page, call.spoken(at))
    assert await agent.page.evaluate("() => document.documentElement.scrollHeight <= innerHeight"), "the bar stays"


@CALLS
async def test_a_click_in_the_waveform_brings_its_words(
    service: Service, tenant: Tenant, new_agent: NewAgent, call: LongCall
) -> None:
    agent, _ = await _opened(service, tenant, new_agent, call, "")
    page = agent.page
    wave = page.locator(WAVE)
    for share in (0.71, 0.28):
        box = await wave.bounding_box()
        assert box is not None
        await wave.click(position={"x": box["width"] * share, "y": box["height"] / 2})
        await page.wait_for_function("() => document.querySelector('audio').currentTime > 0")
        await _in_sight(page, call.spoken(await _position(page)))


@CALLS
async def test_keys_bring_the_words(service: Service, tenant: Tenant, new_agent: NewAgent, call: LongCall) -> None:
    at = call.seconds / 2
    agent, _ = await _opened(service, tenant, new_agent, call, f"t={at:.0f}")
    page = agent.page
    await _in_sight(page, call.spoken(at))
    await _scroll_away(page)
    await page.evaluate("() => document.querySelector('audio').pause()")  # a turn of the long call takes five seconds
    at = float(await page.evaluate("() => document.querySelector('audio').currentTime"))
    await page.locator("#call-title").focus()
    await page.keyboard.press("ArrowRight")
    await _in_sight(page, call.spoken(at + 5))
    wave = page.locator(WAVE)
    await wave.press("Home")
    await _in_sight(page, "Turn 0.", where="isInSight")
    await wave.press("End")
    await _in_sight(page, f"Turn {call.turns - 1}.", where="isInSight")


@CALLS
async def test_a_match_of_a_search_brings_its_words(
    service: Service, tenant: Tenant, new_agent: NewAgent, call: LongCall
) -> None:
    agent, _ = await _opened(service, tenant, new_agent, call, "search=pear")
    page = agent.page
    await expect(page.locator("mark[data-now]")).to_be_in_viewport()
    await page.locator('[aria-label="Next match"]').click()
    await _in_sight(page, "Turn 47.", where="isInSight")
    await expect(page.locator("mark[data-now]")).to_be_in_viewport()
    await page.locator('[aria-label="Previous match"]').click()
    await _in_sight(page, "Turn 7.", where="isInSight")


@CALLS
async def test_play_brings_the_words_back(service: Service, tenant: Tenant, new_agent: NewAgent, call: LongCall) -> None:
    at = call.seconds * 0.84 // 1
    agent, _ = await _opened(service, tenant, new_agent, call, f"t={at:.0f}")
    page = agent.page
    for press in ("button", "key"):
        await _in_sight(page, call.spoken(at))
        await _scroll_away(page)
        if press == "button":
            await page.locator(PLAY).click()
        else:
            await page.keyboard.press("Space")
        await page.wait_for_function("() => !document.querySelector('audio').paused")
        await _in_sight(page, call.spoken(at))
        await page.locator(PLAY).click()
        await page.wait_for_function("() => document.querySelector('audio').paused")


async def test_play_leaves_the_page_where_it_is_if_the_words_are_in_sight(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    agent, _ = await _opened(service, tenant, new_agent, LongCall(600, 61), "")
    page = agent.page
    await page.locator(PLAY).click()
    await _in_sight(page, "Turn 0.", where="isInSight")
    assert await page.locator(".call").evaluate("(call) => call.scrollTop") == 0
