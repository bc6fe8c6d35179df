"""Queries that read many calls of an organization: pages of a list, rows to export, figures."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypedDict, cast

from tether_rt.mongo.call_changes import CallChanges
from tether_rt.mongo.call_search import CallSearch
from tether_rt.mongo.calls import UNSHOWN
from tether_rt.mongo.client import Database
from tether_rt.mongo.documents import CallDocument, Collections, ShownCall
from tether_rt.mongo.free_form import RAW, as_stored

MOST_COUNTED: Final = 1_000
"""A filtered list is counted up to here: nobody pages further, and counting ten times as many took longer than finding the
page."""

_SHOWN: Final = {**UNSHOWN, "recordings.key": 0, "providerMetadata": 0}
_LISTED: Final = {**_SHOWN, "transcription": 0}
_NEWEST_FIRST: Final = [("startTime", -1), ("_id", -1)]
_EXPORT_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Conditions for calls; None means any. Times are aware and `end` is excluded; durations are inclusive."""

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
        """Return the conditions but for `search` as a MongoDB query for calls of one organization."""
        query: dict[str, Any] = {"organizationId": organization_id}
        equal = {
            "contactId": self.contact_id,
            "userId": self.user_id,
            "status": self.status,
            "direction": self.direction,
            "agentName": self.agent_name,
        }
        query.update({name: {"$eq": value} for name, value in equal.items() if value is not None})
        between: dict[str, dict[str, Any]] = {
            "startTime": {"$gte": self.start, "$lt": self.end},
            "duration": {"$gte": self.min_duration_s, "$lte": self.max_duration_s},
        }
        for name, bounds in between.items():
            if given := {operator: bound for operator, bound in bounds.items() if bound is not None}:
                query[name] = given
        return query

    @property
    def is_any(self) -> bool:
        """Whether there is no condition."""
        return self == CallFilter()

    @property
    def is_search(self) -> bool:
        """Whether there is something to search for, if only signs that no call can be found by."""
        return bool((self.search or "").strip())


@dataclass(frozen=True, slots=True)
class Page:
    """Some calls of a list, and how many the whole list has; `is_exact` is False when it has more than `total`.

    The effects of all events up to the number `seq` are included, so that a dashboard that listens from there misses none.
    """

    calls: list[ShownCall]
    total: int
    is_exact: bool
    seq: int


class Figures(TypedDict):
    """Figures of the calls with one status or agent, which is the `_id`; `talkTime` is of the completed ones. In seconds."""

    _id: str
    count: int
    completed: int
    totalDuration: float
    talkTime: float


class _Count(TypedDict):
    """How many calls began in the time that begins at `_id`."""

    _id: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Activity:
    """Figures of an organization: by status today, by agent since the first day, and counts by the times of beginning."""

    today: list[Figures]
    by_minute: dict[datetime, int]
    by_day: dict[datetime, int]
    agents: list[Figures]


class CallHistory:
    """Reads an organization's calls."""

    def __init__(self, database: Database) -> None:
        collections = Collections(database)
        self._calls = collections.calls
        self._contacts = collections.contacts
        self._counters = collections.counters
        self._changes = CallChanges(database)
        self._search = CallSearch(database)
        self._raw_calls = database.get_collection("calls", codec_options=RAW)

    async def page(
        self, organization_id: str, call_filter: CallFilter, *, limit: int, offset: int = 0, before: str | None = None
    ) -> Page | None:
        """Return one page, newest first (start time, then id), from the call with the id `before` on if that is given.

        None when the organization has no call with that id.
        """
        # The counter is read before the calls: all that was committed up to its number will be among them.
        counter = await self._counters.find_one({"_id": organization_id}, {"seq": 1, "calls": 1})
        query = call_filter.query(organization_id)
        older = None
        if before is not None:
            anchor = await self._calls.find_one({"_id": before, "organizationId": organization_id}, {"startTime": 1})
            if anchor is None:
                return None
            older = _older_than(anchor)
        seq = counter["seq"] if counter else 0
        if call_filter.is_search:
            found = await self._search.page(
                query, call_filter.search or "", limit=limit, offset=offset, older_than=older, most_counted=MOST_COUNTED
            )
            return Page(await self._listed(found.call_ids), found.total, found.is_exact, seq)
        listed = {"$and": [query, older]} if older is not None else query
        cursor = self._calls.find(listed, _LISTED).sort(_NEWEST_FIRST).skip(offset).limit(limit)
        if replace(call_filter, search=None).is_any:
            calls, total, is_exact = await cursor.to_list(None), counter.get("calls", 0) if counter else 0, True
        else:
            calls, (total, is_exact) = await asyncio.gather(cursor.to_list(None), self._count(query))
        return Page(await self._as_shown(calls), total, is_exact, seq)

    async def _listed(self, call_ids: list[str]) -> list[ShownCall]:
        """Return calls by their ids, newest first; those that are gone are left out."""
        cursor = self._calls.find({"_id": {"$in": call_ids}}, _LISTED).sort(_NEWEST_FIRST)
        return await self._as_shown(await cursor.to_list(None))

    async def _count(self, query: dict[str, Any]) -> tuple[int, bool]:
        counted = await self._calls.count_documents(query, limit=MOST_COUNTED + 1)
        return min(counted, MOST_COUNTED), counted <= MOST_COUNTED

    async def _as_shown(self, calls: list[CallDocument]) -> list[ShownCall]:
        """Return the calls with their contacts' present names, which may have become known or changed after the call.

        Fields that earlier versions did not have are filled in.
        """
        ids = list({call["contactId"] for call in calls})
        cursor = self._contacts.find({"_id": {"$in": ids}}, {"name": 1})
        names = {contact["_id"]: contact["name"] for contact in await cursor.to_list(None)}
        return [
            {
                **call,
                "contactName": names.get(call["contactId"], call["contactName"]),
                "sourceId": call["userId"],
                "sourceName": call.get("sourceName"),
                "recordingStatus": "stored" if call.get("recordings") else call.get("recordingStatus"),
                "recordingError": None if call.get("recordings") else call.get("recordingError"),
                "historic": call.get("historic", False),
                "warnings": call.get("warnings", []),
            }
            for call in calls
        ]

    async def get(self, organization_id: str, call_id: str) -> dict[str, Any] | None:
        """Return all that is shown of one call of the organization (`ShownCall`), with its `history` (`CallChanges`)."""
        own = {"_id": call_id, "organizationId": organization_id}
        call, free_form, history = await asyncio.gather(
            self._calls.find_one(own, _SHOWN),
            self._raw_calls.find_one(own, {"providerMetadata": 1}),
            self._changes.of_call(organization_id, call_id),
        )
        if call is None or free_form is None:
            return None
        # In a thread: six megabytes of small objects take a second.
        call["providerMetadata"] = await asyncio.to_thread(as_stored, free_form["providerMetadata"])
        (shown,) = await self._as_shown([call])
        return {**shown, "history": history}

    async def change(self, organization_id: str, call_id: str, number: int) -> dict[str, Any] | None:
        """Return one entry of a call's history, with all its old values."""
        return await self._changes.entry(organization_id, call_id, number)

    async def every(self, organization_id: str, call_filter: CallFilter) -> AsyncIterator[list[ShownCall]]:
        """Yield all calls of the list, newest first, in batches of some hundred."""
        query = call_filter.query(organization_id)
        if call_filter.is_search:
            async for ids in self._search.every(query, call_filter.search or "", _EXPORT_BATCH):
                yield await self._listed(ids)
            return
        older: list[dict[str, Any]] = []
        while True:
            cursor = self._calls.find({"$and": [query, *older]}, _LISTED).sort(_NEWEST_FIRST).limit(_EXPORT_BATCH)
            calls = await cursor.to_list(None)
            if not calls:
                return
            older = [_older_than(calls[-1])]
            yield await self._as_shown(calls)

    async def agents(self, organization_id: str, most: int) -> list[str]:
        """Return the first `most` names of agents in alphabetical order, each with one look into an index."""
        names: list[str] = []
        query: dict[str, Any] = {"organizationId": organization_id, "agentName": {"$gt": ""}}
        while len(names) < most:
            found = await self._calls.find_one(query, {"_id": 0, "agentName": 1}, sort=[("agentName", 1)])
            if found is None:
                break
            names.append(str(found["agentName"]))
            query["agentName"] = {"$gt": found["agentName"]}
        return names

    async def statistics(self, organization_id: str, call_filter: CallFilter) -> list[Figures]:
        """Return figures by status."""
        return await self._grouped(call_filter.query(organization_id), "$status")

    async def activity(self, organization_id: str, *, now: datetime, midnights: list[datetime]) -> Activity:
        """Return the figures of the last hour, and of the days that begin at `midnights`, of which the last one is today.

        The caller works out the days, because MongoDB's time zone data is older than the system's and lacks some zones.
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
        counts = [cast("list[_Count]", await cursor.to_list(None)) for cursor in (minutes, days)]
        return Activity(
            today=await self._grouped({**of_ours, "startTime": {"$gte": midnight, "$lte": now}}, "$status"),
            by_minute={row["_id"]: row["count"] for row in counts[0]},
            by_day={row["_id"]: row["count"] for row in counts[1]},
            agents=sorted(agents, key=lambda row: (-row["count"], row["_id"])),
        )

    async def _grouped(self, query: dict[str, Any], by: str) -> list[Figures]:
        def of_completed(value: str | int) -> dict[str, Any]:
            return {"$sum": {"$cond": [{"$eq": ["$status", "completed"]}, value, 0]}}

        grouped = {
            "count": {"$sum": 1},
            "completed": of_completed(1),
            "totalDuration": {"$sum": "$duration"},
            "talkTime": of_completed("$duration"),
        }
        cursor = self._calls.aggregate([{"$match": query}, {"$group": {"_id": by, **grouped}}, {"$sort": {"_id": 1}}])
        rows = cast("list[Figures]", await cursor.to_list(None))
        for row in rows:
            # Vendors' durations may add up to more than a float holds, and JSON has no infinity.
            row["totalDuration"] = row["totalDuration"] if math.isfinite(row["totalDuration"]) else 0
            row["talkTime"] = row["talkTime"] if math.isfinite(row["talkTime"]) else 0
        return rows


def _older_than(call: CallDocument) -> dict[str, Any]:
    same = {"startTime": call["startTime"], "_id": {"$lt": call["_id"]}}
    return {"startTime": {"$lte": call["startTime"]}, "$or": [{"startTime": {"$lt": call["startTime"]}}, same]}
