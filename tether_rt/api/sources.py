"""An organization's sources: listing, adding and changing them, and their API keys. For admins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tether_rt.auth.source_admin import SourceAdmin
from tether_rt.domain.audit import Detail, What
from tether_rt.domain.contract import Contract
from tether_rt.domain.delivery import FAILED
from tether_rt.domain.source import OVERLAP_HOURS
from tether_rt.errors import NotFound
from tether_rt.http.exchange import Exchange
from tether_rt.http.handlers import SessionHandler, within_deadline
from tether_rt.http.json_body import parse
from tether_rt.mongo.audit import AuditLog
from tether_rt.mongo.deliveries import Deliveries
from tether_rt.mongo.users import Users

_COUNTED: Final = timedelta(days=7)
_LATELY: Final = timedelta(hours=24)


class _SourceBase(SessionHandler):
    def initialize(  # type: ignore[override]
        self, exchange: Exchange, sources: SourceAdmin, contract: Contract, audit: AuditLog
    ) -> None:
        super().initialize(exchange)
        self.audit = audit
        self.sources = sources
        self.contract = contract

    async def note(self, what: What, source_id: str, **details: Detail) -> None:
        """Write what was done to a source to the audit log."""
        own = self.session
        await self.audit.add(own.organization_id, what, own.user_id, details={"sourceId": source_id, **details})

    def body(self, schema: str) -> dict[str, Any]:
        body = parse(self.request.body)
        self.contract.check(schema, body)
        return dict(body)


class SourcesHandler(_SourceBase):
    """`/api/sources`: GET lists the sources, POST adds one and answers with its API key or the path of its webhooks."""

    body_methods = ("POST",)

    @within_deadline
    async def get(self) -> None:
        self.respond({"success": True, "sources": await self.sources.every(self.session.organization_id)})

    @within_deadline
    async def post(self) -> None:
        body = self.body("SourceCreateRequest")
        added = await self.sources.add(self.session.organization_id, self.session.user_id, body)
        source = self.sources.shown(added.source)
        await self.note("source_changed", source["id"], added=True, kind=source["kind"])
        own = {"apiKey": added.api_key} if added.api_key else {"webhookPath": source["webhookPath"]}
        self.respond({"success": True, "source": source, **own}, 201)


class SourceHandler(_SourceBase):
    """`/api/sources/{sourceId}`: GET shows a source, PATCH changes it."""

    body_methods = ("PATCH",)

    def initialize(  # type: ignore[override]
        self, exchange: Exchange, *, deliveries: Deliveries, users: Users, **parts: Any
    ) -> None:
        super().initialize(exchange, **parts)
        self.deliveries = deliveries
        self.users = users

    @within_deadline
    async def get(self, source_id: str) -> None:
        source = await self.sources.one(self.session.organization_id, source_id)
        if source is not None:
            organization_id, now = self.session.organization_id, datetime.now(UTC)
            creator = await self.users.by_id(source["createdBy"]) if source["createdBy"] is not None else None
            source["createdByName"] = creator["fullName"] if creator is not None else None
            source["deliveries"] = await self.deliveries.verdicts(organization_id, source_id, now - _COUNTED)
            lately = await self.deliveries.verdicts(organization_id, source_id, now - _LATELY)
            source["refusedLastDay"] = sum(lately.get(verdict, 0) for verdict in FAILED)
        self._show(source)

    @within_deadline
    async def patch(self, source_id: str) -> None:
        body = self.body("SourceChangeRequest")
        changed = await self.sources.change(self.session.organization_id, source_id, body)
        if changed is not None:
            await self.note("source_changed", source_id, changed=sorted(body))
        self._show(changed)

    def _show(self, source: dict[str, Any] | None) -> None:
        if source is None:
            raise NotFound("There is no such source.")
        self.respond({"success": True, "source": source})


class RotateHandler(_SourceBase):
    """`POST /api/sources/{sourceId}/rotate`: a new API key; the one before holds for a while."""

    body_methods = ("POST",)

    @within_deadline
    async def post(self, source_id: str) -> None:
        overlap_hours = self.body("SourceRotateRequest").get("overlapHours", OVERLAP_HOURS)
        rotated = await self.sources.rotate(self.session.organization_id, source_id, overlap_hours)
        if rotated is None:
            raise NotFound("There is no such source.")
        await self.note("key_changed", source_id, overlapHours=overlap_hours)
        self.respond({"success": True, "apiKey": rotated.api_key})
