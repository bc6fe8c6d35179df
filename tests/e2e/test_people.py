"""The pages of an admin and of somebody who joins: people, settings, passwords; and what a viewer does not see."""

from __future__ import annotations

import re
import uuid

from playwright.async_api import expect

from tests.e2e.conftest import NewAgent, on_disk
from tests.support.service import PASSWORD, Service, sample

pytestmark = on_disk
NEW_PASSWORD = "purple lantern seven rivers"


async def test_somebody_is_invited_joins_and_is_locked_out(service: Service, new_agent: NewAgent) -> None:
    admin = await service.tenant(role="admin")
    agent = await new_agent(service.base_url, permissions=["clipboard-read", "clipboard-write"])
    await agent.enter(admin)
    page = agent.page
    await (await agent.open_account_menu()).get_by_role("link", name="People").click()
    await page.get_by_role("button", name="Invite", exact=True).click()
    await expect(page.get_by_label("Email")).to_be_focused()
    email = f"{uuid.uuid4().hex}@example.com"
    await page.get_by_label("Email").fill(email)
    await page.get_by_label("Name", exact=True).fill("Ann <b>Lee</b>")
    await page.get_by_role("radio", name="Viewer").check()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Invitation of Ann <b>Lee</b>")).to_be_focused()
    link = await page.get_by_test_id("link").inner_text()
    await page.get_by_role("button", name="Copy link").click()
    assert await page.evaluate("() => navigator.clipboard.readText()") == link
    ann = page.locator(".person", has_text="Ann <b>Lee</b>")
    await expect(ann).to_contain_text("Invited · link until")

    guest = await new_agent(service.base_url)
    await guest.page.goto(link)
    await expect(guest.page.get_by_text("Welcome, Ann <b>Lee</b>.")).to_be_visible()
    password = guest.page.get_by_label("New password")
    await expect(password).to_be_focused()
    await password.fill("password123")
    await guest.page.keyboard.press("Enter")
    await expect(guest.page.get_by_role("alert")).to_contain_text("tried first")
    await password.fill(NEW_PASSWORD)
    await guest.page.get_by_role("button", name="Show").click()
    await expect(password).to_have_attribute("type", "text")
    await guest.page.get_by_role("button", name="Join").click()
    await guest.live()
    assert "token" not in guest.page.url
    await guest.page.goto(link)
    await expect(guest.page.get_by_role("alert")).to_contain_text("not valid any more")
    await guest.open("/")
    await guest.live()

    await page.reload()
    await expect(ann).to_contain_text(re.compile("Seen|Not seen yet"))
    await page.get_by_role("combobox", name="Role of Ann <b>Lee</b>").select_option("Agent")
    await expect(guest.page.get_by_role("link", name="Export")).to_be_visible()  # without a reload
    await ann.get_by_role("button", name="Actions for Ann <b>Lee</b>").click()
    await ann.get_by_role("button", name="Disable").click()
    await expect(ann).to_contain_text("Disabled")
    await expect(guest.page.get_by_text("Your session has ended.")).to_be_visible()
    await guest.page.get_by_label("Email").fill(email)
    await guest.page.get_by_label("Password").fill(NEW_PASSWORD)
    await guest.page.get_by_role("button", name="Sign in").click()
    await expect(guest.page.get_by_role("alert")).to_contain_text("wrong")

    me = page.locator(".person", has_text="(you)")
    await me.get_by_role("button", name=re.compile("Actions for")).click()
    await me.get_by_role("button", name="Disable").click()
    await expect(me.get_by_role("alert")).to_contain_text("last admin")


async def test_everybody_changes_the_own_password(service: Service, new_agent: NewAgent) -> None:
    tenant = await service.tenant(role="viewer")
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    page = agent.page
    await (await agent.open_account_menu()).get_by_role("link", name="Password").click()
    await page.get_by_label("Current password").fill("not this one")
    await page.get_by_label("New password").fill(NEW_PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("The current password is wrong.")
    await expect(page.get_by_label("Current password")).to_be_focused()
    await page.get_by_label("Current password").fill(PASSWORD)
    await page.get_by_role("button", name="Change password").click()
    await expect(page.get_by_text("Changed. Your other sessions have ended.")).to_be_visible()
    await agent.sign_out()
    await agent.sign_in(tenant, NEW_PASSWORD)
    await agent.live()


async def test_the_organization_is_set_up_and_its_name_is_in_the_bar(service: Service, new_agent: NewAgent) -> None:
    admin = await service.tenant(role="admin")
    agent = await new_agent(service.base_url)
    await agent.enter(admin, "/#/settings")
    page = agent.page
    name = f"Maple {uuid.uuid4().hex[:8]}"
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Time zone of figures").select_option("America/Toronto")
    await page.get_by_label("Recordings, in days").fill("90")
    await page.get_by_role("button", name="Save settings").click()
    await expect(page.get_by_text("Saved")).to_be_visible()
    await expect(page.locator(".bar-organization")).to_have_text(name)
    await page.reload()
    await expect(page.get_by_label("Recordings, in days")).to_have_value("90")
    await expect(page.get_by_label("Calls, in days")).to_have_value("")
    organization = (await admin.get("/api/organization")).body["organization"]
    assert (organization["name"], organization["timeZone"]) == (name, "America/Toronto")
    assert organization["retention"] == {"recordingsDays": 90, "callsDays": None}


async def test_a_retention_says_what_it_would_erase_before_it_does(service: Service, new_agent: NewAgent) -> None:
    admin = await service.tenant(role="admin")
    old = "2020-05-15T09:00:00Z"
    assert (await admin.post_call(sample(callStartTime=old))).status == 201
    agent = await new_agent(service.base_url)
    await agent.enter(admin, "/#/settings")
    page = agent.page
    await page.get_by_label("Calls, in days").fill("365")
    await page.get_by_role("button", name="Save settings").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Now 1 call")
    await dialog.get_by_role("button", name="Cancel").click()
    assert (await admin.get("/api/organization")).body["organization"]["retention"]["callsDays"] is None
    await page.get_by_role("button", name="Save settings").click()
    await dialog.get_by_role("button", name="Save and erase").click()
    await expect(page.get_by_text("Saved")).to_be_visible()
    assert (await admin.get("/api/organization")).body["organization"]["retention"]["callsDays"] == 365


async def test_a_viewer_reads_and_sees_nothing_else(service: Service, new_agent: NewAgent) -> None:
    organization = uuid.uuid4().hex
    vendor, viewer = await service.tenant(organization), await service.tenant(organization, role="viewer")
    posted = (await vendor.post_call(sample())).body
    agent = await new_agent(service.base_url)
    await agent.enter(viewer, f"/#/calls/{posted['callId']}")
    page = agent.page
    await expect(page.get_by_text("to which your role may not listen")).to_be_visible()
    await expect(page.locator(".turn").first).to_be_visible()
    await expect(page.get_by_role("button", name="Play")).to_have_count(0)
    await expect(page.get_by_role("link", name="Export")).to_have_count(0)
    await expect(page.get_by_role("link", name="Deliveries")).to_have_count(0)
    menu = await agent.open_account_menu()
    await expect(menu.get_by_role("link")).to_have_text(["Password"])
    await agent.open(f"/#/contacts/{posted['contactId']}")
    await expect(page.locator(".contact-call").first).to_be_visible()
    await expect(page.get_by_role("button", name="Rename")).to_have_count(0)
    await agent.open("/#/people")
    await expect(page.get_by_role("alert")).to_have_text("You may not manage people: ask an admin of your organization.")
