"""Which calls a search finds, newest first: from the entries of the index, and from the few calls that are not in it yet.

Terms decide for words, numbers, ids and fields of one word. Where words must stand beside each other, calls that have all of
them are read, newest first, up to a limit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Final, NamedTuple

from pymongo.errors import ExecutionTimeout

from tether_rt.domain.call_match import CallMatch, CallTexts
from tether_rt.domain.search_notices import Shortfall
from tether_rt.domain.search_query import SearchQuery, parse_search
from tether_rt.mongo.client import Database, Document
from tether_rt.mongo.search_condition import both, compared_terms, condition, is_exact, rare_condition, term_condition
from tether_rt.mongo.search_index import SearchedCalls, SearchIndex
from tether_rt.runtime.cooperative import run_cooperatively

MOST_READ: Final = 1_000
"""Calls of one search that are read because their terms do not decide."""
_READ_TO_COUNT: Final = 200
"""Of those, once the page is full: so the total is known of what few calls have."""
_READ_S: Final = 1.5
_READ_AT_ONCE: Final = 32
_CHECKED_AT_ONCE: Final = 1_000
_MOST_RARE: Final = 5_000
"""A term that fewer entries have is looked up alone, and these are read; otherwise entries are walked in a list's order."""
_SEARCH_MS: Final = 1_500
"""Only for words that many calls have, but hardly any together, does MongoDB take so long."""
_COUNT_MS: Final = 1_000
_MOST_WALKED: Final = 10_000
"""Entries that are looked at then, the newest."""
_NEWEST_FIRST: Final = [("startTime", -1), ("_id", -1)]
_ORDER: Final = {"startTime": 1}

Place = tuple[datetime, str]
"""Where a call stands in a list: its start, and its id."""


class FoundCalls(NamedTuple):
    """A page of a search's calls, newest first, and how many there are: more, if not `is_exact`."""

    call_ids: list[str]
    total: int
    is_exact: bool
    shortfalls: list[Shortfall]


class CallSearch:
    """Executes searches for one database."""

    def __init__(self, database: Database) -> None:
        self._index = SearchIndex(database)
        self._calls = database["calls"]
        self._entries = database["search"]
        self._searched = SearchedCalls(database)

    async def page(
        self, filtered: Document, search: str, *, limit: int, offset: int, older_than: Place | None, most_counted: int
    ) -> FoundCalls:
        """Return the calls from `offset` on; `filtered` is `CallFilter.query`, `older_than` where to begin.

        They are counted up to `most_counted`, without `older_than`.
        """
        query = parse_search(search)
        if query.is_nothing:
            return FoundCalls([], 0, True, [])
        new, wanted, shortfalls = await self._prepared(filtered, query)
        waiting = await self._placed(new, filtered, older_than)
        rare = await self._rare(filtered["organizationId"], query)
        places = await self._rare_places(rare, wanted) if rare is not None else None
        if not is_exact(query):
            candidates = self._merged(wanted, waiting, older_than, places)
            return await self._read_page(candidates, query, new, offset + limit, offset, older_than is None, shortfalls)
        if places is not None:
            total = len(places) + len(waiting if older_than is None else await self._placed(new, filtered, None))
            listed = sorted([*_older(places, older_than), *waiting], reverse=True)[offset : offset + limit]
            return FoundCalls([call_id for _, call_id in listed], min(total, most_counted), total <= most_counted, shortfalls)
        # Of the entries that follow, some may stand before those that wait.
        skip, most = (0, offset + limit) if waiting else (offset, limit)
        entries, is_all = await self._walked(filtered, wanted, older_than, skip, most)
        counted, is_counted = skip + len(entries), False
        if is_all:
            with suppress(ExecutionTimeout):
                counted = await self._entries.count_documents(wanted, limit=most_counted + 1, maxTimeMS=_COUNT_MS)
                is_counted = True
        elif len(entries) < most:
            shortfalls.append("partly_read")
        found = sorted([*entries, *waiting], reverse=True)[offset : offset + limit] if waiting else entries
        counted += len(waiting) if older_than is None else len(await self._placed(new, filtered, None))
        is_counted = is_counted and counted <= most_counted
        return FoundCalls([call_id for _, call_id in found], min(counted, most_counted), is_counted, shortfalls)

    async def _walked(
        self, filtered: Document, wanted: Document, older_than: Place | None, skip: int, most: int
    ) -> tuple[list[Place], bool]:
        """Return entries that match, newest first, and whether all were looked at, and not just the newest `_MOST_WALKED`."""
        older = _behind(older_than)
        try:
            cursor = self._entries.find(both(wanted, older), _ORDER).sort(_NEWEST_FIRST).skip(skip).limit(most)
            entries, is_all = await cursor.max_time_ms(_SEARCH_MS).to_list(None), True
        except ExecutionTimeout:
            walked: list[Document] = [{"$match": both(filtered, older)}, {"$sort": dict(_NEWEST_FIRST)}]
            matched: list[Document] = [{"$match": wanted}, {"$skip": skip}, {"$limit": most}, {"$project": _ORDER}]
            pipeline = [*walked, {"$limit": _MOST_WALKED}, *matched]
            entries, is_all = await self._entries.aggregate(pipeline, maxTimeMS=_SEARCH_MS).to_list(None), False
        return [(one["startTime"], one["_id"]) for one in entries], is_all

    async def every(self, filtered: Document, search: str, batch: int) -> AsyncIterator[list[str]]:
        """Yield the ids of all calls that a search finds, newest first, in batches; where calls must be read, all are."""
        query = parse_search(search)
        if query.is_nothing:
            return
        new, wanted, _ = await self._prepared(filtered, query)
        waiting = await self._placed(new, filtered, None)
        ids: list[str] = []
        rare = await self._rare(filtered["organizationId"], query)
        places = await self._rare_places(rare, wanted) if rare is not None else None
        async for place in self._merged(wanted, waiting, None, places):
            ids.append(place[1])
            if len(ids) == batch:
                yield await self._those_that_match(query, ids, new)
                ids = []
        if ids:
            yield await self._those_that_match(query, ids, new)

    async def _prepared(self, filtered: Document, query: SearchQuery) -> tuple[list[str], Document, list[Shortfall]]:
        """Return the matching calls that are not indexed as they are, and the condition for the entries of all others."""
        behind, _, is_building = await self._index.behind(filtered["organizationId"])
        new: list[str] = []
        for at in range(0, len(behind), _CHECKED_AT_ONCE):
            calls = await self._searched.read_own(filtered["organizationId"], behind[at : at + _CHECKED_AT_ONCE])
            new += await run_cooperatively(_matching(query, calls))
        # A long list of ids would be compared with every entry; then a changed call may be found as it was, for seconds.
        others = {"_id": {"$nin": behind if len(behind) <= _CHECKED_AT_ONCE else new}} if behind else {}
        shortfalls: list[Shortfall] = ["index_building"] if is_building else []
        return new, both({**filtered, **others}, condition(query)), shortfalls

    async def _rare(self, organization_id: str, query: SearchQuery) -> Document | None:
        """Return a condition for few entries, among which are all that match; None if only frequent terms are asked for."""
        terms = compared_terms(query)
        own = {"organizationId": organization_id}
        counted = [self._entries.count_documents({**own, **term_condition(term)}, limit=_MOST_RARE) for term in terms]
        counts = dict(zip(terms, await asyncio.gather(*counted), strict=True))
        rare = rare_condition(query, counts, _MOST_RARE)
        return both(own, rare) if rare is not None else None

    async def _rare_places(self, rare: Document, wanted: Document) -> list[Place]:
        """Return the entries that match, of those that a `_rare` condition finds, newest first."""
        # The limit is never met: it keeps MongoDB from making one condition of the two.
        pipeline: list[Document] = [{"$match": rare}, {"$limit": 1 << 20}, {"$match": wanted}, {"$project": _ORDER}]
        found = await self._entries.aggregate(pipeline).to_list(None)
        return sorted(((one["startTime"], one["_id"]) for one in found), reverse=True)

    async def _placed(self, call_ids: list[str], filtered: Document, older_than: Place | None) -> list[Place]:
        if not call_ids:
            return []
        query = both({**filtered, "_id": {"$in": call_ids}}, _behind(older_than))
        return [(one["startTime"], one["_id"]) for one in await self._calls.find(query, _ORDER).to_list(None)]

    async def _merged(
        self, wanted: Document, waiting: Iterable[Place], older_than: Place | None, places: list[Place] | None
    ) -> AsyncIterator[Place]:
        """Yield entries, those of `places` if these are known, and waiting calls in the order of a list."""
        left = sorted(waiting)
        if places is not None:
            for place in sorted([*_older(places, older_than), *left], reverse=True):
                yield place
            return
        async for entry in self._entries.find(both(wanted, _behind(older_than)), _ORDER).sort(_NEWEST_FIRST):
            place = (entry["startTime"], entry["_id"])
            while left and left[-1] > place:
                yield left.pop()
            yield place
        while left:
            yield left.pop()

    async def _read_page(
        self,
        candidates: AsyncIterator[Place],
        query: SearchQuery,
        new: list[str],
        most: int,
        offset: int,
        is_whole: bool,
        shortfalls: list[Shortfall],
    ) -> FoundCalls:
        """Return the calls that match, of candidates that must be read; `is_whole` says that the list has no others."""
        until_s = time.monotonic() + _READ_S
        found: list[str] = []
        ids: list[str] = []
        looked_at = 0
        is_all = True
        async for _, call_id in candidates:
            is_late = looked_at == MOST_READ or time.monotonic() > until_s
            if is_late or (looked_at >= _READ_TO_COUNT and len(found) > most):
                is_all = False
                shortfalls += ["partly_read"] if len(found) <= most else []
                break
            looked_at += 1
            ids.append(call_id)
            if len(ids) == _READ_AT_ONCE:
                found += await self._those_that_match(query, ids, new)
                ids = []
        found += await self._those_that_match(query, ids, new)
        return FoundCalls(found[offset:most], len(found), is_all and is_whole, shortfalls)

    async def _those_that_match(self, query: SearchQuery, call_ids: list[str], known: list[str]) -> list[str]:
        """Return the ids of calls that match, in their order; `known` are those of which that is known."""
        if is_exact(query):
            return call_ids
        matching = set(known)
        unread = [one for one in call_ids if one not in matching]
        async for call, texts in self._searched.read(unread):
            if await run_cooperatively(_is_match(query, texts)):
                matching.add(call["_id"])
        return [one for one in call_ids if one in matching]


def _matching(query: SearchQuery, calls: list[tuple[Document, CallTexts]]) -> Generator[None, None, list[str]]:
    found = []
    for call, texts in calls:
        if (yield from _is_match(query, texts)):
            found.append(call["_id"])
    return found


def _is_match(query: SearchQuery, texts: CallTexts) -> Generator[None, None, bool]:
    match = CallMatch(query)
    match.read_facts(texts)
    for text in texts.texts:
        match.read(text)
        yield
    return match.is_match


def _older(places: list[Place], than: Place | None) -> list[Place]:
    return places if than is None else [place for place in places if place < than]


def _behind(place: Place | None) -> Document | None:
    """Return the condition for what stands behind a place in a list."""
    if place is None:
        return None
    start, call_id = place
    return {"startTime": {"$lte": start}, "$or": [{"startTime": {"$lt": start}}, {"startTime": start, "_id": {"$lt": call_id}}]}
