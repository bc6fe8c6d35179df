"""Connections, from being accepted to being closed: pipelined requests, idle clients, refusals, and a stop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from tornado.iostream import IOStream
from tornado.web import Application, RequestHandler, stream_request_body

from tests.support.raw import RawConnection, connection
from tether_rt.http.lingering_close import lingering_close
from tether_rt.http.server import MAX_LINGERING, BoundedServer
from tether_rt.http.sockets import bind

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
MUCH_BYTES = 8 * 1024 * 1024
"""More than sockets on loopback hold."""
MANY = 2_000
"""Requests in one go."""


class Site:
    """A server whose handlers wait for `may_answer`."""

    def __init__(self, server: BoundedServer, url: str) -> None:
        self.server = server
        self.url = url
        self.may_answer = asyncio.Event()
        self.waiting = asyncio.Event()
        """Set when a handler waits."""
        self.left = asyncio.Event()
        """Set when a client has left while a handler waited for it."""

    async def wait(self) -> None:
        self.waiting.set()
        await self.may_answer.wait()


class Waiting(RequestHandler):
    """`/`: answers when it may."""

    def initialize(self, sites: list[Site]) -> None:
        (self.site,) = sites

    async def get(self) -> None:
        await self.site.wait()
        self.write(b"ok")

    post = get

    def on_connection_close(self) -> None:
        self.site.left.set()


class Much(RequestHandler):
    """`/much`: more than a client takes that does not read."""

    async def get(self) -> None:
        for piece in (b"a" * 1000, b"b" * MUCH_BYTES, b"c" * 1000):
            self.write(piece)
            self.flush()


@stream_request_body
class Refusing(RequestHandler):
    """`/refusing`: answers before the body is read; `?known` says that its length is told to `lingering_close`."""

    async def prepare(self) -> None:
        self.set_header("Content-Length", "2")
        self.write(b"no")
        await self.flush()
        stream: IOStream = self.request.connection.stream  # type: ignore[union-attr]
        length = int(self.request.headers["Content-Length"])
        await (lingering_close(stream, length) if self.request.query == "known" else lingering_close(stream))

    def data_received(self, chunk: bytes) -> None: ...


@asynccontextmanager
async def site_with(max_connections: int = 10, **options: Any) -> AsyncIterator[Site]:
    sites: list[Site] = []
    routes: list[Any] = [("/", Waiting, {"sites": sites}), ("/much", Much), ("/refusing", Refusing)]
    application = Application(routes, log_function=lambda _: None)
    server = BoundedServer(application, max_connections=max_connections, **options)
    sockets = bind("127.0.0.1", 0)
    for one in sockets:
        one.listen()
    server.add_sockets(sockets)
    sites.append(Site(server, f"http://127.0.0.1:{sockets[0].getsockname()[1]}"))
    try:
        yield sites[0]
    finally:
        await server.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with site_with() as made:
        yield made


async def answers(raw: RawConnection, count: int) -> None:
    for _ in range(count):
        answer = await raw.answer()
        assert (answer.status, answer.body) == (200, b"ok")


# ---------------------------------------------------------------------- requests and answers


async def test_requests_that_are_sent_without_waiting_are_answered_in_full(site: Site) -> None:
    async with connection(site.url) as raw:
        sending = asyncio.create_task(raw.send(REQUEST * MANY))
        await site.waiting.wait()
        site.may_answer.set()
        await answers(raw, MANY)
        await sending


async def test_the_next_request_may_come_before_the_answer(site: Site) -> None:
    async with connection(site.url) as raw:
        await raw.send(REQUEST + REQUEST[:10])
        await site.waiting.wait()
        await raw.send(REQUEST[10:])
        site.may_answer.set()
        await answers(raw, 2)
        await raw.send(REQUEST)
        await answers(raw, 1)


async def test_a_client_that_leaves_while_it_waits_is_noticed(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with connection(site.url) as raw:
        await raw.send(REQUEST)
        await site.waiting.wait()
    async with asyncio.timeout(20):
        await site.left.wait()
    site.may_answer.set()
    async with connection(site.url) as other:
        await other.send(REQUEST)
        await answers(other, 1)
    assert not caplog.records, "to answer a client that has left is no error"


async def test_what_the_kernel_does_not_take_at_once_follows_in_its_order(site: Site) -> None:
    async with connection(site.url) as raw:
        for _ in range(2):
            await raw.request("GET /much")
            await raw.reader.readuntil(b"\r\n\r\n")
            got = bytearray()
            while (size := int(await raw.reader.readline(), 16)) or not got:
                got += await raw.reader.readexactly(size)
                await raw.reader.readexactly(2)
            await raw.reader.readexactly(2)
            assert got == b"a" * 1000 + b"b" * MUCH_BYTES + b"c" * 1000


async def test_a_connection_is_idle_only_while_no_request_is_under_way() -> None:
    async with site_with(idle_connection_timeout=0.2) as site, connection(site.url) as busy, connection(site.url) as idle:
        await busy.send(REQUEST)
        await site.waiting.wait()
        assert await idle.ended() == b""
        site.may_answer.set()
        await answers(busy, 1)
        await busy.send(REQUEST[:-1])
        assert await busy.ended() == b""


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize("length", ["known", "unknown"])
async def test_a_refused_client_has_its_whole_answer_at_once_and_may_send_its_body(site: Site, length: str) -> None:
    async with connection(site.url) as raw:
        await raw.request(f"POST /refusing?{length}", body=b"{}")
        assert (await raw.ended()).endswith(b"\r\n\r\nno")
    async with connection(site.url) as raw:
        await raw.request(f"POST /refusing?{length}", {"Content-Length": str(MUCH_BYTES)})
        assert (await raw.answer()).body == b"no"
        assert await raw.ended() == b""
        await raw.send(b"x" * MUCH_BYTES)


async def test_a_refused_connection_is_closed_once_its_declared_body_is_there(site: Site) -> None:
    async with connection(site.url) as raw:
        await raw.request("POST /refusing?known", body=b"{}")
        assert (await raw.answer()).body == b"no"
        with pytest.raises(ConnectionError):
            await _send_on(raw)


async def test_a_connection_too_many_hears_503_although_it_sends_much_before_it_reads() -> None:
    async with site_with(max_connections=1) as site, connection(site.url) as kept:
        await kept.send(REQUEST)
        await site.waiting.wait()
        async with connection(site.url) as raw:
            await raw.request("POST /", {}, b"x" * MUCH_BYTES)
            answer = await raw.answer()
            assert (answer.status, answer.body["success"]) == (503, False)
            assert answer.headers["retry-after"].isdigit()
            assert await raw.ended() == b""
        site.may_answer.set()
        await answers(kept, 1)


async def test_however_many_are_too_many_each_hears_503_and_the_next_one_finds_its_place() -> None:
    async with site_with(max_connections=1) as site:
        async with connection(site.url) as kept, AsyncExitStack() as stack:
            await kept.send(REQUEST)
            await site.waiting.wait()
            crowd = [await stack.enter_async_context(connection(site.url)) for _ in range(2 * MAX_LINGERING)]
            for raw in crowd:
                assert (await raw.answer()).status == 503
                assert await raw.ended() == b""
            site.may_answer.set()
            await answers(kept, 1)
        async with asyncio.timeout(20):
            while (status := await status_of(site)) != 200:
                assert status == 503


async def status_of(site: Site) -> int:
    async with connection(site.url) as raw:
        await raw.send(REQUEST)
        return (await raw.answer()).status


@pytest.mark.parametrize(
    ("begin", "status"), [(b"\x16\x03\x01\x02\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nX: ", 431)], ids=["no HTTP", "long headers"]
)
async def test_what_is_no_request_is_told_so_in_json_although_more_of_it_comes(site: Site, begin: bytes, status: int) -> None:
    async with connection(site.url) as raw:
        await raw.send(begin + b"x" * MUCH_BYTES)
        answer = await raw.answer()
        assert (answer.status, answer.headers["connection"], answer.body["success"]) == (status, "close", False)
        assert await raw.ended() == b""


# ---------------------------------------------------------------------- the end


async def test_a_stop_waits_for_changes_and_for_reads_apart_from_each_other(site: Site) -> None:
    async with connection(site.url) as reading, connection(site.url) as changing, connection(site.url) as idle:
        await reading.request("GET /much")
        await reading.reader.readuntil(b"\r\n\r\n")
        await idle.send(REQUEST[:-1])
        await changing.request("POST /", body=b"{}")
        await site.waiting.wait()
        await site.server.stop_accepting()
        with pytest.raises(ConnectionRefusedError):
            async with connection(site.url):
                pass
        changed = asyncio.create_task(site.server.answered(changes=True))
        await asyncio.sleep(0)
        assert not changed.done()
        site.may_answer.set()
        await changed
        await answers(changing, 1)
        read = asyncio.create_task(site.server.answered(changes=False))
        await asyncio.sleep(0)
        assert not read.done()
        await reading.close()
        async with asyncio.timeout(20):
            await read


async def test_requests_that_have_arrived_when_accepting_stops_are_read(site: Site) -> None:
    async with AsyncExitStack() as stack:
        keeping = [await stack.enter_async_context(connection(site.url)) for _ in range(5)]
        site.may_answer.set()
        for raw in keeping:
            await raw.send(REQUEST)
            await answers(raw, 1)
        site.may_answer.clear()
        site.waiting.clear()
        newcomers = _send_to(site.url, 5)  # nothing is awaited, so nothing is accepted yet
        for raw in keeping:
            raw.writer.write(REQUEST)
        await site.server.stop_accepting()
        site.may_answer.set()
        await site.server.answered(changes=False)
        for raw in keeping:
            await answers(raw, 1)
        for one in newcomers:
            assert (await asyncio.to_thread(one.recv, 1000)).startswith(b"HTTP/1.1 200 ")
            one.close()


def _send_to(url: str, count: int) -> list[socket.socket]:
    """Connect so often and send a request on each connection."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    sockets = [socket.create_connection((host, int(port))) for _ in range(count)]
    for one in sockets:
        one.sendall(REQUEST)
    return sockets


async def _send_on(raw: RawConnection) -> None:
    """Send a byte now and then until the connection is closed; raises `TimeoutError` if it stays open."""
    async with asyncio.timeout(20):
        while True:
            await raw.send(b"x")
            await asyncio.sleep(0.01)
