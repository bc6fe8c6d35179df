"""Entries of the audit log: who did what to whom. Pure.

An entry names people, calls and contacts by their ids alone: what is erased must not be found in the log of its erasure.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, NamedTuple, NotRequired, TypedDict, get_args

What = Literal[
    "signed_in",
    "listened",
    "downloaded",
    "exported",
    "renamed",
    "erased",
    "expired",
    "replayed",
    "amended",
    "retried",
    "person_changed",
    "password_changed",
    "key_changed",
    "source_changed",
    "token_changed",
    "organization_changed",
]
"""`listened` and `downloaded`: was given a link to a recording. `erased`: by a person; `expired`: by the retention."""
WHATS: Final[tuple[What, ...]] = get_args(What)

Detail = str | int | float | bool | None | list[str]
Door = Literal["page", "key", "token", "command", "server"]
"""How it was done: with a session, with an API key, with a read token, with `tether-rt`, or by the server itself."""


class Actor(NamedTuple):
    """Who changes something: a user's id, None for the command line or the server itself."""

    user_id: str | None
    door: Door = "page"


class AuditDocument(TypedDict):
    """An entry; `details` hold ids, counts and words of ours. `userId` is None for the command, for the server itself and for
    a read token, which `tokenId` names."""

    _id: str
    organizationId: str
    at: datetime
    what: What
    door: Door
    userId: str | None
    tokenId: NotRequired[str]
    callId: NotRequired[str]
    callIds: NotRequired[list[str]]
    contactId: NotRequired[str]
    details: dict[str, Detail]


def subject_id(entry: AuditDocument) -> str | None:
    """Return the id of the person, read token or source that an entry's `details` name, None if they name none."""
    found = next((entry["details"][name] for name in ("personId", "tokenId", "sourceId") if name in entry["details"]), None)
    return found if isinstance(found, str) else None
