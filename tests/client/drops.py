"""Connections through a proxy that break after so many bytes, whichever way these go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from tests.support.proxy import Passage, Proxy, proxy_to
from tether_rt.client import Retries

FAST = Retries(first_s=0.001, longest_s=0.004, give_up_s=120.0)


class Drops:
    """Cuts the next connection after the next of `offsets`, and none any more when there are no more."""

    def __init__(self, url: str, offsets: Iterator[int]) -> None:
        self.url = url
        """Of the proxy."""
        self._offsets = offsets
        self.cut_at: list[int] = []
        self.is_over = False

    async def look(self, passage: Passage, up: bool, piece: bytes) -> bool:
        """Pass a piece on, or its beginning and then cut: every other time cleanly, otherwise with a reset."""
        if "left" not in passage.notes:
            offset = None if self.is_over else next(self._offsets, None)
            self.is_over = offset is None
            passage.notes["at"] = passage.notes["left"] = 1 << 62 if offset is None else offset
        left = passage.notes["left"]
        passage.notes["left"] -= len(piece)
        if len(piece) <= left:
            return True
        self.cut_at.append(passage.notes["at"])
        target = passage.server if up else passage.client
        target.write(piece[:left])
        with suppress(ConnectionError):
            await target.drain()
            if passage.notes["at"] % 2:
                for half in (passage.client, passage.server):
                    half.close()
                    await half.wait_closed()
        return False


@asynccontextmanager
async def dropping(url: str, offsets: Iterator[int]) -> AsyncIterator[Drops]:
    """Run a proxy in front of a server that drops."""
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    async with proxy_to(address.hostname, address.port) as proxy:
        drops = Drops(f"http://127.0.0.1:{proxy.port}", offsets)
        proxy.look = drops.look
        yield drops


@asynccontextmanager
async def counting(url: str) -> AsyncIterator[tuple[Proxy, list[int]]]:
    """Run a proxy that drops nothing; the list has the bytes that passed, piece by piece."""
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    pieces: list[int] = []

    async def look(_passage: Passage, _up: bool, piece: bytes) -> bool:
        pieces.append(len(piece))
        return True

    async with proxy_to(address.hostname, address.port) as proxy:
        proxy.look = look
        yield proxy, pieces
