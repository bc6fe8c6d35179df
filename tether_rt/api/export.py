"""`GET /api/calls/export`: the filtered calls as a table, streamed."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import unicodedata
from datetime import UTC, datetime
from typing import Any, Final

from tether_rt.api import query
from tether_rt.api.calls import HistoryBase
from tether_rt.domain.call import iso_ms
from tether_rt.domain.party import WITHHELD
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
}
BYTE_ORDER_MARK: Final = "\ufeff"
"""Without it Excel reads UTF-8 as the machine's old code page."""
_FORMULA: Final = re.compile(r"\s*[=+\-@\t\r]")
_NUMBER: Final = re.compile(r"\+[0-9]{5,15}")
_CHANGED_DIGITS: Final = re.compile(r"0[0-9]+|[0-9]{16,}|[0-9]+(?:\.[0-9]+)?[eE][0-9]+")
"""Text that a spreadsheet reads as a number and gives back as another text: 00123, more digits than it keeps, 12E5."""
_LOOKED_AT_CHARS: Final = 64
_TABLES: Final = ("spreadsheet", "program")


class ExportHandler(HistoryBase):
    """The calls that a filter leaves, one a line (RFC 4180), newest first; `table` says who is to read it."""

    async def get(self) -> None:
        is_plain = query.one_of(self, "table", _TABLES) == "program"
        chosen = self.filter()
        filtered_by = [name for name in self.request.query_arguments if name != "table"]
        async with self.deadline:
            await self.record("exported", details={"table": "calls", "filteredBy": filtered_by})
        pages = self.history.every(self.session.organization_id, chosen)
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="calls-{datetime.now(UTC):%Y-%m-%d}.csv"')
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
            await self.stream(await asyncio.to_thread(_table, page, is_plain))
            page = await anext(pages, None)
        self.finish()


def _table(calls: list[ShownCall], is_plain: bool) -> bytes:
    write = plain_cell if is_plain else cell
    rows = [
        {
            **call,
            "from": call["from"] or WITHHELD,
            "recordingError": error["error"] if (error := call.get("recordingError")) is not None else None,
        }
        for call in calls
    ]
    return lines([[write(row.get(field)) for field in _COLUMNS.values()] for row in rows]).encode()


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
