"""The people of an organization: inviting them, their roles and passwords, ending their access.

Who is invited, or has forgotten the password, gets a link from an admin, which works once: its token is 256 random bits, of
which the SHA-256 is stored.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from tether_rt.auth import credentials
from tether_rt.auth.credentials import Keyring
from tether_rt.domain.audit import Actor
from tether_rt.domain.names import plain_name
from tether_rt.domain.people import ROLES
from tether_rt.errors import BadRequest
from tether_rt.mongo.account_documents import LinkKind, PersonLinkDocument, UserDocument
from tether_rt.mongo.client import new_id
from tether_rt.mongo.user_changes import Changed, UserChanges
from tether_rt.mongo.users import Users, normal_email

INVITATION_LIFETIME: Final = timedelta(days=7)
RESET_LIFETIME: Final = timedelta(days=1)
MAX_EMAIL_CHARS: Final = 254
"""RFC 5321, as amended by erratum 1690."""
_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f\x7f-\x9f<>\"'`\\,;:]+@[^@\s\x00-\x1f\x7f-\x9f<>\"'`\\,;:]+")
_LIFETIMES: Final[dict[LinkKind, timedelta]] = {"invite": INVITATION_LIFETIME, "reset": RESET_LIFETIME}


class Invited(NamedTuple):
    """A user, and the path below the server's address at which the user chooses a password."""

    user: UserDocument
    path: str


class UserAdmin:
    """Administers people. Raises `BadRequest` for what a schema cannot say, and `NotFound` as `UserChanges`."""

    def __init__(
        self,
        users: Users,
        changes: UserChanges,
        keyring: Keyring,
        forget: Callable[[Changed], None] = lambda changed: None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`forget` is called with users whose access has changed (`Identity.forget_user`); `now` is the clock."""
        self._users = users
        self._changes = changes
        self._keyring = keyring
        self._forget = forget
        self._now = now

    async def every(self, organization_id: str) -> list[dict[str, Any]]:
        """Return an organization's people as they are shown, oldest first."""
        users = await self._users.every(organization_id)
        counts = await self._users.session_counts([user["_id"] for user in users], self._now())
        return [self.shown(user, counts.get(user["_id"], 0)) for user in users]

    async def invite(self, organization_id: str, body: dict[str, Any], actor: Actor) -> Invited:
        """Add a user who is to choose a password, as an `InviteRequest` describes the user."""
        email, full_name = read_person(body["email"], body["fullName"], body["role"])
        token, link = self._new_link("invite")
        key = credentials.new_api_key()
        user = UserDocument(
            _id=new_id(),
            organizationId=organization_id,
            email=email,
            fullName=full_name,
            accessRole=body["role"],
            passwordHash="",
            apiKeyDigest=credentials.api_key_digest(key),
            apiKeySealed=self._keyring.seal(key),
            createdAt=self._now(),
            link=link,
        )
        await self._changes.invite(user, actor)
        return Invited(user, _path(token))

    async def change(self, organization_id: str, user_id: str, body: dict[str, Any], actor: Actor) -> dict[str, Any]:
        """Change a user as a `UserChangeRequest` says, and return the user as shown."""
        changed = await self._changes.change(
            organization_id, user_id, actor, role=body.get("role"), disabled=body.get("disabled")
        )
        self._forget(changed)
        return await self._with_sessions(changed.user)

    async def new_link(self, organization_id: str, user_id: str, actor: Actor) -> Invited:
        """Return a new link for a user to choose a password; who was invited gets another invitation."""
        user = await self._users.by_id(user_id)
        token, link = self._new_link("invite" if user is not None and user["passwordHash"] == "" else "reset")
        return Invited(await self._changes.give_link(organization_id, user_id, link, actor), _path(token))

    async def end_sessions(self, organization_id: str, user_id: str, actor: Actor) -> int:
        """End all sessions of a user, and return how many there were."""
        changed = await self._changes.end_sessions(organization_id, user_id, actor)
        self._forget(changed)
        return len(changed.session_ids)

    async def of_link(self, token: str) -> UserDocument | None:
        """Return the user that a link's token belongs to; None for one that is unknown, used or too old."""
        digest = link_digest(token)
        user = await self._users.by_link(digest)
        if user is None or user.get("disabledAt"):
            return None
        holds = hmac.compare_digest(user["link"]["digest"], digest) and self._now() < user["link"]["expiresAt"]
        return user if holds else None

    async def set_password(self, user: UserDocument, password_hash: str, **which: str) -> UserDocument | None:
        """Set a user's password, as `UserChanges.set_password`."""
        changed = await self._changes.set_password(user, password_hash, **which)
        if changed is None:
            return None
        self._forget(changed)
        return changed.user

    def shown(self, user: UserDocument, sessions: int = 0) -> dict[str, Any]:
        """Return a user as admins see one."""
        link = user.get("link")
        pending = link if link is not None and self._now() < link["expiresAt"] else None
        is_disabled = user.get("disabledAt") is not None
        return {
            "id": user["_id"],
            "organizationId": user["organizationId"],
            "email": user["email"],
            "fullName": user["fullName"],
            "accessRole": user["accessRole"],
            "role": user["accessRole"],
            "status": "disabled" if is_disabled else "invited" if user["passwordHash"] == "" else "active",
            "disabled": is_disabled,
            "createdAt": user["createdAt"],
            "lastSeenAt": user.get("lastSeenAt"),
            "sessions": sessions,
            "linkExpiresAt": pending["expiresAt"] if pending is not None else None,
        }

    async def _with_sessions(self, user: UserDocument) -> dict[str, Any]:
        counts = await self._users.session_counts([user["_id"]], self._now())
        return self.shown(user, counts.get(user["_id"], 0))

    def _new_link(self, kind: LinkKind) -> tuple[str, PersonLinkDocument]:
        token = secrets.token_urlsafe(32)
        return token, {"digest": link_digest(token), "kind": kind, "expiresAt": self._now() + _LIFETIMES[kind]}


def read_person(email: str, full_name: str, role: str) -> tuple[str, str]:
    """Return the address and the name as they are stored; raises `BadRequest` for what is no address, name or role."""
    address = normal_email(email)
    if not _EMAIL.fullmatch(address) or len(address) > MAX_EMAIL_CHARS or not address.isprintable():
        sentence = f"The email address must look like name@example.com, not {email!r}."
        raise BadRequest(sentence, code="wrong_format", field="email")
    name = plain_name(full_name)
    if name is None:
        raise BadRequest("The organization and the user each need a name.", code="empty_value", field="fullName")
    if role not in ROLES:
        raise BadRequest(f"The role must be one of {', '.join(ROLES)}, not {role!r}.", code="unknown_value", field="role")
    return address, name


def link_digest(token: str) -> str:
    """Return the SHA-256 under which a link's token is stored."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _path(token: str) -> str:
    """Return the page of a link. The token is a fragment, which no browser sends: it is in no log of a proxy."""
    return f"/join#token={token}"
