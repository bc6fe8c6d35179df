"""How many may work at once, learned from how long their work takes, as TCP Vegas learns its window.

While nobody waits for a shared resource (a processor, a disk), work takes as long as it does alone, and one more does no harm.
Once work takes longer than alone, part of it is spent waiting for the others: one more would only wait too.

Brakmo, O'Malley, Peterson: "TCP Vegas: New Techniques for Congestion Detection and Avoidance", 1994.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

_FEW_WAITING: Final = 1.0
_MANY_WAITING: Final = 2.0
"""Vegas' α and β: with fewer than that waiting the limit grows, with more it shrinks."""
_REMEMBERED: Final = 500
"""Times after which the shortest one is looked for anew: the resource may have become slower for good."""


class ConcurrencyLimit:
    """Places for work, taken in the order in which they were asked for."""

    def __init__(self, least: int, most: int) -> None:
        """The limit is between `least`, with which it begins, and `most`."""
        self._least = least
        self._most = most
        self._limit = float(least)
        self._at_work = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._alone_s = self._shortest_s = float("inf")
        self._times = 0

    @property
    def limit(self) -> int:
        """How many may work at once just now."""
        return int(self._limit)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Work in the block, when there is a place."""
        await self._enter()
        try:
            yield
        finally:
            self._leave()

    def learn(self, took_s: float) -> None:
        """Adapt the limit to how long a piece of work took that succeeded; to be called while it has its place."""
        self._shortest_s = min(self._shortest_s, took_s)
        self._alone_s = min(self._alone_s, took_s)
        self._times += 1
        if self._times % _REMEMBERED == 0:
            self._alone_s, self._shortest_s = self._shortest_s, float("inf")
        waiting = self._limit * (1 - self._alone_s / took_s)
        if waiting > _MANY_WAITING:
            self._limit = max(self._least, self._limit - 1 / self._limit)
        elif waiting < _FEW_WAITING and self._at_work >= self.limit:
            self._limit = min(self._most, self._limit + 1 / self._limit)

    async def _enter(self) -> None:
        if self._at_work < self.limit and not self._waiting:
            self._at_work += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._leave()
            raise

    def _leave(self) -> None:
        self._at_work -= 1
        while self._waiting and self._at_work < self.limit:
            place = self._waiting.popleft()
            if not place.done():
                self._at_work += 1
                place.set_result(None)
