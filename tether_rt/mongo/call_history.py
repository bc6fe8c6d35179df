"""An organization's calls as a list, as rows to export and as figures: every query that reads many calls."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from bson import Regex

from tether_rt.domain.search_terms import by_field, query_terms
from tether_rt.mongo.calls import UNSHOWN
from tether_rt.mongo.client import Database, Document
from tether_rt.mongo.free_form import RAW, as_stored
from tether_rt.mongo.search_index import SearchBacklog

MOST_COUNTED: Final = 1_000
"""A filtered list is counted up to here: nobody pages further, and to count ten times as many took longer than
to find the page."""

_SHOWN: Final = {**UNSHOWN, "recordings.key": 0, "providerMetadata": 0}
_LISTED: Final = {**_SHOWN, "transcription": 0}
_NEWEST_FIRST: Final = [("startTime", -1), ("_id", -1)]
_EXPORTED_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class CallFilter:
    """What the calls are narrowed by; None means any. Times are aware; `end` is excluded. Durations are seconds, included."""

    contact_id: str | None = None
    user_id: str | None = None
    status: str | None = None
    direction: str | None = None
    agent_name: str | None = None
    search: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    min_duration_s: float | None = None
    max_duration_s: float | None = None

    def query(self, organization_id: str) -> dict[str, Any]:
        """Return the filter but for `search` as a MongoDB query that holds one organization's calls only."""
        query: dict[str, Any] = {"organizationId": organization_id}
        named = {
            "contactId": self.contact_id,
            "userId": self.user_id,
            "status": self.status,
            "direction": self.direction,
            "agentName": self.agent_name,
        }
        query.update({name: {"$eq": value} for name, value in named.items() if value is not None})
        spans: dict[str, dict[str, Any]] = {
            "startTime": {"$gte": self.start, "$lt": self.end},
            "duration": {"$gte": self.min_duration_s, "$lte": self.max_duration_s},
        }
        for name, span in spans.items():
            if bounds := {operator: bound for operator, bound in span.items() if bound is not None}:
                query[name] = bounds
        return query

    @property
    def is_any(self) -> bool:
        """Say if nothing is narrowed."""
        return self == CallFilter()


@dataclass(frozen=True, slots=True)
class Page:
    """Some calls of a list, and how many the whole list has; `is_exact` is False when it has more than were counted.

    Every event up to `seq` is in it already, so who listens from there on misses nothing.
    """

    calls: list[Document]
    total: int
    is_exact: bool
    seq: int


@dataclass(frozen=True, slots=True)
class Activity:
    """What an organization's calls come to; times are aware, and a day is known by when it begins."""

    today: list[Document]
    by_minute: dict[datetime, int]
    by_day: dict[datetime, int]
    agents: list[Document]


class CallHistory:
    """Reads an organization's calls."""

    def __init__(self, database: Database, backlog: SearchBacklog | None = None, *, max_unindexed: int = 1_000) -> None:
        """`backlog` knows since when calls may wait for their search terms; without, any call may.

        A search names at most `max_unindexed` of those by their ids.
        """
        self._backlog = backlog or SearchBacklog()
        self._max_unindexed = max_unindexed
        self._calls = database["calls"]
        self._raw_calls = database.get_collection("calls", codec_options=RAW)
        self._contacts = database["contacts"]
        self._counters = database["counters"]

    async def page(
        self, organization_id: str, call_filter: CallFilter, *, limit: int, offset: int = 0, before: str | None = None
    ) -> Page | None:
        """Return one page, newest first (start time, then id); None when there is no call `before` to go on from."""
        # Read before the calls are: whatever was committed up to this number will be among them.
        counter = await self._counters.find_one({"_id": organization_id}, {"seq": 1, "calls": 1}) or {}
        query = listed = await self._query(organization_id, call_filter)
        if before is not None:
            anchor = await self._calls.find_one({"_id": before, "organizationId": organization_id}, {"startTime": 1})
            if anchor is None:
                return None
            listed = {"$and": [query, _older_than(anchor)]}
        cursor = self._calls.find(listed, _LISTED).sort(_NEWEST_FIRST).skip(offset).limit(limit)
        if call_filter.is_any:
            calls, (total, is_exact) = await cursor.to_list(None), (counter.get("calls", 0), True)
        else:
            calls, (total, is_exact) = await asyncio.gather(cursor.to_list(None), self._count(query))
        return Page(await self._named(calls), total, is_exact, counter.get("seq", 0))

    async def _query(self, organization_id: str, call_filter: CallFilter) -> dict[str, Any]:
        """Return the filter as a query that finds calls whose words are not indexed yet as well, all but what was spoken.

        They are looked for first: one that is indexed meanwhile is found by the index, or by both.
        """
        query = call_filter.query(organization_id)
        if asked := query_terms(call_filter.search or ""):
            indexed: Document = {field: _all_of(terms) for field, terms in by_field(asked).items() if terms}
            waiting: Document = {"unindexed": {"$gte": self._backlog.waiting_since}, "newTerms": _all_of(asked)}
            cursor = self._calls.find({**query, **waiting}, {"_id": 1}).hint("unindexed_1").limit(self._max_unindexed)
            found = [call["_id"] for call in await cursor.to_list(None)]
            if len(found) < self._max_unindexed:
                waiting = {"_id": {"$in": found}}
            query.update({"$or": [indexed, waiting]} if found else indexed)
        return query

    async def _count(self, query: dict[str, Any]) -> tuple[int, bool]:
        counted = await self._calls.count_documents(query, limit=MOST_COUNTED + 1)
        return min(counted, MOST_COUNTED), counted <= MOST_COUNTED

    async def _named(self, calls: list[Document]) -> list[Document]:
        """Give each call its contact's name of today: it may have been learned, or changed, since the call."""
        ids = list({call["contactId"] for call in calls})
        cursor = self._contacts.find({"_id": {"$in": ids}}, {"name": 1})
        names = {contact["_id"]: contact["name"] for contact in await cursor.to_list(None)}
        return [{**call, "contactName": names.get(call["contactId"], call["contactName"])} for call in calls]

    async def get(self, organization_id: str, call_id: str) -> Document | None:
        """Return one whole call of the organization."""
        own = {"_id": call_id, "organizationId": organization_id}
        call, free_form = await asyncio.gather(
            self._calls.find_one(own, _SHOWN), self._raw_calls.find_one(own, {"providerMetadata": 1})
        )
        if call is None or free_form is None:
            return None
        # In a thread: six megabytes of small objects take a second.
        call["providerMetadata"] = await asyncio.to_thread(as_stored, free_form["providerMetadata"])
        return (await self._named([call]))[0]

    async def every(self, organization_id: str, call_filter: CallFilter) -> AsyncIterator[list[Document]]:
        """Yield all calls of the list, newest first, some hundred at a time; a long list is never held as a whole."""
        query = await self._query(organization_id, call_filter)
        older: list[dict[str, Any]] = []
        while True:
            cursor = self._calls.find({"$and": [query, *older]}, _LISTED).sort(_NEWEST_FIRST).limit(_EXPORTED_AT_ONCE)
            calls = await cursor.to_list(None)
            if not calls:
                return
            older = [_older_than(calls[-1])]
            yield await self._named(calls)

    async def agents(self, organization_id: str, most: int) -> list[str]:
        """Return the names of agents, by index alone, at most `most` of them in alphabetical order."""
        names: list[str] = []
        query: dict[str, Any] = {"organizationId": organization_id, "agentName": {"$gt": ""}}
        while len(names) < most:
            found = await self._calls.find_one(query, {"_id": 0, "agentName": 1}, sort=[("agentName", 1)])
            if found is None:
                break
            names.append(found["agentName"])
            query["agentName"] = {"$gt": found["agentName"]}
        return names

    async def statistics(self, organization_id: str, call_filter: CallFilter) -> list[Document]:
        """Return a row per status: {_id: status, count, totalDuration (seconds)}."""
        return await self._grouped(call_filter.query(organization_id), "$status")

    async def activity(self, organization_id: str, *, now: datetime, midnights: list[datetime]) -> Activity:
        """Return the figures of the last hour, and of the days that begin at `midnights`, the last of them today, as of `now`.

        The days come from the caller: MongoDB's time zones are of another year than the system's, and some are not there.
        """
        of_ours = {"organizationId": organization_id}
        hour_ago = now.replace(second=0, microsecond=0) - timedelta(minutes=59)
        month_ago, midnight = midnights[0], midnights[-1]
        minutes = self._calls.aggregate(
            [
                {"$match": {**of_ours, "createdAt": {"$gte": hour_ago}}},
                {"$group": {"_id": {"$dateTrunc": {"date": "$createdAt", "unit": "minute"}}, "count": {"$sum": 1}}},
            ]
        )
        bounds = [*midnights, max(now, midnight) + timedelta(days=1)]
        days = self._calls.aggregate(
            [
                {"$match": {**of_ours, "startTime": {"$gte": month_ago, "$lte": now}}},
                {"$bucket": {"groupBy": "$startTime", "boundaries": bounds, "output": {"count": {"$sum": 1}}}},
            ]
        )
        month = {**of_ours, "startTime": {"$gte": month_ago, "$lte": now}}
        agents = [row for row in await self._grouped(month, "$agentName") if row["_id"]]
        return Activity(
            today=await self._grouped({**of_ours, "startTime": {"$gte": midnight, "$lte": now}}, "$status"),
            by_minute={row["_id"]: row["count"] for row in await minutes.to_list(None)},
            by_day={row["_id"]: row["count"] for row in await days.to_list(None)},
            agents=sorted(agents, key=lambda row: (-row["count"], row["_id"])),
        )

    async def _grouped(self, query: dict[str, Any], by: str) -> list[Document]:
        completed = {"$sum": {"$cond": [{"$eq": ["$status", "completed"]}, 1, 0]}}
        grouped = {"count": {"$sum": 1}, "completed": completed, "totalDuration": {"$sum": "$duration"}}
        cursor = self._calls.aggregate([{"$match": query}, {"$group": {"_id": by, **grouped}}, {"$sort": {"_id": 1}}])
        rows = await cursor.to_list(None)
        for row in rows:
            # A vendor's durations may add up to more than a number can hold; JSON has no infinity.
            row["totalDuration"] = row["totalDuration"] if math.isfinite(row["totalDuration"]) else 0
        return rows


def _all_of(asked: list[str | re.Pattern[str]]) -> Document:
    """Return the condition, with patterns without Python's Unicode flag: with it, MongoDB reads an index as a whole."""
    return {"$all": [Regex(term.pattern) if isinstance(term, re.Pattern) else term for term in asked]}


def _older_than(call: Document) -> dict[str, Any]:
    same = {"startTime": call["startTime"], "_id": {"$lt": call["_id"]}}
    return {"startTime": {"$lte": call["startTime"]}, "$or": [{"startTime": {"$lt": call["startTime"]}}, same]}
