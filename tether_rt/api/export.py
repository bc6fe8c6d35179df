"""`GET /api/calls/export`: the filtered calls as a table, streamed."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from typing import Any, Final

from tornado.iostream import StreamClosedError

from tether_rt.api.calls import HistoryBase
from tether_rt.domain.call import iso_ms

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

    answers_in_time = False

    async def get(self) -> None:
        call_filter = self.filter()
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="calls-{datetime.now(UTC):%Y-%m-%d}.csv"')
        self.write(_BYTE_ORDER_MARK + _lines([list(_COLUMNS)]))
        try:
            async for calls in self.history.every(self.session.organization_id, call_filter):
                self.write(_lines([[cell(call.get(field)) for field in _COLUMNS.values()] for call in calls]))
                await self.flush()
        except StreamClosedError:
            return  # who asked has left
        self.finish()


def cell(value: Any) -> str:
    """Return a value as a spreadsheet's cell. What would be taken for a formula gets an apostrophe in front, as text has there.

    A telephone number stays as it is: digits behind a plus sign can do nothing.
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
