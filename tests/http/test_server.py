"""What a connection takes in while a request on it is answered, what it sends out at once, and when it is closed as idle."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from tornado.http1connection import HTTP1ServerConnection
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from tether_rt.http.server import READ_AHEAD_BYTES, BoundedServer

_PIECE_BYTES = 64 * 1024
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
MUCH = b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n"
MUCH_BYTES = 8 * 1024 * 1024
"""More than sockets on loopback hold."""
IDLE_S = 0.4
MANY = 40_000
"""Requests in one go: a megabyte, more than sockets on loopback hold besides."""


class Door:
    """A server whose handler waits until it is told to answer, and a client of it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: BoundedServer) -> None:
        self.reader = reader
        self.writer = writer
        self._server = server
        self.may_answer = asyncio.Event()
        self.waiting = asyncio.Event()
        self.left = asyncio.Event()

    @property
    def connections(self) -> list[HTTP1ServerConnection]:
        return list(self._server._connections)

    @property
    def ahead_bytes(self) -> int:
        """What was read and nobody has asked for."""
        (connection,) = self.connections
        return connection.stream._read_buffer_size

    async def ended(self) -> None:
        """Return once the server has no connection any more."""
        for connection in self.connections:
            serving = connection._serving_future
            assert serving is not None
            await asyncio.wait([serving])


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    doors: list[Door] = []

    class Handler(RequestHandler):
        async def get(self) -> None:
            doors[0].waiting.set()
            await doors[0].may_answer.wait()
            self.write(b"ok")

        def on_connection_close(self) -> None:
            doors[0].left.set()

        def log_exception(self, *_: object) -> None: ...

    def quiet(_: RequestHandler) -> None: ...

    class MuchHandler(RequestHandler):
        async def get(self) -> None:
            for piece in (b"a" * 1000, b"b" * MUCH_BYTES, b"c" * 1000):
                self.write(piece)
                self.flush()

    routes = [("/", Handler), ("/much", MuchHandler)]
    server = BoundedServer.make(10, Application(routes, log_function=quiet), idle_s=IDLE_S)
    sockets = bind_sockets(0, address="127.0.0.1")
    server.add_sockets(sockets)
    reader, writer = await asyncio.open_connection(*sockets[0].getsockname()[:2])
    doors.append(Door(reader, writer, server))
    yield doors[0]
    doors[0].may_answer.set()
    server.stop()
    await server.close_all_connections()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def answers(door: Door, count: int) -> None:
    for _ in range(count):
        head = await door.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert await door.reader.readexactly(2) == b"ok"


async def settled(door: Door) -> int:
    """Return how much was read ahead once it grows no more."""
    seen = -1
    while (now := door.ahead_bytes) != seen:
        seen = now
        await asyncio.sleep(0.1)
    return seen


async def test_a_client_that_goes_on_sending_is_read_ahead_a_little_and_answered_in_full(door: Door) -> None:
    door.writer.write(REQUEST)
    await door.waiting.wait()
    door.writer.write(REQUEST * MANY)
    assert 0 < await settled(door) <= READ_AHEAD_BYTES + _PIECE_BYTES
    door.may_answer.set()
    await answers(door, 2_000)


async def test_the_next_request_may_come_before_the_answer(door: Door) -> None:
    door.writer.write(REQUEST + REQUEST[:10])
    await door.waiting.wait()
    door.writer.write(REQUEST[10:])
    await asyncio.sleep(0.05)
    door.may_answer.set()
    await answers(door, 2)
    door.writer.write(REQUEST)
    await answers(door, 1)


async def test_a_client_that_leaves_while_it_waits_is_noticed(door: Door) -> None:
    door.writer.write(REQUEST)
    await door.waiting.wait()
    door.writer.transport.abort()
    await asyncio.wait_for(door.left.wait(), 20)


async def test_what_the_kernel_does_not_take_at_once_follows_in_its_order(door: Door) -> None:
    for _ in range(2):
        door.writer.write(MUCH)
        await door.reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.05)
        got = b""
        while (size := int(await door.reader.readline(), 16)) or not got:
            got += await door.reader.readexactly(size)
            await door.reader.readexactly(2)
        await door.reader.readexactly(2)
        assert got == b"a" * 1000 + b"b" * MUCH_BYTES + b"c" * 1000


async def test_a_client_that_is_gone_is_answered_into_the_void(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    door.writer.write(REQUEST)
    await door.waiting.wait()
    (connection,) = door.connections
    connection.stream.socket.shutdown(socket.SHUT_RDWR)
    door.may_answer.set()
    await asyncio.wait_for(door.ended(), 20)
    assert not caplog.records


async def test_a_connection_is_idle_only_while_no_request_is_under_way(door: Door) -> None:
    door.writer.write(REQUEST)
    await door.waiting.wait()
    await asyncio.sleep(3 * IDLE_S)
    assert not door.reader.at_eof()
    door.may_answer.set()
    await answers(door, 1)
    for _ in range(6):
        await asyncio.sleep(IDLE_S / 2)
        door.writer.write(REQUEST)
        await answers(door, 1)
    door.writer.write(REQUEST[:-1])
    assert await asyncio.wait_for(door.reader.read(), 20) == b""
