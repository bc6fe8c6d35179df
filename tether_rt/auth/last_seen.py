"""When each source or person was last seen, stored in the background: no request waits for it, or causes a write of its own."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

from tether_rt.mongo.client import DriverError, unavailable
from tether_rt.runtime.logs import log

_LOG: Final = logging.getLogger("tether.auth")
EVERY_S: Final = 60.0
"""A source is stored once in this time, so its `lastSeenAt` is at most so old while it goes on sending."""
MAX_REMEMBERED: Final = 20_000
"""Sources of which it is remembered when they were stored; of more, some are stored more often."""
_REST_S: Final = 1.0


class Seen(Protocol):
    """Where it is stored: `mongo.sources.Sources`, or `mongo.users.Users`."""

    async def seen(self, ids: list[str], at: datetime, /) -> None:
        """Note that these were seen."""


class LastSeen:
    """Takes notes of sources, or of people, and stores those that are due with one write a second at most."""

    def __init__(self, stored: Seen, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stored = stored
        self._clock = clock
        self._due_s: OrderedDict[str, float] = OrderedDict()  # source id -> when it may be stored again, oldest first
        self._waiting: dict[str, None] = {}  # ids that the next write stores
        self._noted = asyncio.Event()

    def note(self, source_id: str) -> None:
        """Note that this source has just sent something."""
        now_s = self._clock()
        if now_s < self._due_s.get(source_id, now_s) or len(self._waiting) >= MAX_REMEMBERED:
            return
        self._due_s.pop(source_id, None)
        self._due_s[source_id] = now_s + EVERY_S
        if len(self._due_s) > MAX_REMEMBERED:
            self._due_s.popitem(last=False)
        self._waiting[source_id] = None
        self._noted.set()

    async def run(self) -> None:
        """Store what is noted, until cancelled; while MongoDB is away, keep it."""
        while True:
            await self._noted.wait()
            source_ids = list(self._waiting)
            try:
                await self._stored.seen(source_ids, datetime.now(UTC))
            except DriverError as error:
                if unavailable(error) is None:
                    raise
                log(_LOG, logging.WARNING, "last_seen_not_stored", reason=type(error).__name__)
            else:
                for source_id in source_ids:
                    del self._waiting[source_id]
                if not self._waiting:
                    self._noted.clear()
            await asyncio.sleep(_REST_S)
