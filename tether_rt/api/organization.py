"""The settings of the organization that a user belongs to. For admins."""

from __future__ import annotations

from typing import Any

from tether_rt.domain.contract import Contract
from tether_rt.domain.names import plain_name
from tether_rt.domain.organization import Retention, is_time_zone
from tether_rt.errors import BadRequest, NotFound
from tether_rt.http.exchange import Exchange
from tether_rt.http.handlers import SessionHandler, within_deadline
from tether_rt.http.json_body import parse
from tether_rt.mongo.account_documents import OrganizationDocument
from tether_rt.mongo.audit import AuditLog
from tether_rt.mongo.organizations import Organizations, retention_of


class OrganizationHandler(SessionHandler):
    """`/api/organization`: GET shows the settings, PATCH changes those that the body names."""

    body_methods = ("PATCH",)

    def initialize(  # type: ignore[override]
        self, exchange: Exchange, organizations: Organizations, contract: Contract, audit: AuditLog
    ) -> None:
        super().initialize(exchange)
        self.organizations = organizations
        self.contract = contract
        self.audit = audit

    @within_deadline
    async def get(self) -> None:
        self._show(await self.organizations.one(self.session.organization_id))

    @within_deadline
    async def patch(self) -> None:
        body = parse(self.request.body)
        self.contract.check("OrganizationChangeRequest", body)
        organization_id = self.session.organization_id
        organization = await self.organizations.one(organization_id)
        if organization is not None and body:
            changes = _changes(body, retention_of(organization))
            details: dict[str, Any] = {"changed": sorted(changes), **changes.get("retention", {})}
            await self.audit.add(organization_id, "organization_changed", self.session.user_id, details=details)
            organization = await self.organizations.change(organization_id, changes)
        self._show(organization)

    def _show(self, organization: OrganizationDocument | None) -> None:
        if organization is None:
            raise NotFound("This organization no longer exists.")
        self.respond({"success": True, "organization": shown(organization)})


def shown(organization: OrganizationDocument) -> dict[str, Any]:
    """Return an organization as the contract has it."""
    return {
        "id": organization["_id"],
        "name": organization["name"],
        "timeZone": organization.get("timeZone"),
        "retention": retention_of(organization),
        "createdAt": organization["createdAt"],
    }


def _changes(body: dict[str, Any], before: Retention) -> dict[str, Any]:
    """Return what an `OrganizationChangeRequest` changes, as it is stored; raises `BadRequest` for what a schema cannot say."""
    changes: dict[str, Any] = {}
    if "name" in body:
        changes["name"] = name = plain_name(body["name"])
        if name is None:
            raise BadRequest("name must not be empty", code="empty_value", field="name")
    if "timeZone" in body:
        changes["timeZone"] = zone = body["timeZone"]
        if zone is not None and not is_time_zone(zone):
            raise BadRequest(
                "timeZone must be the name of a time zone, such as America/Toronto, Europe/Berlin or UTC",
                code="unknown_value",
                field="timeZone",
            )
    if "retention" in body:
        changes["retention"] = {**before, **body["retention"]}
    return changes
