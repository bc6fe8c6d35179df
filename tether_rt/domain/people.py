"""The roles of people, and what is shown of them. Pure."""

from __future__ import annotations

from typing import Final

ADMIN: Final = "admin"
AGENT: Final = "agent"
VIEWER: Final = "viewer"
ROLES: Final = (ADMIN, AGENT, VIEWER)


def role_of(text: object) -> str:
    """Return a stored role; what is no role counts as the one that may do least."""
    return text if isinstance(text, str) and text in ROLES else VIEWER
