"""The page of sources: adding one, setting it up at its vendor, seeing its first delivery, and changing it."""

from __future__ import annotations

import re
from dataclasses import replace

from playwright.async_api import expect

from tests.e2e.conftest import NewAgent, on_disk
from tests.support.service import Service, missed

pytestmark = on_disk


async def test_a_source_is_added_rotated_and_disabled(service: Service, new_agent: NewAgent) -> None:
    admin = await service.tenant(role="admin")
    agent = await new_agent(service.base_url, permissions=["clipboard-read", "clipboard-write"])
    await agent.enter(admin)
    page = agent.page
    await page.get_by_role("link", name="Deliveries").click()
    await page.get_by_role("link", name="Sources").click()
    await expect(page.get_by_text("No sources yet.")).to_be_visible()

    await page.get_by_role("link", name="Add a source").click()
    await expect(page.get_by_role("heading", name="Add a source")).to_be_focused()
    await page.get_by_role("radio", name="Your own system").check()
    await page.get_by_label("Name", exact=True).fill("Booking <b>agent</b>")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="API key of Booking <b>agent</b>")).to_be_focused()
    key = page.get_by_test_id("new-key")
    first = await key.inner_text()
    await page.get_by_role("button", name="Copy", exact=True).click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("() => navigator.clipboard.readText()") == first
    sent = await replace(admin, api_key=first).post_call(missed())
    assert sent.status == 201, sent.body

    await page.reload()
    await expect(page.get_by_role("heading", name="Booking <b>agent</b>", exact=True)).to_be_focused()
    await expect(key).to_have_count(0)
    await page.get_by_role("button", name="Rotate key of Booking <b>agent</b>").click()
    await expect(page.get_by_text("The previous key works until")).to_be_visible()
    second = await key.inner_text()
    assert first != second
    for one in (first, second):
        assert (await replace(admin, api_key=one).post_call(missed())).status == 201

    await page.get_by_label("Calls are from the past").check()
    await page.get_by_label("Name", exact=True).fill("Booking desk")
    await page.get_by_role("button", name="Save settings").click()
    await expect(page.get_by_text("Saved")).to_be_visible()
    await page.get_by_role("button", name="Disable Booking desk").click()
    await expect(page.locator(".delivery-facts")).to_contain_text("Disabled")
    assert (await replace(admin, api_key=second).post_call(missed())).status == 401
    await page.get_by_role("button", name="Enable Booking desk").click()
    await expect(page.locator(".delivery-facts")).to_contain_text("Enabled")
    await page.reload()
    await expect(page.get_by_label("Calls are from the past")).to_be_checked()
    await page.get_by_role("link", name="Sources").first.click()
    source = page.locator(".source")
    await expect(source).to_contain_text("Booking desk")
    await expect(source).to_contain_text(re.compile("Enabled · last seen"))

    await agent.open(f"/#/calls/{sent.body['callId']}")
    await expect(page.locator(".facts div", has_text="Received from")).to_contain_text("Booking <b>agent</b>")
