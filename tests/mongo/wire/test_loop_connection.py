"""A connection of the event loop's own, plain and encrypted: questions are answered, and trouble ends with the connection."""

from __future__ import annotations

import asyncio
import socket
import threading
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, NetworkTimeout, OperationFailure, ServerSelectionTimeoutError

from tests.support.certificate import contexts
from tests.support.proxy import Passage, Proxy, proxy_to_unix
from tests.support.standalone import tls_mongod
from tether_rt.mongo import client as store
from tether_rt.mongo.mongod_process import socket_path
from tether_rt.mongo.private_mongod import PrivateMongod
from tether_rt.mongo.wire import loop_connection as module
from tether_rt.mongo.wire import op_msg
from tether_rt.mongo.wire.loop_connection import LoopConnection
from tether_rt.mongo.wire.op_msg import Command, find, insert


@pytest.fixture(scope="module")
async def mongod_socket(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    folder = tmp_path_factory.mktemp("mongod")
    private = PrivateMongod(folder)
    await private.start()
    yield socket_path(folder / "mongod")
    await private.stop()


@pytest.fixture(scope="module")
async def tls_uri(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    folder = tmp_path_factory.mktemp("tls")
    contexts(folder)
    async with tls_mongod(folder, folder / "localhost.pem") as uri:
        yield uri


@pytest.fixture
async def proxy(mongod_socket: Path) -> AsyncIterator[Proxy]:
    """What is between us and MongoDB."""
    async with proxy_to_unix(mongod_socket) as proxy:
        yield proxy


def plain(proxy: Proxy) -> str:
    return f"mongodb://localhost:{proxy.port}/?directConnection=true"


@asynccontextmanager
async def line_to(uri: str) -> AsyncIterator[LoopConnection]:
    client = store.connect(uri)
    line = LoopConnection(store.database(client, f"t{uuid.uuid4().hex[:12]}").delegate)
    try:
        yield line
    finally:
        await line.close()
        client.close()


@pytest.fixture
async def line(proxy: Proxy) -> AsyncIterator[LoopConnection]:
    async with line_to(plain(proxy)) as line:
        yield line


@pytest.fixture(params=["plain", "tls"])
async def either(request: pytest.FixtureRequest, proxy: Proxy, tls_uri: str) -> AsyncIterator[LoopConnection]:
    """A line without and with TLS."""
    async with line_to(plain(proxy) if request.param == "plain" else tls_uri) as line:
        yield line


async def ping(line: LoopConnection, **more: Any) -> dict[str, Any]:
    (answer,) = await line.ask([Command({"ping": 1, **more})])
    return answer


async def dropped(line: LoopConnection) -> None:
    async with asyncio.timeout(30):
        while line.is_connected:  # noqa: ASYNC110 - what the other end does is waited for
            await asyncio.sleep(0.01)


async def test_those_who_ask_at_once_are_answered_each(either: LoopConnection) -> None:
    await either.ask([insert("things", [{"_id": number} for number in range(100)])])
    answers = await asyncio.gather(*[either.ask([find("things", {"_id": number})]) for number in range(100)])
    assert [answer[0]["cursor"]["firstBatch"] for answer in answers] == [[{"_id": number}] for number in range(100)]


async def test_large_questions_and_answers_arrive_whole(either: LoopConnection) -> None:
    documents = [{"_id": number, "a": str(number) * 6_000_000} for number in range(7)]
    (inserted,) = await either.ask([insert("things", documents)])
    assert inserted["n"] == 7
    first, second = await either.ask([find("things", {"_id": {"$lt": 2}}, "a"), find("things", {"_id": {"$gt": 4}}, "a")])
    assert first["cursor"]["firstBatch"] + second["cursor"]["firstBatch"] == documents[:2] + documents[5:]


async def test_a_refusal_is_raised_and_the_connection_kept(either: LoopConnection) -> None:
    await ping(either)
    connection = either._connection
    with pytest.raises(OperationFailure, match="no such command"):
        await either.ask([Command({"ping": 1}), Command({"noSuchCommand": 1}), Command({"ping": 1})])
    await ping(either)
    assert either._connection is connection


async def test_a_connection_that_breaks_is_made_again(either: LoopConnection) -> None:
    for _ in range(3):
        await ping(either)
        either._socket.shutdown(socket.SHUT_RDWR)
        await dropped(either)
    assert (await ping(either))["ok"] == 1


async def test_a_connection_that_was_cut_while_nobody_asked_is_not_noticed(line: LoopConnection, proxy: Proxy) -> None:
    await ping(line)
    proxy.cut()
    await dropped(line)
    assert (await ping(line))["ok"] == 1


async def test_a_connection_that_is_cut_before_the_answer_is_trouble_and_the_next_question_has_a_new_one(
    line: LoopConnection, proxy: Proxy
) -> None:
    await ping(line)

    async def look(passage: Passage, up: bool, piece: bytes) -> bool:
        return b"things" not in piece

    proxy.look = look
    with pytest.raises(AutoReconnect):
        await line.ask([insert("things", [{"_id": 1}])])
    proxy.look = None
    assert (await line.ask([find("things", {})]))[0]["cursor"]["firstBatch"] == []


async def test_what_is_no_answer_is_trouble(either: LoopConnection) -> None:
    await ping(either)
    either._received += b"HTTP/1.1 400 Bad Request\r\n\r\n"
    with pytest.raises(AutoReconnect, match="no answer"):
        await ping(either)
    assert (await ping(either))["ok"] == 1


async def test_an_answer_that_nobody_waits_for_is_trouble(either: LoopConnection) -> None:
    await ping(either)
    either._socket.send(op_msg.encode([Command({"ping": 1})], "admin", either._database.codec_options).messages)
    await dropped(either)
    assert (await ping(either))["ok"] == 1


async def test_a_silent_server_is_given_up_and_its_late_answer_is_nobodys(
    line: LoopConnection, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ping(line)
    monkeypatch.setattr(module, "SOCKET_MS", 200)
    proxy.freeze()
    with pytest.raises(NetworkTimeout):
        await line.ask([insert("things", [{"_id": 1}])])
    monkeypatch.undo()
    proxy.thaw()
    assert set(await ping(line)) & {"n"} == set()


async def test_who_leaves_before_the_answer_does_not_leave_it_to_the_next(line: LoopConnection, proxy: Proxy) -> None:
    await ping(line)
    proxy.freeze()
    leaves = asyncio.create_task(line.ask([find("things", {})]))
    stays = asyncio.create_task(ping(line))
    await asyncio.sleep(0.05)
    leaves.cancel()
    proxy.thaw()
    assert "cursor" not in await stays
    assert leaves.cancelled()


@pytest.mark.parametrize("succeeds", [True, False])
async def test_who_leaves_while_it_connects_leaves_no_connection_behind(
    line: LoopConnection, monkeypatch: pytest.MonkeyPatch, succeeds: bool
) -> None:
    taken: list[socket.socket] = []
    may_go_on = threading.Event()
    take = line._take

    def slow() -> Any:
        may_go_on.wait(20)
        if not succeeds:
            raise AutoReconnect("connection closed")
        connection = take()
        taken.append(connection.conn.get_conn)
        return connection

    monkeypatch.setattr(line, "_take", slow)
    leaves = asyncio.create_task(ping(line))
    await asyncio.sleep(0.05)
    leaves.cancel()
    await asyncio.sleep(0.05)
    may_go_on.set()
    await asyncio.wait({leaves})
    assert leaves.cancelled()
    assert len(taken) == succeeds
    await line.close()
    line._database.client.close()
    assert [one.fileno() for one in taken] == [-1] * len(taken)


async def test_while_mongodb_is_away_it_says_so_and_then_works_again(line: LoopConnection, proxy: Proxy) -> None:
    await ping(line)
    await proxy.refuse()
    await dropped(line)
    with pytest.raises((AutoReconnect, ServerSelectionTimeoutError)):
        await ping(line)
    await proxy.listen()
    async with asyncio.timeout(30):
        while True:
            try:
                await ping(line)
                break
            except AutoReconnect:
                await asyncio.sleep(0.05)


async def test_the_driver_goes_on_with_its_other_connections(either: LoopConnection) -> None:
    client = either._database.client
    for _ in range(2):
        await ping(either)
        await asyncio.gather(*[asyncio.to_thread(client.admin.command, "ping") for _ in range(20)])
        await either.close()


async def test_closing_ends_what_is_being_asked_and_may_be_done_twice(line: LoopConnection, proxy: Proxy) -> None:
    await ping(line)
    proxy.freeze()
    asked = asyncio.create_task(ping(line))
    await asyncio.sleep(0.05)
    await line.close()
    with pytest.raises(AutoReconnect):
        await asked
    await line.close()
