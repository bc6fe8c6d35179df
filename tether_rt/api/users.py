"""The people of an organization: listing, inviting and changing them. For admins."""

from __future__ import annotations

from typing import Any

from tether_rt.auth.user_admin import Invited, UserAdmin
from tether_rt.domain.audit import Actor
from tether_rt.domain.contract import Contract
from tether_rt.http.exchange import Exchange
from tether_rt.http.handlers import SessionHandler, within_deadline
from tether_rt.http.json_body import parse
from tether_rt.hub.hub import Hub


class _UsersBase(SessionHandler):
    def initialize(self, exchange: Exchange, people: UserAdmin, contract: Contract, hub: Hub) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.people = people
        self.contract = contract
        self.hub = hub

    @property
    def actor(self) -> Actor:
        return Actor(self.session.user_id)

    def body(self, schema: str) -> dict[str, Any]:
        body = parse(self.request.body)
        self.contract.check(schema, body)
        return dict(body)

    def show_link(self, invited: Invited, status: int = 200) -> None:
        self.set_header("Referrer-Policy", "no-referrer")
        self.respond(
            {"success": True, "user": self.people.shown(invited.user), "path": self.context.base_path + invited.path}, status
        )


class UsersHandler(_UsersBase):
    """`GET /api/users`: the organization's people, oldest first."""

    @within_deadline
    async def get(self) -> None:
        self.respond({"success": True, "users": await self.people.every(self.session.organization_id)})


class InviteHandler(_UsersBase):
    """`POST /api/users/invite`: adds a user, and answers with the path at which the user chooses a password."""

    body_methods = ("POST",)

    @within_deadline
    async def post(self) -> None:
        body = self.body("InviteRequest")
        self.show_link(await self.people.invite(self.session.organization_id, body, self.actor), 201)


class UserHandler(_UsersBase):
    """`PATCH /api/users/{userId}`: another role; disables and enables."""

    body_methods = ("PATCH",)

    @within_deadline
    async def patch(self, user_id: str) -> None:
        body = self.body("UserChangeRequest")
        user = await self.people.change(self.session.organization_id, user_id, body, self.actor)
        self.hub.recheck()
        self.respond({"success": True, "user": user})


class ResetPasswordHandler(_UsersBase):
    """`POST /api/users/{userId}/reset-password`: a new path at which a user chooses a password."""

    @within_deadline
    async def post(self, user_id: str) -> None:
        self.show_link(await self.people.new_link(self.session.organization_id, user_id, self.actor))


class EndSessionsHandler(_UsersBase):
    """`POST /api/users/{userId}/end-sessions`: signs a user out everywhere."""

    @within_deadline
    async def post(self, user_id: str) -> None:
        ended = await self.people.end_sessions(self.session.organization_id, user_id, self.actor)
        self.hub.recheck()
        self.respond({"success": True, "ended": ended})
