"""`GET /api/calls/export`: the filtered calls as a table, streamed."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from datetime import UTC, datetime
from typing import Any, Final

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
}
_BYTE_ORDER_MARK: Final = "\ufeff"
"""Without it Excel reads UTF-8 as the machine's old code page."""
_FORMULA: Final = re.compile(r"\s*[=+\-@\t\r]")
_NUMBER: Final = re.compile(r"\+[0-9]{5,15}")


class ExportHandler(HistoryBase):
    """The calls that a filter leaves, one a line (RFC 4180), newest first."""

    async def get(self) -> None:
        pages = self.history.every(self.session.organization_id, self.filter())
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="calls-{datetime.now(UTC):%Y-%m-%d}.csv"')
        if self.request.method == "HEAD":
            await self.flush()
            self.finish()
            return
        # The first page is waited for before the first byte is sent: until then, an error can be answered as one.
        async with self.deadline:
            page = await anext(pages, None)
        await self.stream((_BYTE_ORDER_MARK + _lines([list(_COLUMNS)])).encode())
        while page is not None:
            # In a thread: 500 calls with long summaries are many megabytes.
            await self.stream(await asyncio.to_thread(_table, page))
            page = await anext(pages, None)
        self.finish()


def _table(calls: list[ShownCall]) -> bytes:
    rows = [{**call, "from": call["from"] or WITHHELD} for call in calls]
    return _lines([[cell(row.get(field)) for field in _COLUMNS.values()] for row in rows]).encode()


def cell(value: Any) -> str:
    """Return a value as a spreadsheet's cell. Text that looks like a formula gets an apostrophe in front, which makes it text.

    A telephone number stays as it is: digits behind a plus sign are harmless.
    """
    if value is None:
        return ""
    if isinstance(value, datetime):
        return iso_ms(value)
    text = str(value).replace("\0", "")
    if isinstance(value, str) and _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


def _lines(rows: list[list[str]]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()
