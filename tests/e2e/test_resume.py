"""Whatever happens to the connection, every call is shown exactly once."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import expect

from tests.e2e.conftest import NewAgent, on_disk
from tests.support.people import signed_in
from tests.support.proxy import Proxy, proxy_to
from tests.support.service import ServerProcess, Service, Tenant, missed


@asynccontextmanager
async def _proxied(service: Service) -> AsyncIterator[tuple[Proxy, str]]:
    """Run a proxy in front of a server; return it and the dashboard's address through it."""
    address = urlsplit(service.base_url)
    assert address.hostname is not None
    assert address.port is not None
    async with proxy_to(address.hostname, address.port) as proxy:
        yield proxy, f"http://127.0.0.1:{proxy.port}"


async def _post(tenant: Tenant, count: int) -> list[str]:
    return [(await tenant.post_call(missed())).body["callId"] for _ in range(count)]


@on_disk
async def test_calls_that_arrive_while_the_connection_is_cut_are_shown_after_it(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    async with _proxied(service) as (proxy, url):
        agent = await new_agent(url)
        await agent.enter(tenant)
        before = await _post(tenant, 2)
        await expect(agent.row(before[-1])).to_be_visible()

        await proxy.refuse()
        await expect(agent.connection).to_have_attribute("data-state", "reconnecting")
        meanwhile = await _post(tenant, 3)
        await proxy.listen()

        await expect(agent.connection).to_have_text(re.compile("Caught up on 9"))
        assert await agent.call_ids() == [*reversed(meanwhile), *reversed(before)]
        after = await _post(tenant, 1)
        await expect(agent.row(after[0])).to_be_visible()
        assert await agent.call_ids() == [*after, *reversed(meanwhile), *reversed(before)]


@on_disk
async def test_a_connection_that_is_cut_again_and_again_loses_nothing(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    async with _proxied(service) as (proxy, url):
        agent = await new_agent(url)
        await agent.enter(tenant)
        posting = asyncio.create_task(_post(tenant, 40))
        while not posting.done():
            await proxy.refuse()
            await asyncio.sleep(0.02)
            await proxy.listen()
            await asyncio.wait({posting}, timeout=0.4)
        posted = await posting
        await expect(agent.connection).to_have_attribute("data-seq", str(3 * len(posted)))
        await expect(agent.row(posted[-1])).to_be_visible()
        assert await agent.all_call_ids() == posted[::-1]


@on_disk
async def test_a_restored_database_is_loaded_again(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    kept, *lost = await _post(tenant, 3)
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    await expect(agent.connection).to_have_attribute("data-seq", "9")

    # What `mongorestore --drop` leaves of a backup that was made after the first call.
    feed = service.database["feed"]
    segments = await feed.find({"organizationId": tenant.organization_id, "last": {"$lte": 3}}).to_list(None)
    await service.database["calls"].delete_many({"_id": {"$in": lost}})
    await service.database["counters"].update_one({"_id": tenant.organization_id}, {"$set": {"seq": 3}})
    await feed.drop()
    await feed.insert_many(segments)

    await expect(agent.connection).to_have_attribute("data-seq", "3")
    await agent.live()
    await expect(agent.row(lost[0])).to_have_count(0)
    assert await agent.call_ids() == [kept]
    after = await _post(tenant, 1)
    await expect(agent.row(after[0])).to_be_visible()
    assert await agent.call_ids() == [*after, kept]


@on_disk
async def test_a_first_page_that_fails_is_retried(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    posted = await _post(tenant, 1)
    agent = await new_agent(service.base_url)
    await agent.page.route(
        "**/api/calls/history*",
        lambda route: route.fulfill(status=503, json={"success": False, "error": "MongoDB is away."}),
        times=1,
    )
    await agent.enter(tenant)
    await expect(agent.page.get_by_text("MongoDB is away.")).to_be_visible()
    await agent.page.get_by_role("button", name="Retry now").click()
    await expect(agent.row(posted[0])).to_be_visible()


async def test_the_page_reconnects_to_a_restarted_server(mongodb_uri: str, tmp_path: Path, new_agent: NewAgent) -> None:
    process = ServerProcess(tmp_path, MONGODB_URI=mongodb_uri, TETHER_DATABASE=f"t{uuid.uuid4().hex[:12]}")
    await process.start()
    try:
        async with signed_in(process, mongodb_uri) as tenant:
            agent = await new_agent(process.url)
            await agent.enter(tenant)
            before = await _post(tenant, 1)
            await expect(agent.row(before[0])).to_be_visible()
            for end in (process.kill, process.stop):
                await end()
                await expect(agent.connection).to_have_attribute("data-state", "reconnecting")
                await process.start()
                await agent.live()
            after = await _post(tenant, 1)
            await expect(agent.row(after[0])).to_be_visible()
            assert await agent.call_ids() == [*after, *before]
    finally:
        await process.stop()
