"""Who may open a dashboard's stream, and what happens to a client that sends something."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from tests.hub.harness import Process, RawClient, SignedIn, World, process_in, proxy_in_front_of
from tests.support.refusals import sentence_of
from tests.support.waiting import eventually
from tether_rt.auth.credentials import Keyring
from tether_rt.mongo.sessions import Sessions

NO_UPGRADE = {"Connection": "", "Upgrade": "", "Sec-WebSocket-Version": "", "Sec-WebSocket-Key": ""}


def bearer(who: SignedIn) -> dict[str, str]:
    return {"Authorization": f"Bearer {who.token}"}


def cookie(who: SignedIn) -> dict[str, str]:
    return {"Cookie": f"tether_session={who.token}"}


# ---------------------------------------------------------------------- three ways in


@pytest.mark.parametrize("origin", [None, "own", "https://allowed.example"])
async def test_a_token_in_the_header_opens(process: Process, agent: SignedIn, origin: str | None) -> None:
    headers = bearer(agent)
    if origin is not None:
        headers["Origin"] = process.origin if origin == "own" else origin
    assert (await process.dashboard(agent, headers=headers)).hello["event"] == "hello"


@pytest.mark.parametrize("origin", ["own", "https://allowed.example"])
async def test_the_cookie_opens_for_our_pages(process: Process, agent: SignedIn, origin: str) -> None:
    headers = cookie(agent) | {"Origin": process.origin if origin == "own" else origin}
    assert (await process.dashboard(agent, headers=headers)).hello["event"] == "hello"


async def test_a_token_as_subprotocol_opens_and_is_not_sent_back(process: Process, agent: SignedIn) -> None:
    socket = await process.clients.ws_connect(process.origin + "/ws", protocols=(f"bearer.{agent.token}", "tether.v1"))
    assert socket.protocol == "tether.v1"
    assert (await socket.receive_json())["event"] == "hello"
    await socket.close()


async def test_compression_is_declined_because_frames_are_shared(process: Process, agent: SignedIn) -> None:
    socket = await process.clients.ws_connect(process.origin + "/ws", headers=bearer(agent), compress=15)
    assert socket.compress == 0
    await socket.close()


# ---------------------------------------------------------------------- refusals, all before the upgrade


async def refused(process: Process, status: int, path: str = "/ws", **headers: str) -> Any:
    """Expect a refusal in the one JSON shape and return its headers."""
    found, body, answered = await process.refusal(path, **headers)
    assert found == status, body
    sentence_of(status, body, answered)
    assert answered["Content-Type"] == "application/json"
    assert answered["X-Request-Id"]
    assert process.hub.dashboards == {}
    return answered


async def test_without_a_session_there_is_no_dashboard(process: Process, world: World, agent: SignedIn) -> None:
    answered = await refused(process, 401)
    assert answered["WWW-Authenticate"] == "Bearer"
    await refused(process, 401, Authorization="Bearer nonsense")
    await refused(process, 401, Authorization=f"Basic {agent.token}")
    await refused(process, 401, Authorization=f"Bearer {agent.token}x")
    await refused(process, 401, Sec_WebSocket_Protocol="tether.v1, bearer.nonsense")
    await refused(process, 401, Sec_WebSocket_Protocol="tether.v1, bearer.")
    forged = Keyring("another server's secret, long enough to sign").session_token(agent.claims)
    await refused(process, 401, Authorization=f"Bearer {forged}")
    expired = await world.session(agent.claims.organization_id, timedelta(seconds=-1))
    await refused(process, 401, Authorization=f"Bearer {expired.token}")
    await Sessions(world.database).end(agent.claims.session_id)
    await refused(process, 401, **bearer(agent))


async def test_the_cookie_alone_is_not_enough(process: Process, agent: SignedIn) -> None:
    await refused(process, 401, **cookie(agent))


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://allowed.example.evil.example", "http://127.0.0.1:1"]
)
async def test_pages_of_other_sites_are_refused_whatever_they_bring(process: Process, agent: SignedIn, origin: str) -> None:
    for credentials in ({}, cookie(agent), bearer(agent), {"Sec-WebSocket-Protocol": f"bearer.{agent.token}"}):
        await refused(process, 403, **{**credentials, "Origin": origin})
    await refused(process, 403, **bearer(agent), Sec_Fetch_Site="cross-site")


@pytest.mark.parametrize("after", ["", "-1", "1.5e3", "abc", "x.5", "abc.-1", "9007199254740993", "1%00", "1&after=x"])
async def test_an_after_that_is_no_position_is_refused(process: Process, agent: SignedIn, after: str) -> None:
    await refused(process, 400, f"/ws?after={after}", **bearer(agent))
    await refused(process, 401, f"/ws?after={after}")


async def test_a_request_without_a_websocket_handshake_is_refused(process: Process, agent: SignedIn) -> None:
    for missing in ({"Upgrade": ""}, {"Connection": ""}, {"Upgrade": "h2c"}, {"Connection": "keep-alive"}, NO_UPGRADE):
        answered = await refused(process, 426, **{**bearer(agent), **missing})
        assert answered["Upgrade"] == "websocket"
    answered = await refused(process, 426, **bearer(agent), Sec_WebSocket_Version="8")
    assert answered["Sec-WebSocket-Version"] == "13"
    await refused(process, 400, **bearer(agent), Sec_WebSocket_Key="")
    await refused(process, 401, **NO_UPGRADE)


async def test_only_get_is_taken(process: Process, agent: SignedIn) -> None:
    async with process.clients.post(process.origin + "/ws", headers=bearer(agent)) as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET")


async def test_a_client_that_leaves_while_it_is_admitted_leaves_nothing_behind(world: World, agent: SignedIn) -> None:
    async with proxy_in_front_of(world) as (line, uri), process_in(world, uri=uri) as process:
        first = await process.dashboard(agent)  # the session is remembered from now on
        await first.close()
        await process.empty()
        line.freeze()
        connecting = asyncio.ensure_future(RawClient.connect(process, agent))
        await eventually(lambda: len(process.hub.dashboards) == 1)
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        await process.opened.pop().close()
        line.thaw()
        await eventually(lambda: not process.hub.dashboards)
        assert process.hub.rooms == {}


# ---------------------------------------------------------------------- clients that send something


async def greeted(process: Process, agent: SignedIn) -> RawClient:
    client = await RawClient.connect(process, agent)
    await client.message()
    return client


@pytest.mark.parametrize(("opcode", "size"), [(1, 0), (1, 5), (2, 5), (1, 4096)])
async def test_a_message_is_answered_with_1008(process: Process, agent: SignedIn, opcode: int, size: int) -> None:
    client = await greeted(process, agent)
    client.send(b"x" * size, opcode)
    assert await client.close_code() == 1008


@pytest.mark.parametrize("size", [4097, 70_000, 3_000_000])
async def test_a_long_message_is_answered_with_1008_while_it_is_still_being_sent(
    process: Process, agent: SignedIn, size: int
) -> None:
    client = await greeted(process, agent)
    client.send(b"x" * size)
    await client.writer.drain()
    assert await client.close_code() == 1008


async def test_a_part_of_a_message_is_answered_with_1008(process: Process, agent: SignedIn) -> None:
    client = await greeted(process, agent)
    client.send(b"x" * 10, final=False)
    assert await client.close_code() == 1008


async def test_after_1008_the_connection_ends_as_soon_as_the_client_agrees(process: Process, agent: SignedIn) -> None:
    client = await greeted(process, agent)
    client.send(b"x" * 70_000)
    assert await client.close_code() == 1008
    client.send(b"still there?", 9)  # nothing follows a close frame (RFC 6455 section 5.5.1)
    client.send(b"\x03\xf0", 8)
    assert await client.reader.read() == b""
    await eventually(lambda: not process.hub.dashboards)


async def test_no_event_follows_1008(process: Process, world: World, agent: SignedIn, organization: str) -> None:
    client, other = await greeted(process, agent), await process.dashboard(agent)
    client.send(b"hello?")
    assert await client.close_code() == 1008
    await world.commit(organization)
    await other.numbers(4)
    client.send(b"\x03\xf0", 8)
    with pytest.raises(asyncio.IncompleteReadError) as ended:
        await client.frame()
    assert ended.value.partial == b""


async def test_a_ping_is_answered_and_a_goodbye_returned(process: Process, agent: SignedIn) -> None:
    client = await greeted(process, agent)
    client.send(b"still there?", 9)
    assert await client.frame() == (10, b"still there?")
    client.send(b"\x03\xe9bye", 8)
    assert await client.close_code() == 1001
    assert await client.reader.read() == b""
    await eventually(lambda: not process.hub.dashboards)


async def test_what_is_no_frame_is_answered_with_1002_and_disturbs_nobody(
    process: Process, world: World, agent: SignedIn, organization: str
) -> None:
    other = await process.dashboard(agent)
    for nonsense in (b"\xff\xff\xff\xff", b"\x81\x05hello", b"\x09\x80\0\0\0\0", b"GET / HTTP/1.1\r\n\r\n" * 10_000):
        client = await greeted(process, agent)
        client.writer.write(nonsense)
        assert await client.close_code() == 1002
        client.writer.write_eof()
        await client.reader.read()
    await world.commit(organization)
    assert await other.numbers(4) == [1, 2, 3, 4]
    await eventually(lambda: len(process.hub.dashboards) == 1)


async def test_a_client_that_pings_without_reading_is_closed(process: Process, agent: SignedIn) -> None:
    client = await RawClient.connect(process, agent, receive_buffer=4096)
    await client.message()
    client.pause()
    closed = process.metric("tether_dashboard_closes_total", code="4408")
    while process.metric("tether_dashboard_closes_total", code="4408") == closed:
        for _ in range(64):
            client.send(b"x" * 125, 9)
        assert process.hub.dashboards, "closed for another reason"
        await asyncio.sleep(0)


async def test_a_client_that_pings_without_a_pause_holds_up_nobody(
    process: Process, world: World, agent: SignedIn, organization: str
) -> None:
    noisy, other = await greeted(process, agent), await process.dashboard(agent)
    noisy.send(b"", 9)
    pings = b"\x89\x80\0\0\0\0" * 10_000
    reading = asyncio.create_task(noisy.reader.read(-1))
    for _ in range(20):
        noisy.writer.write(pings)
    await world.commit(organization)
    assert await other.numbers(4) == [1, 2, 3, 4]
    await noisy.close()
    await asyncio.gather(reading, return_exceptions=True)


async def test_a_browser_that_reloads_all_the_time_leaves_no_room_behind(process: Process, agent: SignedIn) -> None:
    for _ in range(20):
        dashboard = await process.dashboard(agent)
        assert isinstance(dashboard.socket, aiohttp.ClientWebSocketResponse)
        await dashboard.close()
    await eventually(lambda: not process.hub.dashboards)
    assert process.hub.rooms == {}
    assert process.metric("tether_dashboards") == 0
