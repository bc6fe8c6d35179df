"""The bar of the dashboard: the way back to the list, and the menu of the person who is signed in."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.e2e.conftest import NewAgent, on_disk
from tests.support.service import PASSWORD, Service, Tenant, missed

pytestmark = on_disk

LIGHT, DARK = "rgb(246, 247, 246)", "rgb(17, 19, 20)"


async def _ground(page: Page) -> str:
    return str(await page.evaluate("() => getComputedStyle(document.body).backgroundColor"))


async def test_the_brand_leads_to_all_calls(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    call_id = (await tenant.post_call(missed())).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, "/#/calls?status=completed")
    await expect(agent.row(call_id)).to_have_count(0)
    await agent.page.get_by_role("link", name="tether").click()
    await expect(agent.row(call_id)).to_be_visible()


async def test_the_account_menu_names_the_person_and_leads_to_what_is_theirs(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    page = agent.page
    await expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="Developer")).to_have_count(0)
    menu = await agent.open_account_menu()
    await expect(menu.get_by_text(tenant.email)).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(menu).to_have_count(0)
    await expect(page.get_by_role("button", name="Account:")).to_be_focused()

    menu = await agent.open_account_menu()
    await menu.get_by_role("button", name="Keyboard shortcuts").click()
    await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    await page.get_by_role("button", name="Close", exact=True).click()

    menu = await agent.open_account_menu()
    await menu.get_by_role("link", name="API key & developer").click()
    await expect(page.get_by_role("heading", name="Developer")).to_be_visible()
    await expect(menu).to_have_count(0)

    await agent.open_account_menu()
    await page.get_by_role("heading", name="Developer").click()
    await expect(menu).to_have_count(0)


async def test_the_theme_is_chosen_kept_and_told_to_other_windows(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    agent = await new_agent(service.base_url, color_scheme="light")
    await agent.enter(tenant)
    other = await new_agent(service.base_url, beside=agent)
    await other.open("/docs/vendor")
    assert await _ground(agent.page) == LIGHT

    menu = await agent.open_account_menu()
    await menu.get_by_role("button", name="Dark").click()
    for page in (agent.page, other.page):
        await page.wait_for_function("(dark) => getComputedStyle(document.body).backgroundColor === dark", arg=DARK)
    await agent.page.reload()
    await agent.live()
    assert await _ground(agent.page) == DARK

    menu = await agent.open_account_menu()
    await expect(menu.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
    await menu.get_by_role("button", name="System").click()
    await agent.page.wait_for_function("(light) => getComputedStyle(document.body).backgroundColor === light", arg=LIGHT)
    await agent.page.emulate_media(color_scheme="dark")
    await agent.page.wait_for_function("(dark) => getComputedStyle(document.body).backgroundColor === dark", arg=DARK)


async def test_the_sign_in_page_shows_the_password_and_says_who_helps(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    agent = await new_agent(service.base_url)
    await agent.open()
    page = agent.page
    await expect(page.get_by_text("An admin of your organization can send you a link.")).to_be_visible()
    password = page.get_by_label("Password")
    await password.fill("not the password")
    await page.get_by_role("button", name="Show").click()
    await expect(password).to_have_attribute("type", "text")
    await page.get_by_role("button", name="Hide").click()
    await expect(password).to_have_attribute("type", "password")
    await expect(password).to_have_value("not the password")
    await agent.sign_in(tenant)
    await agent.live()


async def test_the_email_is_kept_when_a_session_ends_and_not_when_its_user_signs_out(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    agent = await new_agent(service.base_url)
    await agent.open()
    await agent.sign_in(tenant)
    await agent.live()
    await agent.page.context.clear_cookies()
    for _ in range(2):
        await agent.page.reload()
        await expect(agent.page.get_by_label("Email")).to_have_value(tenant.email)
        await expect(agent.page.get_by_label("Password")).to_be_focused()
    await agent.page.get_by_label("Password").fill(PASSWORD)
    await agent.page.keyboard.press("Enter")
    await agent.live()
    await agent.sign_out()
    await expect(agent.page.get_by_label("Email")).to_have_value("")
    await agent.page.reload()
    await expect(agent.page.get_by_label("Email")).to_have_value("")
    await expect(agent.page.get_by_label("Email")).to_be_focused()
