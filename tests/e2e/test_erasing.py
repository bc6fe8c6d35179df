"""Erasing on the page: confirmed, gone everywhere at once, and in the audit log. Only admins see it."""

from __future__ import annotations

from playwright.async_api import expect

from tests.e2e.conftest import NewAgent, on_disk
from tests.support.service import Service, missed, sample

pytestmark = on_disk
NUMBER = "+14165550177"


async def test_a_call_is_erased_once_that_is_confirmed_and_leaves_every_page(service: Service, new_agent: NewAgent) -> None:
    admin = await service.tenant(role="admin")
    call = (await admin.post_call(sample("appointment", toNumber=NUMBER))).body
    other = (await admin.post_call(missed(fromNumber=NUMBER))).body
    erasing, reading, listing, viewing = [await new_agent(service.base_url) for _ in range(4)]
    await erasing.enter(admin, f"/#/calls/{call['callId']}")
    await reading.enter(admin, f"/#/calls/{call['callId']}")
    await listing.enter(admin)
    await viewing.enter(admin, f"/#/contacts/{call['contactId']}")
    await expect(viewing.page.locator(".contact-call")).to_have_count(2)
    await expect(reading.page.get_by_text("Priya moved her cleaning").first).to_be_visible()

    button = erasing.page.get_by_role("button", name="Erase…")
    await button.click()
    await expect(erasing.page.get_by_text("This cannot be undone.")).to_be_visible()
    await erasing.page.get_by_role("button", name="Cancel").click()
    await expect(listing.row(call["callId"])).to_be_visible()
    await button.click()
    await erasing.page.get_by_role("button", name="Erase call").click()

    for agent in (erasing, reading):
        await expect(agent.page.get_by_text("This call was erased for good.")).to_be_visible()
        await expect(agent.page.get_by_text("Priya moved her cleaning")).to_have_count(0)
    await expect(listing.row(call["callId"])).to_have_count(0)
    await expect(listing.row(other["callId"])).to_be_visible()
    await expect(viewing.page.locator(".contact-call")).to_have_count(1)

    await viewing.page.get_by_role("button", name="Erase…").click()
    await viewing.page.get_by_role("button", name="Erase contact").click()
    await expect(viewing.page.get_by_text("This contact was erased for good, with all its calls.")).to_be_visible()
    await expect(listing.rows).to_have_count(0)

    await listing.open("/#/audit?what=erased")
    await expect(listing.page.locator("[data-audit-id]")).to_have_count(2)
    await expect(listing.page.locator("[data-audit-id]").last).to_contain_text(call["callId"])
    await expect(listing.page.locator("[data-audit-id]").last).to_contain_text(admin.email)


async def test_the_audit_log_says_who_listened_and_can_be_filtered(service: Service, new_agent: NewAgent) -> None:
    admin = await service.tenant(role="admin")
    call = (await admin.post_call(sample("appointment"))).body
    agent = await new_agent(service.base_url)
    await agent.enter(admin, f"/#/calls/{call['callId']}")
    await expect(agent.page.get_by_role("button", name="Download recording")).to_be_visible()
    async with agent.page.expect_download() as download:
        await agent.page.get_by_role("button", name="Download recording").click()
    assert (await download.value).suggested_filename
    menu = await agent.open_account_menu()
    await menu.get_by_role("link", name="Audit log").click()
    entries = agent.page.locator("[data-audit-id]")
    await expect(entries.filter(has_text="Opened a recording").first).to_be_visible()
    await expect(entries.filter(has_text="Signed in").first).to_be_visible()
    await agent.page.get_by_label("What").select_option("downloaded")
    await expect(entries).to_have_count(1)
    async with agent.page.expect_download() as table:
        await agent.page.get_by_role("link", name="Export").click()
    path = await (await table.value).path()
    assert b"downloaded" in path.read_bytes()


async def test_who_is_no_admin_sees_neither(service: Service, new_agent: NewAgent) -> None:
    tenant = await service.tenant(role="agent")
    call = (await tenant.post_call(missed(fromNumber=NUMBER))).body
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{call['callId']}")
    await expect(agent.page.get_by_role("link", name="View contact")).to_be_visible()
    await expect(agent.page.get_by_role("button", name="Erase…")).to_have_count(0)
    menu = await agent.open_account_menu()
    await expect(menu.get_by_role("link", name="Audit log")).to_have_count(0)
