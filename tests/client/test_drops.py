"""Both directions of the client survive connections that break at any byte: each call once, each event once."""

from __future__ import annotations

import asyncio
import itertools
import random
from contextlib import aclosing

import pytest

from tests.client.drops import FAST, Drops, counting, dropping
from tests.support.service import Service, Tenant, missed
from tether_rt.client import Client, Event

AT_ONCE = 4
EVENTS = 3
"""Of a call that nobody answered."""
EVERY = pytest.mark.parametrize("step", [3, pytest.param(1, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
"""In bytes, between one cut and the next."""
RANDOM_BYTES = 2_500
"""A request, its answer, and more: the greeting of a WebSocket and several events."""


def client_at(url: str, tenant: Tenant) -> Client:
    return Client(url, api_key=tenant.api_key, token=tenant.token, retries=FAST)


async def send_until_over(client: Client, drops: Drops) -> dict[str, str]:
    """Send calls until there are no more drops; return their ids by `externalCallId`."""
    ids: dict[str, str] = {}

    async def work() -> None:
        while not drops.is_over:
            call = missed()
            ids[call["externalCallId"]] = (await client.send(call)).call_id

    async with asyncio.TaskGroup() as workers:
        for _ in range(AT_ONCE):
            workers.create_task(work())
    return ids


async def followed(client: Client, last: asyncio.Future[int]) -> list[Event]:
    """Return the events from the first to the one with that number."""
    events: list[Event] = []
    async with aclosing(aiter(client.follow(after="0"))) as feed:
        async for item in feed:
            assert isinstance(item, Event)
            events.append(item)
            if last.done() and item.seq == last.result():
                return events
    raise AssertionError("a feed has no end")


async def head_of(service: Service, tenant: Tenant) -> int:
    """Return the number of the last event."""
    counter = await service.database["counters"].find_one({"_id": tenant.organization_id})
    assert counter is not None
    return int(counter["seq"])


async def assert_stored_once(service: Service, tenant: Tenant, ids: dict[str, str]) -> None:
    cursor = service.database["calls"].find({"organizationId": tenant.organization_id})
    stored = [(call["providerCallId"], call["_id"]) for call in await cursor.to_list(None)]
    assert sorted(stored) == sorted(ids.items())


def assert_each_once(events: list[Event], head: int, ids: dict[str, str]) -> None:
    assert [event.seq for event in events] == list(range(1, head + 1))
    assert len({event.id for event in events}) == head
    ended = [event.data["callId"] for event in events if event.event == "call_ended"]
    assert sorted(ended) == sorted(ids.values())


@EVERY
async def test_a_call_is_stored_once_wherever_its_exchange_breaks(service_on_disk: Service, step: int) -> None:
    tenant = await service_on_disk.tenant()
    async with counting(tenant.base_url) as (proxy, pieces), client_at(f"http://127.0.0.1:{proxy.port}", tenant) as client:
        call = missed()
        ids = {call["externalCallId"]: (await client.send(call)).call_id}
    offsets = range(0, sum(pieces) + 1, step)
    async with dropping(tenant.base_url, iter(offsets)) as drops, client_at(drops.url, tenant) as client:
        ids |= await send_until_over(client, drops)
    assert set(drops.cut_at) >= set(offsets[:-8]), "the last connections may be whole when the calls end"
    await assert_stored_once(service_on_disk, tenant, ids)


@EVERY
async def test_each_event_comes_once_wherever_the_stream_breaks(service_on_disk: Service, step: int) -> None:
    """A call follows whenever the events of the one before have come, until a connection was cut everywhere."""
    tenant = await service_on_disk.tenant()
    async with counting(tenant.base_url) as (proxy, pieces), client_at(f"http://127.0.0.1:{proxy.port}", tenant) as client:
        first = asyncio.get_running_loop().create_future()
        first.set_result(EVENTS)
        call = missed()
        ids = {call["externalCallId"]: str((await tenant.post_call(call)).body["callId"])}
        await followed(client, first)
    offsets = range(0, sum(pieces) + 1, step)
    events: list[Event] = []
    async with (
        dropping(tenant.base_url, iter(offsets)) as drops,
        client_at(drops.url, tenant) as client,
        aclosing(aiter(client.follow(after="0"))) as feed,
    ):
        async for item in feed:
            assert isinstance(item, Event)
            events.append(item)
            if item.seq == EVENTS * len(ids):
                if drops.is_over:
                    break
                call = missed()
                ids[call["externalCallId"]] = str((await tenant.post_call(call)).body["callId"])
    assert drops.cut_at == list(offsets)
    assert_each_once(events, await head_of(service_on_disk, tenant), ids)


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
async def test_random_drops_lose_and_repeat_nothing(service_on_disk: Service, count: int) -> None:
    """Calls are sent and events followed at the same time, all through the same proxy."""
    tenant = await service_on_disk.tenant()
    chance = random.Random(count)
    offsets = (chance.randrange(RANDOM_BYTES) for _ in itertools.repeat(None, count))
    last: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with dropping(tenant.base_url, offsets) as drops, client_at(drops.url, tenant) as client:
        followers = [asyncio.create_task(followed(client, last)) for _ in range(2)]
        ids = await send_until_over(client, drops)
        call = missed()  # one more, so that nobody has seen the last event yet
        last.set_result(await head_of(service_on_disk, tenant) + EVENTS)
        ids[call["externalCallId"]] = (await client.send(call)).call_id
        seen = await asyncio.gather(*followers)
    assert len(drops.cut_at) > count * 0.99
    await assert_stored_once(service_on_disk, tenant, ids)
    for events in seen:
        assert_each_once(events, last.result(), ids)
