"""`GET /api/calls/export`: the filtered calls as a table, streamed."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from tether_rt.api import query
from tether_rt.api.calls import HistoryBase
from tether_rt.domain.call import iso_ms
from tether_rt.domain.party import WITHHELD
from tether_rt.domain.periods import zone_named
from tether_rt.mongo.call_history import CallFilter
from tether_rt.mongo.documents import ShownCall

_COLUMNS: Final = {
    "callId": "callId",
    "started": "startTime",
    "ended": "endTime",
    "direction": "direction",
    "status": "status",
    "from": "from",
    "to": "to",
    "contact": "contactName",
    "agent": "agentName",
    "seconds": "duration",
    "summary": "summary",
    "vendorCallId": "providerCallId",
    "recordingStatus": "recordingStatus",
    "recordingError": "recordingError",
    "startedLocal": "startedLocal",
    "endedLocal": "endedLocal",
    "timeZone": "timeZone",
    "link": "link",
}
BYTE_ORDER_MARK: Final = "\ufeff"
"""Without it Excel reads UTF-8 as the machine's old code page."""
_FORMULA: Final = re.compile(r"\s*[=+\-@\t\r]")
_NUMBER: Final = re.compile(r"\+[0-9]{5,15}")
_CHANGED_DIGITS: Final = re.compile(r"0[0-9]+|[0-9]{16,}|[0-9]+(?:\.[0-9]+)?[eE][0-9]+")
"""Text that a spreadsheet reads as a number and gives back as another text: 00123, more digits than it keeps, 12E5."""
_LOOKED_AT_CHARS: Final = 64
_UNNAMED: Final = re.compile(r"[^A-Za-z0-9]+")
"""What the name of a file has a dash for."""
_NAME_CHARS: Final = 40
"""Of each word in the name of a file."""
_TABLES: Final = ("spreadsheet", "program")


class ExportHandler(HistoryBase):
    """The calls that a filter leaves, one a line (RFC 4180), newest first; `table` says who is to read it."""

    async def get(self) -> None:
        is_plain = query.one_of(self, "table", _TABLES) == "program"
        call_filter = self.filter()
        # A browser may name a zone that nobody knows.
        zone = zone_named(query.text(self, "timeZone") or "UTC") or ZoneInfo("UTC")
        view = _View(is_plain, zone, f"{self.exchange.server_address}/#/calls/")
        filtered_by = [name for name in self.request.query_arguments if name not in ("table", "timeZone")]
        async with self.deadline:
            await self.record("exported", details={"table": "calls", "filteredBy": filtered_by})
        pages = self.history.every(self.reader.organization_id, call_filter)
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        name = file_name(call_filter, datetime.now(UTC), zone)
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        if self.request.method == "HEAD":
            await self.flush()
            self.finish()
            return
        # The first page is waited for before the first byte is sent: until then, an error can be answered as one.
        async with self.deadline:
            page = await anext(pages, None)
        await self.stream((("" if is_plain else BYTE_ORDER_MARK) + lines([list(_COLUMNS)])).encode())
        while page is not None:
            # In a thread: 500 calls with long summaries are many megabytes.
            await self.stream(await asyncio.to_thread(_table, page, view))
            page = await anext(pages, None)
        self.finish()


class _View(NamedTuple):
    """For whom a table is."""

    is_plain: bool
    """A program, not a spreadsheet."""
    zone: ZoneInfo
    link: str
    """The address of a call's page, without its id."""


def _table(calls: list[ShownCall], view: _View) -> bytes:
    write = plain_cell if view.is_plain else cell
    rows = [
        {
            **call,
            "from": call["from"] or WITHHELD,
            "recordingError": error["error"] if (error := call.get("recordingError")) is not None else None,
            "startedLocal": local_text(call["startTime"], view.zone),
            "endedLocal": local_text(call["endTime"], view.zone),
            "timeZone": view.zone.key,
            "link": view.link + call["callId"],
        }
        for call in calls
    ]
    return lines([[write(row.get(field)) for field in _COLUMNS.values()] for row in rows]).encode()


def local_text(at: datetime, zone: ZoneInfo) -> str:
    """Return a time as clocks in the zone show it, as spreadsheets read it: "2026-05-15 09:10:00"."""
    try:
        return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    except OverflowError:  # the first or the last day of the calendar
        return ""


def file_name(call_filter: CallFilter, now: datetime, zone: ZoneInfo) -> str:
    """Return the name of the file after what the filter leaves: "calls-busy-inbound-2026-05-01-to-2026-05-31.csv"."""
    words = [call_filter.status, call_filter.direction, call_filter.agent_name, call_filter.search]
    parts = [_UNNAMED.sub("-", word).strip("-").lower()[:_NAME_CHARS] for word in words if word]
    moments = [call_filter.start, call_filter.end and call_filter.end - timedelta(milliseconds=1)]
    days = [local_text(moment, zone)[:10] for moment in moments if moment is not None]
    if not days:
        days = [local_text(now, zone)[:10]]
    elif call_filter.end is None:
        days = ["from", *days]
    elif call_filter.start is None:
        days = ["until", *days]
    elif days[0] != days[1]:
        days.insert(1, "to")
    else:
        days.pop()
    return "-".join(["calls", *filter(None, parts), *filter(None, days)]) + ".csv"


def cell(value: Any) -> str:
    """Return a value as a spreadsheet's cell. An apostrophe in front keeps what looks like a formula or a number as text.

    Spreadsheets of East Asia read full-width signs as the plain ones. A telephone number stays as it is: digits behind a plus
    sign are harmless.
    """
    text = plain_cell(value)
    if not isinstance(value, str) or _NUMBER.fullmatch(text):
        return text
    beginning = unicodedata.normalize("NFKC", text.strip()[:_LOOKED_AT_CHARS])
    is_read = _FORMULA.match(text) or _FORMULA.match(beginning) or _CHANGED_DIGITS.fullmatch(beginning)
    return f"'{text}" if is_read else text


def plain_cell(value: Any) -> str:
    """Return a value as text that a program reads."""
    if value is None:
        return ""
    return iso_ms(value) if isinstance(value, datetime) else str(value).replace("\0", "")


def lines(rows: list[list[str]]) -> str:
    """Return rows as CSV."""
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()
