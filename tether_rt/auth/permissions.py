"""What each role may do: one table, and the one place that looks into it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from tether_rt.errors import Forbidden


class Permission(Enum):
    """What not every role may do, in the words of a refusal."""

    MANAGE_SOURCES = "manage sources"
    MANAGE_DELIVERIES = "see deliveries"


GRANTED: Final[Mapping[Permission, frozenset[str]]] = MappingProxyType(
    {
        Permission.MANAGE_SOURCES: frozenset(("admin",)),
        Permission.MANAGE_DELIVERIES: frozenset(("admin",)),
    }
)
"""The roles that have each permission; what is not listed, everybody who is signed in may do."""


def require(role: str, permission: Permission) -> None:
    """Return when users of this role have the permission; raises `Forbidden` with a sentence that says who has it."""
    granted = GRANTED[permission]
    if role not in granted:
        who = " or ".join(f"an {name}" if name[0] in "aeiou" else f"a {name}" for name in sorted(granted))
        raise Forbidden(f"You may not {permission.value}: ask {who} of your organization.")
