"""`GET /api/calls/activity`: a period in the agent's or the organization's time zone, today and the last hour.

A call counts in the minute, the hour and the day in which it began. Talk time and averages are of completed calls alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from tether_rt.api import query
from tether_rt.domain.call import iso_ms
from tether_rt.domain.periods import (
    MAX_DAYS,
    NAMES,
    Period,
    midnight,
    named_period,
    offsets,
    period_before,
    period_of,
    zone_named,
)
from tether_rt.errors import BadRequest
from tether_rt.http.exchange import Exchange
from tether_rt.http.handlers import SessionHandler, within_deadline
from tether_rt.mongo.call_figures import AgentFigures, CallFigures, Figures
from tether_rt.mongo.organizations import Organizations

MINUTES: Final = 60
HOURS: Final = 24
MOST_AGENTS: Final = 50


class ActivityHandler(SessionHandler):
    """Figures that are counted when they are asked for."""

    def initialize(  # type: ignore[override]
        self, exchange: Exchange, figures: CallFigures, organizations: Organizations
    ) -> None:
        super().initialize(exchange)
        self.figures = figures
        self.organizations = organizations

    @within_deadline
    async def get(self) -> None:
        organization_id, now = self.reader.organization_id, datetime.now(UTC)
        organization = await self.organizations.one(organization_id)
        own = organization.get("timeZone") if organization is not None else None
        given, local = query.text(self, "timeZone"), query.text(self, "localTimeZone")
        asked = given or own or local or "UTC"
        known = zone_named(asked)
        zone = known or ZoneInfo("UTC")
        name = query.one_of(self, "range", NAMES)
        period = self._period(name, now, zone)
        before = period_before(period, now, zone, months=name == "thisMonth")
        today = named_period("today", now, zone)
        hour_ago = now.replace(second=0, microsecond=0) - timedelta(minutes=MINUTES - 1)
        of_ours = self.figures
        counts, earlier, of_today, agents, by_minute = await asyncio.gather(
            of_ours.counts(organization_id, period.start, period.end, offsets(zone, period.start, period.end)),
            of_ours.by_status(organization_id, before.start, before.end),
            of_ours.by_status(organization_id, today.start, today.end),
            of_ours.agents(organization_id, period.start, period.end, MOST_AGENTS),
            of_ours.by_minute(organization_id, hour_ago, today.end),
        )
        minutes = [hour_ago + timedelta(minutes=number) for number in range(MINUTES)]
        self.respond(
            {
                "success": True,
                "now": iso_ms(now),
                "timeZone": zone.key,
                "unknownTimeZone": asked if known is None else None,
                "period": {"range": name, **_bounds(period), **figures_of(counts.by_status)},
                "before": {**_bounds(before), **figures_of(earlier)},
                "today": figures_of(of_today),
                "perMinute": [{"at": iso_ms(minute), "count": by_minute.get(minute, 0)} for minute in minutes],
                "perHour": [{"hour": hour, "count": counts.by_hour.get(hour, 0)} for hour in range(HOURS)],
                "perDay": [
                    {"date": day.isoformat(), "from": iso_ms(midnight(day, zone)), "count": counts.by_day.get(day, 0)}
                    for day in period.days
                ],
                **_agents(agents),
            }
        )

    def _period(self, name: str | None, now: datetime, zone: ZoneInfo) -> Period:
        first, last = query.day(self, "startDate"), query.day(self, "endDate")
        if name is not None or (first is None and last is None):
            return named_period(name or "month", now, zone)
        last = last or max(first or now.date(), now.astimezone(zone).date())
        first = first or last
        if not 0 <= (last - first).days < MAX_DAYS:
            sentence = f"startDate must be up to {MAX_DAYS - 1} days before endDate"
            raise BadRequest(sentence, code="out_of_range", field="startDate")
        return period_of(first, last, now, zone)


def figures_of(rows: Sequence[Figures]) -> dict[str, Any]:
    """Return what is said of some time, from its figures by status."""
    by_status = {row["_id"]: row["count"] for row in rows}
    total, completed = sum(by_status.values()), sum(row["completed"] for row in rows)
    talk_s = sum(row["talkTime"] for row in rows)
    return {
        "total": total,
        "byStatus": by_status,
        "answeredShare": completed / total if total else None,
        "talkTime": talk_s,
        "averageDuration": talk_s / completed if completed else None,
    }


def _bounds(period: Period) -> dict[str, str]:
    return {
        "startDate": period.first.isoformat(),
        "endDate": period.last.isoformat(),
        "from": iso_ms(period.start),
        "to": iso_ms(period.end),
    }


def _agents(found: AgentFigures) -> dict[str, Any]:
    return {
        "agents": [
            {"agentName": row["_id"], "count": row["count"], "completed": row["completed"], "talkTime": row["talkTime"]}
            for row in found.agents
        ],
        "otherAgents": {"agents": found.others, "count": found.calls_of_others},
        "withoutAgent": found.without,
    }
