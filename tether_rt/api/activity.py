"""`GET /api/calls/activity`: today, the last hour, the last 30 days, and who had the calls, in the agent's own time zone."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tether_rt.api import query
from tether_rt.api.calls import HistoryBase
from tether_rt.domain.call import iso_ms
from tether_rt.errors import BadRequest
from tether_rt.http.handlers import within_deadline
from tether_rt.mongo.call_history import Activity

DAYS: Final = 30
MINUTES: Final = 60
MOST_AGENTS: Final = 20


class ActivityHandler(HistoryBase):
    """Figures that are counted when they are asked for."""

    @within_deadline
    async def get(self) -> None:
        zone = _zone(query.text(self, "timeZone") or "UTC")
        now = datetime.now(UTC)
        today = now.astimezone(zone).date()
        days = [today - timedelta(days=ago) for ago in reversed(range(DAYS))]
        midnights = [datetime.combine(day, time(), zone).astimezone(UTC) for day in days]
        activity = await self.history.activity(self.session.organization_id, now=now, midnights=midnights)
        counts = [activity.by_day.get(midnight, 0) for midnight in midnights]
        per_day = [{"date": day.isoformat(), "count": count} for day, count in zip(days, counts, strict=True)]
        self.respond({"success": True, "timeZone": zone.key, **figures(activity, now), "perDay": per_day})


def figures(activity: Activity, now: datetime) -> dict[str, Any]:
    """Return the answer's figures, but those of the days."""
    total = sum(row["count"] for row in activity.today)
    completed = sum(row["completed"] for row in activity.today)
    talk_s = sum(row["talkTime"] for row in activity.today)
    this_minute = now.replace(second=0, microsecond=0)
    minutes = [this_minute - timedelta(minutes=ago) for ago in reversed(range(MINUTES))]
    return {
        "now": iso_ms(now),
        "today": {
            "total": total,
            "byStatus": {row["_id"]: row["count"] for row in activity.today},
            "answeredShare": completed / total if total else None,
            "talkTime": talk_s,
            "averageDuration": talk_s / completed if completed else None,
        },
        "perMinute": [{"at": iso_ms(minute), "count": activity.by_minute.get(minute, 0)} for minute in minutes],
        "agents": [
            {"agentName": row["_id"], "count": row["count"], "completed": row["completed"], "talkTime": row["talkTime"]}
            for row in activity.agents[:MOST_AGENTS]
        ],
    }


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadRequest("timeZone must be a name such as America/Toronto", code="unknown_value", field="timeZone") from error
