"""Signing in and out, and the API key of who is signed in."""

from __future__ import annotations

import asyncio
from typing import Any

from tether_rt.auth import permissions
from tether_rt.auth.identity import SignedIn
from tether_rt.domain.contract import Contract
from tether_rt.domain.people import role_of
from tether_rt.errors import NotFound, Unauthorized
from tether_rt.http.callers import refuse_foreign_page
from tether_rt.http.exchange import Exchange
from tether_rt.http.handlers import JsonHandler, SessionHandler, within_deadline
from tether_rt.http.headers import SESSION_COOKIE, arrived_over_tls
from tether_rt.http.json_body import parse
from tether_rt.hub.hub import Hub
from tether_rt.mongo.account_documents import OrganizationDocument
from tether_rt.mongo.audit import AuditLog


class LoginHandler(JsonHandler):
    """`POST /api/auth/login`: a token, and the same token as a cookie that scripts cannot read."""

    body_methods = ("POST",)

    def initialize(self, exchange: Exchange, contract: Contract) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.contract = contract

    async def authorize(self) -> None:
        refuse_foreign_page(self.exchange)

    async def post(self) -> None:
        body = parse(self.request.body)
        self.contract.check("LoginRequest", body)
        signed_in = await self.context.identity.sign_in(body["email"], body["password"], self.exchange.remote, self.deadline)
        if signed_in is None:
            raise Unauthorized("The email address or the password is wrong.")
        async with self.deadline:
            await self.context.audit.add(signed_in.claims.organization_id, "signed_in", signed_in.claims.user_id)
        sign_in(self, signed_in)


def sign_in(handler: JsonHandler, signed_in: SignedIn) -> None:
    """Answer with a session that has begun, as a token and as a cookie."""
    handler.exchange.organization_id = signed_in.claims.organization_id
    handler.set_cookie(
        SESSION_COOKIE,
        signed_in.token,
        path=cookie_path(handler),
        expires=signed_in.claims.expires_at,
        httponly=True,
        samesite="Strict",
        secure=arrived_over_tls(handler.request),
    )
    handler.respond({"success": True, "token": signed_in.token, **who(signed_in.user, signed_in.organization)})


def cookie_path(handler: JsonHandler) -> str:
    """Return the path below which browsers send the cookie."""
    return f"{handler.context.base_path}/"


def who(user: dict[str, Any], organization: OrganizationDocument | None) -> dict[str, Any]:
    """Return a user, what the user may do, and what everybody sees of the organization."""
    shown = organization and {"name": organization["name"], "timeZone": organization.get("timeZone")}
    return {"user": user, "allowed": permissions.allowed(role_of(user["accessRole"])), "organization": shown}


class VerifyTokenHandler(SessionHandler):
    """`GET /api/auth/verify-token`."""

    @within_deadline
    async def get(self) -> None:
        self.respond({"message": "Token is good"})


class UserHandler(SessionHandler):
    """`GET /api/user`: who is signed in, what the user may do, and what everybody sees of the organization."""

    @within_deadline
    async def get(self) -> None:
        identity, own = self.context.identity, self.session
        user, organization = await asyncio.gather(identity.user(own.user_id), identity.organization(own.organization_id))
        if user is None:
            raise NotFound("This user no longer exists.")
        self.respond({"success": True, **who(user, organization)})


class LogoutHandler(SessionHandler):
    """`POST /api/auth/logout`: ends the session and closes its dashboards."""

    def initialize(self, exchange: Exchange, hub: Hub) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.hub = hub

    @within_deadline
    async def post(self) -> None:
        await self.context.identity.sign_out(self.session.session_id)
        self.hub.end_session(self.session.session_id)
        self.clear_cookie(SESSION_COOKIE, path=cookie_path(self))
        self.respond({"success": True, "message": "Signed out"})


class ApiKeyHandler(SessionHandler):
    """`GET /api/user/api-key`."""

    @within_deadline
    async def get(self) -> None:
        key = await self.context.identity.api_key(self.session.user_id)
        if key is None:
            raise NotFound("The API key cannot be shown; regenerate it to have a new one.")
        self.respond({"success": True, "data": {"apiKey": key}})


class RegenerateApiKeyHandler(SessionHandler):
    """`POST /api/user/api-key/regenerate`: a new key; the old one stops working."""

    def initialize(self, exchange: Exchange, audit: AuditLog) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.audit = audit

    @within_deadline
    async def post(self) -> None:
        key = await self.context.identity.regenerate_api_key(self.session.user_id)
        if key is None:
            raise NotFound("This user no longer exists.")
        own = self.session
        await self.audit.add(own.organization_id, "key_changed", own.user_id, details={"personId": own.user_id})
        self.respond({"success": True, "data": {"apiKey": key}})
