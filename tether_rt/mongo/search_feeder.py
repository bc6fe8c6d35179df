"""The one reader of the feed that keeps the search index: it follows each organization's log, and builds what has no index yet.

One process at a time does so (`Lease`). What is read of a log, the entries of its calls and the new position are one
transaction, which fails if the position is not what it was: a process that was killed, or that only hung while another took
over, leaves nothing half done, and what it had not finished is done again. An entry is made of its call as it is now, so doing
that again changes nothing.

An organization without a position, with one of another version, or one whose next event is not kept any more, begins anew. A
short log that is all there is followed from its first event. Otherwise the index is built: from the number that the log has
then, all calls are indexed, the newest first, while the log is followed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, cast

from pymongo import DeleteMany, ReplaceOne, ReturnDocument, UpdateOne, WriteConcern

from tether_rt.domain.entry_terms import contact_terms
from tether_rt.errors import Unavailable
from tether_rt.mongo.client import MAJORITY, Database, Document, DriverError, unavailable
from tether_rt.mongo.feed import Feed
from tether_rt.mongo.lease import LEASE_S, Lease
from tether_rt.mongo.search_index import (
    INDEX_VERSION,
    EntryDocument,
    PositionDocument,
    SearchedCalls,
    call_ids_of,
    contact_ids_of,
    expired_before,
    making_entry,
)
from tether_rt.runtime.cooperative import run_cooperatively
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics

_LOOK_EVERY_S: Final = 1.0
_LOOK_AT_ALL_EVERY_S: Final = 60.0
_LONGEST_TRANSACTION: Final = timedelta(seconds=60)
"""A counter may become visible so long after the time that it says (`transactionLifetimeLimitSeconds`)."""
_PAGE_CALLS: Final = 64
_PAGE_SEGMENTS: Final = 16
_CHECKED_AT_ONCE: Final = 1_000
_PAGE_BYTES: Final = 1 << 20
"""The driver decodes a page in one go, during which no other Python code runs."""
_BUSY_REST_FACTOR: Final = 9.0
"""While further calls are stored, it rests nine times as long as it worked; less, the more events wait."""
_SHORTEST_REST_S: Final = 0.25
_MAX_RESTED_EVENTS: Final = 30_000
"""Of so many, about 10,000 calls, on, it does not rest any more: searches look at 20,000 calls behind it, and no further."""
_MAX_FOLLOWED_EVENTS: Final = 3_000
"""A longer log is not followed from its first event: searches would have to look at its calls meanwhile."""
_RENEW_S: Final = LEASE_S / 4
_ONE: Final = WriteConcern(1)

_LOG: Final = logging.getLogger("tether.store")


class Superseded(Exception):
    """Another process has moved the position."""


class SearchFeeder:
    """Keeps the index; `run` it for as long as the process lives."""

    def __init__(
        self,
        database: Database,
        metrics: Metrics | None = None,
        *,
        end_abandoned: Callable[[], Awaitable[None]] | None = None,
        page_bytes: int = _PAGE_BYTES,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`end_abandoned` ends transactions of a killed process, which would keep this one from its work for a minute.

        Calls are read in pages of `page_bytes`, or of one that is larger. `sleep` waits some seconds between pages.
        """
        self._database = database
        self._metrics = metrics
        self._end_abandoned = end_abandoned
        self._page_bytes = page_bytes
        self._sleep = sleep
        self._lease = Lease(database, "search")
        self._feed = Feed(database)
        # As `Feed` reads its segments: a counter that was read sooner than they can be would look like a gap in the log.
        self._counters = database["counters"].with_options(read_concern=MAJORITY)
        self._calls = database["calls"]
        self._searched = SearchedCalls(database)
        self._contacts = database["contacts"]
        self._entries = database["search"]
        self._positions = database["search_positions"]
        self._renew_at_s = 0.0
        self._look_at_all_s = 0.0
        self._newest: datetime | None = None
        self._last: dict[str, int] = {}
        """The number of the last event of each organization that is behind or being built."""
        self._since: dict[str, datetime] = {}
        """When the oldest event that is not indexed was committed."""
        self._known: dict[str, PositionDocument] = {}
        self._is_busy = False
        """Whether further events were committed between the last two looks."""

    async def run(self) -> None:
        """Index until cancelled; waits while MongoDB is away or another process does it, raises the driver's other errors."""
        try:
            while True:
                try:
                    rest_s = await self.step()
                except (DriverError, Unavailable) as error:
                    if unavailable(error) is None:
                        raise
                    log(_LOG, logging.WARNING, "words_not_indexed", reason=type(error).__name__)
                    if self._end_abandoned is not None:
                        await self._end_abandoned()
                    rest_s = _LOOK_EVERY_S
                await self._sleep(rest_s)
        finally:
            with contextlib.suppress(DriverError, TimeoutError):
                await asyncio.wait_for(self.release(), 1)

    async def release(self) -> None:
        """Let another process take over at once."""
        self._forget_state()
        await self._lease.release()

    async def step(self) -> float:
        """Take or renew the lease, and index a page of each organization that is behind; return how long to rest then."""
        if time.monotonic() >= self._renew_at_s:
            said = {"behind": self._behind(), "since": min(self._since.values(), default=None), "building": self._building()}
            if not await self._lease.take(**said):
                self._forget_state()
                self._show(await self._lease.said())
                return _LOOK_EVERY_S
            self._renew_at_s = time.monotonic() + _RENEW_S
        await self._look()
        self._show({"behind": self._behind(), "since": min(self._since.values(), default=None), "building": self._building()})
        if not self._last:
            return _LOOK_EVERY_S
        began_s = time.monotonic()
        events = self._behind()
        for organization_id in list(self._last):
            try:
                await self._advance(organization_id)
            except Superseded:
                self._forget_state()
                return _LOOK_EVERY_S
            if time.monotonic() >= self._renew_at_s:
                break
        if not self._is_busy:
            return 0.0
        factor = _BUSY_REST_FACTOR * max(0.0, 1 - events / _MAX_RESTED_EVENTS)
        return factor and max(_SHORTEST_REST_S, factor * (time.monotonic() - began_s))

    # ------------------------------------------------------------------ what is to be done

    def _forget_state(self) -> None:
        self._renew_at_s = self._look_at_all_s = 0.0
        self._newest = None
        self._last.clear()
        self._since.clear()
        self._known.clear()

    def _behind(self) -> int:
        return sum(max(0, last - self._known[one]["seq"]) for one, last in self._last.items() if one in self._known)

    def _building(self) -> int:
        return sum(self._known[one].get("building", False) for one in self._last if one in self._known)

    async def _look(self) -> None:
        """Find the organizations with events behind their positions: of the last minute's counters, now and then of all."""
        if time.monotonic() >= self._look_at_all_s:
            self._known = {
                one["_id"]: one for one in cast("list[PositionDocument]", await self._positions.find().to_list(None))
            }
            self._look_at_all_s = time.monotonic() + _LOOK_AT_ALL_EVERY_S
            self._newest = None
        query: Document = {"seq": {"$gt": 0}}
        if self._newest is not None:
            query["at"] = {"$gte": self._newest - _LONGEST_TRANSACTION}
        self._is_busy = False
        for counter in await self._counters.find(query, {"seq": 1, "at": 1}).to_list(None):
            organization_id, last, at = counter["_id"], counter["seq"], counter.get("at")
            if isinstance(at, datetime) and (self._newest is None or at > self._newest):
                self._newest = at
            if not self._is_behind(organization_id, last):
                continue
            position = self._known.get(organization_id)
            before = self._last.get(organization_id, position["seq"] if position is not None else last)
            self._is_busy = self._is_busy or last > before
            self._last[organization_id] = last
            if at is not None:
                self._since.setdefault(organization_id, at)

    def _is_behind(self, organization_id: str, last: int) -> bool:
        position = self._known.get(organization_id)
        if position is None or position.get("building"):
            return True
        return position["seq"] != last or position["version"] != INDEX_VERSION

    def _show(self, said: Document) -> None:
        if self._metrics is None:
            return
        since = said.get("since")
        self._metrics.search_behind.set(said.get("behind", 0))
        self._metrics.search_building.set(said.get("building", 0))
        self._metrics.search_lag_s.set(max(0.0, time.time() - since.timestamp()) if since is not None else 0.0)

    # ------------------------------------------------------------------ doing it

    async def _advance(self, organization_id: str) -> None:
        """Index the next page of an organization's log, and of its calls from before."""
        position = self._known.get(organization_id)
        last = self._last[organization_id]
        if position is None or position["version"] != INDEX_VERSION or position["seq"] > last:
            # No position, entries of another version, or a log that was put back.
            position = await self._begin(organization_id, last)
        if position["seq"] < last:
            position = await self._follow(position, last)
        if position.get("building"):
            position = await self._build(position)
        self._known[organization_id] = position
        if position["seq"] >= last and not position.get("building"):
            self._last.pop(organization_id, None)
            self._since.pop(organization_id, None)

    async def _begin(self, organization_id: str, last: int) -> PositionDocument:
        """Store where to begin: at the log's first event if it is kept and not far, otherwise with building."""
        if last <= _MAX_FOLLOWED_EVENTS and await self._feed.oldest_number_after(organization_id, 0) == 1:
            await self._index_contacts(organization_id, _MAX_FOLLOWED_EVENTS)
            position: PositionDocument = {"_id": organization_id, "seq": 0, "version": INDEX_VERSION}
        else:
            position = {"_id": organization_id, "seq": last, "version": INDEX_VERSION, "building": True}
            log(_LOG, logging.INFO, "search_index_building", organizationId=organization_id)
        await self._positions.replace_one({"_id": organization_id}, position, upsert=True)
        return position

    async def _follow(self, position: PositionDocument, last: int) -> PositionDocument:
        organization_id, seq = position["_id"], position["seq"]
        segments = await self._feed.between(organization_id, seq, last, _PAGE_SEGMENTS)
        if not segments or segments[0]["first"] > seq + 1:
            log(_LOG, logging.WARNING, "search_index_gap", organizationId=organization_id, after=seq)
            return await self._begin(organization_id, last)
        call_ids: dict[str, None] = {}
        contact_ids: set[str] = set()
        expired: datetime | None = None
        for segment in segments:
            call_ids.update(dict.fromkeys(call_ids_of(segment["events"])))
            contact_ids |= contact_ids_of(segment["events"])
            expired = expired_before(segment["events"]) or expired
            seq = segment["last"]
            if len(call_ids) >= _PAGE_CALLS:
                break
        if expired is not None:
            position = await self._remove_expired(position, expired)
        for contact_id in sorted(contact_ids):
            async for ids in self._calls_of(organization_id, contact_id):
                position = await self._index(position, ids, {})
        moved = await self._index(position, list(call_ids), {"seq": seq})
        self._since[organization_id] = segment["at"]
        return moved

    async def _remove_expired(self, position: PositionDocument, before: datetime) -> PositionDocument:
        """Remove the entries of calls that began before a time and are gone; as a rule they were removed with the calls."""
        query: Document = {"organizationId": position["_id"], "startTime": {"$lt": before}}
        cursor = self._entries.find(query, {"_id": 1}, batch_size=_CHECKED_AT_ONCE)
        while ids := [entry["_id"] for entry in await cursor.to_list(_CHECKED_AT_ONCE)]:
            there = await self._searched.sizes(position["_id"], ids)
            if gone := [one for one in ids if one not in there]:
                position = await self._store(position, [], gone, {})
        return position

    async def _calls_of(self, organization_id: str, contact_id: str) -> AsyncIterator[list[str]]:
        """Yield the ids of a contact's calls, in pages; those that are gone have events of their own."""
        ids = await self._calls.find({"organizationId": organization_id, "contactId": contact_id}, {"_id": 1}).to_list(None)
        for at in range(0, len(ids), _PAGE_CALLS):
            yield [one["_id"] for one in ids[at : at + _PAGE_CALLS]]

    async def _build(self, position: PositionDocument) -> PositionDocument:
        query: Document = {"organizationId": position["_id"]}
        if (built_to := position.get("builtTo")) is not None:
            same = {"startTime": built_to["startTime"], "_id": {"$lt": built_to["callId"]}}
            query |= {"startTime": {"$lte": built_to["startTime"]}}
            query["$or"] = [{"startTime": {"$lt": built_to["startTime"]}}, same]
        cursor = self._calls.find(query, {"startTime": 1}).sort([("startTime", -1), ("_id", -1)]).limit(_PAGE_CALLS)
        calls = await cursor.to_list(None)
        has_contacts = await self._index_contacts(position["_id"], _PAGE_CALLS)
        if not calls:
            if has_contacts:
                return position
            done = await self._index(position, [], {"building": False})
            log(_LOG, logging.INFO, "search_index_built", organizationId=position["_id"])
            return done
        reached = {"startTime": calls[-1]["startTime"], "callId": calls[-1]["_id"]}
        return await self._index(position, [call["_id"] for call in calls], {"builtTo": reached})

    async def _index_contacts(self, organization_id: str, most: int) -> bool:
        """Give contacts of earlier versions their terms, at most so many; return whether there were any."""
        without: Document = {"organizationId": organization_id, "terms": {"$exists": False}}
        contacts = await self._contacts.find(without, {"name": 1, "number": 1}).limit(most).to_list(None)
        # One that was named since has its terms.
        changes = [
            UpdateOne(
                {"_id": one["_id"], "terms": {"$exists": False}},
                {"$set": {"terms": contact_terms(one["name"], one.get("number"))}},
            )
            for one in contacts
        ]
        if changes:
            await self._contacts.bulk_write(changes, ordered=False)
        return bool(changes)

    async def _index(self, position: PositionDocument, call_ids: Sequence[str], moved: Document) -> PositionDocument:
        """Write the entries of calls as they are now, remove those of calls that are gone, and move the position."""
        pages, gone = await self._pages(position["_id"], call_ids)
        for page in pages[:-1]:
            position = await self._store(position, await self._made(page), [], {})
        return await self._store(position, await self._made(pages[-1]) if pages else [], gone, moved)

    async def _pages(self, organization_id: str, call_ids: Sequence[str]) -> tuple[list[list[str]], list[str]]:
        """Return the ids of the calls that exist, in pages of `page_bytes`, and those of the others."""
        sizes = await self._searched.sizes(organization_id, call_ids) if call_ids else {}
        pages: list[list[str]] = []
        room = 0
        for call_id, size_bytes in sizes.items():
            if not pages or size_bytes > room:
                pages.append([])
                room = self._page_bytes
            pages[-1].append(call_id)
            room -= size_bytes
        return pages, [one for one in call_ids if one not in sizes]

    async def _made(self, call_ids: list[str]) -> list[EntryDocument]:
        return [await run_cooperatively(making_entry(*one)) async for one in self._searched.read(call_ids)]

    async def _store(
        self, position: PositionDocument, entries: Sequence[EntryDocument], gone: Sequence[str], moved: Document
    ) -> PositionDocument:
        """Do what `_write` does, but leave out an entry that MongoDB refuses, so that it does not block those behind it."""
        try:
            return await self._write(position, entries, gone, moved)
        except DriverError as error:
            if unavailable(error) is not None or not entries:
                raise
            if len(entries) > 1:
                half = len(entries) // 2
                position = await self._store(position, entries[:half], [], {})
                return await self._store(position, entries[half:], gone, moved)
            log(_LOG, logging.ERROR, "search_entry_refused", callId=entries[0]["_id"], reason=str(error)[:200])
            return await self._store(position, [], [*gone, entries[0]["_id"]], moved)

    async def _write(
        self, position: PositionDocument, entries: Sequence[EntryDocument], gone: Sequence[str], moved: Document
    ) -> PositionDocument:
        """Write entries and the position in one transaction; raises `Superseded` if the position is not what it was."""
        changes: list[ReplaceOne[Document] | DeleteMany] = [
            ReplaceOne({"_id": entry["_id"]}, cast(Document, entry), upsert=True) for entry in entries
        ]
        if gone:
            changes.append(DeleteMany({"_id": {"$in": list(gone)}, "organizationId": position["_id"]}))
        # The number of writes changes it each time, so that of two processes one fails.
        change = {"$set": moved, "$inc": {"writes": 1}} if moved else {"$inc": {"writes": 1}}
        # Position and entries are lost together, and written again: that need not wait for a majority.
        async with await self._database.client.start_session() as session, session.start_transaction(write_concern=_ONE):
            after = await self._positions.find_one_and_update(
                dict(position), change, return_document=ReturnDocument.AFTER, session=session
            )
            if after is None:
                raise Superseded
            if changes:
                await self._entries.bulk_write(changes, ordered=False, session=session)
        return cast(PositionDocument, after)
