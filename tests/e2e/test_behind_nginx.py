"""The dashboard behind a real nginx, with TLS and HTTP/2: nothing that it asks for lies outside of the server's own path."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, expect

from tests.conftest import settings_on
from tests.e2e.conftest import NewAgent
from tests.support.nginx import Nginx, nginx
from tests.support.service import Service, Tenant, running, sample

BASE: Final = "/tether"
PAGES: Final = {
    "#/analytics": "Analytics",
    "#/developer": "API key",
    "#/deliveries": "Deliveries",
    "#/sources": "Sources",
    "#/payload-test": "Test a payload",
    "#/audit": "Audit log",
    "#/people": "People",
    "#/settings": "Settings",
    "#/password": "password",
}
"""Pages of the dashboard, and a word of theirs."""


@pytest.fixture(scope="module", params=["", BASE], ids=["at the root", "below a path"])
async def front(
    request: pytest.FixtureRequest, mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Service, Nginx]]:
    """A server and the nginx in front of it."""
    folder = tmp_path_factory.mktemp("nginx")
    settings = settings_on(mongodb_uri, folder / "data", base_path=request.param, trusted_proxies="127.0.0.1")
    async with (
        running(settings) as service,
        nginx(folder / "nginx", [service.base_url], below_path=bool(request.param)) as proxy,
    ):
        yield service, proxy


below_a_path: Final = pytest.mark.parametrize("front", [BASE], ids=["below a path"], indirect=True)


class Requests:
    """What a page asks for."""

    def __init__(self, page: Page, base: str) -> None:
        self.base = base
        self.asked: set[str] = set()
        self.failed: list[str] = []
        page.on("request", lambda request: self.asked.add(request.url))
        page.on("websocket", lambda socket: self.asked.add(socket.url))
        page.on("response", lambda got: self.failed.append(f"{got.status} {got.url}") if got.status >= 400 else None)

    def require_own(self) -> None:
        """Fail for a request outside of the server's path, and for one that is not answered."""
        own = {urlsplit(url).path for url in self.asked if not url.startswith(("data:", "blob:"))}
        assert [path for path in own if not path.startswith(f"{self.base}/")] == []
        assert f"{self.base}/ws" in own
        # The first question is whether somebody is signed in.
        assert [line for line in self.failed if not line.startswith("401 ")] == []


async def test_an_agent_works_behind_nginx(front: tuple[Service, Nginx], new_agent: NewAgent) -> None:
    service, proxy = front
    through = proxy.tenant(await service.tenant(role="admin"))
    base = service.server.settings.base_path
    agent = await new_agent(through.base_url, ignore_https_errors=True)
    page, requests = agent.page, Requests(agent.page, base)
    await agent.open("/")
    await agent.sign_in(through)
    await agent.live()
    await expect(page.get_by_label("Command")).to_contain_text(f"curl -sS {through.base_url}/api/calls/ingest")
    (cookie,) = await page.context.cookies()
    assert (cookie["path"], cookie["secure"], cookie["sameSite"]) == (f"{base}/", True, "Strict")

    call_id = (await through.post_call(sample("appointment"))).body["callId"]
    await expect(agent.row(call_id)).to_be_visible()
    async with page.expect_download() as saving:
        await page.get_by_role("link", name="Export").click()
    assert f"{through.base_url}/#/calls/{call_id}" in (await (await saving.value).path()).read_text()
    await agent.row(call_id).get_by_role("link").click()
    await expect(page.get_by_role("heading", name="Priya Nair")).to_be_focused()
    assert page.url == f"{through.base_url}/#/calls/{call_id}"
    async with page.expect_response(re.compile("/api/recordings/")) as played:
        await page.get_by_role("button", name="Play", exact=True).click()
    assert (await played.value).status == 206
    await page.wait_for_function("() => document.querySelector('audio').currentTime > 0.3")

    for address, word in PAGES.items():
        await page.goto(f"{through.base_url}/{address}")
        await expect(page.locator("#app")).to_contain_text(word)
    await _is_what_the_server_hands_out(agent.page, through, proxy)
    requests.require_own()

    await agent.open("/")
    await agent.sign_out()
    await expect(page.get_by_label("Email")).to_be_visible()
    assert await page.context.cookies() == []


async def _is_what_the_server_hands_out(page: Page, through: Tenant, proxy: Nginx) -> None:
    """The address of a webhook, of an invitation, and in the commands."""
    source = (await through.post("/api/sources", {"name": "Lines", "kind": "twilio", "secrets": ["x" * 32]})).body["source"]
    await page.goto(f"{through.base_url}/#/sources/{source['id']}")
    await expect(page.get_by_test_id("webhook-address")).to_have_text(proxy.url + source["webhookPath"])
    person = {"email": "lee@example.com", "fullName": "Ann Lee", "role": "agent"}
    path = (await through.post("/api/users/invite", person)).body["path"]
    await page.goto(proxy.url + path)
    await expect(page.get_by_text("Welcome, Ann Lee.")).to_be_visible()
    for address, place in (("/docs", "Command"), ("/docs/vendor", "Variables")):
        await page.goto(through.base_url + address)
        await expect(page.get_by_label(place, exact=True).first).to_contain_text(through.base_url)
        await page.wait_for_load_state("networkidle")


@below_a_path
async def test_an_invitation_leads_into_the_dashboard(front: tuple[Service, Nginx], new_agent: NewAgent) -> None:
    service, proxy = front
    through = proxy.tenant(await service.tenant(role="admin"))
    person = {"email": "tom@example.com", "fullName": "Tom Becker", "role": "agent"}
    path = (await through.post("/api/users/invite", person)).body["path"]
    agent = await new_agent(through.base_url, ignore_https_errors=True)
    requests = Requests(agent.page, service.server.settings.base_path)
    await agent.page.goto(proxy.url + path)
    await agent.page.get_by_label("New password").fill("seven quiet harbours")
    await agent.page.get_by_role("button", name="Join").click()
    await agent.live()
    assert agent.page.url == f"{through.base_url}/"
    requests.require_own()


@below_a_path
async def test_the_dashboard_opens_where_the_path_has_no_slash(front: tuple[Service, Nginx], new_agent: NewAgent) -> None:
    service, proxy = front
    agent = await new_agent(proxy.url, ignore_https_errors=True)
    await agent.open(service.server.settings.base_path)
    await expect(agent.page.get_by_label("Email")).to_be_visible()
    assert urlsplit(agent.page.url).path == f"{service.server.settings.base_path}/"
