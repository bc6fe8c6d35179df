"""A vendor's web server on a real socket: a coroutine for each path answers, rightly or wrongly, byte by byte."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Request:
    """A request; the names in `headers` are in lower case."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


Answer = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


class Vendor:
    """Answers by path. `requests` are the requests so far, `connections` their connections' number."""

    def __init__(self) -> None:
        self.routes: dict[str, Answer] = {}
        self.requests: list[Request] = []
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._busy: set[asyncio.Task[None]] = set()

    async def start(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._connected, host, 0, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    def serve(self, path: str, answer: Answer) -> str:
        """Answer `path` with `answer`; return its URL."""
        self.routes[path] = answer
        return self.url(path)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, TimeoutError):
                while True:
                    request = await _read(reader)
                    self.requests.append(request)
                    answer = self.routes.get(request.target.partition("?")[0], status(404))
                    await answer(request, writer)
                    await writer.drain()
                    if request.headers.get("connection", "").lower() == "close":
                        break
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._busy.discard(task)
            writer.close()
            with suppress(ConnectionError, ssl.SSLError, TimeoutError):
                await writer.wait_closed()


@asynccontextmanager
async def vendor_server(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[Vendor]:
    vendor = Vendor()
    await vendor.start(host, tls)
    try:
        yield vendor
    finally:
        await vendor.stop()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, target, headers, body)


def head(code: int, **headers: str | int) -> bytes:
    lines = [f"HTTP/1.1 {code} Whatever", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def raw(*pieces: bytes, pause_s: float = 0.0, then: str = "close") -> Answer:
    """Send exactly these pieces, with a pause before each but the first; then `close`, `reset` or `hang`."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(pause_s)
            writer.write(piece)
            await writer.drain()
        if then == "hang":
            await asyncio.sleep(3600)
        elif then == "reset":
            await asyncio.sleep(0.05)
            # Without lingering, closing sends a reset.
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            writer.close()

    return answer


def body(content: bytes, **headers: str | int) -> Answer:
    """Answer 200 with `content` and its length."""
    return raw(head(200, Content_Length=len(content), **headers) + content)


def status(code: int, **headers: str | int) -> Answer:
    return raw(head(code, Content_Length=0, **headers))


def redirect(to: str, code: int = 302) -> Answer:
    return status(code, Location=to)


def in_turn(*answers: Answer) -> Answer:
    """Give each request the next of the answers, and the last one to all that come later."""
    left = list(answers)

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(request, writer)

    return answer


def repeated(first: bytes, piece: bytes, times: int | None = None, pause_s: float = 0.0, tail: bytes = b"") -> Answer:
    """Send `first`, then `piece` so many `times` (None: for ever), then `tail`."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        sent = 0
        while times is None or sent < times:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
            sent += 1
        writer.write(tail)
        await writer.drain()
        writer.close()

    return answer
