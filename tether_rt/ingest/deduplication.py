"""Duplicate check: has this call been stored before? Asked for every call with an `externalCallId`, many in one query."""

from __future__ import annotations

import asyncio
from typing import Final

from tether_rt.mongo.lookups import CallKey, Lookups, StoredCall
from tether_rt.runtime.batching import Batcher

MAX_KEYS: Final = 512
"""In one query: MongoDB takes 16 MB, and the longest keys are 16 KB."""


class DuplicateCheck:
    """Looks calls up by source and `externalCallId`."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups
        self._batcher = Batcher(self._look_up, max_items=MAX_KEYS)

    async def close(self) -> None:
        """Close the connection; idempotent."""
        await self._batcher.close()
        await self._lookups.close()

    def find(self, key: CallKey) -> asyncio.Future[StoredCall | None]:
        """Return a future for the stored call, or None; it raises the driver's errors and may be cancelled."""
        return self._batcher.submit(key)

    async def _look_up(self, keys: list[CallKey]) -> list[StoredCall | None]:
        found = await self._lookups.calls(set(keys))
        return [found.get(key) for key in keys]
