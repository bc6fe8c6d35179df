"""The words that calls are found by, indexed after the calls were taken.

A transcript has a hundred words that are worth an index entry, and a call's names, numbers and summary another twenty. To write
those within its transaction takes a third off the calls that can be taken in a second. So a call is stored with a mark, and its
words follow when the server has nothing more urgent to do, a second later as a rule. Until then a search looks through the
marked calls themselves, for all but what was spoken (`CallHistory`).

Whoever stores calls says which (`expect`). The mark lies in the call itself: whichever process dies, another one finds it
within a minute.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from tether_rt.domain.search_terms import indexed_terms
from tether_rt.mongo.client import Database, Document, DriverError, unavailable
from tether_rt.mongo.wire.loop_connection import LoopConnection
from tether_rt.mongo.wire.op_msg import find, update
from tether_rt.runtime.logs import log

_CALLS_AT_ONCE: Final = 32
_LOOK_EVERY_S: Final = 1.0
_CLOCKS_DIFFER_S: Final = 15.0
"""Between processes, at most; the moment that a sweep takes is in it as well."""
_SWEEP_EVERY_S: Final = 60.0
"""Not with each look: for five minutes MongoDB keeps the mark of a call that has none any more, and passes by all of those."""
_SWEPT_AT_ONCE: Final = 1_000
_MAX_BACKLOG: Final = 20_000
"""A search looks through them, 5 µs for each."""
_MOST_EXPECTED: Final = 25_000
"""2.5 MB of ids. What is forgotten beyond is found by its mark."""
_BUSY_REST_FACTOR: Final = 9
"""A busy server indexes for a tenth of the time: how often as long as it took it rests after each turn."""

_MARKED: Final = {"unindexed": {"$exists": True}}
EVER: Final = datetime.fromtimestamp(0, UTC)
"""Before the mark of any call."""

_LOG: Final = logging.getLogger("tether.store")


class SearchIndexer:
    """Indexes what calls are found by; `run` it for as long as the process takes calls."""

    def __init__(self, database: Database, is_busy: Callable[[], bool]) -> None:
        self._connection = LoopConnection(database.delegate)
        self._is_busy = is_busy
        self._ids: deque[str] = deque(maxlen=_MOST_EXPECTED)
        self._sweep_at_s = 0.0
        self._swept_all = True
        self._oldest: datetime | None = EVER
        """Of the marks that this process knows of; at first, whatever there may be."""

    @property
    def waiting_since(self) -> datetime:
        """The time before which no call is marked, whichever process stored it.

        An older mark than the last sweep is known. To look through all marks would pass by those of five minutes (see there).
        """
        lately = datetime.now(UTC) - timedelta(seconds=_SWEEP_EVERY_S + _CLOCKS_DIFFER_S)
        return lately if self._oldest is None else min(lately, self._oldest)

    def expect(self, call_ids: Iterable[str], at: datetime) -> None:
        """Note calls that were stored, and marked, at this time or later."""
        self._oldest = at if self._oldest is None else min(at, self._oldest)
        for call_id in call_ids:
            if len(self._ids) == self._ids.maxlen:
                self._swept_all = False
            self._ids.append(call_id)

    @property
    def is_backlog_full(self) -> bool:
        """Say if so many calls wait that the next had better be stored with their words (`calls.call_elements`).

        That takes MongoDB a sixth of what it takes to add them afterwards, so that a server without time for that keeps up.
        """
        return len(self._ids) >= _MAX_BACKLOG

    async def close(self) -> None:
        """Close the connection; idempotent."""
        await self._connection.close()

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
                await asyncio.sleep(_BUSY_REST_FACTOR * (time.monotonic() - began_s))

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
                self._expect_again(ids)
            raise
        if not self._ids and self._swept_all:
            self._oldest = None
        return len(ids)

    def _expect_again(self, ids: list[str]) -> None:
        self.expect(ids, self._oldest or EVER)

    async def _sweep(self) -> None:
        """Find what nobody said: calls of a process that died, or more than one remembers."""
        oldest_first = {"sort": {"unindexed": 1}, "limit": _SWEPT_AT_ONCE}
        (answer,) = await self._connection.ask([find("calls", _MARKED, "unindexed", **oldest_first)])
        found = answer["cursor"]["firstBatch"]
        self._swept_all = len(found) < _SWEPT_AT_ONCE
        if found:
            at = found[0]["unindexed"]
            self._oldest = at if isinstance(at, datetime) else EVER
            self.expect((call["_id"] for call in found), self._oldest)
        self._sweep_at_s = time.monotonic() + _SWEEP_EVERY_S

    async def _index(self, ids: list[str]) -> None:
        if not ids:
            return
        # What was said as plain strings, which the event loop decodes in a ninth of the time that the turns would take it.
        said = {"projection": {"said": "$transcription.message", "newTerms": 1, "terms": 1, "numbers": 1}}
        (answer,) = await self._connection.ask([find("calls", {"_id": {"$in": ids}, **_MARKED}, **said)])
        changes = []
        for call in answer["cursor"]["firstBatch"]:
            changes.append(_change(call))
            await asyncio.sleep(0)  # the words of a long transcript take 2 ms
        if changes:
            # Work that is done again when it is lost: it need not wait for a majority.
            how = {"ordered": False, "writeConcern": {"w": 1}}
            (answer,) = await self._connection.ask([update("calls", changes, **how)])
            if answer["n"] < len(changes):
                self._expect_again(ids)  # which finds those that are still marked


def _change(call: Document) -> Document:
    # A contact's new name may be in its place already; an earlier version had the others there, too.
    known = [*call.get("newTerms", ()), *call.get("terms", ()), *call.get("numbers", ())]
    indexed = indexed_terms(known, call["said"])
    # One that was given a name since it was read keeps its mark, and is read again.
    as_read = {field: call.get(field, {"$exists": False}) for field in indexed}
    return {"q": {"_id": call["_id"], **as_read}, "u": {"$set": indexed, "$unset": {"unindexed": "", "newTerms": ""}}}
