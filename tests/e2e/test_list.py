"""The rows of the list: what each says, in a wide window, beside an open call and on a phone."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from playwright.async_api import FloatRect, Locator, expect

from tests.e2e.conftest import NewAgent, on_disk
from tests.support.service import Service, Tenant, missed, sample

pytestmark = on_disk

WIDE: Final[dict[str, Any]] = {"viewport": {"width": 1440, "height": 900}}
PHONE: Final[dict[str, Any]] = {"viewport": {"width": 390, "height": 844}}
SUMMARY = "Priya moved her cleaning from Thursday to Friday at 2 pm"


async def _box(part: Locator) -> FloatRect:
    box = await part.bounding_box()
    assert box is not None, "it is shown"
    return box


async def _style(row: Locator, part: str, name: str) -> str:
    return str(await row.locator(part).evaluate("(element, name) => getComputedStyle(element)[name]", name))


async def test_rows_say_the_time_of_day_below_headings_of_their_days(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    noon = datetime.now(UTC).replace(hour=12, minute=5, second=7)
    days = [noon - timedelta(days=days) for days in (1, 1, 400)]
    yesterday, _, old = [(await tenant.post_call(missed(callStartTime=day.isoformat()))).body["callId"] for day in days]
    today = (await tenant.post_call(missed())).body["callId"]
    agent = await new_agent(service.base_url, timezone_id="UTC", **WIDE)
    await agent.enter(tenant)
    await expect(agent.row(today).locator(".row-age")).to_have_text("just now")
    await expect(agent.row(yesterday).locator("time")).to_have_text("12:05")
    await expect(agent.row(yesterday).locator(".row-age")).to_have_text("Yesterday")
    named = f"{days[2]:%a} {days[2].day} {days[2]:%b %Y}"
    headings = agent.page.locator(".day")
    assert [text.strip().replace(",", "") for text in await headings.all_inner_texts()] == ["Today", "Yesterday", named]
    heading, below = await _box(headings.last), await _box(agent.row(old))
    assert heading["y"] + heading["height"] == below["y"]
    american = await new_agent(service.base_url, timezone_id="UTC", locale="en-US", **WIDE)
    await american.enter(tenant)
    await expect(american.row(yesterday).locator("time")).to_have_text("12:05 PM")


async def test_dates_are_in_the_pages_language_with_the_clock_of_the_region(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    call_id = (await tenant.post_call(sample("appointment", callStartTime="2025-11-30T16:42:07Z"))).body["callId"]
    clocks = {"de-DE": "16:42", "ja-JP": "16:42", "ar-EG": "4:42 pm", "en-US": "4:42 PM"}
    for locale, clock in clocks.items():
        agent = await new_agent(service.base_url, timezone_id="UTC", locale=locale)
        await agent.enter(tenant, f"/#/calls/{call_id}")
        await expect(agent.row(call_id).locator("time")).to_have_text(clock)
        await expect(agent.page.locator(".call time").first).to_contain_text("Nov")
        texts = await agent.page.locator("time").all_inner_texts()
        assert all(text.isascii() or "\u202f" in text for text in texts), texts


async def test_many_rows_fit_and_summaries_are_kept_beside_a_call_and_on_a_phone(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    for _ in range(30):
        await tenant.post_call(missed())
    latest = sample("appointment", summary=SUMMARY, callStartTime=datetime.now(UTC).isoformat())
    call_id = (await tenant.post_call(latest)).body["callId"]
    agent = await new_agent(service.base_url, **WIDE)
    await agent.enter(tenant)
    row = agent.row(call_id)
    await expect(row.get_by_text(SUMMARY)).to_be_visible()
    height = (await _box(row))["height"]
    assert (await _box(agent.page.locator(".list-scroll")))["height"] // height >= 16
    await row.get_by_role("link").click()
    await expect(agent.page.get_by_test_id("call")).to_be_visible()
    assert (await _box(row))["height"] == height, "the rows do not move when a call opens"
    await expect(row.get_by_text(SUMMARY)).to_be_visible()
    await expect(row.get_by_text("Alex (Maple Dental)")).to_be_hidden()
    for size in (PHONE["viewport"], {"width": 320, "height": 640}):
        phone = await new_agent(service.base_url, viewport=size)
        await phone.enter(tenant)
        await expect(phone.row(call_id).get_by_text(SUMMARY)).to_be_visible()
        await expect(phone.row(call_id).get_by_text("Priya Nair")).to_be_visible()
        assert await phone.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


async def test_statuses_are_said_where_they_matter(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    inbound = missed(direction="inbound", duration=12)
    rang = (await tenant.post_call(inbound)).body["callId"]
    tried = (await tenant.post_call(missed(direction="outbound", status="busy"))).body["callId"]
    spoken = (await tenant.post_call(sample("appointment", direction="outbound"))).body["callId"]
    agent = await new_agent(service.base_url, **WIDE)
    await agent.enter(tenant)
    await expect(agent.row(rang).locator(".row-gist")).to_contain_text("No answer Rang 12 s")
    await expect(agent.row(tried).locator(".status")).to_have_text("Busy")
    status = agent.row(spoken).locator(".status")
    await expect(status).to_have_attribute("title", "Completed")
    assert (await _box(status.get_by_text("Completed")))["width"] <= 1, "for screen readers alone"
    weights = [int(await _style(agent.row(call), ".row-name", "fontWeight")) for call in (rang, tried, spoken)]
    assert weights == sorted(weights, reverse=True)
    assert len(set(weights)) == 3
    assert await _style(agent.row(rang), ".row-direction", "color") != await _style(agent.row(tried), ".row-direction", "color")


async def test_somebody_unknown_is_named_by_the_number(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    call_id = (await tenant.post_call(missed(fromNumber="+14165550177", toNumber="+14165550100"))).body["callId"]
    agent = await new_agent(service.base_url, **PHONE)
    await agent.enter(tenant)
    await expect(agent.row(call_id).locator(".row-name")).to_have_text("(416) 555-0177")


async def test_a_row_says_shortly_what_is_ahead(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    agent = await new_agent(service.base_url, timezone_id="UTC", **WIDE)
    await agent.enter(tenant)
    now = datetime.now(UTC)
    days = now + timedelta(days=3)
    stated: list[dict[str, Any]] = [{"callStartTime": at.isoformat()} for at in (now + timedelta(hours=5, minutes=30), days)]
    posted = [(await tenant.post_call(missed(**start))).body["callId"] for start in (*stated, {})]
    for _ in ("live", "after a reload"):
        await expect(agent.rows).to_have_count(3)
        assert await agent.call_ids() == posted[::-1], "later calls stand above it"
        await expect(agent.row(posted[0]).locator("time")).to_have_text("in 5 h")
        await expect(agent.row(posted[1]).locator("time")).to_have_text(re.compile(f"^{days.day} .* {days:%H:%M}$"))
        for call in posted[:2]:
            await expect(agent.row(call).locator("time")).to_be_in_viewport(ratio=1)
            await expect(agent.row(call).get_by_title("Has warnings")).to_be_visible()
        await agent.page.reload()
        await agent.live()
    body = {"callStartTime": now.isoformat(), "callId": posted[0]}
    assert (await tenant.request("PATCH", "/api/calls/ingest", json=body, token=tenant.api_key)).status == 200
    await expect(agent.row(posted[0]).locator("time")).to_have_text(f"{now:%H:%M}")


async def test_more_than_ten_calls_a_minute_come_in_together(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    await agent.page.evaluate("""() => {
      window.lengths = [];
      new MutationObserver(() => {
        const length = document.querySelectorAll("[data-call-id]").length;
        if (length !== window.lengths.at(-1)) window.lengths.push(length);
      }).observe(document.querySelector(".list"), { childList: true, subtree: true });
    }""")
    posted = [(await tenant.post_call(missed())).body["callId"] for _ in range(18)]
    await expect(agent.rows).to_have_count(18)
    assert await agent.call_ids() == posted[::-1]
    lengths = await agent.page.evaluate("() => window.lengths")
    assert [length for length in lengths if 10 < length < 18] == [], "all others in one step"
    await expect(agent.page.get_by_role("button", name="new call")).to_have_count(0)


async def test_an_organization_without_calls_is_shown_how_to_send_one(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    agent = await new_agent(service.base_url, permissions=["clipboard-read", "clipboard-write"])
    await agent.enter(tenant)
    page = agent.page
    await expect(page.get_by_role("heading", name="Send your first call")).to_be_visible()
    await expect(page.get_by_role("region", name="Command")).to_contain_text("/api/calls/ingest")
    await expect(page.get_by_role("link", name="API key & developer")).to_be_visible()
    await page.get_by_role("button", name="Copy with key").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    command = await page.evaluate("() => navigator.clipboard.readText()")
    assert tenant.api_key in command
    sent = await asyncio.create_subprocess_shell(command, stdout=asyncio.subprocess.DEVNULL)
    assert await sent.wait() == 0
    await expect(agent.rows).to_have_count(1)


async def test_a_call_is_worked_through_by_keyboard(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    call_id = (await tenant.post_call(sample("appointment"))).body["callId"]
    agent = await new_agent(service.base_url, permissions=["clipboard-read", "clipboard-write"])
    await agent.enter(tenant, f"/#/calls/{call_id}?search=thursday")
    page = agent.page
    await expect(page.get_by_text(re.compile("^1 of [0-9]+ matches$"))).to_be_visible()
    await page.keyboard.press("n")
    await expect(page.get_by_text(re.compile("^2 of [0-9]+ matches$"))).to_be_visible()
    await page.keyboard.press("Shift+N")
    await expect(page.get_by_text(re.compile("^1 of [0-9]+ matches$"))).to_be_visible()
    await page.keyboard.press("4")
    await page.wait_for_function("() => document.querySelector('audio').playbackRate === 2")
    await page.keyboard.press("c")
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert f"#/calls/{call_id}?t=" in await page.evaluate("() => navigator.clipboard.readText()")
    await page.keyboard.press("?")
    shortcuts = page.get_by_role("dialog", name="Keyboard shortcuts")
    for meaning in ("Choose filters", "Copy a link to this moment", "Next and previous match in the call"):
        await expect(shortcuts.get_by_text(meaning)).to_be_visible()
