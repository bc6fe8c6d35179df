"""A connection that the event loop serves, plain and with TLS: commands are answered, and no error outlives its connection."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import pytest
from pymongo.errors import AutoReconnect, NetworkTimeout, OperationFailure, ServerSelectionTimeoutError

from tests.support.certificate import contexts
from tests.support.proxy import Passage, Proxy, proxy_to, proxy_to_unix
from tests.support.standalone import tls_mongod
from tests.support.waiting import eventually
from tether_rt.mongo import client as store
from tether_rt.mongo.wire.loop_connection import LoopConnection
from tether_rt.mongo.wire.op_msg import Command, find, insert

PING = Command({"ping": 1})


class Wire(NamedTuple):
    """A connection to an empty database, and the proxy that it goes through."""

    connection: LoopConnection
    proxy: Proxy
    database: store.Database


@pytest.fixture(scope="module")
async def tls_uri(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    folder = tmp_path_factory.mktemp("tls")
    contexts(folder)
    async with tls_mongod(folder, folder / "localhost.pem") as uri:
        yield uri


@asynccontextmanager
async def wire_through(proxy: Proxy, options: str = "") -> AsyncIterator[Wire]:
    client = store.connect(f"mongodb://localhost:{proxy.port}/?directConnection=true{options}")
    database = store.database(client, f"t{uuid.uuid4().hex[:12]}")
    connection = LoopConnection(database)
    try:
        yield Wire(connection, proxy, database)
    finally:
        await connection.close()
        client.close()


@asynccontextmanager
async def plain_wire(mongodb_uri: str) -> AsyncIterator[Wire]:
    async with proxy_to_unix(Path(unquote(urlsplit(mongodb_uri).netloc))) as proxy, wire_through(proxy) as wire:
        yield wire


@asynccontextmanager
async def tls_wire(tls_uri: str) -> AsyncIterator[Wire]:
    port, options = re.findall(r":(\d+)/\?directConnection=true(.*)", tls_uri)[0]
    async with proxy_to("127.0.0.1", int(port)) as proxy, wire_through(proxy, options) as wire:
        yield wire


@pytest.fixture
async def plain(mongodb_uri: str) -> AsyncIterator[Wire]:
    async with plain_wire(mongodb_uri) as wire:
        yield wire


@pytest.fixture(params=["plain", "tls"])
async def either(request: pytest.FixtureRequest, mongodb_uri: str, tls_uri: str) -> AsyncIterator[Wire]:
    """A connection without TLS and one with."""
    async with plain_wire(mongodb_uri) if request.param == "plain" else tls_wire(tls_uri) as wire:
        yield wire


async def ping(wire: Wire) -> dict[str, Any]:
    (reply,) = await wire.connection.ask([PING])
    return reply


async def works_again(wire: Wire) -> None:
    """Return once a command is answered; until then it may only fail because MongoDB is away."""
    async with asyncio.timeout(30):
        while True:
            try:
                assert (await ping(wire))["ok"] == 1
            except (AutoReconnect, ServerSelectionTimeoutError):
                await asyncio.sleep(0.02)
            else:
                return


async def dropped(wire: Wire) -> None:
    await eventually(lambda: not wire.connection.is_connected)


class Held:
    """Holds back requests with a mark in them, until `go`; `pass_on` says if they are passed on then, or cut off."""

    def __init__(self, proxy: Proxy, mark: bytes, *, pass_on: bool = True) -> None:
        self.seen = asyncio.Event()
        self.go = asyncio.Event()
        self._mark = mark
        self._pass_on = pass_on
        proxy.look = self._look

    async def _look(self, passage: Passage, up: bool, piece: bytes) -> bool:
        if not up or self._mark not in piece:
            return True
        self.seen.set()
        await self.go.wait()
        return self._pass_on


async def cut_off_requests(passage: Passage, up: bool, piece: bytes) -> bool:
    """Cut the connection instead of passing on what is about `things`."""
    return b"things" not in piece


async def test_each_of_many_at_once_gets_its_own_reply(either: Wire) -> None:
    await either.connection.ask([insert("things", [{"_id": number} for number in range(100)])])
    replies = await asyncio.gather(*[either.connection.ask([find("things", {"_id": number})]) for number in range(100)])
    assert [reply[0]["cursor"]["firstBatch"] for reply in replies] == [[{"_id": number}] for number in range(100)]


async def test_large_commands_and_replies_arrive_whole(either: Wire) -> None:
    documents = [{"_id": number, "a": str(number) * 6_000_000} for number in range(7)]
    (inserted,) = await either.connection.ask([insert("things", documents)])
    assert inserted["n"] == 7
    first, second = await either.connection.ask(
        [find("things", {"_id": {"$lt": 2}}, "a"), find("things", {"_id": {"$gt": 4}}, "a")]
    )
    assert first["cursor"]["firstBatch"] + second["cursor"]["firstBatch"] == documents[:2] + documents[5:]


async def test_an_error_reply_is_raised_and_the_connection_kept(either: Wire) -> None:
    async def connection_id() -> int:
        (hello,) = await either.connection.ask([Command({"hello": 1})])
        return int(hello["connectionId"])

    before = await connection_id()
    with pytest.raises(OperationFailure, match="no such command"):
        await either.connection.ask([PING, Command({"noSuchCommand": 1}), PING])
    assert await connection_id() == before


async def test_a_connection_that_breaks_is_replaced(either: Wire) -> None:
    for _ in range(3):
        await works_again(either)
        either.proxy.cut()
        await dropped(either)
    await works_again(either)


async def test_a_connection_that_is_cut_before_the_reply_fails_and_the_next_command_has_another(plain: Wire) -> None:
    await ping(plain)
    plain.proxy.look = cut_off_requests
    with pytest.raises(AutoReconnect):
        await plain.connection.ask([insert("things", [{"_id": 1}])])
    plain.proxy.look = None
    assert (await plain.connection.ask([find("things", {})]))[0]["cursor"]["firstBatch"] == []


async def test_a_connection_that_is_cut_while_a_large_command_is_sent_fails_and_the_next_command_has_another(
    plain: Wire,
) -> None:
    held = Held(plain.proxy, b"things", pass_on=False)
    documents = [{"_id": number, "a": "x" * 6_000_000} for number in range(7)]
    sending = asyncio.create_task(plain.connection.ask([insert("things", documents)]))
    await held.seen.wait()  # and the rest waits until the socket takes more
    plain.proxy.cut()
    with pytest.raises(AutoReconnect):
        await sending
    held.go.set()
    plain.proxy.look = None
    await works_again(plain)


async def test_closing_ends_a_large_command_that_is_being_sent(plain: Wire) -> None:
    held = Held(plain.proxy, b"things", pass_on=False)
    sending = asyncio.create_task(
        plain.connection.ask([insert("things", [{"_id": number, "a": "x" * 6_000_000} for number in range(7)])])
    )
    await held.seen.wait()
    await plain.connection.close()
    with pytest.raises(AutoReconnect):
        await sending
    held.go.set()


async def test_bytes_that_are_no_reply_fail_the_exchange(plain: Wire) -> None:
    async def answer_as_a_web_server(passage: Passage, up: bool, piece: bytes) -> bool:
        if up and b"ping" in piece:
            passage.client.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        return True

    await ping(plain)
    plain.proxy.look = answer_as_a_web_server
    with pytest.raises(AutoReconnect, match="no reply"):
        await ping(plain)
    plain.proxy.look = None
    await works_again(plain)


async def test_a_reply_that_was_not_asked_for_ends_the_connection(plain: Wire) -> None:
    passages: list[Passage] = []
    replies: list[bytes] = []

    async def look(passage: Passage, up: bool, piece: bytes) -> bool:
        if up and b"ping" in piece:
            passages.append(passage)
        elif not up and passage in passages:
            replies.append(piece)
        return True

    plain.proxy.look = look
    await ping(plain)
    passages[0].client.write(replies[0])
    await dropped(plain)
    await works_again(plain)


async def test_a_silent_server_is_given_up_and_its_late_reply_is_nobodys(plain: Wire) -> None:
    impatient = LoopConnection(plain.database, 0.5)
    wire = plain._replace(connection=impatient)
    await works_again(wire)
    plain.proxy.freeze()
    with pytest.raises(NetworkTimeout):
        await impatient.ask([insert("things", [{"_id": 1}])])
    plain.proxy.thaw()
    await works_again(wire)
    assert "n" not in await ping(plain)
    await impatient.close()


async def test_a_caller_that_is_cancelled_does_not_leave_its_reply_to_the_next(plain: Wire) -> None:
    await ping(plain)
    held = Held(plain.proxy, b"things")
    leaves = asyncio.create_task(plain.connection.ask([find("things", {})]))
    stays = asyncio.create_task(ping(plain))
    await held.seen.wait()
    leaves.cancel()
    held.go.set()
    assert "cursor" not in await stays
    assert leaves.cancelled()


@pytest.mark.parametrize("pass_on", [True, False])
async def test_a_caller_that_is_cancelled_while_it_connects_leaves_no_connection_behind(plain: Wire, pass_on: bool) -> None:
    await ping(plain)
    await plain.connection.close()
    known = set(plain.proxy.passages)
    held = Held(plain.proxy, b"", pass_on=pass_on)
    holds = plain.proxy.look
    assert holds is not None

    async def hold_what_is_new(passage: Passage, up: bool, piece: bytes) -> bool:
        return passage in known or await holds(passage, up, piece)

    plain.proxy.look = hold_what_is_new
    leaves = asyncio.create_task(ping(plain))
    await held.seen.wait()
    leaves.cancel()
    held.go.set()
    await asyncio.wait({leaves})
    assert leaves.cancelled()
    await plain.connection.close()
    plain.database.client.close()
    await eventually(lambda: not plain.proxy.passages)


async def test_while_mongodb_is_away_commands_fail_and_then_work_again(plain: Wire) -> None:
    await ping(plain)
    await plain.proxy.refuse()
    await dropped(plain)
    with pytest.raises((AutoReconnect, ServerSelectionTimeoutError)):
        await ping(plain)
    await plain.proxy.listen()
    await works_again(plain)


async def test_the_driver_has_its_other_connections_meanwhile(either: Wire) -> None:
    for _ in range(2):
        await ping(either)
        await asyncio.gather(*[either.database.client.admin.command("ping") for _ in range(20)])
        await either.connection.close()


async def test_closing_fails_the_exchange_under_way_and_may_be_done_twice(plain: Wire) -> None:
    held = Held(plain.proxy, b"things")
    asked = asyncio.create_task(plain.connection.ask([find("things", {})]))
    await held.seen.wait()
    await plain.connection.close()
    with pytest.raises(AutoReconnect):
        await asked
    await plain.connection.close()
    held.go.set()
