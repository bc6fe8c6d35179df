"""The audit log, for admins: one page of it, or all of it as a table."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Final, cast

import orjson

from tether_rt.api import query
from tether_rt.api.export import BYTE_ORDER_MARK, cell, lines
from tether_rt.domain.audit import WHATS, AuditDocument, What, subject_id
from tether_rt.errors import BadRequest
from tether_rt.http.handlers import SessionHandler, within_deadline
from tether_rt.mongo.audit import AuditFilter

_COLUMNS: Final = ("at", "who", "what", "door", "callId", "contactId", "userId", "tokenId", "details", "id", "subject")
NOBODY: Final = "0" * 24
"""The id of no user."""


class _AuditBase(SessionHandler):
    async def filter(self) -> AuditFilter:
        """Return the filter of the query string; `who` is a user's id or address, or a read token's id."""
        who = query.text(self, "who")
        if who is not None and "@" in who:
            who = await self.context.audit.user_id(self.session.organization_id, who) or NOBODY
        return AuditFilter(
            who=who,
            what=cast("What | None", query.one_of(self, "what", WHATS)),
            call_id=query.text(self, "callId"),
            start=query.moment(self, "from"),
            end=query.moment(self, "to", end=True),
        )

    async def shown(self, entries: list[AuditDocument]) -> list[dict[str, Any]]:
        """Return entries as answers have them: who it was, and to whom or what it was done, by the names of today."""
        names = await self.context.audit.names(self.session.organization_id, entries)
        return [
            {
                "id": entry["_id"],
                "at": entry["at"],
                "what": entry["what"],
                "door": entry["door"],
                "userId": entry["userId"],
                "tokenId": entry.get("tokenId"),
                "who": names.get(entry["userId"] or entry.get("tokenId") or ""),
                "callId": entry.get("callId"),
                "callIds": entry.get("callIds", []),
                "contactId": entry.get("contactId"),
                "subject": names.get(subject_id(entry) or ""),
                "details": entry["details"],
            }
            for entry in entries
        ]


class AuditHandler(_AuditBase):
    """`GET /api/audit`: one page of the log, newest first."""

    @within_deadline
    async def get(self) -> None:
        chosen = await self.filter()
        limit = query.whole(self, "limit", 50, 1, 200)
        before = query.text(self, "before")
        page = await self.context.audit.page(self.session.organization_id, chosen, limit=limit, before=before)
        if page is None:
            raise BadRequest("before must be the id of an entry", code="unknown_value", field="before")
        self.respond({"success": True, "entries": await self.shown(page.entries), "total": page.total})


class AuditExportHandler(_AuditBase):
    """`GET /api/audit/export`: the log as a table (RFC 4180), newest first; the export is an entry of it, too."""

    async def get(self) -> None:
        async with self.deadline:
            chosen = await self.filter()
            await self.record("exported", details={"table": "audit"})
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="audit-{datetime.now(UTC):%Y-%m-%d}.csv"')
        if self.request.method == "HEAD":
            await self.flush()
            self.finish()
            return
        await self.stream((BYTE_ORDER_MARK + lines([list(_COLUMNS)])).encode())
        async for entries in self.context.audit.every(self.session.organization_id, chosen):
            await self.stream(await asyncio.to_thread(_table, await self.shown(entries)))
        self.finish()


def _table(entries: list[dict[str, Any]]) -> bytes:
    rows = [
        {
            **entry,
            "callId": entry["callId"] or " ".join(entry["callIds"]),
            "details": orjson.dumps(entry["details"]).decode() if entry["details"] else "",
        }
        for entry in entries
    ]
    return lines([[cell(row[column]) for column in _COLUMNS] for row in rows]).encode()
