"""Takes the screenshots in `docs/images`: `python -m tests.e2e.screenshots`.

Every view in light, dark and on a phone, from a real server with a month of sample calls, the same each time.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, Page, async_playwright, expect

from tests.conftest import settings_on
from tests.e2e.conftest import ARGUMENTS
from tests.support.service import PASSWORD, ROOT, Service, Tenant, running
from tether_rt import accounts
from tether_rt.demo import samples
from tether_rt.demo.simulation import sample_call
from tether_rt.mongo.private_mongod import PrivateMongod

IMAGES: Final = ROOT / "docs/images"
CALLS: Final = 260
WINDOW: Final = {"width": 1200, "height": 740}
PHONE: Final = {"width": 390, "height": 844}
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "light": {"color_scheme": "light", "viewport": WINDOW},
    "dark": {"color_scheme": "dark", "viewport": WINDOW},
    "phone": {"color_scheme": "light", "viewport": PHONE, "device_scale_factor": 1.5},
}


async def _person(service: Service) -> Tenant:
    secret = service.server.settings.resolve_secret()
    person = accounts.Person("Maple Dental", "robin@example.com", "Robin Vale", "agent")
    added = await accounts.add_user(service.database, secret, person, PASSWORD)
    return Tenant(service.base_url, service.http, added.user_id, added.organization_id, person.email, added.api_key)


async def _fill(service: Service, tenant: Tenant) -> dict[str, Any]:
    """Post calls dated over the last month, most of them in the last hour; return the response to the last one."""
    chance = random.Random(20)
    now = datetime.now(UTC)
    ages_s = sorted(
        (chance.expovariate(1 / 1500) if at % 5 < 2 else chance.uniform(0, 29 * 86_400) for at in range(CALLS)), reverse=True
    )
    answer: dict[str, Any] = {}
    for at, age_s in enumerate(ages_s):
        kinds = samples.COMPLETED if at % 4 or at == CALLS - 1 else samples.UNANSWERED
        name = "appointment" if at == CALLS - 1 else chance.choice(kinds)
        started = now - timedelta(seconds=age_s + 40)
        answer = (await tenant.post_call(sample_call(chance, name, started))).body
        # As if it had been posted when it started.
        await service.database["calls"].update_one({"_id": answer["callId"]}, {"$set": {"createdAt": started}})
    for name, days in (("appointment", 3), ("no-answer", 2), ("appointment", 1)):  # a contact with a history
        call = sample_call(chance, name, now - timedelta(days=days, hours=chance.uniform(0, 5)))
        latest = await service.database["calls"].find_one({"_id": answer["callId"]})
        assert latest is not None
        posted = (await tenant.post_call({**call, "toNumber": latest["to"]})).body
        await service.database["messages"].update_one(
            {"callId": posted["callId"]}, {"$set": {"createdAt": now - timedelta(days=days)}}
        )
    return answer


async def _take(browser: Browser, tenant: Tenant, look: str, posted: dict[str, Any]) -> None:
    context = await browser.new_context(locale="en-GB", timezone_id="America/Toronto", reduced_motion="reduce", **LOOKS[look])
    page = await context.new_page()
    await page.goto(tenant.base_url)
    await page.get_by_label("Email").fill(tenant.email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "live")

    async def shoot(name: str, path: str, sign: str) -> None:
        await page.goto(f"{tenant.base_url}/{path}")
        await expect(page.locator(sign).first).to_be_visible()
        await page.mouse.move(2, 2)
        await page.wait_for_timeout(600)  # what is drawn later: the waveform, the fonts
        await page.screenshot(path=IMAGES / f"{name}-{look}.png")

    await shoot("list", "#/", ".row")
    await page.goto(f"{tenant.base_url}/#/calls/{posted['callId']}?search=friday")
    await expect(page.locator(".turn mark").first).to_be_visible()
    await _listen(page)
    await page.screenshot(path=IMAGES / f"call-{look}.png")
    await shoot("contact", f"#/contacts/{posted['contactId']}", ".contact-call")
    await shoot("analytics", "#/analytics", ".tile")
    await shoot("developer", "#/developer", ".snippet")
    await context.close()


async def _listen(page: Page) -> None:
    await page.locator(".turn-seek").nth(3).click()
    await page.wait_for_function("() => document.querySelector('audio').currentTime > 14")
    await page.get_by_role("button", name="Pause", exact=True).last.click()
    await page.locator(".call").evaluate("(call) => call.scrollTo(0, 0)")
    await page.mouse.move(2, 2)
    await page.wait_for_timeout(400)


async def _main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        mongod = PrivateMongod(Path(folder) / "mongod")
        try:
            settings = settings_on(await mongod.start(), Path(folder) / "data")
            async with running(settings) as service, async_playwright() as playwright:
                tenant = await _person(service)
                posted = await _fill(service, tenant)
                browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(ARGUMENTS))
                for look in LOOKS:
                    await _take(browser, tenant, look, posted)
                await browser.close()
        finally:
            await mongod.stop()


if __name__ == "__main__":
    asyncio.run(_main())
