"""Has this call been stored before? Asked for every call with an `externalCallId`, answered together.

Questions that arrive while one query is under way go into the next one, so that a busy server asks MongoDB once for many
calls, and an idle one at once for each: the same idea as the group commit, on the reading side.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Final

from tether_rt.store.known import CallKey, Known, StoredCall

MAX_KEYS: Final = 512
"""In one query: MongoDB takes 16 MB, and the longest keys are 16 KB."""


class DuplicateCheck:
    """Looks calls up by user and `externalCallId`."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._asked: dict[CallKey, asyncio.Future[StoredCall | None]] = {}
        self._query: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Close the connection; idempotent."""
        await self._known.close()

    async def find(self, key: CallKey) -> StoredCall | None:
        """Return the stored call, or None; raises the driver's errors."""
        future = self._asked.get(key)
        if future is None:
            future = self._asked[key] = asyncio.get_running_loop().create_future()
        if self._query is None:
            self._query = asyncio.create_task(self._answer())
        return await asyncio.shield(future)

    async def _answer(self) -> None:
        try:
            while self._asked:
                asked = {key: self._asked.pop(key) for key in list(islice(self._asked, MAX_KEYS))}
                try:
                    found = await self._known.calls(asked)
                except Exception as error:  # handed to everybody who asked, who raise it
                    for future in asked.values():
                        future.set_exception(error)
                        future.exception()  # one that nobody waits for any more is no unexpected error
                    continue
                for key, future in asked.items():
                    future.set_result(found.get(key))
        finally:
            self._query = None
