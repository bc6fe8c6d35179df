"""Entries of the audit log: who did what to whom. Pure.

An entry names people, calls and contacts by their ids alone: what is erased must not be found in the log of its erasure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, NotRequired, TypedDict, get_args

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
    "organization_changed",
]
"""`listened` and `downloaded`: was given a link to a recording. `erased`: by a person; `expired`: by the retention."""
WHATS: Final[tuple[What, ...]] = get_args(What)

Detail = str | int | float | bool | None | list[str]
Door = Literal["page", "key", "command", "server"]
"""How it was done: with a session, with an API key, with `tether-rt`, or by the server itself."""


class AuditDocument(TypedDict):
    """An entry; `details` hold ids, counts and words of ours. `userId` is None for the command and for the server itself."""

    _id: str
    organizationId: str
    at: datetime
    what: What
    door: Door
    userId: str | None
    callId: NotRequired[str]
    callIds: NotRequired[list[str]]
    contactId: NotRequired[str]
    details: dict[str, Detail]


def audit_entry(
    entry_id: str,
    at: datetime,
    organization_id: str,
    what: What,
    user_id: str | None,
    *,
    door: Door = "page",
    call_id: str | None = None,
    call_ids: Sequence[str] = (),
    contact_id: str | None = None,
    details: Mapping[str, Detail] | None = None,
) -> AuditDocument:
    """Return an entry of the log."""
    entry = AuditDocument(
        _id=entry_id,
        organizationId=organization_id,
        at=at,
        what=what,
        door=door,
        userId=user_id,
        details=dict(details or {}),
    )
    if call_id is not None:
        entry["callId"] = call_id
    if call_ids:
        entry["callIds"] = list(call_ids)
    if contact_id is not None:
        entry["contactId"] = contact_id
    return entry
