"""A real browser, and agents who use the dashboard in it.

Every page is watched: a script error, a violation of the Content-Security-Policy, a dialog or an unexpected line on the console
fails the test that opened it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from playwright.async_api import Browser, ConsoleMessage, Dialog, Locator, Page, async_playwright, expect

from tests.support.service import PASSWORD, Tenant

on_disk: Final = pytest.mark.parametrize("service", ["disk"], indirect=True)
"""For tests that do not depend on where recordings are kept."""

ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
TIMEOUT_MS: Final = 20_000
"""How long an expectation may take; no test depends on the time it took."""

# Chromium reports failed requests that tests provoke: a wrong password, a missing call, an unreachable server.
EXPECTED: Final = re.compile(r"Failed to load resource|WebSocket connection to")
_WATCH_POLICY: Final = """
addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""


@dataclass
class Agent:
    """An agent with a page of the dashboard."""

    page: Page
    base_url: str
    complaints: list[str] = field(default_factory=list)
    expected: re.Pattern[str] = EXPECTED
    """Lines on the console that the test provokes."""

    async def open(self, path: str = "/") -> None:
        """Go to an address of the dashboard."""
        await self.page.goto(self.base_url + path)

    async def sign_in(self, tenant: Tenant, password: str = PASSWORD) -> None:
        """Fill in the sign-in form and submit it."""
        await self.page.get_by_label("Email").fill(tenant.email)
        await self.page.get_by_label("Password").fill(password)
        await self.page.get_by_role("button", name="Sign in").click()

    async def enter(self, tenant: Tenant, path: str = "/") -> None:
        """Open the dashboard with an existing session and wait until it is live."""
        await self.page.context.add_cookies(
            [{"name": "tether_session", "value": tenant.token, "url": self.base_url, "httpOnly": True, "sameSite": "Strict"}]
        )
        await self.open(path)
        await self.live()

    async def open_account_menu(self) -> Locator:
        """Open the menu of the person who is signed in, and return it."""
        await self.page.get_by_role("button", name="Account:").click()
        return self.page.get_by_role("group", name="Account")

    async def sign_out(self) -> None:
        """Sign out through the account menu."""
        await (await self.open_account_menu()).get_by_role("button", name="Sign out").click()

    async def filter(self, name: str, choice: str) -> None:
        """Choose one of the filters whose panel is open."""
        await self.page.get_by_role("group", name=name, exact=True).get_by_role("radio", name=choice, exact=True).check()

    async def painted(self) -> None:
        """Wait until every change so far is painted."""
        await self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    async def scroll_list(self, pixels: int) -> None:
        """Scroll the list to a position in pixels."""
        await self.page.locator(".list-scroll").evaluate("(list, top) => list.scrollTo(0, top)", pixels)
        await self.painted()

    async def live(self) -> None:
        """Wait until the connection status is live."""
        await expect(self.connection).to_have_attribute("data-state", re.compile("live|caught-up"))

    @property
    def connection(self) -> Locator:
        return self.page.get_by_test_id("connection")

    @property
    def rows(self) -> Locator:
        return self.page.locator("[data-call-id]")

    def row(self, call_id: str) -> Locator:
        """Return the list's row of a call."""
        return self.page.locator(f'[data-call-id="{call_id}"]')

    async def call_ids(self) -> list[str]:
        """Return the ids of the rendered rows, from the top: the visible ones and some around them."""
        found: list[str] = await self.rows.evaluate_all("rows => rows.map((row) => row.dataset.callId)")
        return found

    async def all_call_ids(self) -> list[str]:
        """Scroll through the list and return the ids of all its calls, from the top."""
        seen: dict[str, None] = {}
        top = 0
        while True:
            await self.scroll_list(top)
            seen.update(dict.fromkeys(await self.call_ids()))
            is_end = await self.page.locator(".list-scroll").evaluate(
                "(l) => l.scrollTop + l.clientHeight >= l.scrollHeight - 1"
            )
            if is_end and await self.page.get_by_text("Loading older calls…").count() == 0:
                return list(seen)
            top += 400

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not self.expected.search(message.text):
            self.complaints.append(f"console: {message.text}")

    async def _dismiss(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    async def watch(self) -> None:
        """Record everything that must not happen."""
        await self.page.add_init_script(_WATCH_POLICY)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("dialog", self._dismiss)


NewAgent = Callable[..., Awaitable[Agent]]


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, or the one that Playwright installed."""
    expect.set_options(timeout=TIMEOUT_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(ARGUMENTS))
        yield browser
        await browser.close()


@pytest.fixture
async def new_agent(browser: Browser) -> AsyncIterator[NewAgent]:
    """Create an agent: in a browser context of its own with `options`, or in the context of `beside`."""
    agents: list[Agent] = []

    async def create(base_url: str, *, beside: Agent | None = None, **options: Any) -> Agent:
        context = beside.page.context if beside else await browser.new_context(**{"locale": "en-GB", **options})
        context.set_default_timeout(TIMEOUT_MS)
        agent = Agent(await context.new_page(), base_url)
        await agent.watch()
        agents.append(agent)
        return agent

    yield create
    for context in {agent.page.context for agent in agents}:
        await context.close()
    assert [complaint for agent in agents for complaint in agent.complaints] == []
