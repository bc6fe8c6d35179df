"""What is to be erased, and what was. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, NamedTuple, NotRequired, TypedDict

from tether_rt.domain.audit import Door

Kind = Literal["call", "contact", "before", "expired", "recordings"]
"""One call, one contact with all its calls, all calls that began before a time: because somebody said so, or because the
organization keeps calls no longer. `recordings`: only those of such calls, which the organization keeps no longer."""

RETENTION: Final = ("expired", "recordings")
"""The kinds that nobody asked for: the retention of the organization did."""


class Counts(TypedDict):
    """How much was erased."""

    calls: int
    contacts: int
    recordings: int
    deliveries: int
    events: int


NOTHING: Final[Counts] = {"calls": 0, "contacts": 0, "recordings": 0, "deliveries": 0, "events": 0}


class ErasureDocument(TypedDict):
    """Something that is being erased, or was. It has ids alone; `before` is a time.

    `nextAt` is when it is worked on next, or its lease ends, and null when it is done. `walkedTo` is the number of the event up
    to which its events were erased. `position` is where the next recordings are looked for.
    """

    _id: str
    organizationId: str
    kind: Kind
    callId: NotRequired[str]
    contactId: NotRequired[str]
    conversationId: NotRequired[str]
    before: NotRequired[datetime]
    days: NotRequired[int]
    userId: str | None
    door: Door
    at: datetime
    nextAt: datetime | None
    walkedTo: int
    failures: int
    erased: Counts
    position: NotRequired[datetime]
    expiresAt: NotRequired[datetime]


class Erased(NamedTuple):
    """What was erased until now, and what is still to be done."""

    erasure_id: str
    erased: Counts
    pending_calls: int
    """Calls that are still there; counted up to a limit."""
    pending_objects: int
    """Files that are still in the recording store, which is away."""

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not self.pending_calls and not self.pending_objects

    def shown(self) -> dict[str, object]:
        """Return it as answers have it."""
        shown: dict[str, object] = {"erasureId": self.erasure_id, "erased": self.erased}
        if not self.is_done:
            shown["pending"] = {"calls": self.pending_calls, "files": self.pending_objects}
        return shown
