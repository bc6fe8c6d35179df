"""An agent's day: sign in, see calls arrive, open them, sign out."""

from __future__ import annotations

import re

from playwright.async_api import expect

from tests.e2e.conftest import NewAgent, on_disk
from tests.support.service import PASSWORD, Service, Tenant, missed, sample

pytestmark = on_disk

PHONE = {"viewport": {"width": 390, "height": 844}}


async def test_a_wrong_password_is_reported(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    agent = await new_agent(service.base_url)
    await agent.open()
    await agent.sign_in(tenant, password="not this one")
    await expect(agent.page.get_by_role("alert")).to_have_text("The email address or the password is wrong.")
    await agent.sign_in(tenant)
    await agent.live()


async def test_a_reload_keeps_the_session_and_the_place(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    call_id = (await tenant.post_call(sample("outage"))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    await agent.row(call_id).get_by_role("link").click()
    await agent.page.reload()
    await agent.live()
    await expect(agent.page.get_by_role("heading", name="Tom Becker")).to_be_visible()
    await expect(agent.row(call_id).get_by_role("link")).to_have_attribute("aria-current", "true")
    assert await agent.page.evaluate("() => document.cookie") == ""


async def test_signing_out_ends_every_tab(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    other_tab = await new_agent(service.base_url, beside=agent)
    await other_tab.open()
    await other_tab.live()
    await agent.sign_out()
    await expect(agent.page.get_by_label("Password")).to_be_visible()
    await expect(other_tab.page.get_by_text("Your session has ended.")).to_be_visible()
    await agent.page.reload()
    await expect(agent.page.get_by_label("Password")).to_be_visible()


async def test_the_next_user_sees_nothing_of_the_previous_one(
    service: Service, tenant: Tenant, other: Tenant, new_agent: NewAgent
) -> None:
    call_id = (await tenant.post_call(missed())).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.open()
    await agent.sign_in(tenant)
    await agent.live()
    await agent.page.reload()
    await expect(agent.row(call_id)).to_be_visible()
    await agent.sign_out()
    await agent.page.evaluate("""() => {
      const look = () => { window.seen ||= document.querySelector("[data-call-id]") !== null; };
      new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
    }""")
    await agent.sign_in(other)
    await agent.live()
    await expect(agent.page.get_by_text("No calls yet")).to_be_visible()
    assert not await agent.page.evaluate("() => window.seen")


async def test_another_organizations_calls_never_show(
    service: Service, tenant: Tenant, other: Tenant, new_agent: NewAgent
) -> None:
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    theirs = (await other.post_call(missed())).body["callId"]
    mine = (await tenant.post_call(missed())).body["callId"]
    await expect(agent.row(mine)).to_be_visible()
    assert await agent.call_ids() == [mine]
    await agent.open(f"/#/calls/{theirs}")
    await expect(agent.page.get_by_role("heading", name="Call not found")).to_be_visible()


async def test_scrolling_loads_each_older_call_once(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    posted = [
        (await tenant.post_call(missed(callStartTime=f"2026-05-15T{hour:02d}:{minute:02d}:00Z"))).body["callId"]
        for hour in (9, 10)
        for minute in range(60)
    ]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    await expect(agent.page.get_by_text("120 calls")).to_be_visible()
    # It started before all others: the next pages must be requested by a cursor, not by a count.
    early = (await tenant.post_call(missed(callStartTime="2026-05-15T01:00:00Z"))).body["callId"]
    await expect(agent.row(early)).to_be_visible()
    assert await agent.all_call_ids() == [early, *reversed(posted)]
    assert await agent.rows.count() < 60, "only the visible rows are rendered"


async def test_a_new_call_does_not_move_the_rows_of_a_scrolled_list(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    posted = [(await tenant.post_call(missed())).body["callId"] for _ in range(40)]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    await expect(agent.row(posted[-1])).to_be_visible()
    await agent.scroll_list(640)
    read = agent.row(posted[20])
    before = await read.bounding_box()
    arrived = [(await tenant.post_call(missed())).body["callId"] for _ in range(3)]
    pill = agent.page.get_by_role("button", name="3 new calls")
    await expect(pill).to_be_visible()
    assert await read.bounding_box() == before
    await pill.click()
    await expect(agent.row(arrived[-1])).to_be_in_viewport()
    await expect(pill).to_have_count(0)
    assert (await agent.call_ids())[:4] == [*reversed(arrived), posted[-1]]


async def test_a_paused_list_does_not_change_until_it_is_resumed(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    first = (await tenant.post_call(missed())).body["callId"]
    await expect(agent.row(first)).to_be_visible()
    await agent.page.get_by_role("button", name="Pause").click()
    second = (await tenant.post_call(missed())).body["callId"]
    await expect(agent.page.get_by_role("button", name="1 new call")).to_be_visible()
    assert await agent.call_ids() == [first]
    await agent.page.get_by_role("button", name="Resume").click()
    await expect(agent.row(second)).to_be_visible()
    assert await agent.call_ids() == [second, first]


async def test_no_row_moves_while_a_call_is_open(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    read = (await tenant.post_call(missed())).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{read}")
    await expect(agent.row(read)).to_be_visible()
    arrived = (await tenant.post_call(missed())).body["callId"]
    await expect(agent.page.get_by_role("button", name="1 new call")).to_be_visible()
    assert await agent.call_ids() == [read]
    await agent.page.keyboard.press("Escape")
    await expect(agent.row(arrived)).to_be_visible()
    assert await agent.call_ids() == [arrived, read]


async def test_a_call_that_cannot_be_loaded_shows_what_the_list_knows(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    call_id = (await tenant.post_call(missed(fromNumber="+14165550177", status="busy"))).body["callId"]
    agent = await new_agent(service.base_url)
    page = agent.page
    await page.route(re.compile(f"/api/calls/{call_id}$"), lambda route: route.fulfill(status=500, json={"error": "No."}))
    await agent.enter(tenant)
    await agent.row(call_id).get_by_role("link").click()
    call = page.get_by_test_id("call")
    await expect(call.get_by_role("alert")).to_have_text("No.")
    await expect(call).to_contain_text("Inbound call from (416) 555-0177")
    await expect(call).to_contain_text("Busy")
    again = call.get_by_role("button", name="Try again")
    boxes = [await one.bounding_box() for one in (again, call.get_by_role("alert"))]
    assert all(boxes), boxes
    assert len({box["x"] for box in boxes if box}) == 1, "in one column"
    await page.unroute(re.compile(f"/api/calls/{call_id}$"))
    await again.click()
    await expect(call.get_by_role("link", name="Call back")).to_be_visible()


async def test_everything_works_by_keyboard(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    older = (await tenant.post_call(missed(callerName="Older"))).body["callId"]
    newer = (await tenant.post_call(missed(callerName="Newer"))).body["callId"]
    agent = await new_agent(service.base_url)
    page = agent.page
    await agent.open()
    await expect(page.get_by_label("Email")).to_be_focused()
    await page.keyboard.type(tenant.email)
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await agent.live()
    await expect(agent.row(newer)).to_be_visible()
    await page.keyboard.press("j")
    await expect(agent.row(newer).get_by_role("link")).to_be_focused()
    await page.keyboard.press("j")
    await expect(agent.row(older).get_by_role("link")).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Older")).to_be_focused()
    await page.keyboard.press("k")
    await expect(page.get_by_role("heading", name="Newer")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("call")).to_have_count(0)
    await expect(agent.row(newer).get_by_role("link")).to_be_focused()
    await page.keyboard.press("/")
    await expect(page.get_by_role("searchbox")).to_be_focused()
    await page.keyboard.type("older?")  # in a text field, `?` is a character
    await expect(agent.row(newer)).to_have_count(0)
    await page.keyboard.press("Escape")
    await expect(agent.row(newer)).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()


async def test_on_a_phone_a_call_replaces_the_list(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    call_id = (await tenant.post_call(sample("outage"))).body["callId"]
    agent = await new_agent(service.base_url, **PHONE)
    await agent.enter(tenant)
    await agent.row(call_id).get_by_role("link").click()
    await expect(agent.page.get_by_role("heading", name="Tom Becker")).to_be_visible()
    await expect(agent.row(call_id)).to_be_hidden()
    assert await agent.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    await agent.page.get_by_role("link", name="Back to calls").click()
    await expect(agent.row(call_id)).to_be_visible()
