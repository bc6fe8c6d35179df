"""The spoken words of calls, added to what they are found by after they were taken.

A transcript has a hundred words that are worth an index entry. To write those within a call's transaction takes a third off the
calls that can be taken in a second (measured: 1,470 instead of 2,100). So a call is stored with a mark, and its words follow
when the server has nothing more urgent to do, a second later as a rule. Whoever stores calls says which (`expect`). The mark
lies in the call itself: whichever process dies, another one finds it within a minute.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from tether_rt.ops import log
from tether_rt.search import call_terms
from tether_rt.store.client import Database, Document, DriverError, unavailable
from tether_rt.store.line import Line
from tether_rt.store.opmsg import find, update

_CALLS_AT_ONCE: Final = 32
_LOOK_EVERY_S: Final = 1.0
_SWEEP_EVERY_S: Final = 60.0
"""Not with each look: for five minutes MongoDB keeps the mark of a call that has none any more, and passes by all of those."""
_SWEPT_AT_ONCE: Final = 1_000
_MOST_EXPECTED: Final = 20_000
"""2 MB of ids. What is forgotten beyond is found by its mark."""
_REST: Final = 9
"""A busy server indexes for a tenth of the time: how often as long as it took it rests after each turn."""

_LOG: Final = logging.getLogger("tether.store")


class SpokenWords:
    """Indexes what was spoken; `run` it for as long as the process takes calls."""

    def __init__(self, database: Database, is_busy: Callable[[], bool]) -> None:
        self._line = Line(database.delegate)
        self._is_busy = is_busy
        self._ids: deque[str] = deque(maxlen=_MOST_EXPECTED)
        self._sweep_at_s = 0.0
        self._swept_all = True

    def expect(self, call_ids: Iterable[str]) -> None:
        """Note calls that were stored with a mark."""
        self._ids.extend(call_ids)

    async def close(self) -> None:
        """Close the connection; idempotent."""
        await self._line.close()

    async def run(self) -> None:
        """Index whatever is marked, until cancelled; goes on after MongoDB was away, raises the driver's other errors."""
        while True:
            began_s = time.monotonic()
            try:
                indexed = await self.index()
            except DriverError as error:
                if unavailable(error) is None:
                    raise
                log(_LOG, logging.WARNING, "words_not_indexed", reason=type(error).__name__)
                indexed = 0
            if not indexed:
                await asyncio.sleep(_LOOK_EVERY_S)
            elif self._is_busy():
                await asyncio.sleep(_REST * (time.monotonic() - began_s))

    async def index(self) -> int:
        """Index some of the marked calls and return how many were looked at; 0 when none is known to be left."""
        if time.monotonic() >= self._sweep_at_s or not (self._ids or self._swept_all):
            await self._sweep()
        ids = [self._ids.popleft() for _ in range(min(len(self._ids), _CALLS_AT_ONCE))]
        try:
            await self._index(ids)
        except DriverError as error:
            # Otherwise there is one among them that cannot be indexed, and it would be in the way of all that come after.
            if unavailable(error) is not None:
                self._ids.extendleft(reversed(ids))
            raise
        return len(ids)

    async def _sweep(self) -> None:
        """Find what nobody said: calls of a process that died, or more than one remembers."""
        (answer,) = await self._line.ask([find("calls", {"unindexed": True}, "_id", limit=_SWEPT_AT_ONCE)])
        found = [call["_id"] for call in answer["cursor"]["firstBatch"]]
        self.expect(found)
        self._swept_all = len(found) < _SWEPT_AT_ONCE
        self._sweep_at_s = time.monotonic() + _SWEEP_EVERY_S

    async def _index(self, ids: list[str]) -> None:
        if not ids:
            return
        # What was said as plain strings, which the event loop decodes in a ninth of the time that the turns would take it.
        said = {"projection": {"said": "$transcription.message"}}
        (answer,) = await self._line.ask([find("calls", {"_id": {"$in": ids}, "unindexed": True}, **said)])
        changes = []
        for call in answer["cursor"]["firstBatch"]:
            changes.append(_change(call))
            await asyncio.sleep(0)  # the words of a long transcript take 2 ms
        if changes:
            # Work that is done again when it is lost: it need not wait for a majority.
            how = {"ordered": False, "writeConcern": {"w": 1}}
            await self._line.ask([update("calls", changes, **how)])


def _change(call: Document) -> Document:
    terms = call_terms(call["said"], ())
    return {"q": {"_id": call["_id"]}, "u": {"$addToSet": {"terms": {"$each": terms}}, "$unset": {"unindexed": ""}}}
