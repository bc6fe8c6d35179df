"""An organization's read tokens: listing, making and revoking them. For admins."""

from __future__ import annotations

from tether_rt.auth.read_token_admin import ReadTokenAdmin
from tether_rt.domain.audit import Actor
from tether_rt.errors import NotFound
from tether_rt.http.exchange import Exchange
from tether_rt.http.handlers import SessionHandler, within_deadline
from tether_rt.http.json_body import parse
from tether_rt.hub.hub import Hub


class TokensHandler(SessionHandler):
    """`/api/tokens`: GET lists the tokens, POST makes one and answers with its text, this once."""

    body_methods = ("POST",)

    def initialize(self, exchange: Exchange, tokens: ReadTokenAdmin) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.tokens = tokens

    @within_deadline
    async def get(self) -> None:
        self.respond({"success": True, "tokens": await self.tokens.every(self.session.organization_id)})

    @within_deadline
    async def post(self) -> None:
        own = self.session
        made = await self.tokens.add(own.organization_id, parse(self.request.body), Actor(own.user_id))
        self.respond({"success": True, "token": made.text, "readToken": made.shown}, 201)


class TokenHandler(SessionHandler):
    """`DELETE /api/tokens/{tokenId}`: revokes a token, and closes the streams that were opened with it."""

    def initialize(self, exchange: Exchange, tokens: ReadTokenAdmin, hub: Hub) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.tokens = tokens
        self.hub = hub

    @within_deadline
    async def delete(self, token_id: str) -> None:
        own = self.session
        revoked = await self.tokens.revoke(own.organization_id, token_id, Actor(own.user_id))
        if revoked is None:
            raise NotFound("There is no such token.")
        self.hub.recheck()
        self.respond({"success": True, "revoked": revoked})
