"""Dashboards by the hundred: WebSocket clients that cost little, check every number they see, and resume where they were."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

_UPGRADED = b"HTTP/1.1 101 "
_COME_BACK_S = 0.1
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA


def upgrade_request(base_url: str, token: str, after: int | str | None) -> bytes:
    """Return what a client sends to open a dashboard; `after` is a number or `<epoch>.<number>`."""
    query = "" if after is None else f"?after={after}"
    return (
        f"GET /ws{query} HTTP/1.1\r\nHost: {urlsplit(base_url).netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tether.v1\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    ).encode()


class Watcher:
    """One dashboard. Until it is closed it connects again with its position whenever the connection ends.

    `faults` lists what a dashboard must never see: a gap, a repeat, a resync.
    """

    def __init__(self, base_urls: Iterable[str], token: str, *, after: int | None = None, keep: bool = False) -> None:
        self.base_urls = list(base_urls)
        self.token = token
        self.epoch: str | None = None
        self.first: int | None = None
        """The number after which it began."""
        self.last: int | None = after
        self.texts: list[bytes] = []
        """The events as they came, when they are to be kept."""
        self.faults: list[str] = []
        self.greetings = 0
        self.refusals: list[int] = []
        """HTTP statuses with which the upgrade was refused."""
        self.close_codes: list[int] = []
        self.line: _Line | None = None
        self._keep = keep
        self._staying: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    def open(self) -> None:
        """Connect, and again whenever the connection ends."""
        self._staying = asyncio.create_task(self._stay())

    async def close(self) -> None:
        """Leave for good."""
        if self._staying is not None:
            self._staying.cancel()
            await asyncio.gather(self._staying, return_exceptions=True)
        self.drop()

    def drop(self) -> None:
        """Cut the connection, as a lost network does."""
        if self.line is not None and self.line.transport is not None:
            self.line.transport.abort()

    async def greeted(self, times: int = 1) -> None:
        """Return once it has received so many hellos."""
        await self._until(lambda: self.greetings >= times)

    async def until(self, seq: int) -> None:
        """Return once it has seen everything up to `seq`."""
        await self._until(lambda: self.last is not None and self.last >= seq)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def _stay(self) -> None:
        loop = asyncio.get_running_loop()
        turn = 0
        while True:
            address = urlsplit(self.base_urls[turn % len(self.base_urls)])
            turn += 1
            after = self.last if self.epoch is None else f"{self.epoch}.{self.last}"
            line = _Line(self, upgrade_request(address.geturl(), self.token, after))
            try:
                await loop.create_connection(partial(_same, line), address.hostname or "", address.port or 0)
            except OSError:
                pass  # no server listens just now
            else:
                self.line = line
                await line.ended.wait()
            await asyncio.sleep(_COME_BACK_S)

    def take(self, payload: bytes) -> None:
        """Take one message."""
        message = json.loads(payload)
        kind, seq = message["event"], message["seq"]
        if kind == "hello":
            self.greetings += 1
            self.epoch = message["epoch"]
            if self.last is None:
                self.first = self.last = seq
            elif seq != self.last:
                self.faults.append(f"hello with {seq} for one who has seen {self.last}")
        elif kind == "resync":
            self.faults.append(f"resync: {message['reason']}")
            self.epoch, self.last = message["epoch"], seq
        else:
            if seq != (self.last or 0) + 1:
                self.faults.append(f"{seq} after {self.last}")
            self.last = seq
            if self._keep:
                self.texts.append(payload)
        self._changed.set()

    def refused(self, status: int) -> None:
        """Note an upgrade that was refused."""
        self.refusals.append(status)
        self._changed.set()

    def closed_with(self, code: int) -> None:
        """Note the code of a close frame."""
        self.close_codes.append(code)
        self._changed.set()


class _Line(asyncio.Protocol):
    """One connection of a watcher: the upgrade, then frames (RFC 6455 section 5.2; a server's are not masked)."""

    def __init__(self, watcher: Watcher, request: bytes) -> None:
        self.transport: asyncio.Transport | None = None
        self.ended = asyncio.Event()
        self._watcher = watcher
        self._request = request
        self._buffer = bytearray()
        self._upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._upgraded and not self._upgrade():
            return
        while (frame := self._next_frame()) is not None:
            opcode, payload = frame
            if opcode == _TEXT:
                self._watcher.take(payload)
            elif opcode == _PING:
                self._send(_PONG, payload)
            elif opcode == _CLOSE:
                self._watcher.closed_with(int.from_bytes(payload[:2], "big"))
                self._send(_CLOSE, payload[:2])

    def _upgrade(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        if not self._buffer.startswith(_UPGRADED):
            self._watcher.refused(int(self._buffer[9:12]))
            assert self.transport is not None
            self.transport.abort()
            return False
        del self._buffer[: end + 4]
        self._upgraded = True
        return True

    def _next_frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(buffer[2:start], "big")
        if len(buffer) < start + size:
            return None
        opcode, payload = buffer[0] & 0xF, bytes(buffer[start : start + size])
        del buffer[: start + size]
        return opcode, payload

    def _send(self, opcode: int, payload: bytes) -> None:
        # A mask of zeros leaves the payload as it is.
        assert self.transport is not None
        self.transport.write(bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload)


def _same(line: _Line) -> _Line:
    return line


@asynccontextmanager
async def watching(
    base_urls: Iterable[str], token: str, count: int, *, after: int | None = None, keep: bool = False
) -> AsyncIterator[list[Watcher]]:
    """Open so many dashboards at once, spread over the servers; in the end assert that none has a fault."""
    urls = list(base_urls)
    watchers = [Watcher(urls[n % len(urls) :] + urls[: n % len(urls)], token, after=after, keep=keep) for n in range(count)]
    try:
        for watcher in watchers:
            watcher.open()
        await asyncio.gather(*(watcher.greeted() for watcher in watchers))
        yield watchers
    finally:
        await asyncio.gather(*(watcher.close() for watcher in watchers))
    assert [fault for watcher in watchers for fault in watcher.faults] == []


async def upgraded_socket(base_url: str, token: str, receive_buffer: int, after: int | None = None) -> socket.socket:
    """Open a dashboard on a bare socket with a small receive buffer, for a client that reads slowly or not at all."""
    address = urlsplit(base_url)
    loop = asyncio.get_running_loop()
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.setblocking(False)
    await loop.sock_connect(raw, (address.hostname, address.port))
    await loop.sock_sendall(raw, upgrade_request(base_url, token, after))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = await loop.sock_recv(raw, 1)
        assert byte, head
        head += byte
    assert head.startswith(_UPGRADED), head
    return raw
