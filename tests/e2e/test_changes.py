"""A call that comes in parts: every open dashboard follows, and says what was there before."""

from __future__ import annotations

from typing import Any

from playwright.async_api import expect

from tests.e2e.conftest import NewAgent, on_disk
from tests.support.service import Service, Tenant, missed, sample

pytestmark = on_disk


async def _change(tenant: Tenant, call: dict[str, Any], **changes: Any) -> None:
    answer = await tenant.request("PATCH", f"/api/calls/ingest/{call['externalCallId']}", token=tenant.api_key, json=changes)
    assert answer.status == 200, answer.body


async def test_a_change_is_seen_in_the_list_the_call_and_the_contact(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    call = missed(summary="Rang twice.", callStartTime="2026-05-15T09:00:00Z")
    posted = (await tenant.post_call(call)).body
    later = (await tenant.post_call(missed(callStartTime="2026-05-15T10:00:00Z"))).body
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{posted['callId']}")
    beside = await new_agent(service.base_url, beside=agent)
    await beside.enter(tenant, f"/#/contacts/{posted['contactId']}")
    page, row = agent.page, agent.row(posted["callId"])
    await expect(row).to_contain_text("No answer")
    await expect(page.get_by_role("button", name="Changed")).to_have_count(0)

    start = "2026-05-15T11:00:00Z"
    await _change(tenant, call, status="busy", summary="Engaged <b>all day</b>.", agentName="Rosa", callStartTime=start)
    await expect(row).to_contain_text("Busy")
    await expect(row).to_contain_text("Rosa")
    assert await agent.call_ids() == [posted["callId"], later["callId"]], "it has another place by its new start"
    await expect(page.locator(".call-summary")).to_have_text("Engaged <b>all day</b>.")
    await expect(beside.page.locator(".contact-call")).to_contain_text("Busy")
    await expect(beside.page.locator(".contact-call")).to_contain_text("Engaged <b>all day</b>.")

    await page.get_by_role("button", name="Changed").click()
    await expect(page.get_by_role("heading", name="Changes")).to_be_focused()
    history = page.get_by_test_id("history")
    await expect(history).to_contain_text("1 change after the call had arrived")
    await expect(history).to_contain_text("Rang twice.")
    await expect(history).to_contain_text("no-answer")
    await _change(tenant, call, summary="Engaged.")
    await expect(history.locator(".change")).to_have_count(2)
    await expect(history.locator(".change").first).to_contain_text("Engaged <b>all day</b>.")


async def test_words_and_audio_join_the_open_call(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    whole = sample("appointment")
    call = missed(duration=31)
    call_id = (await tenant.post_call(call)).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{call_id}")
    page = agent.page
    await expect(page.get_by_role("link", name="Call back")).to_be_visible()
    await _change(tenant, call, **{name: whole[name] for name in ("transcript", "summary", "recording")}, status="completed")
    await expect(page.locator(".turn").first).to_be_visible()
    await expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    await expect(agent.row(call_id)).to_contain_text("Recorded")
