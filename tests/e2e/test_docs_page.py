"""The page at /docs: what one does first, and the reference in the dashboard's colours."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import NewAgent, on_disk
from tests.support.service import Service

pytestmark = on_disk


async def test_the_first_screen_says_what_one_does_first(service: Service, new_agent: NewAgent) -> None:
    agent = await new_agent(service.base_url, viewport={"width": 1024, "height": 768})
    await agent.open("/docs")
    page = agent.page
    await expect(page.get_by_role("heading", name="Send your first call")).to_be_in_viewport()
    command = page.get_by_label("Command")
    await expect(command).to_be_in_viewport(ratio=1)
    await expect(command).to_contain_text(f"curl -sS {service.base_url}/api/calls/ingest")
    await expect(page.locator(".information-container")).to_be_hidden()
    await page.get_by_role("link", name="Read the guide").click()
    await expect(page.get_by_role("heading", name="Send calls to Tether")).to_be_visible()
    await page.get_by_role("link", name="API reference").first.click()
    await page.get_by_role("link", name="tether", exact=True).click()
    await expect(page.get_by_label("Email")).to_be_visible()


@pytest.mark.parametrize(("scheme", "ground", "surface"), [("light", "rgb(246, 247, 246)", "rgb(255, 255, 255)"),
                                                           ("dark", "rgb(17, 19, 20)", "rgb(24, 27, 29)")])  # fmt: skip
async def test_the_reference_has_the_dashboards_colours(
    service: Service, new_agent: NewAgent, scheme: str, ground: str, surface: str
) -> None:
    agent = await new_agent(service.base_url, color_scheme=scheme)
    await agent.open("/docs")
    colour = "(element) => getComputedStyle(element).backgroundColor"
    assert await agent.page.locator("body").evaluate(colour) == ground
    await agent.page.locator("#operations-Calls-post_calls_validate .opblock-summary-control").click()
    await expect(agent.page.get_by_role("heading", name="Responses")).to_be_visible()
    assert await agent.page.locator(".opblock").first.evaluate(colour) == surface
