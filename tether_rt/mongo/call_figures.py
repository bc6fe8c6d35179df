"""Queries that count an organization's calls: by status, by agent, by day and hour. All are counted from one index.

What that costs with many calls is in `docs/decisions/figures.md`; no query takes longer than `_MAX_MS`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, TypedDict, cast

from tether_rt.domain.periods import Offset
from tether_rt.mongo.call_history import CallFilter
from tether_rt.mongo.client import Database, Document
from tether_rt.mongo.clocks import local_time
from tether_rt.mongo.documents import Collections

_MAX_MS: Final = 3_000
"""Below the time after which the driver gives a connection up (`client.SOCKET_MS`)."""
_SUMS: Final = {"count": {"$sum": 1}, "totalDuration": {"$sum": "$duration"}}


class Figures(TypedDict):
    """Figures of the calls with one status or agent, which is the `_id`; `talkTime` is of the completed ones. In seconds."""

    _id: str
    count: int
    completed: int
    totalDuration: float
    talkTime: float


@dataclass(frozen=True, slots=True)
class Counts:
    """Figures by status, and how many calls began on each day and in each hour of a day, where any did."""

    by_status: list[Figures]
    by_day: dict[date, int]
    by_hour: dict[int, int]


@dataclass(frozen=True, slots=True)
class AgentFigures:
    """The agents with the most calls; how many `others` there are, and their calls; and the calls `without` an agent."""

    agents: list[Figures]
    others: int
    calls_of_others: int
    without: int


class ContactFigures(TypedDict):
    """Figures of all calls with a contact."""

    total: int
    answered: int
    """Those that were completed."""
    firstAt: datetime | None
    """When the first one began; None without calls."""
    lastAt: datetime | None


class CallFigures:
    """Counts an organization's calls. Times of calls are those of their beginning; `start` is included, `end` is not."""

    def __init__(self, database: Database) -> None:
        self._calls = Collections(database).calls

    async def statistics(self, organization_id: str, call_filter: CallFilter) -> list[Figures]:
        """Return figures by status."""
        by_status = {"$group": {"_id": {"status": "$status"}, **_SUMS}}
        sums = {"$group": {"_id": "$_id.status", **_of_statuses()}}
        rows = await self._rows([{"$match": call_filter.query(organization_id)}, by_status, sums, {"$sort": {"_id": 1}}])
        return [_figures(row) for row in rows]

    async def by_status(self, organization_id: str, start: datetime, end: datetime) -> list[Figures]:
        """Return figures by status of some time."""
        return await self.statistics(organization_id, CallFilter(start=start, end=end))

    async def by_minute(self, organization_id: str, start: datetime, end: datetime) -> dict[datetime, int]:
        """Return how many calls began in each minute in which any did."""
        minute = {"$dateTrunc": {"date": "$startTime", "unit": "minute"}}
        rows = await self._rows([_began(organization_id, start, end), {"$group": {"_id": minute, "count": {"$sum": 1}}}])
        return {row["_id"]: row["count"] for row in rows}

    async def counts(self, organization_id: str, start: datetime, end: datetime, clocks: Sequence[Offset]) -> Counts:
        """Return figures by status, and counts by day and hour, as clocks that have these offsets showed them."""
        # Truncated call by call, and put to the clock group by group: that is a third faster.
        piece = {"$dateTrunc": {"date": "$startTime", "unit": "minute", "binSize": _common_minutes(clocks)}}
        by_piece = {"$group": {"_id": {"piece": piece, "status": "$status"}, **_SUMS}}
        shown = {"$set": {"_id.shown": local_time("$_id.piece", clocks)}}
        facets = {
            "statuses": [{"$group": {"_id": "$_id.status", **_of_statuses()}}, {"$sort": {"_id": 1}}],
            "days": [{"$group": {"_id": {"$dateTrunc": {"date": "$_id.shown", "unit": "day"}}, "count": {"$sum": "$count"}}}],
            "hours": [{"$group": {"_id": {"$hour": "$_id.shown"}, "count": {"$sum": "$count"}}}],
        }
        (found,) = await self._rows([_began(organization_id, start, end), by_piece, shown, {"$facet": facets}])
        return Counts(
            by_status=[_figures(row) for row in found["statuses"]],
            by_day={row["_id"].date(): row["count"] for row in found["days"]},
            by_hour={row["_id"]: row["count"] for row in found["hours"]},
        )

    async def agents(self, organization_id: str, start: datetime, end: datetime, most: int) -> AgentFigures:
        """Return figures of the `most` agents with the most calls, and how many calls others had."""
        named = {"$match": {"_id": {"$nin": [None, ""]}}}
        all_agents = {"_id": None, "agents": {"$sum": 1}, "calls": {"$sum": "$count"}}
        facets = {
            "first": [named, {"$sort": {"count": -1, "_id": 1}}, {"$limit": most}],
            "all": [named, {"$group": all_agents}],
            "without": [{"$match": {"_id": {"$in": [None, ""]}}}, {"$group": {"_id": None, "calls": {"$sum": "$count"}}}],
        }
        by_status = {"$group": {"_id": {"agent": "$agentName", "status": "$status"}, **_SUMS}}
        by_agent = {"$group": {"_id": "$_id.agent", **_of_statuses()}}
        (found,) = await self._rows([_began(organization_id, start, end), by_status, by_agent, {"$facet": facets}])
        agents = [_figures(row) for row in found["first"]]
        (total,) = found["all"] or [{"agents": 0, "calls": 0}]
        (without,) = found["without"] or [{"calls": 0}]
        return AgentFigures(
            agents=agents,
            others=total["agents"] - len(agents),
            calls_of_others=total["calls"] - sum(row["count"] for row in agents),
            without=without["calls"],
        )

    async def of_contact(self, organization_id: str, contact_id: str) -> ContactFigures:
        """Return figures of a contact's calls."""
        sums = {
            "total": {"$sum": 1},
            "answered": {"$sum": {"$cond": [{"$eq": ["$status", "completed"]}, 1, 0]}},
            "firstAt": {"$min": "$startTime"},
            "lastAt": {"$max": "$startTime"},
        }
        query = CallFilter(contact_id=contact_id).query(organization_id)
        rows = await self._rows([{"$match": query}, {"$group": {"_id": None, **sums}}, {"$unset": "_id"}])
        return cast(ContactFigures, rows[0]) if rows else ContactFigures(total=0, answered=0, firstAt=None, lastAt=None)

    async def _rows(self, pipeline: list[Document]) -> list[Document]:
        return cast("list[Document]", await self._calls.aggregate(pipeline, maxTimeMS=_MAX_MS).to_list(None))


def _common_minutes(clocks: Sequence[Offset]) -> int:
    """Return the length of pieces of time of which none lies in two hours of the clock."""
    minutes = [int(one.ahead / timedelta(minutes=1)) for one in clocks]
    return next(length for length in (60, 15, 1) if not any(each % length for each in minutes))


def _of_statuses() -> Document:
    """Return the fields of `Figures`, as sums of groups by status.

    Adding up conditionally call by call takes MongoDB twice as long.
    """

    def completed(field: str) -> Document:
        return {"$sum": {"$cond": [{"$eq": ["$_id.status", "completed"]}, field, 0]}}

    return {
        **{name: {"$sum": f"${name}"} for name in _SUMS},
        "completed": completed("$count"),
        "talkTime": completed("$totalDuration"),
    }


def _began(organization_id: str, start: datetime, end: datetime) -> Document:
    return {"$match": CallFilter(start=start, end=end).query(organization_id)}


def _figures(row: Document) -> Figures:
    # Vendors' durations may add up to more than a float holds, and JSON has no infinity.
    finite = {name: row[name] if math.isfinite(row[name]) else 0 for name in ("totalDuration", "talkTime")}
    return cast(Figures, {**row, **finite})
