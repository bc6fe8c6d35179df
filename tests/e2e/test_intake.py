"""What is shown of calls unlike the samples: withheld callers, late parts, odd values, calls from the past."""

from __future__ import annotations

import base64
from pathlib import Path

from playwright.async_api import expect

from tests.e2e.conftest import NewAgent, on_disk
from tests.support import audio
from tests.support.service import Service, Tenant, missed, sample

pytestmark = on_disk

SIP = "sip:priya@pbx.example.com"


async def test_a_withheld_caller_and_a_sip_address_are_shown_and_found(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    withheld = (await tenant.post_call(missed(fromNumber="Anonymous"))).body
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    page = agent.page
    sip = (await tenant.post_call(missed(fromNumber=SIP, callerName="Priya Nair"))).body
    await expect(agent.row(sip["callId"])).to_contain_text(SIP)
    await expect(agent.row(withheld["callId"])).to_contain_text("Withheld number")

    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    call = page.get_by_test_id("call")
    await expect(call).to_contain_text("Inbound call from a withheld number")
    await expect(call.locator(".facts").last).to_contain_text("Withheld number")
    await expect(call.locator('a[href^="tel:"], a[href^="sip:"]')).to_have_count(0)
    assert "null" not in await call.inner_text()
    await page.get_by_role("link", name="View contact").click()
    await expect(page.get_by_text("Withheld number · 1 call")).to_be_visible()

    await agent.open("/#/calls?search=withheld")
    await expect(agent.rows).to_have_count(1)
    another = (await tenant.post_call(missed(fromNumber="private"))).body
    await tenant.post_call(missed())
    await expect(agent.row(another["callId"])).to_be_visible()
    await expect(agent.rows).to_have_count(2)
    await agent.open("/#/calls?search=priya%40pbx")
    await expect(agent.rows).to_have_count(1)
    await expect(agent.row(sip["callId"])).to_be_visible()


async def test_calls_from_the_past_go_to_their_place_without_notice(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    newest = (await tenant.post_call(missed(callStartTime="2026-05-15T09:00:00Z"))).body["callId"]
    oldest = (await tenant.post_call(missed(callStartTime="2026-05-13T09:00:00Z"))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    past = (await tenant.post_call(missed(callStartTime="2026-05-14T09:00:00Z", historic=True))).body["callId"]
    row = agent.row(past)
    await expect(row).to_contain_text("No answer")
    await expect(row).to_have_class("row")
    assert await agent.call_ids() == [newest, past, oldest]
    await expect(agent.page.get_by_text("3 calls", exact=True)).to_be_visible()
    live = (await tenant.post_call(missed(callStartTime="2026-05-12T09:00:00Z"))).body["callId"]
    await expect(agent.page.get_by_test_id("announcer")).to_contain_text("New call: ")
    assert await agent.call_ids() == [live, newest, past, oldest]


async def test_the_source_of_a_call_is_named(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    call_id = (await tenant.post_call(sample("appointment"))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{call_id}")
    await expect(agent.page.locator(".facts div", has_text="Received from")).to_contain_text("Agent Smith")


async def test_a_recording_that_browsers_cannot_play_is_offered_as_a_file(
    service: Service, tenant: Tenant, new_agent: NewAgent, tmp_path: Path
) -> None:
    recording = audio.adts(2)
    call_id = (await tenant.post_call(sample("appointment", recording=base64.b64encode(recording).decode()))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{call_id}")
    page = agent.page
    said = "This recording is AAC without a container (ADTS), and there is no copy of it that browsers play:"
    await expect(page.get_by_role("group", name="Recording")).to_contain_text(said)
    await expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Download recording").click()
    await (await downloading.value).save_as(tmp_path / "recording")
    assert (tmp_path / "recording").read_bytes() == recording


async def test_a_recording_that_keeps_failing_is_not_tried_for_ever(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    call_id = (await tenant.post_call(sample("delivery"))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.page.route("**/api/recordings/**", lambda route: route.fulfill(status=200, body="no audio"))
    await agent.enter(tenant, f"/#/calls/{call_id}")
    await expect(agent.page.get_by_text("Couldn't load the recording.")).to_be_visible()
    await expect(agent.page.get_by_role("button", name="Download recording")).to_be_visible()
    await agent.page.get_by_role("button", name="Try again").click()
    await expect(agent.page.get_by_text("This browser can't play the recording.")).to_be_visible()
    await expect(agent.page.get_by_role("button", name="Try again")).to_have_count(0)


async def test_what_is_odd_about_a_call_is_said(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    odd = missed(fromNumber="+14165550100", duration=90_000, callername="<b>Rosa</b>")
    call_id = (await tenant.post_call(odd)).body["callId"]
    plain = (await tenant.post_call(missed())).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    await expect(agent.row(call_id)).to_contain_text("Has warnings")
    await expect(agent.row(plain)).not_to_contain_text("Has warnings")
    await agent.row(call_id).get_by_role("link").click()
    warnings = agent.page.get_by_role("region", name="Warnings")
    await expect(warnings).to_contain_text("fromNumber and toNumber are the same number")
    await expect(warnings.get_by_role("listitem")).to_have_count(3)
    await agent.open(f"/#/calls/{plain}")
    await expect(agent.page.locator(".facts").last).to_be_visible()
    await expect(warnings).to_have_count(0)
