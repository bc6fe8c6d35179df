"""HTTP as bytes on a socket: for what a well-behaved client library would never send, or would hide."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """One answer; header names in lower case, a JSON body parsed."""

    status: int
    headers: dict[str, str]
    body: Any


class RawConnection:
    """One connection, written and read in any order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def request(self, line: str, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        """Send a request such as `GET /healthz`; a body's length is declared unless the headers say something about it."""
        fields = {"Host": "calls.example", **(headers or {})}
        if body and "Transfer-Encoding" not in fields:
            fields.setdefault("Content-Length", str(len(body)))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await self.send(f"{line} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)

    async def answer(self, *, of_head: bool = False) -> RawAnswer:
        """Read one answer to its end; `of_head` says that it is one without content."""
        async with asyncio.timeout(20):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:-2])}
            body = b"" if of_head else await self.reader.readexactly(int(headers.get("content-length", 0)))
        is_json = headers.get("content-type") == "application/json" and body and "content-encoding" not in headers
        return RawAnswer(int(lines[0].split(" ")[1]), headers, json.loads(body) if is_json else body)

    async def ended(self) -> bytes:
        """Return what comes until the server closes the connection."""
        async with asyncio.timeout(20):
            return await self.reader.read()

    async def close(self) -> None:
        """Close at once, whatever is unread."""
        self.writer.transport.abort()


@asynccontextmanager
async def connection(url: str) -> AsyncIterator[RawConnection]:
    """Connect to the server at `url`."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    raw = RawConnection(reader, writer)
    try:
        yield raw
    finally:
        await raw.close()
