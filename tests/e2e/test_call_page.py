"""The page of one call: its first screen, what can be copied and followed from it, and calls in which nobody talked."""

from __future__ import annotations

from typing import Any, Final

import pytest
from playwright.async_api import Locator, Page, expect

from tests.e2e.conftest import NewAgent, on_disk
from tests.support.service import Service, Tenant, missed, sample

pytestmark = on_disk

LONG: Final = "The customer asked whether the parcel could come on another day, because nobody is at home on Thursday. " * 14
AGENT: Final = "The Northlight Virtual Front Desk Agent For After Hours And Weekends, English and French (v2.14-canary)"
WINDOWS: Final = pytest.mark.parametrize(
    "window", [(1440, 900), (1024, 768), (390, 844)], ids=lambda window: f"{window[0]} wide"
)
ARABIC: Final = [
    {"role": "agent", "message": "مرحبا، كيف يمكنني مساعدتك؟", "timestamp": 0},
    {"role": "user", "message": "Friday, please.", "timestamp": 6},
]


async def _copied(page: Page, name: str) -> str:
    button = page.get_by_role("button", name=name, exact=True)
    await button.click()
    await expect(button).to_have_attribute("data-done", "Copied")
    return str(await page.evaluate("() => navigator.clipboard.readText()"))


async def _lines(text: Locator) -> int:
    """Return how many lines the text of an element has."""
    return int(
        await text.evaluate("""(element) => {
          const range = document.createRange();
          range.selectNodeContents(element);
          return new Set([...range.getClientRects()].map(({ bottom }) => Math.round(bottom / 4))).size;
        }""")
    )


@WINDOWS
async def test_the_first_screen_has_summary_player_and_words(
    service: Service, tenant: Tenant, new_agent: NewAgent, window: tuple[int, int]
) -> None:
    call_id = (await tenant.post_call(sample("appointment", summary=LONG, agentName=AGENT))).body["callId"]
    agent = await new_agent(service.base_url, viewport={"width": window[0], "height": window[1]})
    await agent.enter(tenant, f"/#/calls/{call_id}")
    page = agent.page
    await expect(page.locator(".turn").first).to_be_visible()
    for seen in (".call-summary", ".player-button", ".turn >> nth=0"):
        await expect(page.locator(seen)).to_be_in_viewport(ratio=1)
    assert await page.locator(".call-lead time, .lead-facts time").count() == 1
    assert await _lines(page.locator(".lead-facts time")) == 1
    agent_name = page.locator(".lead-facts bdi")
    assert await _lines(agent_name) == 1
    await expect(agent_name).to_have_attribute("title", AGENT)
    tops = await page.locator(".player-bar > *").evaluate_all("""(parts) => parts
      .map((part) => part.getBoundingClientRect()).filter(({ width }) => width > 0)
      .map(({ top, height }) => Math.round(top + height / 2))""")
    assert max(tops) - min(tops) <= 2, "one line of controls"

    height = await page.locator(".call-summary").evaluate("(text) => text.clientHeight")
    await page.get_by_role("button", name="More", exact=True).click()
    assert await page.locator(".call-summary").evaluate("(text) => text.clientHeight") > 2 * height
    await page.get_by_role("button", name="Less", exact=True).click()
    assert await page.locator(".call-summary").evaluate("(text) => text.clientHeight") == height


async def test_a_short_summary_has_nothing_more(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    call_id = (await tenant.post_call(sample("appointment"))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{call_id}")
    await expect(agent.page.locator(".turn").first).to_be_visible()
    await expect(agent.page.get_by_role("button", name="More", exact=True)).to_have_count(0)


async def test_narrow_the_rest_of_the_controls_is_in_a_menu(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    call_id = (await tenant.post_call(sample("appointment"))).body["callId"]
    agent = await new_agent(service.base_url, viewport={"width": 320, "height": 640})
    await agent.enter(tenant, f"/#/calls/{call_id}")
    page = agent.page
    download = page.get_by_role("button", name="Download recording")
    await expect(page.locator(".player-button")).to_be_visible()
    await expect(download).to_be_hidden()
    await page.get_by_role("button", name="More controls").click()
    await expect(download).to_be_visible()
    async with page.expect_download():
        await download.click()
    await page.keyboard.press("Escape")
    await expect(download).to_be_hidden()
    await expect(page.get_by_role("button", name="More controls")).to_be_focused()


async def test_the_facts_stay_in_one_line_when_the_page_is_scrolled(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    call_id = (await tenant.post_call(sample("appointment"))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{call_id}?search=friday")
    page = agent.page
    await expect(page.locator("mark").first).to_be_attached()
    await page.locator(".call").evaluate("(call) => call.scrollTo(0, 0)")
    strip = page.locator(".fact-strip")
    await expect(strip).to_have_count(0)
    head = page.locator(".call-head")
    height = await head.evaluate("(head) => head.clientHeight")
    await page.locator(".call").evaluate("(call) => call.scrollTo(0, 300)")
    await expect(strip).to_contain_text("Completed · 0:31 · ")
    await expect(strip).to_be_in_viewport()
    assert await head.evaluate("(head) => head.clientHeight") == height, "nothing below it moves"


async def test_a_number_is_written_in_one_way_and_called_by_a_click(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    call_id = (await tenant.post_call(sample("appointment"))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{call_id}")
    page = agent.page
    await expect(page.get_by_text("(416) 555-0199")).to_have_count(3)  # its row, its head, its details
    await expect(page.locator(".call").get_by_text("+1 416-555-0199")).to_have_count(0)
    await expect(page.get_by_role("link", name="(416) 555-0199", exact=True)).to_have_attribute("href", "tel:+14165550199")


async def test_link_number_ids_transcript_and_metadata_can_be_copied(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    body = sample("appointment", metadata={"list": ["a", {"b": 1}]})
    call_id = (await tenant.post_call(body)).body["callId"]
    agent = await new_agent(service.base_url, permissions=["clipboard-read", "clipboard-write"])
    await agent.enter(tenant, f"/#/calls/{call_id}?t=3")
    page = agent.page
    await expect(page.locator(".turn").first).to_be_visible()
    assert await _copied(page, "Copy link to this call") == f"{service.base_url}/#/calls/{call_id}"
    assert await _copied(page, "Copy number") == "+14165550199"
    assert await _copied(page, "Copy call ID") == call_id
    assert await _copied(page, "Copy external ID") == body["externalCallId"]
    assert "[0:12] Priya Nair: Actually no, I am travelling on Thursday." in await _copied(page, "Copy transcript")
    assert await page.evaluate("(text) => JSON.parse(text)", await _copied(page, "Copy JSON")) == body["metadata"]
    labels = page.get_by_test_id("metadata").locator(".tree-label")
    assert await labels.all_inner_texts() == ["list", "0", "1", "b"]


async def test_only_addresses_of_the_web_are_links_in_metadata(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    metadata = {
        "crm": 'https://crm.example.com/a?b=1&c="><img src=x onerror=alert(1)>',
        "script": "javascript:alert(1)",
        "data": "data:text/html,<script>alert(1)</script>",
        "note": "See https://example.com/x.",
    }
    call_id = (await tenant.post_call(sample("appointment", metadata=metadata))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{call_id}")
    links = agent.page.get_by_test_id("metadata").get_by_role("link")
    await expect(links).to_have_count(2)
    hrefs = await links.evaluate_all("links => links.map((link) => [link.getAttribute('href'), link.rel, link.target])")
    assert hrefs == [
        ["https://crm.example.com/a?b=1&c=", "noopener noreferrer", "_blank"],
        ["https://example.com/x", "noopener noreferrer", "_blank"],
    ]
    shown = agent.page.get_by_test_id("metadata").locator(".tree-value")
    assert await shown.all_inner_texts() == list(metadata.values())


@pytest.mark.parametrize("status", ["failed", "busy", "no-answer"])
async def test_a_call_that_nobody_answered_says_how_to_call_back_and_what_was_before(
    service: Service, tenant: Tenant, new_agent: NewAgent, status: str
) -> None:
    number = {"fromNumber": "+14165550153", "callerName": "Dana Whitfield"}
    for _ in range(6):
        await tenant.post_call(missed(**number))
    posted = (await tenant.post_call(missed(**number, status=status))).body
    await tenant.post_call(missed(fromNumber="+14165550199"))
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{posted['callId']}")
    page = agent.page
    back = page.get_by_role("link", name="Call back (416) 555-0153")
    await expect(back).to_have_attribute("href", "tel:+14165550153")
    await expect(page.get_by_text("This call has no transcript.")).to_have_count(0)
    await expect(page.get_by_role("heading", name="Transcript")).to_have_count(0)
    others = page.get_by_test_id("call-back").get_by_role("listitem")
    await expect(others).to_have_count(5)
    await others.first.get_by_role("link").click()
    await expect(page).not_to_have_url(f"{service.base_url}/#/calls/{posted['callId']}")
    await page.get_by_role("link", name="All 7 calls with this contact").click()
    await expect(page).to_have_url(f"{service.base_url}/#/contacts/{posted['contactId']}")


async def test_a_caller_who_withheld_the_number_cannot_be_called_back(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    call_id = (await tenant.post_call(missed(fromNumber="anonymous"))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{call_id}")
    await expect(agent.page.get_by_text("Inbound call from a withheld number")).to_be_visible()
    await expect(agent.page.get_by_role("link", name="Call back")).to_have_count(0)
    await expect(agent.page.get_by_role("button", name="Copy number")).to_have_count(0)


async def test_a_turn_has_one_direction_and_the_heading_begins_where_the_page_does(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    body: dict[str, Any] = sample("appointment", transcript=ARABIC, direction="inbound", callerName="دانا الخطيب")
    call_id = (await tenant.post_call(body)).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{call_id}")
    page = agent.page
    turns = page.locator(".turn")
    await expect(turns).to_have_count(2)
    directions = """(turn) => [turn, ...turn.querySelectorAll("p")].map((part) => getComputedStyle(part).direction)"""
    assert await turns.nth(0).evaluate(directions) == ["rtl"] * 3
    assert await turns.nth(1).evaluate(directions) == ["ltr"] * 3
    title = page.locator("#call-title")
    assert await title.get_attribute("title") == "دانا الخطيب"
    gap = """(title) => {
      const range = document.createRange();
      range.selectNodeContents(title);
      return range.getBoundingClientRect().left - title.getBoundingClientRect().left;
    }"""
    assert await title.evaluate(gap) < 2
