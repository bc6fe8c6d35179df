"""Choosing a password: with a link that an admin gave, and instead of the one that one has."""

from __future__ import annotations

from typing import Any, Final

from tether_rt.api.sessions import sign_in
from tether_rt.auth.rate_limits import RateLimit, network_of, retry_after_s
from tether_rt.auth.user_admin import UserAdmin
from tether_rt.domain.contract import Contract
from tether_rt.errors import BadRequest, NotFound, TooManyRequests
from tether_rt.http.callers import refuse_foreign_page
from tether_rt.http.exchange import Exchange
from tether_rt.http.handlers import JsonHandler, SessionHandler
from tether_rt.http.json_body import parse
from tether_rt.hub.hub import Hub
from tether_rt.mongo.account_documents import UserDocument
from tether_rt.mongo.organizations import Organizations

LINK_FAILURES: Final = 20
LINK_INTERVAL_S: Final = 12.0
"""From one network, so many links that are not valid at once, and then one in this time."""


def link_limits() -> RateLimit[str]:
    """Return the limit of links that are not valid, by the network that they come from."""
    return RateLimit(LINK_FAILURES, LINK_INTERVAL_S)


class _LinkBase(JsonHandler):
    """The base of handlers for who holds a link."""

    body_methods = ("POST",)

    def initialize(  # type: ignore[override]
        self, exchange: Exchange, people: UserAdmin, contract: Contract, limits: RateLimit[str]
    ) -> None:
        super().initialize(exchange)
        self.people = people
        self.contract = contract
        self.limits = limits

    async def authorize(self) -> None:
        refuse_foreign_page(self.exchange)

    def body(self, schema: str) -> dict[str, Any]:
        body = parse(self.request.body)
        self.contract.check(schema, body)
        return dict(body)

    async def holder(self, token: str) -> UserDocument:
        """Return the user that a link was made for; raises `BadRequest`, and `TooManyRequests` after too many wrong ones."""
        network = network_of(self.exchange.remote)
        wait_s = self.limits.wait_s(network)
        if wait_s:
            raise TooManyRequests("Too many links that are not valid; wait a little.", retry_after_s(wait_s), limit="links")
        async with self.deadline:
            user = await self.people.of_link(token)
        if user is None:
            self.limits.take(network)
            raise not_valid()
        self.exchange.organization_id = user["organizationId"]
        return user


class LinkHandler(_LinkBase):
    """`POST /api/auth/link`: whom a link is for."""

    def initialize(self, exchange: Exchange, *, organizations: Organizations, **parts: Any) -> None:  # type: ignore[override]
        super().initialize(exchange, **parts)
        self.organizations = organizations

    async def post(self) -> None:
        user = await self.holder(self.body("LinkRequest")["token"])
        async with self.deadline:
            organization = await self.organizations.one(user["organizationId"])
        self.respond(
            {
                "success": True,
                "kind": user["link"]["kind"],
                "email": user["email"],
                "fullName": user["fullName"],
                "organizationName": organization["name"] if organization else "",
            }
        )


class JoinHandler(_LinkBase):
    """`POST /api/auth/join`: uses a link up, sets the password and signs in."""

    async def post(self) -> None:
        body = self.body("JoinRequest")
        user = await self.holder(body["token"])
        hashed = await self.context.identity.passwords.hash(body["password"], user["email"], user["fullName"])
        async with self.deadline:
            changed = await self.people.set_password(user, hashed, link_digest=user["link"]["digest"])
        signed_in = await self.context.identity.begin_session(changed, self.deadline) if changed is not None else None
        if signed_in is None:
            raise not_valid()
        sign_in(self, signed_in)


class PasswordHandler(SessionHandler):
    """`POST /api/auth/password`: another password for who is signed in; all other sessions of the user end."""

    body_methods = ("POST",)

    def initialize(self, exchange: Exchange, people: UserAdmin, contract: Contract, hub: Hub) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.people = people
        self.contract = contract
        self.hub = hub

    async def post(self) -> None:
        body = parse(self.request.body)
        self.contract.check("PasswordChangeRequest", body)
        passwords = self.context.identity.passwords
        async with self.deadline:
            user = await self.context.identity.user_document(self.session.user_id)
        if user is None:
            raise NotFound("This user no longer exists.")
        if not await passwords.matches(body["current"], user["passwordHash"] or None, user["email"], self.exchange.remote):
            raise BadRequest("The current password is wrong.", code="wrong_password", field="current")
        hashed = await passwords.hash(body["new"], user["email"], user["fullName"], "new")
        async with self.deadline:
            changed = await self.people.set_password(user, hashed, kept_session_id=self.session.session_id)
        if changed is None:
            sentence = "The password was changed meanwhile: send the request again."
            raise BadRequest(sentence, code="wrong_password", field="current")
        self.hub.recheck()
        self.respond({"success": True})


def not_valid() -> BadRequest:
    """Return the refusal of a link that is unknown, used or too old: which of them is nobody's business."""
    sentence = "This link is not valid any more: ask an admin of your organization for a new one."
    return BadRequest(sentence, code="link_not_valid", field="token")
