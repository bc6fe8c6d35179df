"""What each role may do: one table by route, and the one place that looks into it. Pure.

`http.callers` asks for every request that comes with a session. A route that has no row is refused to everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from tether_rt.domain.people import ADMIN, AGENT
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
    MANAGE_DELIVERIES = "see deliveries"
    MANAGE_PEOPLE = "manage people"
    MANAGE_ORGANIZATION = "change the organization's settings"
    ERASE = "erase calls and contacts"
    READ_AUDIT = "see the audit log"


class Open(Enum):
    """Of a route that nobody needs a permission for."""

    ALL_ROLES = "everybody who is signed in"
    NO_SESSION = "it has another credential, or needs none"


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
        Permission.MANAGE_DELIVERIES: _ADMINS,
        Permission.MANAGE_PEOPLE: _ADMINS,
        Permission.MANAGE_ORGANIZATION: _ADMINS,
        Permission.ERASE: _ADMINS,
        Permission.READ_AUDIT: _ADMINS,
    }
)
"""The roles that have each permission."""

ROUTES: Final[Mapping[str, Permission | Open]] = MappingProxyType(
    {
        "GET /api/user": Open.ALL_ROLES,
        "GET /api/auth/verify-token": Open.ALL_ROLES,
        "POST /api/auth/logout": Open.ALL_ROLES,
        "GET /ws": Open.ALL_ROLES,
        "GET /api/feed": Open.ALL_ROLES,
        "GET /api/calls/history": Open.ALL_ROLES,
        "GET /api/calls/statistics": Open.ALL_ROLES,
        "GET /api/calls/activity": Open.ALL_ROLES,
        "GET /api/calls/agents": Open.ALL_ROLES,
        "GET /api/calls/{callId}": Open.ALL_ROLES,
        "GET /api/calls/{callId}/history/{number}": Open.ALL_ROLES,
        "GET /api/calls/{callId}/peaks": Open.ALL_ROLES,
        "GET /api/contacts": Open.ALL_ROLES,
        "GET /api/contacts/{contactId}": Open.ALL_ROLES,
        "POST /api/conversation/all": Open.ALL_ROLES,
        "POST /api/conversation/messages": Open.ALL_ROLES,
        "GET /api/calls/{callId}/recording": Permission.LISTEN,
        "GET /api/calls/export": Permission.EXPORT,
        "PATCH /api/contacts/{contactId}": Permission.RENAME,
        "POST /api/calls/{callId}/recording/retry": Permission.RETRY_RECORDINGS,
        "GET /api/user/api-key": Permission.OWN_KEY,
        "POST /api/user/api-key/regenerate": Permission.OWN_KEY,
        "POST /api/calls/validate": Permission.TRY_PAYLOADS,
        "POST /api/webhook/{vendor}/dry-run": Permission.TRY_PAYLOADS,
        "POST /api/auth/password": Open.ALL_ROLES,
        "POST /api/auth/link": Open.NO_SESSION,
        "POST /api/auth/join": Open.NO_SESSION,
        "GET /api/users": Permission.MANAGE_PEOPLE,
        "POST /api/users/invite": Permission.MANAGE_PEOPLE,
        "PATCH /api/users/{userId}": Permission.MANAGE_PEOPLE,
        "POST /api/users/{userId}/reset-password": Permission.MANAGE_PEOPLE,
        "POST /api/users/{userId}/end-sessions": Permission.MANAGE_PEOPLE,
        "GET /api/organization": Permission.MANAGE_ORGANIZATION,
        "PATCH /api/organization": Permission.MANAGE_ORGANIZATION,
        "GET /api/sources": Permission.MANAGE_SOURCES,
        "POST /api/sources": Permission.MANAGE_SOURCES,
        "GET /api/sources/{sourceId}": Permission.MANAGE_SOURCES,
        "PATCH /api/sources/{sourceId}": Permission.MANAGE_SOURCES,
        "POST /api/sources/{sourceId}/rotate": Permission.MANAGE_SOURCES,
        "GET /api/deliveries": Permission.MANAGE_DELIVERIES,
        "GET /api/deliveries/reasons": Permission.MANAGE_DELIVERIES,
        "POST /api/deliveries/replay": Permission.MANAGE_DELIVERIES,
        "GET /api/deliveries/{deliveryId}": Permission.MANAGE_DELIVERIES,
        "GET /api/deliveries/{deliveryId}/body": Permission.MANAGE_DELIVERIES,
        "POST /api/deliveries/{deliveryId}/replay": Permission.MANAGE_DELIVERIES,
        "DELETE /api/calls/{callId}": Permission.ERASE,
        "DELETE /api/contacts/{contactId}": Permission.ERASE,
        "POST /api/erase": Permission.ERASE,
        "GET /api/organization/retention": Permission.MANAGE_ORGANIZATION,
        "GET /api/audit": Permission.READ_AUDIT,
        "GET /api/audit/export": Permission.READ_AUDIT,
        "POST /api/calls/ingest": Open.NO_SESSION,
        "PATCH /api/calls/ingest": Open.NO_SESSION,
        "PATCH /api/calls/ingest/{externalCallId}": Open.NO_SESSION,
        "POST /api/webhook/elevenlabs": Open.NO_SESSION,
        "POST /api/webhook/{vendor}/{sourceId}": Open.NO_SESSION,
        "POST /api/auth/login": Open.NO_SESSION,
        "GET /api/recordings/{recordingId}": Open.NO_SESSION,
        "GET /api/sample-call": Open.NO_SESSION,
        "GET /healthz": Open.NO_SESSION,
        "GET /readyz": Open.NO_SESSION,
        "GET /metrics": Open.NO_SESSION,
        "GET /openapi.json": Open.NO_SESSION,
        "GET /asyncapi.json": Open.NO_SESSION,
        "GET /docs": Open.NO_SESSION,
        "GET /docs/vendor": Open.NO_SESSION,
        "GET /": Open.NO_SESSION,
        "GET /join": Open.NO_SESSION,
        "GET /static/{file}": Open.NO_SESSION,
        "GET /static/{version}/{file}": Open.NO_SESSION,
    }
)
"""What the sender of a request must be allowed to do, by its method and its route. HEAD is GET."""


def require(role: str, method: str, route: str) -> None:
    """Return when a user of this role may send this request; raises `Forbidden` with a sentence that says who may."""
    needed = ROUTES.get(f"{'GET' if method == 'HEAD' else method} {route}")
    if needed is Open.ALL_ROLES:
        return
    if not isinstance(needed, Permission):
        raise Forbidden("Nobody may do this with a session.")
    granted = GRANTED[needed]
    if role not in granted:
        who = " or ".join(f"an {name}" for name in granted)
        raise Forbidden(f"You may not {needed.value}: ask {who} of your organization.")


def allowed(role: str) -> list[str]:
    """Return the names of the permissions that a role has, for the dashboard to hide the rest."""
    return [permission.name.lower() for permission, granted in GRANTED.items() if role in granted]
