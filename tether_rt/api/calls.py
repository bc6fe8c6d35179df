"""The calls of an organization: history, statistics, one call, its recording."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Protocol

from tether_rt.api import query
from tether_rt.api.recordings import PLAYABLE
from tether_rt.domain.audit import What
from tether_rt.domain.periods import MAX_DAYS, ClockHour, offsets, zone_named
from tether_rt.domain.search_notices import search_notices
from tether_rt.domain.search_query import parse_search
from tether_rt.errors import BadRequest, NotFound
from tether_rt.http.exchange import Exchange
from tether_rt.http.handlers import SessionHandler, within_deadline
from tether_rt.ingest.later_recordings import LaterRecordings
from tether_rt.mongo.call_figures import CallFigures
from tether_rt.mongo.call_history import CallFilter, CallHistory
from tether_rt.mongo.calls import Calls
from tether_rt.mongo.documents import CallDocument, CopyDocument, RecordingDocument
from tether_rt.mongo.search_hits import SearchHits
from tether_rt.recordings.copies.service import PlayableCopies
from tether_rt.recordings.waveform.service import WaveformService

STATUSES: Final = ("completed", "no-answer", "busy", "failed")
DIRECTIONS: Final = ("inbound", "outbound")
MOST_AGENTS: Final = 200
MAX_NUMBER_DIGITS: Final = 9
PURPOSES: Final = ("listen", "download")
"""What a link to a recording is for, as the audit log says."""
LINK_S: Final = 600
"""How long a signed recording link holds (contract)."""


class Links(Protocol):
    """Makes signed links to recordings."""

    async def link(self, recording: RecordingDocument, expires_s: int, *, is_saved: bool = False) -> str:
        """Return an absolute URL, or a path on this server, to play it or to save it."""

    async def copy_link(self, copy: CopyDocument, expires_s: int) -> str:
        """Return the same of a recording's copy."""


class HistoryBase(SessionHandler):
    """The base of handlers of many calls: the call history, and the filter of the query string."""

    def initialize(self, exchange: Exchange, history: CallHistory) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.history = history

    def filter(self) -> CallFilter:
        """Return the filter that the query string asks for; raises `BadRequest` naming a wrong parameter."""
        start, end = query.moment(self, "startDate"), query.moment(self, "endDate", end=True)
        return CallFilter(
            contact_id=query.text(self, "contactId"),
            user_id=query.text(self, "userId"),
            status=query.one_of(self, "status", STATUSES),
            direction=query.one_of(self, "direction", DIRECTIONS),
            agent_name=query.text(self, "agentName"),
            search=query.text(self, "search"),
            start=start,
            end=end,
            min_duration_s=query.number(self, "minDuration"),
            max_duration_s=query.number(self, "maxDuration"),
            hour=self._hour(start, end),
        )

    def _hour(self, start: datetime | None, end: datetime | None) -> ClockHour | None:
        hour = query.whole(self, "hour", -1, 0, 23)
        zone_name = query.text(self, "timeZone") or "UTC"
        if hour < 0:
            return None
        zone = zone_named(zone_name)
        if zone is None:
            raise BadRequest("timeZone must be a name such as America/Toronto", code="unknown_value", field="timeZone")
        # As long as a period of figures, each of whose days may be an hour longer.
        if start is None or end is None or not timedelta(0) <= end - start < timedelta(days=MAX_DAYS + 1):
            sentence = f"hour needs a startDate and an endDate that are at most {MAX_DAYS} days apart"
            raise BadRequest(sentence, code="out_of_range", field="hour")
        return ClockHour(hour, tuple(offsets(zone, start, end)))


class HistoryHandler(HistoryBase):
    """`GET /api/calls/history`: one page of calls, newest first, with the sentences that were searched for."""

    def initialize(self, exchange: Exchange, history: CallHistory, hits: SearchHits) -> None:  # type: ignore[override]
        super().initialize(exchange, history)
        self.hits = hits

    @within_deadline
    async def get(self) -> None:
        call_filter = self.filter()
        limit = query.whole(self, "limit", 50, 1, 200)
        offset = query.whole(self, "offset", 0, 0, query.MAX_OFFSET)
        before = query.text(self, "before")
        page = await self.history.page(self.reader.organization_id, call_filter, limit=limit, offset=offset, before=before)
        if page is None:
            raise BadRequest("before must be the callId of a call", code="unknown_value", field="before")
        answer = {"success": True, "calls": page.calls, "total": page.total, "totalIsExact": page.is_exact, "seq": page.seq}
        if call_filter.search and not call_filter.search.isspace():
            search = parse_search(call_filter.search)
            hits = await self.hits.of(self.reader.organization_id, [call["callId"] for call in page.calls], search)
            answer["calls"] = [{**call, "hits": hits[call["callId"]]} for call in page.calls]
            answer["notices"] = search_notices(search, page.shortfalls)
        self.respond(answer)


class StatisticsHandler(SessionHandler):
    """`GET /api/calls/statistics`: counts and talk time, in all and by status."""

    def initialize(self, exchange: Exchange, figures: CallFigures) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.figures = figures

    @within_deadline
    async def get(self) -> None:
        span = CallFilter(start=query.moment(self, "startDate"), end=query.moment(self, "endDate", end=True))
        rows = await self.figures.statistics(self.reader.organization_id, span)
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
        self.respond({"success": True, "statistics": statistics})


class AgentsHandler(HistoryBase):
    """`GET /api/calls/agents`: the names of agents, to choose from."""

    @within_deadline
    async def get(self) -> None:
        self.respond({"success": True, "agents": await self.history.agents(self.reader.organization_id, MOST_AGENTS)})


class OneCallHandler(SessionHandler):
    """The base of handlers of one call's recording."""

    def initialize(self, exchange: Exchange, calls: Calls) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.calls = calls

    async def recording(self, call_id: str) -> tuple[CallDocument, RecordingDocument]:
        """Return the call and its recording; raises `NotFound` if one of the two is not there."""
        call = await self.calls.with_recording_key(self.reader.organization_id, call_id)
        if call is None:
            raise NotFound("There is no such call.")
        if not call["recordings"]:
            raise NotFound("This call has no recording.")
        return call, call["recordings"][-1]


class CallHandler(HistoryBase):
    """`GET /api/calls/{callId}`: everything about one call."""

    @within_deadline
    async def get(self, call_id: str) -> None:
        call = await self.history.get(self.reader.organization_id, call_id)
        if call is None:
            raise NotFound("There is no such call.")
        self.respond({"success": True, "call": call})


class CallChangeHandler(HistoryBase):
    """`GET /api/calls/{callId}/history/{number}`: one entry of a call's history, with all its old values."""

    @within_deadline
    async def get(self, call_id: str, number: str) -> None:
        is_number = number.isascii() and number.isdigit() and len(number) <= MAX_NUMBER_DIGITS
        change = await self.history.change(self.reader.organization_id, call_id, int(number)) if is_number else None
        if change is None:
            raise NotFound("There is no such change of a call.")
        self.respond({"success": True, "change": change})


class CallRecordingHandler(OneCallHandler):
    """`GET /api/calls/{callId}/recording`: a link to its recording, and the words; with `playable=1` also to its copy."""

    def initialize(self, exchange: Exchange, calls: Calls, links: Links, copies: PlayableCopies) -> None:  # type: ignore[override]
        super().initialize(exchange, calls)
        self.links = links
        self.copies = copies

    async def get(self, call_id: str) -> None:
        wants_copy = query.one_of(self, "playable", PLAYABLE) is not None
        what: What = "downloaded" if query.one_of(self, "for", PURPOSES) == "download" else "listened"
        async with self.deadline:
            call, recording = await self.recording(call_id)
            await self.record(what, call_id=call_id)
        copied: dict[str, str] = {}
        if wants_copy:
            copy = await self.copies.copy(call, recording, self.deadline)
            copied["playableUrl"] = self._absolute(await self.links.copy_link(copy, LINK_S))
        self.respond(
            {
                "success": True,
                "audioUrl": self._absolute(await self.links.link(recording, LINK_S, is_saved=what == "downloaded")),
                **copied,
                "duration": recording["duration"],
                "recordingId": recording["recordingId"],
                "transcriptionText": "\n".join(f"{turn['role']}: {turn['message']}" for turn in call["transcription"]),
                "transcriptionData": call["transcription"],
                "direction": call["direction"],
                "from": call["from"],
                "to": call["to"],
            }
        )

    def _absolute(self, url: str) -> str:
        if not url.startswith("/"):
            return url
        return self.exchange.server_address + url


class RetryRecordingHandler(OneCallHandler):
    """`POST /api/calls/{callId}/recording/retry`: fetch a recording that was given up, as if for the first time."""

    def initialize(self, exchange: Exchange, calls: Calls, later: LaterRecordings) -> None:  # type: ignore[override]
        super().initialize(exchange, calls)
        self.later = later

    @within_deadline
    async def post(self, call_id: str) -> None:
        organization_id = self.reader.organization_id
        if not await self.later.retry(organization_id, call_id):
            if not await self.calls.exists(organization_id, call_id):
                raise NotFound("There is no such call.")
            sentence = "This call has no recording that was given up, or its address is not kept any more"
            raise BadRequest(sentence, code="nothing_to_retry")
        await self.record("retried", call_id=call_id)
        self.respond({"success": True, "callId": call_id, "recordingStatus": "pending"})


class PeaksHandler(OneCallHandler):
    """`GET /api/calls/{callId}/peaks`: the loudest sample of each part of the recording, to draw a waveform."""

    def initialize(self, exchange: Exchange, calls: Calls, waveforms: WaveformService) -> None:  # type: ignore[override]
        super().initialize(exchange, calls)
        self.waveforms = waveforms

    async def get(self, call_id: str) -> None:
        async with self.deadline:
            _, recording = await self.recording(call_id)
        peaks = await self.waveforms.peaks(recording, self.deadline)
        self.set_header("Cache-Control", "private, max-age=86400, immutable")
        self.respond(
            {
                "success": True,
                "duration": recording["duration"],
                "peaks": list(peaks.loudest) if peaks is not None else None,
                "channels": list(map(list, peaks.channels)) if peaks is not None and len(peaks.channels) > 1 else None,
            }
        )
