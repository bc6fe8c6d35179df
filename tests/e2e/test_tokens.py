"""The page of read tokens: an admin makes one, tries it as the page says, and revokes it."""

from __future__ import annotations

import asyncio
import json
import re
import shlex

from playwright.async_api import expect

from tests.e2e.conftest import NewAgent, on_disk
from tests.support.service import Service, missed, sample

pytestmark = on_disk


async def test_a_token_is_made_tried_as_the_page_says_and_revoked(service: Service, new_agent: NewAgent) -> None:
    admin = await service.tenant(role="admin")
    agent = await new_agent(service.base_url, permissions=["clipboard-read", "clipboard-write"])
    await agent.enter(admin)
    page = agent.page
    await (await agent.open_account_menu()).get_by_role("link", name="Read tokens").click()
    await expect(page.get_by_text("No read tokens yet.")).to_be_visible()
    await page.get_by_role("button", name="New token").click()
    await expect(page.get_by_label("Name")).to_be_focused()
    await page.keyboard.type("Wall <b>board</b>")
    await page.get_by_role("checkbox", name="Events").uncheck()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("Choose what the token reads.")
    await page.get_by_role("checkbox", name="Events").check()
    await page.get_by_role("checkbox", name="Calls").check()
    await page.get_by_label("Expires").select_option("1 year")
    await page.get_by_role("button", name="Make token").click()
    await expect(page.get_by_role("heading", name="Token for Wall <b>board</b>")).to_be_focused()
    await page.get_by_role("button", name="Copy command").click()
    command = await page.evaluate("() => navigator.clipboard.readText()")
    assert command == await page.get_by_test_id("command").inner_text()
    row = page.locator(".token")
    await expect(row).to_contain_text(re.compile("Events, Calls · made .* by Agent Smith"))
    await expect(row).to_contain_text(re.compile("Until .* · not used yet"))

    curl = await asyncio.create_subprocess_exec(*shlex.split(command), "-s", stdout=asyncio.subprocess.PIPE)
    assert curl.stdout is not None
    messages: list[str] = []
    async with asyncio.timeout(60):
        while len(messages) < 4:
            line = (await curl.stdout.readline()).decode()
            if line.startswith("data: "):
                messages.append(json.loads(line.removeprefix("data: "))["event"])
                if messages == ["hello"]:
                    assert (await admin.post_call(missed())).status == 201
    assert messages == ["hello", "call_initiated", "call_ended", "fetch_messages"]

    await page.get_by_role("button", name="Revoke Wall <b>board</b>").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Revoke “Wall <b>board</b>”?")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(row).to_be_visible()
    await page.get_by_role("button", name="Revoke Wall <b>board</b>").click()
    await dialog.get_by_role("button", name="Revoke token").click()
    await expect(row).to_have_count(0)
    await expect(page.get_by_test_id("token")).to_have_count(0)
    async with asyncio.timeout(60):
        assert await curl.wait() == 0, "the stream has ended as a whole answer"


async def test_the_audit_log_names_the_token_that_listened(service: Service, new_agent: NewAgent) -> None:
    admin = await service.tenant(role="admin")
    made = (await admin.post("/api/tokens", {"name": "Archive", "scopes": ["recordings"]})).body
    call_id = (await admin.post_call(sample())).body["callId"]
    listened = await admin.request("GET", f"/api/calls/{call_id}/recording", token=made["token"])
    assert listened.status == 200
    agent = await new_agent(service.base_url)
    await agent.enter(admin)
    page = agent.page
    await agent.open("/#/audit?what=listened")
    entry = page.locator("[data-audit-id]")
    await expect(entry).to_contain_text("Archive with a read token")
    await entry.get_by_role("link", name="Archive").click()
    await expect(page).to_have_url(re.compile(f"who={made['readToken']['id']}"))
    await expect(entry).to_have_count(1)
    await expect(page.get_by_label("Who")).to_have_value(made["readToken"]["id"])


async def test_only_admins_see_the_page(service: Service, new_agent: NewAgent) -> None:
    tenant = await service.tenant(role="agent")
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    menu = await agent.open_account_menu()
    await expect(menu.get_by_role("link", name="Password")).to_be_visible()
    await expect(menu.get_by_role("link", name="Read tokens")).to_have_count(0)
