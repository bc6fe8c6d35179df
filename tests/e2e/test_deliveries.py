"""The pages of an admin: what webhooks brought and what was refused."""

from __future__ import annotations

import re

from playwright.async_api import expect

from tests.e2e.conftest import NewAgent, on_disk
from tests.support.service import Service, Tenant, missed
from tests.support.waiting import eventually

pytestmark = on_disk

WRONG = "(416) 555-0199"
AS_TEXT = {"Content-Type": "text/plain"}
"""What is right but for its header becomes a call when it is replayed."""


async def test_only_admins_are_led_to_deliveries_and_sources(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    await expect(agent.page.get_by_role("link", name="Analytics")).to_be_visible()
    await expect(agent.page.get_by_role("link", name="Deliveries")).to_have_count(0)
    await agent.open("/#/sources")
    await expect(agent.page.get_by_role("alert")).to_have_text("You may not manage sources: ask an admin of your organization.")
    await agent.open("/#/deliveries")
    await expect(agent.page.get_by_role("alert")).to_have_text(
        re.compile("You may not (see deliveries|manage sources): ask an admin")
    )
    await expect(agent.page.get_by_role("button", name="Try again")).to_have_count(0)


async def _refused(admin: Tenant, count: int) -> None:
    async def are_kept() -> bool:
        return bool((await admin.get("/api/deliveries")).body["total"] == count)

    await eventually(are_kept)


async def test_what_was_refused_is_read_understood_and_replayed(service: Service, new_agent: NewAgent) -> None:
    admin = await service.tenant(role="admin")
    metadata = {"password": "hunter2", "note": "<img src=x onerror=alert(1)>"}
    await admin.post_call(missed(fromNumber=WRONG, metadata=metadata), headers={"X-Request-Id": "request-1"})
    await admin.post_call(missed(summary="Sent as text"), headers=AS_TEXT)
    await _refused(admin, 2)
    agent = await new_agent(service.base_url)
    await agent.enter(admin, "/#/deliveries")
    page = agent.page
    rows = page.locator(".delivery")
    await expect(rows).to_have_count(2)
    await expect(page.get_by_text("2 deliveries", exact=True)).to_be_visible()

    reason = page.locator(".reason", has_text="unsupported_media")
    await expect(page.locator(".reason")).to_have_count(2)
    await reason.click()
    await expect(rows).to_have_count(1)
    await expect(reason).to_have_attribute("aria-current", "true")
    await expect(page.get_by_label("Code")).to_have_value("unsupported_media")
    await page.get_by_role("link", name="Clear all").click()
    await expect(rows).to_have_count(2)
    await page.get_by_label("Date").select_option("Yesterday")
    await expect(page.get_by_text("No matching deliveries")).to_be_visible()
    await page.go_back()
    await expect(rows).to_have_count(2)

    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await expect(rows.last.locator(".delivery-link")).to_be_focused()
    await page.keyboard.press("Enter")
    view = page.locator(".delivery-view")
    await expect(page.get_by_role("heading", name="New call from A user's own key")).to_be_focused()
    await expect(view).to_contain_text("request-1")
    wrong = page.locator('[data-path="fromNumber"]')
    await expect(wrong).to_contain_text(f'"fromNumber": "{WRONG}"')
    await expect(wrong).to_contain_text("fromNumber must start with +")
    await page.get_by_role("button", name="Show fromNumber").click()
    await expect(wrong).to_be_focused()
    await expect(view).to_contain_text("<img src=x onerror=alert(1)>")
    await expect(view).not_to_contain_text("hunter2")
    await page.get_by_role("button", name="Replay").click()
    await expect(view.get_by_role("status")).to_contain_text("Replayed: Refused")
    await expect(page.get_by_role("row")).to_have_count(3)

    await page.keyboard.press("k")
    await expect(view).to_contain_text("Sent as text")
    await page.get_by_role("button", name="Replay").click()
    await expect(view.locator(".delivery-facts")).to_contain_text("New call")
    await view.locator(".delivery-facts").get_by_role("link", name="View call").click()
    await expect(page.get_by_test_id("call")).to_contain_text("Sent as text")
    await page.go_back()
    await expect(view).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(rows.first.get_by_role("link", name="View call")).to_be_visible()
    await expect(rows.first.locator(".delivery-link")).to_be_focused()


async def test_many_are_replayed_after_their_number_was_said(service: Service, new_agent: NewAgent) -> None:
    admin = await service.tenant(role="admin")
    for _ in range(3):
        await admin.post_call(missed(), headers=AS_TEXT)
    await admin.post_call(missed(fromNumber=WRONG))
    await _refused(admin, 4)
    agent = await new_agent(service.base_url)
    await agent.enter(admin, "/#/deliveries")
    page = agent.page
    await page.get_by_label("Code").select_option("unsupported_media")
    await expect(page.locator(".delivery")).to_have_count(3)
    await page.get_by_role("button", name="Replay…").click()
    await expect(page.get_by_role("heading", name="3 deliveries match. Replay?")).to_be_visible()
    await page.get_by_role("button", name="Cancel").click()
    assert (await admin.get("/api/calls/history")).body["total"] == 0
    await page.get_by_role("button", name="Replay…").click()
    await page.get_by_role("button", name="Replay 3").click()
    await expect(page.get_by_text("3 deliveries replayed: 3 new.")).to_be_visible()
    assert (await admin.get("/api/calls/history")).body["total"] == 3
    await expect(page.get_by_text("No matching deliveries")).to_be_visible()


async def test_an_organization_without_refusals_is_told_so(service: Service, new_agent: NewAgent) -> None:
    admin = await service.tenant(role="admin")
    agent = await new_agent(service.base_url)
    await agent.enter(admin, "/#/deliveries")
    await expect(agent.page.get_by_text("No deliveries yet")).to_be_visible()
    await agent.open("/#/deliveries/64f0a1b2c3d4e5f6a7b8c9d0")
    await expect(agent.page.get_by_role("heading", name="Delivery not found")).to_be_visible()
