"""Which calls a search finds, newest first: from the entries of the index, and from the few calls that are not in it yet.

Terms decide for words, numbers, ids and fields of one word. Where words must stand beside each other, calls that have all of
them are read, newest first, up to a limit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable
from datetime import datetime
from typing import Final, NamedTuple

from tether_rt.domain.search_notices import Shortfall
from tether_rt.domain.search_query import CallMatch, CallTexts, SearchQuery, parse_search
from tether_rt.mongo.client import Database, Document
from tether_rt.mongo.search_condition import both, condition, is_exact
from tether_rt.mongo.search_index import SearchedCalls, SearchIndex
from tether_rt.runtime.cooperative import run_cooperatively

MOST_READ: Final = 1_000
"""Calls of one search that are read because their terms do not decide."""
_READ_TO_COUNT: Final = 200
"""Of those, once the page is full: so the total is known of what few calls have."""
_READ_AT_ONCE: Final = 32
_CHECKED_AT_ONCE: Final = 1_000
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
        self, filtered: Document, search: str, *, limit: int, offset: int, older_than: Document | None, most_counted: int
    ) -> FoundCalls:
        """Return the calls from `offset` on; `filtered` is `CallFilter.query`, `older_than` a condition for where to begin.

        They are counted up to `most_counted`, without `older_than`.
        """
        query = parse_search(search)
        if query.is_nothing:
            return FoundCalls([], 0, True, [])
        new, wanted, shortfalls = await self._prepared(filtered, query)
        waiting = await self._placed(new, filtered, older_than)
        if not is_exact(query):
            return await self._read_page(wanted, query, new, waiting, older_than, offset + limit, offset, shortfalls)
        cursor = self._entries.find(both(wanted, older_than), _ORDER).sort(_NEWEST_FIRST)
        # Of the entries that follow, some may stand before those that wait.
        cursor = cursor.limit(offset + limit) if waiting else cursor.skip(offset).limit(limit)
        found = [(one["startTime"], one["_id"]) for one in await cursor.to_list(None)]
        if waiting:
            found = sorted([*found, *waiting], reverse=True)[offset : offset + limit]
        counted = await self._entries.count_documents(wanted, limit=most_counted + 1)
        counted += len(waiting) if older_than is None else len(await self._placed(new, filtered, None))
        return FoundCalls([call_id for _, call_id in found], min(counted, most_counted), counted <= most_counted, shortfalls)

    async def every(self, filtered: Document, search: str, batch: int) -> AsyncIterator[list[str]]:
        """Yield the ids of all calls that a search finds, newest first, in batches; where calls must be read, all are."""
        query = parse_search(search)
        if query.is_nothing:
            return
        new, wanted, _ = await self._prepared(filtered, query)
        waiting = await self._placed(new, filtered, None)
        ids: list[str] = []
        async for place in self._merged(wanted, waiting, None):
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

    async def _placed(self, call_ids: list[str], filtered: Document, older_than: Document | None) -> list[Place]:
        if not call_ids:
            return []
        query = both({**filtered, "_id": {"$in": call_ids}}, older_than)
        return [(one["startTime"], one["_id"]) for one in await self._calls.find(query, _ORDER).to_list(None)]

    async def _merged(self, wanted: Document, waiting: Iterable[Place], older_than: Document | None) -> AsyncIterator[Place]:
        """Yield entries and waiting calls in the order of a list."""
        left = sorted(waiting)
        async for entry in self._entries.find(both(wanted, older_than), _ORDER).sort(_NEWEST_FIRST):
            place = (entry["startTime"], entry["_id"])
            while left and left[-1] > place:
                yield left.pop()
            yield place
        while left:
            yield left.pop()

    async def _read_page(
        self,
        wanted: Document,
        query: SearchQuery,
        new: list[str],
        waiting: list[Place],
        older_than: Document | None,
        most: int,
        offset: int,
        shortfalls: list[Shortfall],
    ) -> FoundCalls:
        found: list[str] = []
        ids: list[str] = []
        looked_at = 0
        is_all = True
        async for place in self._merged(wanted, waiting, older_than):
            if looked_at == MOST_READ or (looked_at >= _READ_TO_COUNT and len(found) > most):
                is_all = False
                shortfalls += ["partly_read"] if len(found) <= most else []
                break
            looked_at += 1
            ids.append(place[1])
            if len(ids) == _READ_AT_ONCE:
                found += await self._those_that_match(query, ids, new)
                ids = []
        found += await self._those_that_match(query, ids, new)
        return FoundCalls(found[offset:most], len(found), is_all and older_than is None, shortfalls)

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
