"""A TCP line between the browser and the server that a test can cut: real sockets, real loss."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Wire:
    """Forwards `url` to the server behind it until it is cut."""

    host: str
    port: int
    url: str = ""
    is_cut: bool = False
    connections: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Drop every connection without a word, and whatever is tried until `mend`."""
        self.is_cut = True
        for writer in list(self.connections):
            writer.transport.abort()

    def mend(self) -> None:
        """Let connections through again."""
        self.is_cut = False

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection in both directions until either side ends."""
        if self.is_cut:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(self.host, self.port)
        ends = {writer, far_writer}
        self.connections |= ends
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            self.connections -= ends
            for end in ends:
                end.transport.abort()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


@asynccontextmanager
async def wire_to(server_url: str) -> AsyncIterator[Wire]:
    """Return a line to the server at `server_url`; it is gone with the block."""
    address = urlsplit(server_url)
    assert address.hostname is not None
    assert address.port is not None
    wire = Wire(address.hostname, address.port)
    server = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    wire.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield wire
    finally:
        wire.cut()
        server.close()
        await server.wait_closed()
