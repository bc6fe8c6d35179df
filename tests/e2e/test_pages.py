"""The other pages: a contact, analytics, developer; and alerts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from playwright.async_api import Locator, expect

from tests.e2e.conftest import Agent, NewAgent, on_disk
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


def tile(agent: Agent, name: str) -> Locator:
    return agent.page.locator(".tile").filter(has=agent.page.get_by_text(name, exact=True))


async def test_analytics_update_as_calls_arrive(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    await tenant.post_call(sample("appointment", callStartTime=...))
    agent = await new_agent(service.base_url, timezone_id="America/Toronto")
    await agent.enter(tenant, "/#/analytics")
    page = agent.page
    await expect(page.get_by_text("Every call counts when it began.")).to_contain_text(
        "compared with yesterday by this time. Every call counts when it began. Times are in your time zone, America/Toronto."
    )
    await expect(tile(agent, "Calls")).to_contain_text("1")
    await expect(tile(agent, "Answer rate")).to_contain_text("100%")
    await expect(tile(agent, "Average duration")).to_contain_text("31 s")
    for _ in range(3):
        await tenant.post_call(missed(duration=600, agentName="Alex (Maple Dental)"))
    await expect(tile(agent, "Calls")).to_contain_text("4")
    await expect(tile(agent, "Talk time")).to_contain_text("31 s")
    await expect(tile(agent, "Average duration")).to_contain_text("31 s")
    await expect(tile(agent, "Answer rate")).to_contain_text("25%")
    await expect(chart(agent, "Calls per minute, last hour")).to_contain_text("4 calls, peak")
    await expect(page.get_by_role("row", name=re.compile(r"Alex \(Maple Dental\)\s*4\s*1 25%\s*31 s\s*31 s"))).to_be_visible()
    await page.get_by_role("link", name="No answer 3 75%").click()
    await expect(agent.rows).to_have_count(3)


def chart(agent: Agent, title: str) -> Locator:
    return agent.page.locator(".chart").filter(has=agent.page.get_by_role("heading", name=title, exact=True))


async def test_a_period_is_compared_with_the_one_before_and_each_figure_leads_to_its_calls(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    day = datetime.now(UTC).replace(hour=3, minute=20, second=0, microsecond=0) - timedelta(days=1)
    said = {name: sample()[name] for name in ("recording", "transcript", "summary")}
    for days, count in ((0, 2), (1, 1), (8, 2)):
        for number in range(count):
            start = (day - timedelta(days=days) + timedelta(hours=number)).isoformat()
            ended = {"status": "completed", "duration": 60, **said} if number == 0 else {"status": "busy", "duration": 9_000}
            await tenant.post_call(missed(callStartTime=start, agentName="Ann", **ended))
    agent = await new_agent(service.base_url, timezone_id="UTC")
    await agent.enter(tenant, "/#/analytics")
    page = agent.page
    await page.get_by_role("link", name="Last 7 days").click()
    await expect(tile(agent, "Calls")).to_have_text(re.compile(r"Calls\s*3\s*50% more than the 7 days before"))
    await expect(tile(agent, "Answer rate")).to_contain_text("17 points more than the 7 days before")
    await expect(tile(agent, "Talk time")).to_have_text(re.compile(r"2 min\s*100% more than the 7 days before"))
    await expect(tile(agent, "Average duration")).to_have_text(re.compile(r"1 min\s*same as the 7 days before"))
    address = page.url

    async def leads_to(link: Locator, count: int) -> None:
        await link.click()
        await expect(agent.rows).to_have_count(count)
        await page.goto(address)

    await leads_to(tile(agent, "Calls").get_by_role("link"), 3)
    await leads_to(tile(agent, "Talk time").get_by_role("link"), 2)
    await leads_to(page.get_by_role("link", name="Busy 1 33%"), 1)
    await leads_to(page.get_by_role("link", name="Ann"), 3)
    hours = chart(agent, "Calls by hour of the day")
    await leads_to(hours.locator("a").nth(3), 2)
    await leads_to(hours.locator("a").nth(4), 1)
    await leads_to(chart(agent, "Calls per day").locator("a").nth(5), 2)
    heights = [await one.bounding_box() for one in (hours, chart(agent, "Calls per day"))]
    await hours.get_by_role("button", name="Calls by hour of the day: show as table").click()
    assert [await one.bounding_box() for one in (hours, chart(agent, "Calls per day"))] == heights
    await leads_to(hours.get_by_role("link", name="03:00 – 04:00"), 2)

    await page.get_by_label("From").fill((day - timedelta(days=8)).date().isoformat())
    await page.get_by_label("to", exact=True).fill(day.date().isoformat())
    await expect(tile(agent, "Calls")).to_have_text(re.compile(r"Calls\s*5"))
    await page.reload()
    await expect(page.get_by_text("compared with the 9 days before")).to_be_visible()


async def test_analytics_without_calls_claim_nothing(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, "/#/analytics")
    await expect(chart(agent, "Calls per minute, last hour")).to_contain_text("none")
    await expect(tile(agent, "Answer rate")).to_contain_text("–")
    await expect(agent.page.get_by_text("peak")).to_have_count(0)


async def test_analytics_say_how_many_agents_are_not_named(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    for number in range(52):
        await tenant.post_call(missed(agentName=f"Agent {number}"))
    await tenant.post_call(missed())
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, "/#/analytics")
    await expect(agent.page.get_by_role("heading", name="The 50 agents with the most calls")).to_be_visible()
    await expect(agent.page.get_by_text("and 2 more agents with 2 calls; 1 call without an agent")).to_be_visible()


_UNKNOWN_ZONE = """
const own = Intl.DateTimeFormat.prototype.resolvedOptions;
Intl.DateTimeFormat.prototype.resolvedOptions = function () { return { ...own.call(this), timeZone: "Etc/Unknown" }; };
"""


async def test_a_browser_whose_zone_nobody_knows_has_figures_in_utc(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    await tenant.post_call(missed())
    agent = await new_agent(service.base_url)
    await agent.page.add_init_script(_UNKNOWN_ZONE)
    await agent.enter(tenant, "/#/analytics")
    await expect(tile(agent, "Calls")).to_contain_text("1")
    said = "The time zone Etc/Unknown is not known here, so days and times are those of UTC."
    await expect(agent.page.get_by_text(said)).to_be_visible()
    await tile(agent, "Calls").get_by_role("link").click()
    await expect(agent.rows).to_have_count(1)


async def test_days_are_those_of_the_organization_and_so_are_the_calls_behind_them(
    service: Service, new_agent: NewAgent
) -> None:
    admin = await service.tenant(role="admin")
    zone = {"timeZone": "Pacific/Kiritimati"}
    assert (await admin.request("PATCH", "/api/organization", token=admin.token, json=zone)).status == 200
    now = datetime.now(UTC)
    midnight = (now + timedelta(hours=14)).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=14)
    for start in (midnight - timedelta(minutes=1), midnight, now):
        await admin.post_call(missed(callStartTime=start.isoformat()))
    agent = await new_agent(service.base_url, timezone_id="America/Toronto")
    await agent.enter(admin, "/#/analytics")
    await expect(agent.page.get_by_text("Times are in your organization's time zone, Pacific/Kiritimati.")).to_be_visible()
    await expect(tile(agent, "Calls")).to_contain_text("2")
    await tile(agent, "Calls").get_by_role("link").click()
    await expect(agent.rows).to_have_count(2)


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
