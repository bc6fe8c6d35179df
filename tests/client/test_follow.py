"""Following with the Python client: positions, gaps that are told, silence, and tokens that end."""

from __future__ import annotations

import asyncio
import itertools
import re
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.drops import FAST
from tests.conftest import settings_on
from tests.support.proxy import proxy_to
from tests.support.service import Service, Tenant, missed, running
from tests.support.waiting import eventually
from tether_rt.client import Client, Event, EventData, Feed, Refused, Resync, Unauthorized
from tether_rt.client.items import Cursor, MissingEvent
from tether_rt.domain.contract import load_contract


@pytest.fixture
async def tenant(service_on_disk: Service) -> Tenant:
    return await service_on_disk.tenant()


def client_of(tenant: Tenant, url: str = "", **options: Any) -> Client:
    return Client(url or tenant.base_url, token=tenant.token, retries=FAST, **options)


async def items_of(feed: Feed, count: int) -> list[Event | Resync]:
    async with aclosing(aiter(feed)) as items:
        return [await anext(items) for _ in range(count)]


async def test_events_are_typed_and_a_position_goes_on_behind_one(tenant: Tenant) -> None:
    call_id = (await tenant.post_call(missed())).body["callId"]
    async with client_of(tenant) as client:
        events = await items_of(client.follow("0"), 3)
        first = events[0]
        assert isinstance(first, Event)
        assert (first.seq, first.event, first.id) == (1, "call_initiated", f"{call_id}:call_initiated")
        assert first.at.tzinfo is not None
        assert first.data["callId"] == call_id
        assert first.message["data"] == first.data
        rest = await items_of(client.follow(first.position), 2)
    assert rest == events[1:]
    assert [event.position.partition(".")[2] for event in events] == ["1", "2", "3"]


async def test_without_a_position_it_begins_now_and_knows_where(tenant: Tenant) -> None:
    await tenant.post_call(missed())
    async with client_of(tenant) as client:
        feed = client.follow()
        assert feed.position is None
        async with aclosing(aiter(feed)) as items:
            task = asyncio.ensure_future(anext(items))
            await eventually(lambda: feed.position)
            assert feed.position is not None
            assert feed.position.endswith(".3")
            await tenant.post_call(missed())
            assert (await task).seq == 4
    assert feed.position.endswith(".4")


@pytest.mark.parametrize("position", ["abc.1", "999"])
async def test_what_cannot_be_had_is_told_and_it_goes_on_behind(tenant: Tenant, position: str) -> None:
    await tenant.post_call(missed())
    async with client_of(tenant) as client, aclosing(aiter(client.follow(position))) as items:
        told = await anext(items)
        assert isinstance(told, Resync)
        assert told.seq == 3
        assert told.reason
        await tenant.post_call(missed())
        event = await anext(items)
        assert isinstance(event, Event)
        assert event.seq == 4
        assert event.position.partition(".")[0] == told.position.partition(".")[0]


async def test_a_server_that_falls_silent_is_left(service_on_disk: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two heartbeats without even a ping: the path has died without a word."""
    tenant = await service_on_disk.tenant()
    monkeypatch.setattr(service_on_disk.server.app.hub, "heartbeat_s", 0.2)
    told: list[str] = []
    port = int(tenant.base_url.rpartition(":")[2])
    await tenant.post_call(missed())
    async with proxy_to("127.0.0.1", port) as proxy:

        def note(reason: str, _wait_s: float) -> None:
            told.append(reason)
            proxy.thaw()

        url = f"http://127.0.0.1:{proxy.port}"
        async with client_of(tenant, url, on_retry=note) as client, aclosing(aiter(client.follow("0"))) as items:
            events = [await anext(items) for _ in range(3)]
            proxy.freeze()
            await tenant.post_call(missed())
            events += [await anext(items) for _ in range(3)]
    assert [event.seq for event in events] == [1, 2, 3, 4, 5, 6]
    assert told[0] == "the server is silent"


async def test_a_server_that_is_replaced_is_found_again(mongodb_uri: str, tmp_path: Path) -> None:
    settings = settings_on(mongodb_uri, tmp_path)
    async with running(settings) as first:
        tenant = await first.tenant()
        settings = replace(settings, port=int(first.base_url.rpartition(":")[2]))
        await tenant.post_call(missed())
        async with client_of(tenant) as client, aclosing(aiter(client.follow("0"))) as items:
            events = [await anext(items) for _ in range(3)]
            following = asyncio.ensure_future(anext(items))
            await first.server.stop()
            async with running(settings) as second:
                tenant.http = second.http
                await tenant.post_call(missed())
                events += [await following, await anext(items), await anext(items)]
    assert [event.seq for event in events] == [1, 2, 3, 4, 5, 6]


async def test_a_session_that_ends_is_told_and_the_next_goes_on(tenant: Tenant) -> None:
    await tenant.post_call(missed())
    async with client_of(tenant) as client:
        feed = client.follow("0")
        async with aclosing(aiter(feed)) as items:
            for _ in range(3):
                await anext(items)
            assert (await tenant.post("/api/auth/logout")).status == 200
            with pytest.raises(Unauthorized, match="session has expired or was ended"):
                await anext(items)
        with pytest.raises(Unauthorized, match="does not know the token"):
            await items_of(client.follow(feed.position), 1)
    answer = await tenant.request(
        "POST", "/api/auth/login", json={"email": tenant.email, "password": "correct horse battery staple"}
    )
    tenant.token = answer.body["token"]
    await tenant.post_call(missed())
    async with client_of(tenant) as client:
        assert [item.seq for item in await items_of(client.follow(feed.position), 2)] == [4, 5]


async def test_a_read_token_follows_if_it_has_the_scope_and_until_it_is_revoked(service_on_disk: Service) -> None:
    admin = await service_on_disk.tenant(role="admin")
    await admin.post_call(missed())

    async def made(scope: str) -> tuple[str, Tenant]:
        body = (await admin.post("/api/tokens", {"name": scope, "scopes": [scope]})).body
        return body["readToken"]["id"], replace(admin, token=body["token"])

    _, reader = await made("calls")
    async with client_of(reader) as client:
        with pytest.raises(Refused, match="403: The token may not follow events: a read token needs the scope feed"):
            await items_of(client.follow("0"), 1)
    token_id, follower = await made("feed")
    async with client_of(follower) as client, aclosing(aiter(client.follow("0"))) as items:
        assert [(await anext(items)).seq for _ in range(3)] == [1, 2, 3]
        revoked = await admin.request("DELETE", f"/api/tokens/{token_id}", token=admin.token)
        assert revoked.status == 200
        with pytest.raises(Unauthorized):
            await anext(items)


@given(st.lists(st.integers(min_value=0, max_value=6), max_size=60))
def test_whatever_comes_each_number_is_yielded_once_and_in_order(numbers: list[int]) -> None:
    """Repeats are dropped, and a gap is an error behind which the cursor has not moved."""
    cursor = Cursor("e.0")
    yielded = []
    for number in numbers:
        message = {"event": "x", "seq": number, "id": f"{number}", "at": "2026-05-15T09:10:00.000Z", "data": {}}
        before = cursor.position
        try:
            item = cursor.take(message)
        except MissingEvent:
            assert cursor.position == before
            continue
        if item is not None:
            assert item.position == cursor.position == f"e.{number}"
            yielded.append(item.seq)
    assert yielded == list(itertools.islice(itertools.count(1), len(yielded)))


@pytest.mark.parametrize("after", ["", "x", "1.", "-1", "g.1", "e.1.2", "1 ", "٣"])
def test_what_is_no_position_is_refused(after: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(after))):
        Cursor(after)


def test_the_types_have_every_field_of_every_event() -> None:
    schemas = orjson.loads(load_contract().asyncapi_json())["components"]["schemas"].values()
    data = [schema["properties"]["data"] for schema in schemas if "data" in schema.get("properties", {})]
    assert len(data) > 8
    assert EventData.__annotations__.keys() == {field for one in data for field in one.get("properties", {})}
