"""What each role may do and each read token reads: one table by route, and the one place that looks into it. Pure.

`http.callers` asks for every request that comes with a session or a read token. A route without a row is refused to everybody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple

from tether_rt.domain.people import ADMIN, AGENT
from tether_rt.domain.read_token import Scope
from tether_rt.errors import Forbidden


class Permission(Enum):
    """What not every role may do: its name for the dashboard, in the words of a refusal."""

    LISTEN = "listen to recordings"
    EXPORT = "export calls"
    RENAME = "rename contacts"
    RETRY_RECORDINGS = "have recordings fetched again"
    OWN_KEY = "have an API key of your own"
    TRY_PAYLOADS = "try payloads"
    MANAGE_SOURCES = "manage sources"
    MANAGE_TOKENS = "manage read tokens"
    MANAGE_DELIVERIES = "see deliveries"
    MANAGE_PEOPLE = "manage people"
    MANAGE_ORGANIZATION = "change the organization's settings"
    ERASE = "erase calls and contacts"
    READ_AUDIT = "see the audit log"


class Open(Enum):
    """Of a route that nobody needs a permission for."""

    ALL_ROLES = "everybody who is signed in"
    NO_SESSION = "it has another credential, or needs none"


class Rule(NamedTuple):
    """Who may send a request."""

    people: Permission | Open
    """What somebody who is signed in must be allowed to do."""
    scope: Scope | None = None
    """The scope with which a read token may send it; None: no token may, because it changes something or is a person's own."""


_ADMINS: Final = (ADMIN,)
_AGENTS: Final = (ADMIN, AGENT)

GRANTED: Final[Mapping[Permission, tuple[str, ...]]] = MappingProxyType(
    {
        Permission.LISTEN: _AGENTS,
        Permission.EXPORT: _AGENTS,
        Permission.RENAME: _AGENTS,
        Permission.RETRY_RECORDINGS: _AGENTS,
        Permission.OWN_KEY: _AGENTS,
        Permission.TRY_PAYLOADS: _AGENTS,
        Permission.MANAGE_SOURCES: _ADMINS,
        Permission.MANAGE_TOKENS: _ADMINS,
        Permission.MANAGE_DELIVERIES: _ADMINS,
        Permission.MANAGE_PEOPLE: _ADMINS,
        Permission.MANAGE_ORGANIZATION: _ADMINS,
        Permission.ERASE: _ADMINS,
        Permission.READ_AUDIT: _ADMINS,
    }
)
"""The roles that have each permission."""

ROUTES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "GET /api/user": Rule(Open.ALL_ROLES),
        "GET /api/auth/verify-token": Rule(Open.ALL_ROLES),
        "POST /api/auth/logout": Rule(Open.ALL_ROLES),
        "GET /ws": Rule(Open.ALL_ROLES, "feed"),
        "GET /api/feed": Rule(Open.ALL_ROLES, "feed"),
        "GET /api/calls/history": Rule(Open.ALL_ROLES, "calls"),
        "GET /api/calls/statistics": Rule(Open.ALL_ROLES, "calls"),
        "GET /api/calls/activity": Rule(Open.ALL_ROLES, "calls"),
        "GET /api/calls/agents": Rule(Open.ALL_ROLES, "calls"),
        "GET /api/calls/{callId}": Rule(Open.ALL_ROLES, "calls"),
        "GET /api/calls/{callId}/history/{number}": Rule(Open.ALL_ROLES, "calls"),
        "GET /api/calls/{callId}/peaks": Rule(Open.ALL_ROLES, "recordings"),
        "GET /api/contacts": Rule(Open.ALL_ROLES, "calls"),
        "GET /api/contacts/{contactId}": Rule(Open.ALL_ROLES, "calls"),
        "POST /api/conversation/all": Rule(Open.ALL_ROLES, "calls"),
        "POST /api/conversation/messages": Rule(Open.ALL_ROLES, "calls"),
        "GET /api/calls/{callId}/recording": Rule(Permission.LISTEN, "recordings"),
        "GET /api/calls/export": Rule(Permission.EXPORT, "calls"),
        "PATCH /api/contacts/{contactId}": Rule(Permission.RENAME),
        "POST /api/calls/{callId}/recording/retry": Rule(Permission.RETRY_RECORDINGS),
        "GET /api/user/api-key": Rule(Permission.OWN_KEY),
        "POST /api/user/api-key/regenerate": Rule(Permission.OWN_KEY),
        "POST /api/calls/validate": Rule(Permission.TRY_PAYLOADS),
        "POST /api/webhook/{vendor}/dry-run": Rule(Permission.TRY_PAYLOADS),
        "POST /api/auth/password": Rule(Open.ALL_ROLES),
        "POST /api/auth/link": Rule(Open.NO_SESSION),
        "POST /api/auth/join": Rule(Open.NO_SESSION),
        "GET /api/users": Rule(Permission.MANAGE_PEOPLE),
        "POST /api/users/invite": Rule(Permission.MANAGE_PEOPLE),
        "PATCH /api/users/{userId}": Rule(Permission.MANAGE_PEOPLE),
        "POST /api/users/{userId}/reset-password": Rule(Permission.MANAGE_PEOPLE),
        "POST /api/users/{userId}/end-sessions": Rule(Permission.MANAGE_PEOPLE),
        "GET /api/organization": Rule(Permission.MANAGE_ORGANIZATION),
        "PATCH /api/organization": Rule(Permission.MANAGE_ORGANIZATION),
        "GET /api/sources": Rule(Permission.MANAGE_SOURCES),
        "POST /api/sources": Rule(Permission.MANAGE_SOURCES),
        "GET /api/sources/{sourceId}": Rule(Permission.MANAGE_SOURCES),
        "PATCH /api/sources/{sourceId}": Rule(Permission.MANAGE_SOURCES),
        "POST /api/sources/{sourceId}/rotate": Rule(Permission.MANAGE_SOURCES),
        "GET /api/tokens": Rule(Permission.MANAGE_TOKENS),
        "POST /api/tokens": Rule(Permission.MANAGE_TOKENS),
        "DELETE /api/tokens/{tokenId}": Rule(Permission.MANAGE_TOKENS),
        "GET /api/deliveries": Rule(Permission.MANAGE_DELIVERIES),
        "GET /api/deliveries/reasons": Rule(Permission.MANAGE_DELIVERIES),
        "POST /api/deliveries/replay": Rule(Permission.MANAGE_DELIVERIES),
        "GET /api/deliveries/{deliveryId}": Rule(Permission.MANAGE_DELIVERIES),
        "GET /api/deliveries/{deliveryId}/body": Rule(Permission.MANAGE_DELIVERIES),
        "POST /api/deliveries/{deliveryId}/replay": Rule(Permission.MANAGE_DELIVERIES),
        "DELETE /api/calls/{callId}": Rule(Permission.ERASE),
        "DELETE /api/contacts/{contactId}": Rule(Permission.ERASE),
        "POST /api/erase": Rule(Permission.ERASE),
        "GET /api/organization/retention": Rule(Permission.MANAGE_ORGANIZATION),
        "GET /api/audit": Rule(Permission.READ_AUDIT),
        "GET /api/audit/export": Rule(Permission.READ_AUDIT),
        "POST /api/calls/ingest": Rule(Open.NO_SESSION),
        "PATCH /api/calls/ingest": Rule(Open.NO_SESSION),
        "PATCH /api/calls/ingest/{externalCallId}": Rule(Open.NO_SESSION),
        "POST /api/webhook/elevenlabs": Rule(Open.NO_SESSION),
        "POST /api/webhook/{vendor}/{sourceId}": Rule(Open.NO_SESSION),
        "POST /api/auth/login": Rule(Open.NO_SESSION),
        "GET /api/recordings/{recordingId}": Rule(Open.NO_SESSION),
        "GET /api/sample-call": Rule(Open.NO_SESSION),
        "GET /healthz": Rule(Open.NO_SESSION),
        "GET /readyz": Rule(Open.NO_SESSION),
        "GET /metrics": Rule(Open.NO_SESSION),
        "GET /openapi.json": Rule(Open.NO_SESSION),
        "GET /asyncapi.json": Rule(Open.NO_SESSION),
        "GET /docs": Rule(Open.NO_SESSION),
        "GET /docs/vendor": Rule(Open.NO_SESSION),
        "GET /": Rule(Open.NO_SESSION),
        "GET /join": Rule(Open.NO_SESSION),
        "GET /static/{file}": Rule(Open.NO_SESSION),
        "GET /static/{version}/{file}": Rule(Open.NO_SESSION),
    }
)
"""Who may send a request, by its method and its route. HEAD is GET."""


def require(role: str, method: str, route: str) -> None:
    """Return when a user of this role may send this request; raises `Forbidden` with a sentence that says who may."""
    rule = _rule(method, route)
    needed = rule.people if rule is not None else None
    if needed is Open.ALL_ROLES:
        return
    if not isinstance(needed, Permission):
        raise Forbidden("Nobody may do this with a session.")
    granted = GRANTED[needed]
    if role not in granted:
        who = " or ".join(f"an {name}" for name in granted)
        raise Forbidden(f"You may not {needed.value}: ask {who} of your organization.")


def require_scope(scopes: Collection[Scope], method: str, route: str) -> None:
    """Return when a read token with these scopes may send this request; raises `Forbidden` with what it lacks."""
    rule = _rule(method, route)
    if rule is None or rule.scope is None:
        raise Forbidden("A read token reads calls, recordings and events, and changes nothing: sign in for this.")
    if rule.scope not in scopes:
        raise Forbidden(f"This read token lacks the scope {rule.scope}: ask an admin of your organization for one that has it.")


def _rule(method: str, route: str) -> Rule | None:
    return ROUTES.get(f"{'GET' if method == 'HEAD' else method} {route}")


def allowed(role: str) -> list[str]:
    """Return the names of the permissions that a role has, for the dashboard to hide the rest."""
    return [permission.name.lower() for permission, granted in GRANTED.items() if role in granted]
