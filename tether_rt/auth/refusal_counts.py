"""Counts of what sources of vendors refused without proof of its origin, stored in the background.

Such requests are not kept as deliveries: whoever knows an address could fill the database. They are counted by cause.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from datetime import UTC, datetime
from typing import Final, Literal

from tether_rt.mongo.client import DriverError, unavailable
from tether_rt.mongo.sources import Refusals, Sources
from tether_rt.runtime.logs import log

_LOG: Final = logging.getLogger("tether.auth")
RefusedCode = Literal["signature", "stale", "too_large", "disabled"]
"""Why: the signature is wrong or missing, or too old or too new; the body is too large; the source is disabled."""
MAX_WAITING: Final = 2_000
"""Sources whose refusals wait to be stored; those of more are not counted."""
_REST_S: Final = 1.0


class RefusalCounts:
    """Counts refusals, and stores them with one write a second at most. When MongoDB goes away in the middle of a write, the
    refusals of that second may be counted twice."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._waiting: dict[str, Refusals] = {}  # by the id of the source
        self._noted = asyncio.Event()

    def note(self, source_id: str, code: RefusedCode) -> None:
        """Count a request that was refused just now. Takes no time; the source must exist."""
        refused = self._waiting.get(source_id)
        if refused is None:
            if len(self._waiting) >= MAX_WAITING:
                return
            refused = self._waiting[source_id] = Refusals(defaultdict(int), datetime.now(UTC), code)
            self._noted.set()
        refused.counts[code] += 1
        refused.last_at, refused.last_code = datetime.now(UTC), code

    async def run(self) -> None:
        """Store what is counted, until cancelled; while MongoDB is away, keep it."""
        while True:
            await self._noted.wait()
            self._noted.clear()
            refusals, self._waiting = self._waiting, {}
            try:
                await self._sources.add_refusals(refusals)
            except DriverError as error:
                if unavailable(error) is None:
                    raise
                log(_LOG, logging.WARNING, "refusals_not_stored", reason=type(error).__name__)
                self._put_back(refusals)
            await asyncio.sleep(_REST_S)

    def _put_back(self, refusals: dict[str, Refusals]) -> None:
        for source_id, newer in self._waiting.items():
            older = refusals.get(source_id)
            for code, count in older.counts.items() if older else ():
                newer.counts[code] += count
        self._waiting = {**refusals, **self._waiting}
        self._noted.set()
