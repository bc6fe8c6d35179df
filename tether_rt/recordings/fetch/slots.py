"""A semaphore with a limit in all and a limit for each key.

Without the second limit, one organization whose vendor's servers are slow would take every slot from the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from tether_rt.errors import Unavailable


class KeyedSemaphore:
    """`total` slots, at most `per_key` of them for one key. A caller waits up to `wait_s` seconds for each of the two."""

    def __init__(self, total: int, per_key: int, wait_s: float) -> None:
        self._total = asyncio.Semaphore(total)
        self._per_key = per_key
        self._wait_s = wait_s
        # A key's semaphore lives as long as somebody holds or awaits one of its slots.
        self._keys: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def slot(self, key: str) -> AsyncIterator[None]:
        """Hold a slot for `key`; raises `Unavailable` when none becomes free in time."""
        of_key = self._keys.setdefault(key, asyncio.Semaphore(self._per_key))
        await self._acquire(of_key)
        try:
            await self._acquire(self._total)
            try:
                yield
            finally:
                self._total.release()
        finally:
            of_key.release()

    async def _acquire(self, semaphore: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(self._wait_s):
                await semaphore.acquire()
        except TimeoutError as error:
            sentence = "The server is busy with other recordings; send this one again shortly."
            raise Unavailable(sentence, 5, limit="fetches") from error
