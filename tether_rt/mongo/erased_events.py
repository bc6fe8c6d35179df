"""Erases events: in the segments of `feed`, each event of an erased call or contact becomes a placeholder with its number.

A segment is never written again but by this, and by this the same way each time: it may be killed and repeated.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson
from motor.motor_asyncio import AsyncIOMotorClientSession

from tether_rt.domain.events import DELETION_EVENT_NAMES, erased_text
from tether_rt.mongo.client import Database
from tether_rt.mongo.documents import Collections

WINDOW_EVENTS: Final = 20_000
"""MongoDB looks through so many events in one query, which takes some 50 ms."""
_MAX_PATTERN_IDS: Final = 500
_READ_SEGMENTS: Final = 4
_CALL_ID: Final = r'"callId":"[0-9a-f]{24}"'


@dataclass(frozen=True, slots=True)
class Subjects:
    """Whose events are erased."""

    call_ids: frozenset[str] = frozenset()
    contact_ids: frozenset[str] = frozenset()

    @property
    def pattern(self) -> str:
        """A regular expression that finds their events, and perhaps others."""
        named = (("callId", self.call_ids), ("contactId", self.contact_ids))
        return "|".join(f'"{field}":"(?:{"|".join(sorted(ids))})"' for field, ids in named if ids)

    def has(self, text: str) -> bool:
        """Say if the event with this JSON text is one of theirs, and tells of something else than that they were erased."""
        event = orjson.loads(text)
        data = event["data"]
        is_theirs = data.get("callId") in self.call_ids or data.get("contactId") in self.contact_ids
        return is_theirs and event["event"] not in DELETION_EVENT_NAMES


class Named(NamedTuple):
    """The ids of the calls that events with numbers above `after` and up to `last` name."""

    call_ids: set[str]
    after: int
    last: int


class ErasedEvents:
    """Queries on `feed` and `counters`."""

    def __init__(self, database: Database) -> None:
        collections = Collections(database)
        self._feed = collections.feed
        self._counters = collections.counters

    async def erase(
        self, organization_id: str, subjects: Subjects, after: int, last: int, session: AsyncIOMotorClientSession | None = None
    ) -> int:
        """Erase the events of the subjects with numbers above `after` and up to `last`; return how many there were."""
        erased = 0
        ids = sorted(subjects.call_ids)
        parts = [Subjects(frozenset(ids[start : start + _MAX_PATTERN_IDS])) for start in range(0, len(ids), _MAX_PATTERN_IDS)]
        if subjects.contact_ids:
            parts.append(Subjects(contact_ids=subjects.contact_ids))
        async for low, high in self._windows(organization_id, after, last, session):
            for part in parts:
                erased += await self._erase_between(organization_id, part, low, high, session)
        return erased

    async def named(self, organization_id: str, after: int, last: int) -> AsyncIterator[Named]:
        """Yield which calls the events with numbers above `after` and up to `last` name, a window at a time."""
        async for low, high in self._windows(organization_id, after, last, None):
            found = self._feed.aggregate(
                [
                    {"$match": _between(organization_id, low, high)},
                    {"$unwind": "$events"},
                    {"$project": {"_id": 0, "named": {"$regexFind": {"input": "$events", "regex": _CALL_ID}}}},
                    {"$match": {"named": {"$ne": None}}},
                    {"$group": {"_id": "$named.match"}},
                ]
            )
            ids = {str(one["_id"])[-25:-1] async for one in found}
            if ids:
                yield Named(ids, low, high)

    async def last(self, organization_id: str) -> int:
        """Return the number of the organization's last event."""
        counter = await self._counters.find_one({"_id": organization_id})
        return counter["seq"] if counter is not None else 0

    async def _windows(
        self, organization_id: str, after: int, last: int, session: AsyncIOMotorClientSession | None
    ) -> AsyncIterator[tuple[int, int]]:
        query = {"organizationId": organization_id, "last": {"$gt": after}}
        oldest = await self._feed.find_one(query, {"first": 1}, sort=[("last", 1)], session=session)
        if oldest is None:
            return
        for low in range(max(after, oldest["first"] - 1), last, WINDOW_EVENTS):
            yield low, min(low + WINDOW_EVENTS, last)

    async def _erase_between(
        self, organization_id: str, subjects: Subjects, low: int, high: int, session: AsyncIOMotorClientSession | None
    ) -> int:
        query = {**_between(organization_id, low, high), "events": {"$regex": subjects.pattern}}
        erased = 0
        found = self._feed.find(query, {"events": 1}, session=session, batch_size=_READ_SEGMENTS)
        looks_right = re.compile(subjects.pattern)
        async for segment in found:
            texts = segment["events"]
            changed = {
                f"events.{place}": erased_text(text)
                for place, text in enumerate(texts)
                if looks_right.search(text) and subjects.has(text)
            }
            if changed:
                await self._feed.update_one({"_id": segment["_id"]}, {"$set": changed}, session=session)
                erased += len(changed)
        return erased


def _between(organization_id: str, low: int, high: int) -> dict[str, object]:
    # A segment belongs to the window in which it ends, so that it is in one alone.
    return {"organizationId": organization_id, "last": {"$gt": low, "$lte": high}}
