"""The other pages: a contact, analytics, developer; and alerts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from playwright.async_api import expect

from tests.e2e.conftest import NewAgent, on_disk
from tests.support.service import Service, Tenant, missed, sample

pytestmark = on_disk


async def test_a_contact_is_live_and_can_be_renamed(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    number = "+14165550177"
    first = (await tenant.post_call(missed(fromNumber=number))).body
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{first['callId']}")
    page = agent.page
    await page.get_by_role("link", name="View contact").click()
    await expect(page.get_by_role("heading", name="Unknown Caller")).to_be_visible()
    await expect(page.get_by_text("+1 416-555-0177 · 1 call · 0% answered")).to_be_visible()
    assert page.url.endswith(f"#/contacts/{first['contactId']}")

    await tenant.post_call(sample("appointment", toNumber=number, callerName=...))
    await expect(page.get_by_text("Priya moved her cleaning")).to_be_visible()
    await expect(page.locator(".contact-call")).to_have_count(2)
    await tenant.post_call(missed())  # of another contact

    await page.get_by_role("button", name="Rename").click()
    await page.get_by_label("Name").fill("Priya at the desk")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Priya at the desk")).to_be_visible()
    await expect(page.get_by_role("button", name="Rename")).to_be_focused()
    await expect(page.locator(".contact-call")).to_have_count(2)
    await page.locator(".contact-call a").last.click()
    await expect(page.get_by_role("heading", name="Priya at the desk")).to_be_visible()
    await expect(agent.row(first["callId"])).to_contain_text("Priya at the desk")


async def test_a_new_name_is_seen_by_others_at_once(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    number = {"fromNumber": "+14165550177"}
    posted = [(await tenant.post_call(missed(**number))).body for _ in range(2)]
    contact_id, (first, second) = posted[0]["contactId"], (call["callId"] for call in posted)
    listing, reading, viewing = [await new_agent(service.base_url) for _ in range(3)]
    await listing.enter(tenant)
    await reading.enter(tenant, f"/#/calls/{first}")
    await viewing.enter(tenant, f"/#/contacts/{contact_id}")
    named = await tenant.request("PATCH", f"/api/contacts/{contact_id}", token=tenant.token, json={"name": "Tom Becker"})
    assert named.status == 200, named.body
    for call_id in (first, second):
        await expect(listing.row(call_id)).to_contain_text("Tom Becker")
    await expect(reading.page.locator("#call-title")).to_have_text("Tom Becker")
    await expect(viewing.page.get_by_role("heading", name="Tom Becker")).to_be_visible()


async def test_the_name_that_a_call_brings_is_that_of_the_calls_before(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    number = {"fromNumber": "+14165550177"}
    first = (await tenant.post_call(missed(**number))).body["callId"]
    agent, reading = await new_agent(service.base_url), await new_agent(service.base_url)
    await agent.enter(tenant)
    await reading.enter(tenant, f"/#/calls/{first}")
    await tenant.post_call(missed(callerName="Tom Becker", **number))
    await expect(agent.row(first)).to_contain_text("Tom Becker")
    await expect(reading.page.locator("#call-title")).to_have_text("Tom Becker")


async def test_a_contact_has_its_calls_by_when_they_were(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    days = [start + timedelta(days=ago) for ago in range(62)]
    calls = [missed(fromNumber="+14165550177", callStartTime=day.isoformat(), agentName=f"Agent {day:%j}") for day in days]
    calls[0] = sample("appointment", toNumber="+14165550177", callStartTime=start.isoformat())
    for call in (*calls[31:], *calls[:31]):  # the earlier half arrives last
        posted = await tenant.post_call(call)
        assert posted.status == 201, posted.body
    agent = await new_agent(service.base_url, timezone_id="UTC")
    await agent.enter(tenant, f"/#/contacts/{posted.body['contactId']}")
    page, rows = agent.page, agent.page.locator(".contact-call")
    head = page.get_by_text("+1 416-555-0177 · 62 calls · 2% answered · first 1 Mar, 12:00 · last 1 May, 12:00")
    await expect(head).to_be_visible()
    await expect(rows).to_have_count(60)
    await page.get_by_role("button", name="Show older").click()
    await expect(rows).to_have_count(62)
    starts = await rows.locator("time").evaluate_all("times => times.map((time) => time.dateTime)")
    assert starts == sorted(starts, reverse=True)
    await expect(rows.first).to_have_text(re.compile(r"1 May, 12:00\s*No answer\s*Agent 121"))
    await expect(rows.last).to_have_text(re.compile(r"1 Mar, 12:00\s*Completed\s*Recorded\s*0:31\s*Alex"))


async def test_analytics_update_as_calls_arrive(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    await tenant.post_call(sample("appointment", callStartTime=...))
    agent = await new_agent(service.base_url, timezone_id="America/Toronto")
    await agent.enter(tenant, "/#/analytics")
    page = agent.page
    await expect(page.get_by_text("Times are in your time zone, America/Toronto.")).to_be_visible()
    tile = page.locator(".tile")
    await expect(tile.nth(0)).to_have_text(re.compile(r"Calls today\s*1"))
    await expect(tile.nth(1)).to_have_text(re.compile(r"Answer rate\s*100%"))
    await expect(tile.nth(3)).to_have_text(re.compile(r"Average duration\s*31 s"))
    for _ in range(3):
        await tenant.post_call(missed(duration=600, agentName="Alex (Maple Dental)"))
    await expect(tile.nth(0)).to_have_text(re.compile(r"Calls today\s*4"))
    await expect(tile.nth(2)).to_have_text(re.compile(r"Talk time\s*31 s"))
    await expect(tile.nth(3)).to_have_text(re.compile(r"Average duration\s*31 s"))
    await expect(tile.nth(1)).to_have_text(re.compile(r"Answer rate\s*25%"))
    await expect(page.get_by_role("img", name=re.compile("Calls received per minute, last hour: 4 calls"))).to_be_visible()
    await expect(page.get_by_role("row", name=re.compile(r"Alex \(Maple Dental\)\s*4\s*1\s*31 s"))).to_be_visible()
    await page.get_by_role("link", name="No answer 3").click()
    await expect(agent.rows).to_have_count(3)


async def test_analytics_without_calls_claim_nothing_and_say_where_agents_end(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, "/#/analytics")
    await expect(agent.page.get_by_role("img", name="Calls received per minute, last hour: none")).to_be_visible()
    await tenant.post_call(missed(agentName="Agent 0"))
    await expect(agent.page.get_by_role("heading", name="Agents, last 30 days")).to_be_visible()
    for number in range(1, 20):
        await tenant.post_call(missed(agentName=f"Agent {number}"))
    await expect(agent.page.get_by_role("heading", name="The 20 agents with the most calls, last 30 days")).to_be_visible()


async def test_a_developer_sends_a_call_and_sees_its_events(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    agent = await new_agent(service.base_url, permissions=["clipboard-read", "clipboard-write"])
    await agent.enter(tenant, "/#/developer")
    page = agent.page
    key = page.get_by_test_id("api-key")
    await expect(key).to_have_text("tk_live_…")
    await page.get_by_role("button", name="Reveal").click()
    await expect(key).to_have_text(tenant.api_key)
    await page.get_by_role("button", name="Python").click()
    await expect(page.get_by_role("region", name="Python code")).to_contain_text("urllib.request")
    await expect(page.get_by_role("region", name="Python code")).to_contain_text('"externalCallId":"sample-')
    await expect(page.get_by_text("with their times in UTC")).to_be_visible()
    await page.get_by_role("button", name="Copy with key").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert tenant.api_key in await page.evaluate("() => navigator.clipboard.readText()")

    await page.get_by_role("button", name="Send a sample call").click()
    await expect(page.get_by_text("Created (201)")).to_be_visible()
    await expect(page.locator(".event")).to_have_count(4)
    await page.locator(".event summary").last.click()
    await expect(page.locator(".event-text")).to_contain_text('"event": "call_initiated"')

    await page.get_by_role("button", name="Regenerate…").click()
    await page.get_by_role("button", name="Regenerate key").click()
    await expect(key).not_to_have_text(tenant.api_key)
    await page.get_by_role("link", name="View call").click()
    await expect(page.get_by_role("heading", name="Priya Nair")).to_be_visible()


_HIDDEN_PAGE = """
window.alerts = [];
window.Notification = class {
  static permission = "granted";
  constructor(title, options) { window.alerts.push([title, options.body]); }
};
window.AudioContext = class extends window.AudioContext {
  createOscillator() {
    window.alerts.push("note");
    return super.createOscillator();
  }
};
Object.defineProperty(document, "hidden", { get: () => window.isHidden === true });
"""


async def test_alerts_while_the_page_is_hidden(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    agent = await new_agent(service.base_url)
    await agent.page.add_init_script(_HIDDEN_PAGE)
    await agent.enter(tenant, "/#/calls?status=busy")
    page = agent.page
    await page.get_by_role("button", name="Alerts: off for this view").click()
    await page.get_by_label("Show a desktop notification").check()
    await page.get_by_label("Play a sound").check()
    assert await page.evaluate("() => window.alerts.splice(0)") == ["note", "note"], "a preview"
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Alerts: on for this view")).to_be_focused()

    await page.evaluate("() => { window.isHidden = true; }")
    await tenant.post_call(missed())
    await tenant.post_call(missed(status="busy", fromNumber="+14165550177", agentName="Northlight"))
    await expect(page).to_have_title("(1) Calls · tether")
    assert await page.evaluate("() => window.alerts") == ["note", "note", ["(416) 555-0177", "Busy, inbound call, Northlight"]]
    await page.evaluate("() => { window.isHidden = false; document.dispatchEvent(new Event('visibilitychange')); }")
    await expect(page).to_have_title("Calls · tether")
    await page.reload()
    await expect(page.get_by_role("button", name="Alerts: on for this view")).to_be_visible()


async def test_the_tooltip_has_the_latency_from_commit_to_screen(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    call_id = (await tenant.post_call(missed())).body["callId"]
    await expect(agent.row(call_id)).to_be_visible()
    await agent.painted()
    await agent.page.mouse.move(1, 400)
    await agent.connection.hover()
    await expect(agent.connection).to_have_attribute(
        "title", re.compile(r"Latency from commit to screen: \d+ ms for the latest call")
    )
