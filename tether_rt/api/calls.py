"""The calls of an organization: history, statistics, one call, its recording."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Protocol

from tether_rt.api import query
from tether_rt.api.shape import shown
from tether_rt.errors import NotFound
from tether_rt.headers import arrived_over_tls
from tether_rt.store.calls import CallFilter, Calls
from tether_rt.web import SessionHandler, Web

STATUSES: Final = ("completed", "no-answer", "busy", "failed")
DIRECTIONS: Final = ("inbound", "outbound")
LINK_S: Final = 600
"""How long a signed recording link holds (contract)."""


class Links(Protocol):
    """Makes signed links to recordings."""

    async def link(self, recording: dict[str, Any], expires_s: int) -> str:
        """Return an absolute URL, or a path on this server."""


class _CallsHandler(SessionHandler):
    def initialize(self, web: Web, calls: Calls) -> None:  # type: ignore[override]
        super().initialize(web)
        self.calls = calls

    def span(self) -> tuple[datetime | None, datetime | None]:
        return query.moment(self, "startDate"), query.moment(self, "endDate", end=True)


class HistoryHandler(_CallsHandler):
    """`GET /api/calls/history`: one page of calls, newest first."""

    async def get(self) -> None:
        start, end = self.span()
        narrowed = CallFilter(
            contact_id=query.text(self, "contactId"),
            user_id=query.text(self, "userId"),
            status=query.one_of(self, "status", STATUSES),
            direction=query.one_of(self, "direction", DIRECTIONS),
            agent_name=query.text(self, "agentName"),
            search=query.text(self, "search"),
            start=start,
            end=end,
        )
        limit = query.whole(self, "limit", 50, 1, 200)
        offset = query.whole(self, "offset", 0, 0, query.MAX_OFFSET)
        calls, total = await self.calls.history(self.session.organization_id, narrowed, limit=limit, offset=offset)
        self.answer({"success": True, "calls": shown(calls), "total": total})


class StatisticsHandler(_CallsHandler):
    """`GET /api/calls/statistics`: counts and talk time, in all and by status."""

    async def get(self) -> None:
        start, end = self.span()
        rows = await self.calls.statistics(self.session.organization_id, CallFilter(start=start, end=end))
        count = sum(row["count"] for row in rows)
        duration_s = sum(row["totalDuration"] for row in rows)
        statistics = {
            "totalCalls": count,
            "totalDuration": duration_s,
            "averageDuration": duration_s / count if count else 0,
            "byStatus": {
                row["_id"]: {
                    "count": row["count"],
                    "totalDuration": row["totalDuration"],
                    "avgDuration": row["totalDuration"] / row["count"],
                }
                for row in rows
            },
        }
        self.answer({"success": True, "statistics": statistics})


class CallHandler(_CallsHandler):
    """`GET /api/calls/{callId}`: everything about one call."""

    async def get(self, call_id: str) -> None:
        call = await self.calls.get(self.session.organization_id, call_id)
        if call is None:
            raise NotFound("There is no such call.")
        self.answer({"success": True, "call": shown(call)})


class CallRecordingHandler(_CallsHandler):
    """`GET /api/calls/{callId}/recording`: a link to its recording, and the words."""

    def initialize(self, web: Web, calls: Calls, links: Links) -> None:  # type: ignore[override]
        super().initialize(web, calls)
        self.links = links

    async def get(self, call_id: str) -> None:
        call = await self.calls.with_recording_key(self.session.organization_id, call_id)
        if call is None:
            raise NotFound("There is no such call.")
        if not call["recordings"]:
            raise NotFound("This call has no recording.")
        recording = call["recordings"][-1]
        url = await self.links.link(recording, LINK_S)
        if url.startswith("/"):
            url = f"{'https' if arrived_over_tls(self.request) else 'http'}://{self.request.host}{url}"
        self.answer(
            {
                "success": True,
                "audioUrl": url,
                "duration": recording["duration"] if recording["duration"] is not None else call["duration"],
                "recordingId": recording["recordingId"],
                "transcriptionText": "\n".join(f"{turn['role']}: {turn['message']}" for turn in call["transcription"]),
                "transcriptionData": call["transcription"],
                "direction": call["direction"],
                "from": call["from"],
                "to": call["to"],
            }
        )
