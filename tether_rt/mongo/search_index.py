"""Search terms that are written after their calls.

A call has about twenty search terms from its names, numbers and summary, and a hundred more from its transcript. Writing an
index entry for each within the call's transaction costs a third of the calls per second. So a call is stored with the field
`unindexed` (a mark that holds the time) and the list `newTerms`, which no index covers; its terms follow when the server has
time, usually a second later. Until then a search reads the marked calls themselves (`CallHistory`), which finds everything but
spoken words.

The batch writer puts the ids of the calls that it stored into a `SearchBacklog`, from which the `SearchIndexer` takes them. The
mark is in the database: calls of a process that died are found by it within a minute, by any other process.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from pymongo import UpdateOne, WriteConcern

from tether_rt.domain.search_terms import indexed_terms
from tether_rt.mongo.client import Database, Document, DriverError, unavailable
from tether_rt.runtime.logs import log

_BATCH_CALLS: Final = 32
_PAGE_BYTES: Final = 1 << 20
"""The driver decodes a page in one go, during which no other Python code runs."""
_LOOK_EVERY_S: Final = 1.0
_SWEEP_EVERY_S: Final = 60.0
"""Not at every look: MongoDB keeps the index entry of a removed mark for five minutes, and a sweep passes all of them."""
_CLOCK_SKEW_S: Final = 15.0
"""The largest difference between the clocks of two processes that is allowed for, and the duration of a sweep."""
_BUSY_REST_FACTOR: Final = 9
"""While further calls are stored, the indexer rests nine times as long as its last batch took."""

_MARKED: Final = {"unindexed": {"$exists": True}}
_EPOCH: Final = datetime.fromtimestamp(0, UTC)

_LOG: Final = logging.getLogger("tether.store")


class SearchBacklog:
    """The marked calls that this process knows of, and a time before which no call of any process is marked."""

    def __init__(self, *, full_calls: int = 20_000, max_calls: int = 25_000) -> None:
        """Count as full from `full_calls` on (a search takes 5 µs for each); remember the ids of at most `max_calls`."""
        self._full_calls = full_calls
        self._ids: deque[str] = deque(maxlen=max_calls)
        self._oldest_mark: datetime | None = _EPOCH
        self.is_complete = False
        """Whether the ids of all calls that were found or enqueued are here, or were taken: none had to be dropped."""
        self.batches = 0
        """How many batches of calls were stored since the process started."""

    def enqueue(self, call_ids: Iterable[str], at: datetime) -> None:
        """Add the marked calls, perhaps none, of a batch that was stored; their mark is `at`."""
        self.batches += 1
        for call_id in call_ids:
            self._append(call_id)
            self._oldest_mark = at if self._oldest_mark is None else min(at, self._oldest_mark)

    def is_full(self) -> bool:
        """Return whether further calls should be stored with their terms (`calls.call_elements`).

        That costs MongoDB a sixth of adding them later, so that a server that never rests keeps up.
        """
        return len(self._ids) >= self._full_calls

    @property
    def waiting_since(self) -> datetime:
        """The time before which no call is marked, whichever process stored it.

        Marks that are older than the last sweep are known. A search begins at this time because MongoDB keeps the index
        entries of removed marks for five minutes, and the search would pass all of them.
        """
        lately = datetime.now(UTC) - timedelta(seconds=_SWEEP_EVERY_S + _CLOCK_SKEW_S)
        return lately if self._oldest_mark is None else min(lately, self._oldest_mark)

    @property
    def is_empty(self) -> bool:
        """Whether no ids are left to take."""
        return not self._ids

    def take(self, most: int) -> list[str]:
        """Remove and return the ids that came first, at most `most`; then `put_back` those that failed, and `settle`."""
        return [self._ids.popleft() for _ in range(min(len(self._ids), most))]

    def put_back(self, call_ids: Iterable[str]) -> None:
        """Add ids again that were taken and are to be tried again."""
        for call_id in call_ids:
            self._append(call_id)

    def settle(self) -> None:
        """Note that what was taken is done: when nothing is left, no mark is older than the last sweep."""
        if self.is_empty and self.is_complete:
            self._oldest_mark = None

    def add_found(self, call_ids: Iterable[str], oldest_mark: datetime | None, *, is_all: bool) -> None:
        """Add what a sweep found, and the oldest mark of all; `is_all` says that no other call is marked."""
        self.is_complete = is_all
        self.put_back(call_ids)
        if oldest_mark is not None:
            self._oldest_mark = oldest_mark

    def _append(self, call_id: str) -> None:
        if len(self._ids) == self._ids.maxlen:
            self.is_complete = False  # the first is dropped; a sweep finds it by its mark
        self._ids.append(call_id)


class SearchIndexer:
    """Gives marked calls their search terms; `run` it for as long as the process takes calls."""

    def __init__(
        self,
        database: Database,
        backlog: SearchBacklog,
        *,
        sweep_every_s: float = _SWEEP_EVERY_S,
        swept_calls: int = 1_000,
        page_bytes: int = _PAGE_BYTES,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Look for marked calls of other processes every `sweep_every_s`, at most `swept_calls` at once.

        Calls are read in pages of `page_bytes`, or of one call that is larger. `sleep` waits some seconds between batches.
        """
        # What is lost is written again, so it need not wait for a majority.
        self._calls = database.get_collection("calls", write_concern=WriteConcern(1))
        self._backlog = backlog
        self._sweep_every_s = sweep_every_s
        self._swept_calls = swept_calls
        self._page_bytes = page_bytes
        self._sleep = sleep
        self._sweep_at_s = 0.0

    async def run(self) -> None:
        """Index marked calls until cancelled; waits while MongoDB is away, raises the driver's other errors.

        While further calls are stored it works for a tenth of the time.
        """
        while True:
            began_s = time.monotonic()
            batches = self._backlog.batches
            try:
                indexed = await self.index()
            except DriverError as error:
                if unavailable(error) is None:
                    raise
                log(_LOG, logging.WARNING, "words_not_indexed", reason=type(error).__name__)
                indexed = 0
            if not indexed:
                await self._sleep(_LOOK_EVERY_S)
            elif self._backlog.batches > batches:
                await self._sleep(_BUSY_REST_FACTOR * (time.monotonic() - began_s))

    async def index(self) -> int:
        """Index some marked calls; return how many were looked at, 0 when no more are known.

        Raises the driver's errors. Calls are tried again if MongoDB was away. A call that MongoDB refuses keeps its mark and is
        tried again after the next sweep, so that it does not block those behind it.
        """
        if time.monotonic() >= self._sweep_at_s or (self._backlog.is_empty and not self._backlog.is_complete):
            await self._sweep()
        ids = self._backlog.take(_BATCH_CALLS)
        refusal: DriverError | None = None
        try:
            async for page in self._pages(ids):
                try:
                    await self._index_page(page)
                except DriverError as error:
                    if unavailable(error) is not None:
                        raise
                    refusal = error
        except DriverError:
            self._backlog.put_back(ids)
            raise
        self._backlog.settle()
        if refusal is not None:
            raise refusal
        return len(ids)

    async def _sweep(self) -> None:
        """Find marked calls that nobody enqueued here: of another process, or more than the backlog holds."""
        cursor = self._calls.find(_MARKED, {"unindexed": 1}).sort("unindexed", 1).limit(self._swept_calls)
        found = await cursor.to_list(None)
        oldest = found[0]["unindexed"] if found else None
        if found and not isinstance(oldest, datetime):
            oldest = _EPOCH  # an earlier version marked with `true`
        self._backlog.add_found((call["_id"] for call in found), oldest, is_all=len(found) < self._swept_calls)
        self._sweep_at_s = time.monotonic() + self._sweep_every_s

    async def _pages(self, ids: list[str]) -> AsyncIterator[list[str]]:
        """Yield the ids of those calls that are still marked, in pages of `page_bytes`."""
        if not ids:
            return
        cursor = self._calls.find({"_id": {"$in": ids}, **_MARKED}, {"bytes": {"$bsonSize": "$$ROOT"}})
        page: list[str] = []
        size_bytes = 0
        for call in await cursor.to_list(None):
            size_bytes += call["bytes"]
            if page and size_bytes > self._page_bytes:
                yield page
                page, size_bytes = [], call["bytes"]
            page.append(call["_id"])
        if page:
            yield page

    async def _index_page(self, ids: list[str]) -> None:
        # Spoken words as plain strings, which the driver decodes in a ninth of the time that the turns would take.
        fields = {"spoken": "$transcription.message", "newTerms": 1, "terms": 1, "numbers": 1}
        changes: list[UpdateOne] = []
        for call in await self._calls.find({"_id": {"$in": ids}, **_MARKED}, fields).to_list(None):
            changes.append(_change(call))
            await asyncio.sleep(0)  # the terms of a long transcript take 2 ms
        if changes:
            result = await self._calls.bulk_write(changes, ordered=False)
            if result.matched_count < len(changes):
                self._backlog.put_back(ids)  # those that were not matched are still marked


def _change(call: Document) -> UpdateOne:
    # A contact's new name may be among `terms` already, and an earlier version had all others there, too.
    known = [*call.get("newTerms", ()), *call.get("terms", ()), *call.get("numbers", ())]
    indexed = indexed_terms(known, call["spoken"])
    # A call whose contact was renamed since it was read is not matched, keeps its mark, and is read again.
    as_read = {field: call.get(field, {"$exists": False}) for field in indexed}
    return UpdateOne({"_id": call["_id"], **as_read}, {"$set": indexed, "$unset": {"unindexed": "", "newTerms": ""}})
