"""The cost of the first view: bytes and requests. Times are measured by the benchmark."""

from __future__ import annotations

from typing import Final

from playwright.async_api import expect

from tests.e2e.conftest import Agent, NewAgent, on_disk
from tests.support.service import Service, Tenant, sample

pytestmark = on_disk

MAX_BYTES: Final = 150_000
CALLS: Final = 50


async def _received(agent: Agent, tenant: Tenant) -> dict[str, float]:
    """Open the dashboard; return the bytes received until it is idle, by address."""
    tools = await agent.page.context.new_cdp_session(agent.page)
    await tools.send("Network.enable")
    addresses: dict[str, str] = {}
    sizes: dict[str, float] = {}
    tools.on("Network.requestWillBeSent", lambda event: addresses.update({event["requestId"]: event["request"]["url"]}))
    tools.on("Network.loadingFinished", lambda event: sizes.update({addresses[event["requestId"]]: event["encodedDataLength"]}))
    await agent.page.goto("about:blank")
    await agent.enter(tenant)
    await expect(agent.rows.first).to_be_visible()
    await agent.page.wait_for_load_state("networkidle")
    await tools.detach()
    return {url.removeprefix(agent.base_url): size for url, size in sizes.items() if size}


async def test_the_first_view_is_small_and_the_second_requests_only_what_may_have_changed(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    for _ in range(CALLS):
        await tenant.post_call(sample("appointment", voice=False, recording=..., status="busy"))
    agent = await new_agent(service.base_url)
    cold = await _received(agent, tenant)
    assert sum(cold.values()) < MAX_BYTES
    warm = await _received(agent, tenant)
    assert {path.partition("?")[0] for path in warm} == {"/", "/api/user", "/api/calls/history"}
