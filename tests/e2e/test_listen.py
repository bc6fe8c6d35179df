"""From the vendor's POST to the playing recording, on disk and in R2."""

from __future__ import annotations

import re
from typing import Final

from playwright.async_api import Locator, Route, expect

from tests.e2e.conftest import NewAgent
from tests.support.service import Service, Tenant, sample

AUDIO_URL: Final = re.compile(r"/recordings/[^?]+\?")
"""A signed URL of this server or of R2, but not the API route that returns one."""


async def _is_playing(audio: Locator) -> None:
    """Wait until the recording plays."""
    await audio.page.wait_for_function(
        "() => { const a = document.querySelector('audio'); return !a.paused && a.currentTime > 0.3; }"
    )
    before = await audio.evaluate("(a) => a.currentTime")
    await audio.page.wait_for_function("(before) => document.querySelector('audio').currentTime > before", arg=before)


async def test_a_call_arrives_is_opened_and_played(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    await expect(agent.page.get_by_text("No calls yet")).to_be_visible()
    await agent.page.evaluate("() => { window.isSamePage = true; }")

    call_id = (await tenant.post_call(sample("appointment"))).body["callId"]

    row = agent.row(call_id)
    await expect(row).to_contain_text("Priya Nair")
    await expect(row).to_contain_text("(416) 555-0199")
    await expect(row).to_contain_text("Completed")
    await expect(row).to_contain_text("Alex (Maple Dental)")
    await expect(row).to_contain_text("0:31")
    await expect(row).to_contain_text("Recorded")
    began = row.locator("time")
    await expect(began).to_have_text(re.compile(r"^\d\d?:\d\d"))
    await expect(began).to_have_attribute("title", re.compile(r"day.* 20\d\d at \d\d:\d\d:\d\d "))
    await expect(agent.connection).to_have_attribute("data-seq", "4")
    await expect(agent.connection.locator(".connection-text")).to_have_text("Live")
    await expect(agent.connection).to_have_attribute("title", re.compile("The last event shown is number 4;"))

    await row.get_by_role("link").click()
    page = agent.page
    await expect(page.get_by_role("heading", name="Priya Nair")).to_be_focused()
    await expect(page.get_by_text("Priya moved her cleaning from Thursday").last).to_be_visible()
    await expect(page.get_by_text("Actually no, I am travelling on Thursday.")).to_be_visible()
    await expect(page.get_by_test_id("metadata")).to_contain_text("recall-2026-05")
    await page.get_by_role("button", name="Play", exact=True).click()
    await _is_playing(page.locator("audio"))
    await page.get_by_role("button", name="Pause").click()
    await expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    assert await page.evaluate("() => window.isSamePage")


async def test_the_time_of_a_turn_plays_from_there(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    call_id = (await tenant.post_call(sample("appointment"))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{call_id}")
    await agent.page.get_by_role("button", name="Play from 0:12").click()
    await _is_playing(agent.page.locator("audio"))
    assert await agent.page.locator("audio").evaluate("(a) => a.currentTime") >= 12
    await expect(agent.page.locator(".turn[data-now]")).to_contain_text("Actually no")


async def test_an_expired_url_is_renewed_once(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    call_id = (await tenant.post_call(sample("delivery"))).body["callId"]
    agent = await new_agent(service.base_url)
    refused: list[str] = []

    async def expire(route: Route) -> None:
        refused.append("expired")
        await route.fulfill(status=403, body="expired")

    await agent.page.route(AUDIO_URL, expire, times=1)
    await agent.enter(tenant, f"/#/calls/{call_id}")
    await agent.page.get_by_role("button", name="Play", exact=True).click()
    await _is_playing(agent.page.locator("audio"))
    assert refused == ["expired"]


async def test_a_recording_that_cannot_be_loaded_is_reported(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    call_id = (await tenant.post_call(sample("delivery"))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.page.route(AUDIO_URL, lambda route: route.fulfill(status=403, body="no"))
    await agent.enter(tenant, f"/#/calls/{call_id}")
    await expect(agent.page.get_by_text("Couldn't load the recording.")).to_be_visible()
    await agent.page.unroute(AUDIO_URL)
    await agent.page.get_by_role("button", name="Try again").click()
    await agent.page.get_by_role("button", name="Play", exact=True).click()
    await _is_playing(agent.page.locator("audio"))
