"""A proxy in front of the S3 server that forwards requests, holds them, or fails them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from tests.support.s3 import S3Server

_NAMES = {403: "AccessDenied", 500: "InternalError", 503: "SlowDown"}


class FaultyStore:
    """One bucket behind an address that stays the same whatever fails."""

    def __init__(self, behind: S3Server) -> None:
        self.behind = behind
        self.name = behind.create_bucket()
        self.status: int | None = None
        """The status to answer instead of forwarding, if any."""
        self.is_silent = False
        """Whether requests are accepted and never answered."""
        self.forwards = asyncio.Event()
        """Requests are held until this is set."""
        self.forwards.set()
        self.held = 0
        """How many requests are held now."""
        self.port = 0
        self._server: asyncio.Server | None = None
        self._busy: set[asyncio.Task[None]] = set()

    @property
    def variables(self) -> dict[str, str]:
        """The settings of a server that stores its recordings here."""
        return {
            "R2_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "R2_ACCESS_KEY_ID": S3Server.ACCESS_KEY_ID,
            "R2_SECRET_ACCESS_KEY": S3Server.SECRET_ACCESS_KEY,
            "R2_BUCKET": self.name,
        }

    async def up(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse new connections and cut the others."""
        if self._server is not None:
            self._server.close()
            for task in self._busy:
                task.cancel()
            await asyncio.gather(*self._busy, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    async def fail(self, how: str) -> None:
        """Be `down` (connections refused), `silent`, or answer everything with the status in `how`."""
        await self.heal()
        self.is_silent = how == "silent"
        self.status = int(how) if how.isdigit() else None
        if how == "down":
            await self.down()

    async def heal(self) -> None:
        """Forward everything again."""
        self.status, self.is_silent = None, False
        self.forwards.set()
        await self.down()
        await self.up()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)
        try:
            await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client gave up
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if self.is_silent:
            await reader.read()
            return
        self.held += 1
        try:
            await self.forwards.wait()
        finally:
            self.held -= 1
        if self.status is None:
            headers["connection"] = "close"
            head = "\r\n".join([first, *(f"{name}: {value}" for name, value in headers.items()), "", ""])
            writer.write(await self._ask(head.encode("latin-1") + body))
        else:
            name = _NAMES[self.status]
            said = f"<?xml version='1.0'?><Error><Code>{name}</Code><Message>private words</Message></Error>".encode()
            head = f"HTTP/1.1 {self.status} {name}\r\nContent-Length: {len(said)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + (b"" if first.startswith("HEAD ") else said))
        await writer.drain()

    async def _ask(self, request: bytes) -> bytes:
        address = urlsplit(self.behind.endpoint_url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            writer.write(request)
            return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()


@asynccontextmanager
async def faulty_store(behind: S3Server) -> AsyncIterator[FaultyStore]:
    """Run a `FaultyStore` until the block ends."""
    store = FaultyStore(behind)
    await store.up()
    try:
        yield store
    finally:
        await store.down()
