"""A read token: with it a program follows the events or reads calls, without a person's session. No I/O.

It is an organization's, not a person's: it goes on when the person who made it has left. It writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, get_args

Scope = Literal["feed", "calls", "recordings"]
"""What a token reads: the events; calls and contacts; links to recordings, and their waveforms."""
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

MAX_TOKENS: Final = 100
"""Of one organization, without those that were revoked."""
NEVER: Final = datetime.max.replace(tzinfo=UTC)
"""When a token ends that has no end."""


@dataclass(frozen=True, slots=True)
class ReadToken:
    """A token that was not revoked; `expires_at` is aware."""

    id: str
    organization_id: str
    scopes: frozenset[Scope]
    expires_at: datetime = NEVER

    @property
    def owner_id(self) -> str:
        """Whose streams are counted together, as `Session.owner_id`."""
        return self.id
