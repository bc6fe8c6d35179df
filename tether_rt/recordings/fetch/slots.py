"""Places for work that a stranger can slow down: so many in all, and so many for each organization.

Without the second bound, one vendor whose servers drip would take every place from the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tether_rt.errors import Unavailable


class KeyedSemaphore:
    """`total` places, at most `each` of them for one name; who finds none waits up to `wait_s` seconds."""

    def __init__(self, total: int, each: int, wait_s: float) -> None:
        self._each = each
        self._wait_s = wait_s
        self._all = asyncio.Semaphore(total)
        # name -> (its places, how many hold or await one); gone with the last of them
        self._slots: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def slot(self, name: str) -> AsyncIterator[None]:
        """Hold a place for `name`; raises `Unavailable` when none becomes free in time."""
        lane, users = self._slots.get(name, (asyncio.Semaphore(self._each), 0))
        self._slots[name] = (lane, users + 1)
        try:
            await self._acquire(lane)
            try:
                await self._acquire(self._all)
                try:
                    yield
                finally:
                    self._all.release()
            finally:
                lane.release()
        finally:
            lane, users = self._slots.pop(name)
            if users > 1:
                self._slots[name] = (lane, users - 1)

    async def _acquire(self, places: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(self._wait_s):
                await places.acquire()
        except TimeoutError as error:
            raise Unavailable(
                "The server is busy with other recordings; send this one again shortly.", 5, limit="fetches"
            ) from error
