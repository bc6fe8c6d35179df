"""A TCP proxy on loopback that can cut, freeze and refuse connections, and lets a test look at what passes."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_PIECE_BYTES = 1 << 16
_TURNS_TO_ACCEPT = 10
"""Of the event loop: from a connection that the kernel has accepted to the task that closes it."""


@dataclass(eq=False)
class Passage:
    """One connection through the proxy; `notes` belongs to the test's `look`."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    notes: dict[str, int] = field(default_factory=dict)

    def cut(self) -> None:
        """End both halves with a reset, as a crash or a firewall does."""
        for writer in (self.client, self.server):
            raw: socket.socket = writer.get_extra_info("socket")
            if raw.family != socket.AF_UNIX and raw.fileno() >= 0:
                # Without lingering, closing sends a reset.
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


Look = Callable[[Passage, bool, bytes], Awaitable[bool]]
"""Sees each piece before it is passed on: the connection, whether it goes up to the server, the bytes. Says if it may pass."""


class Proxy:
    """Listens on a loopback port and connects every client to the server behind it."""

    def __init__(self, connect: Callable[[], Awaitable[Streams]]) -> None:
        self._connect = connect
        self._server: asyncio.Server | None = None
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.passages: set[Passage] = set()
        self.look: Look | None = None
        self.port = 0

    async def listen(self) -> None:
        """Accept connections, at the same port as before if there was one."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Cut every connection and refuse new ones, until `listen`."""
        if self._server is not None:
            self._server.close()
            self.cut()
            await self._server.wait_closed()
            self._server = None

    def cut(self) -> None:
        """Cut every connection; new ones are accepted."""
        for passage in list(self.passages):
            passage.cut()

    def freeze(self) -> None:
        """Pass nothing on, in either direction, and keep every connection open."""
        self._open.clear()

    def thaw(self) -> None:
        """Pass on what was kept back, and everything from now on."""
        self._open.set()

    async def close(self) -> None:
        self.thaw()
        for _ in range(_TURNS_TO_ACCEPT):
            await asyncio.sleep(0)
        await self.refuse()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)  # to their ends, which were just cut
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            server_reader, server_writer = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        passage = Passage(writer, server_writer)
        self.passages.add(passage)
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pass(passage, reader, server_writer, up=True))
                ways.create_task(self._pass(passage, server_reader, writer, up=False))
        except (asyncio.CancelledError, ExceptionGroup):
            passage.cut()
        finally:
            self.passages.discard(passage)
            for half in (writer, server_writer):
                half.close()
            for half in (writer, server_writer):
                with suppress(OSError):
                    await half.wait_closed()

    async def _pass(self, passage: Passage, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(_PIECE_BYTES):
                await self._open.wait()
                if self.look is not None and not await self.look(passage, up, piece):
                    break
                writer.write(piece)
                await writer.drain()
            else:
                if writer.can_write_eof():
                    writer.write_eof()
                return
        passage.cut()


@asynccontextmanager
async def proxy_to(host: str, port: int) -> AsyncIterator[Proxy]:
    """Run a proxy in front of a TCP port."""
    async with _running(Proxy(lambda: asyncio.open_connection(host, port))) as proxy:
        yield proxy


@asynccontextmanager
async def proxy_to_unix(path: Path) -> AsyncIterator[Proxy]:
    """Run a proxy in front of a unix socket."""
    async with _running(Proxy(lambda: asyncio.open_unix_connection(path))) as proxy:
        yield proxy


@asynccontextmanager
async def proxy_to_mongodb(uri: str) -> AsyncIterator[Proxy]:
    """Run a proxy in front of the mongod whose address is the unix socket in `uri`."""
    async with proxy_to_unix(Path(unquote(urlsplit(uri).netloc))) as proxy:
        yield proxy


@asynccontextmanager
async def _running(proxy: Proxy) -> AsyncIterator[Proxy]:
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()
