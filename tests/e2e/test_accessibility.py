"""Accessibility: no violation that axe-core finds, in light and dark; narrow screens, print, and screen readers."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Page, Route, expect

from tests.e2e.conftest import Agent, NewAgent, on_disk
from tests.support.audio import adts
from tests.support.service import Service, Tenant, missed, sample
from tests.support.waiting import eventually

pytestmark = on_disk

AXE: Final = (Path(__file__).parents[2] / "static/node_modules/axe-core/axe.min.js").read_text()
RULES: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


UNREACHED: Final = {
    "event": "call_ended",
    "call": {
        "call_id": "call_9a32d5e10c8f4b46b7c2d3e4f506",
        "call_type": "phone_call",
        "direction": "outbound",
        "from_number": "+14155550118",
        "to_number": "+14155550177",
        "disconnection_reason": "dial_no_answer",
        "an odd name without any end" * 9: "x" * 300,
    },
}
"""A webhook of Retell's about a call that nobody took."""


async def _violations(page: Page) -> list[str]:
    await page.evaluate(f"{AXE}; null")
    found: list[dict[str, Any]] = await page.evaluate(
        "async (tags) => (await axe.run({ runOnly: tags })).violations", list(RULES)
    )
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]


async def _views(agent: Agent, tenant: Tenant) -> list[str]:
    """Visit every view with data in it; return the violations of each."""
    page = agent.page
    posted = (await tenant.post_call(sample("appointment"))).body
    busy = missed(status="busy")
    unanswered = (await tenant.post_call(busy)).body
    await tenant.post_call(missed(fromNumber=busy["fromNumber"]))
    await agent.open()
    await expect(page.get_by_label("Email")).to_be_focused()
    wrong = [f"sign-in: {one}" for one in await _violations(page)]
    await agent.enter(tenant)

    async def look(name: str, *, at: str, sign: str) -> None:
        await agent.open(at)
        await expect(page.locator(sign).first).to_be_visible()
        wrong.extend(f"{name}: {one}" for one in await _violations(page))

    await look("list", at="/#/", sign="[data-call-id]")
    await page.get_by_role("button", name="Alerts").click()
    wrong.extend(f"alerts: {one}" for one in await _violations(page))
    await page.get_by_role("button", name="Filters").click()
    await agent.filter("Status", "Busy")
    await expect(page.get_by_role("button", name="Remove filter: Busy")).to_be_visible()
    await expect(page.locator("[data-call-id]")).to_have_count(1)
    await expect(page.locator("[aria-busy]")).to_have_count(0)
    wrong.extend(f"filters: {one}" for one in await _violations(page))
    await page.keyboard.press("Escape")
    await agent.open_account_menu()
    wrong.extend(f"account: {one}" for one in await _violations(page))
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    wrong.extend(f"shortcuts: {one}" for one in await _violations(page))
    await page.keyboard.press("Escape")
    await look("hits", at="/#/calls?search=travelling", sign=".row-hit mark")
    await page.get_by_role("button", name="How to search").click()
    wrong.extend(f"how to search: {one}" for one in await _violations(page))
    await page.keyboard.press("Escape")
    await look("call", at=f"/#/calls/{posted['callId']}?search=travelling", sign=".turn mark")
    await expect(page.locator(".fact-strip")).to_be_visible()
    await look("no answer", at=f"/#/calls/{unanswered['callId']}", sign=".other-calls")
    await look("nothing found", at="/#/calls?search=zzzz", sign=".empty")
    await look("contact", at=f"/#/contacts/{posted['contactId']}", sign=".contact-call")
    await look("analytics", at="/#/analytics", sign=".figures[aria-busy=false] .tile")
    await look("analytics of a month", at="/#/analytics?date=month", sign=".figures[aria-busy=false] .chart-plot")
    await look("developer", at="/#/developer", sign=".snippet")
    odd = (await tenant.post_call(missed(fromNumber="anonymous"))).body
    await look("withheld", at=f"/#/calls/{odd['callId']}", sign=".facts")
    unplayable = sample("appointment", recording=base64.b64encode(adts(2)).decode())
    await look("unplayable", at=f"/#/calls/{(await tenant.post_call(unplayable)).body['callId']}", sign=".player-failed")
    delivery = await _refused(tenant)
    await look("audit", at="/#/audit", sign="[data-audit-id]")
    await look("deliveries", at="/#/deliveries", sign=".delivery")
    await page.get_by_role("button", name="Replay…").click()
    await expect(page.get_by_role("heading", name="1 delivery matches. Replay?")).to_be_visible()
    wrong.extend(f"replay: {one}" for one in await _violations(page))
    await page.keyboard.press("Escape")
    await look("delivery", at=f"/#/deliveries/{delivery}", sign=".body-line")
    await look("new source", at="/#/sources/new", sign=".vendor")
    await page.get_by_role("radio", name="Your own system").check()
    await page.get_by_label("Name", exact=True).fill("Booking agent")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("new-key")).to_be_visible()
    wrong.extend(f"a source: {one}" for one in await _violations(page))
    vendor = (await tenant.post("/api/sources", {"name": "Front desk", "kind": "vapi", "secrets": ["secret"]})).body["source"]
    await look("set-up", at=f"/#/sources/{vendor['id']}", sign=".setup")
    await page.get_by_role("button", name="Replace…").click()
    wrong.extend(f"secrets: {one}" for one in await _violations(page))
    await look("sources", at="/#/sources", sign=".source")
    await look("payload test", at="/#/payload-test", sign="textarea")
    await page.get_by_label("Vendor").select_option("Retell")
    await page.get_by_role("textbox", name="Payload").fill(json.dumps(UNREACHED))
    await page.get_by_role("button", name="Test", exact=True).click()
    await page.locator(".trail-note").first.focus()
    await expect(page.locator(".body-line[data-marked]")).to_be_visible()
    wrong.extend(f"tested payload: {one}" for one in await _violations(page))
    await look("people", at="/#/people", sign=".person")
    await page.get_by_role("button", name="Invite", exact=True).click()
    await page.get_by_label("Email").fill(f"{uuid.uuid4().hex}@example.com")
    await page.get_by_label("Name", exact=True).fill("Ann Lee")
    wrong.extend(f"invite: {one}" for one in await _violations(page))
    await page.get_by_role("button", name="Make a link").click()
    path = (await page.get_by_test_id("link").inner_text()).removeprefix(agent.base_url)
    await page.get_by_role("button", name="Actions for Ann Lee").click()
    wrong.extend(f"invited: {one}" for one in await _violations(page))
    await look("read tokens", at="/#/tokens", sign=".token-about")
    await page.get_by_role("button", name="New token").click()
    await page.get_by_label("Name", exact=True).fill("Wallboard")
    wrong.extend(f"new token: {one}" for one in await _violations(page))
    await page.get_by_role("button", name="Make token").click()
    await expect(page.locator(".token")).to_be_visible()
    wrong.extend(f"a token: {one}" for one in await _violations(page))
    await page.get_by_role("button", name="Revoke Wallboard").click()
    wrong.extend(f"revoking: {one}" for one in await _violations(page))
    await page.keyboard.press("Escape")
    await look("settings", at="/#/settings", sign=".account-form")
    await look("password", at="/#/password", sign=".account-form")
    await look("guide", at="/docs/vendor", sign="h1")
    await look("docs", at="/docs", sign=".opblock")
    await page.locator("#operations-Calls-post_calls_validate .opblock-summary-control").click()
    await expect(page.get_by_role("heading", name="Responses")).to_be_visible()
    wrong.extend(f"an operation: {one}" for one in await _violations(page))
    await look("join", at=path, sign="form")
    return wrong


async def _refused(tenant: Tenant) -> str:
    """Have a call refused, and return the id of its delivery."""
    await tenant.post_call(missed(fromNumber="4165550142", metadata={"a word without any end" * 9: "x" * 300}))

    async def is_kept() -> bool:
        return bool((await tenant.get("/api/deliveries")).body["total"] == 1)

    await eventually(is_kept)
    return str((await tenant.get("/api/deliveries")).body["deliveries"][0]["id"])


async def test_no_violation_in_light(service: Service, new_agent: NewAgent) -> None:
    tenant = await service.tenant(role="admin")
    agent = await new_agent(service.base_url, color_scheme="light")
    assert await _views(agent, tenant) == []


async def test_no_violation_in_dark_on_a_phone(service: Service, new_agent: NewAgent) -> None:
    tenant = await service.tenant(role="admin")
    agent = await new_agent(service.base_url, color_scheme="dark", viewport={"width": 390, "height": 844})
    assert await _views(agent, tenant) == []


async def test_no_view_is_wider_than_a_small_phone(service: Service, new_agent: NewAgent) -> None:
    tenant = await service.tenant(role="admin")
    sip = (await tenant.post_call(missed(fromNumber=f"sip:{'long' * 30}@pbx.example.com"))).body
    delivery = await _refused(tenant)
    source = (await tenant.post("/api/sources", {"name": "A name without any end " * 8})).body["source"]
    vendor = (await tenant.post("/api/sources", {"name": "Quo", "kind": "quo"})).body["source"]
    await tenant.post("/api/tokens", {"name": "A name without any end " * 8, "scopes": ["feed", "calls", "recordings"]})
    posted = (await tenant.post_call(sample("appointment", callerName="A name without any end " * 8))).body
    agent = await new_agent(service.base_url, viewport={"width": 320, "height": 640})
    await agent.enter(tenant)
    views = {
        "#/": ".row",
        "#/calls?direction=inbound&date=week": ".chip",
        f"#/calls/{posted['callId']}": ".turn",
        f"#/contacts/{posted['contactId']}": ".contact-call",
        "#/analytics": ".tile",
        "#/analytics?startDate=2026-01-01&endDate=2026-12-31": ".tile",
        "#/developer": ".snippet",
        f"#/calls/{sip['callId']}": ".facts",
        "#/deliveries": ".delivery",
        f"#/deliveries/{delivery}": ".body-line",
        "#/sources": ".source",
        "#/sources/new": ".vendor",
        f"#/sources/{source['id']}": ".settings-form",
        f"#/sources/{vendor['id']}": ".setup",
        "#/payload-test": "textarea",
        "#/people": ".person",
        "#/tokens": ".token",
        "#/settings": ".account-form",
        "#/password": ".account-form",
        "docs/vendor": "h1",
        "docs": ".opblock",
    }
    for path, sign in views.items():
        await agent.open(f"/{path}")
        await expect(agent.page.locator(sign).first).to_be_visible()
        await agent.painted()
        assert await agent.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), path
    await agent.open("/#/payload-test")
    await agent.page.get_by_label("Vendor").select_option("Retell")
    await agent.page.get_by_role("textbox", name="Payload").fill(json.dumps(UNREACHED))
    await agent.page.get_by_role("button", name="Test", exact=True).click()
    await expect(agent.page.locator(".trail-note").first).to_be_visible()
    assert await agent.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "a tested payload"
    assert await agent.page.evaluate("() => document.documentElement.scrollHeight <= innerHeight"), "only its pane scrolls"


async def test_new_calls_are_announced_together_and_not_often(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    announcer = agent.page.get_by_test_id("announcer")
    await asyncio.gather(*(tenant.post_call(missed()) for _ in range(3)))
    await expect(announcer).to_have_text("3 new calls")
    await agent.page.evaluate("""() => {
      window.announced = [];
      const announcer = document.querySelector('[data-testid="announcer"]');
      const changes = { childList: true, characterData: true, subtree: true };
      new MutationObserver(() => window.announced.push(announcer.textContent)).observe(announcer, changes);
    }""")
    last = [(await tenant.post_call(missed())).body["callId"] for _ in range(4)][-1]
    await expect(agent.row(last)).to_be_visible()
    assert await agent.page.evaluate("() => window.announced") == [], "the next announcement comes after a pause"


async def test_reduced_motion_is_respected(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    for motion, seconds in (("no-preference", ["0.22s", "4s"]), ("reduce", ["0.001s", "0.001s"])):
        agent = await new_agent(service.base_url, reduced_motion=motion)
        await agent.enter(tenant)
        row = agent.row((await tenant.post_call(missed())).body["callId"])
        await expect(row).to_have_class("row row-new")
        moves = "(row) => [null, '::before'].map((part) => getComputedStyle(row, part).animationDuration)"
        assert await row.evaluate(moves) == seconds


async def test_the_list_says_that_it_is_loading(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    await tenant.post_call(missed())
    agent = await new_agent(service.base_url)
    asked = asyncio.Event()

    async def wait(route: Route) -> None:
        await asked.wait()
        await route.continue_()

    await agent.page.route("**/api/calls/history*", wait)
    await agent.enter(tenant)
    await expect(agent.page.get_by_role("status", name="Loading calls")).to_be_visible()
    asked.set()
    await expect(agent.rows).to_have_count(1)
    await expect(agent.page.get_by_role("status", name="Loading calls")).to_have_count(0)


async def test_a_printed_call_is_without_the_rest_of_the_page(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    call_id = (await tenant.post_call(sample("appointment"))).body["callId"]
    agent = await new_agent(service.base_url, reduced_motion="reduce")
    await agent.enter(tenant, f"/#/calls/{call_id}")
    page = agent.page
    await expect(page.locator(".turn").first).to_be_visible()
    await page.emulate_media(media="print")
    await expect(page.get_by_role("heading", name="Priya Nair")).to_be_visible()
    await expect(page.locator(".turn-text").last).to_be_visible()
    for hidden in (".bar", ".list", ".player"):
        await expect(page.locator(hidden)).to_be_hidden()
