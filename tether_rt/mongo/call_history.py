"""Queries that read many calls of an organization: pages of a list, rows to export."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from tether_rt.domain.periods import ClockHour
from tether_rt.domain.search_notices import Shortfall
from tether_rt.mongo.call_changes import CallChanges
from tether_rt.mongo.call_search import CallSearch
from tether_rt.mongo.calls import UNSHOWN
from tether_rt.mongo.client import Database
from tether_rt.mongo.clocks import in_hour
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
    hour: ClockHour | None = None

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
        if self.hour is not None:
            query |= in_hour("$startTime", self.hour)
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
    shortfalls: Sequence[Shortfall] = ()
    """Why a search may not have found all."""


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
        older = anchor = None
        if before is not None:
            anchor = await self._calls.find_one({"_id": before, "organizationId": organization_id}, {"startTime": 1})
            if anchor is None:
                return None
            older = _older_than(anchor)
        seq = counter["seq"] if counter else 0
        if call_filter.is_search:
            place = (anchor["startTime"], anchor["_id"]) if anchor is not None else None
            found = await self._search.page(
                query, call_filter.search or "", limit=limit, offset=offset, older_than=place, most_counted=MOST_COUNTED
            )
            return Page(await self._listed(found.call_ids), found.total, found.is_exact, seq, found.shortfalls)
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


def _older_than(call: CallDocument) -> dict[str, Any]:
    same = {"startTime": call["startTime"], "_id": {"$lt": call["_id"]}}
    return {"startTime": {"$lte": call["startTime"]}, "$or": [{"startTime": {"$lt": call["startTime"]}}, same]}
