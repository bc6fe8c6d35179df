"""Changes of stored calls, as a batch commits them: what is asked for, and what is written. No I/O, no clock of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from tether_rt.domain.events import EVENT_NAMES, CallIds, Event
from tether_rt.mongo.client import Document, new_id
from tether_rt.mongo.documents import CallDocument

MAX_HISTORY: Final = 100
"""Entries in a call's history; the next one takes the place of the oldest."""
UNREAD: Final = {"transcription": 0, "providerMetadata": 0, "terms": 0, "numbers": 0, "newTerms": 0}
"""A projection of a call without what may be megabytes, for `Amendment.change`."""


class Change(NamedTuple):
    """What an amendment makes of a stored call."""

    set: Mapping[str, Any]
    """Fields of the call's document (`CallDocument`) with their new values."""
    events: Sequence[Event] = ()
    """In their order; which of them are a call's first is found out when they are committed."""
    changed: Sequence[str] = ()
    """The fields that changed, by the names of the contract."""
    history: Mapping[str, Any] | None = None
    """The old values of those fields, or None where nothing is to be kept."""
    unset: Sequence[str] = ()
    """Fields of the call's document that it is to have no more."""


Decide = Callable[[CallDocument], Change | None]
"""Takes a call as it is when its batch is written, and returns what changes."""


@dataclass(frozen=True, slots=True, eq=False)
class Amendment:
    """A change of one stored call, decided by a pure function when it is committed."""

    organization_id: str
    call_id: str
    change: Decide
    """Gets the call's document without the fields in `UNREAD`; returns None when nothing is to be changed.

    `contactName` is the contact's name, as it will be when `caller_name` is given. After a failed attempt it is called again,
    with what is stored by then."""
    source_id: str | None = None
    """Who amends, for the history."""
    contact_id: str | None = None
    """The call's contact, to be given where a change has events with the contact's name."""
    caller_name: str | None = None
    """By this the contact is named as by a new call's `callerName`, if anything is changed."""
    expected_change: int | None = None
    """The number of the call's last change (`change_number`) for which `change` was made; None: it fits any."""
    weight_bytes: int = 16 * 1024
    """About what it takes in a transaction."""
    sealed_url: str | None = None
    """The encrypted address of a recording that is to be fetched later, if anything is changed."""
    amendment_id: str = field(default_factory=new_id)


class Amended(NamedTuple):
    """The change is durable; `changed` is empty when there was nothing to change."""

    call_id: str
    changed: Sequence[str]


class Stale(NamedTuple):
    """The call was changed since the amendment was made (`expected_change`); nothing was written."""

    call_id: str


class Missing(NamedTuple):
    """The organization has no call with this id."""

    call_id: str


AmendmentOutcome = Amended | Stale | Missing


def change_number(call: CallDocument) -> int:
    """Return the number of the call's last change, 0 for a call that is as it was stored."""
    return call["lastChange"]["number"] if "lastChange" in call else 0


class AmendedCall:
    """A stored call as a batch leaves it."""

    def __init__(self, document: Document, now: datetime, events: list[Event]) -> None:
        """`document` is the call's, without the fields in `UNREAD`; `now` is the time of the change.

        To `events` those of the amendments are added.
        """
        self.document = cast(CallDocument, document)
        self._now = now
        self._events = events
        self._history: list[Document] = []
        self._set: Document = {}
        self._unset: Document = {}
        at_first = {name for name in EVENT_NAMES if name != "call_recording_ready" or document["recordings"]}
        self._told = at_first | set(document.get("told", ()))
        """The names of the events that the call has had."""

    def amend(self, amendment: Amendment, contact_name: str | None) -> Amended | Stale:
        """Apply an amendment; return its outcome. `contact_name` is the contact's name, if the amendment says whose."""
        call = self.document
        if "lastChange" in call and call["lastChange"]["id"] == amendment.amendment_id:
            # An earlier attempt, whose reply was lost, has committed it.
            return Amended(amendment.call_id, call["lastChange"]["changed"])
        if amendment.expected_change is not None and amendment.expected_change != change_number(call):
            return Stale(amendment.call_id)
        change = amendment.change(call if contact_name is None else {**call, "contactName": contact_name})
        if change is None:
            return Amended(amendment.call_id, ())
        last_change = {
            "number": change_number(call) + 1,
            "id": amendment.amendment_id,
            "changed": list(change.changed),
        }
        self._assign({**change.set, "lastChange": last_change, "updatedAt": self._now})
        for name in change.unset:
            self._set.pop(name, None)
            cast(Document, call).pop(name, None)
            self._unset[name] = ""
        if amendment.caller_name is not None and contact_name is not None:
            self._assign({"contactName": contact_name})
        if change.history is not None:
            self._history.append(self._history_entry(amendment, change.history))
        for event in change.events:
            self._events.append(event._replace(is_first=event.name not in self._told))
            if event.name not in self._told:
                self._told.add(event.name)
                self._assign({"told": [*call.get("told", ()), event.name]})
        return Amended(amendment.call_id, change.changed)

    def _assign(self, values: Mapping[str, Any]) -> None:
        self._set.update(values)
        for name in values:
            self._unset.pop(name, None)
        cast(Document, self.document).update(values)

    def _history_entry(self, amendment: Amendment, old_values: Mapping[str, Any]) -> Document:
        number = change_number(self.document)
        return {
            "_id": f"{amendment.call_id}:{number % MAX_HISTORY}",
            "organizationId": amendment.organization_id,
            "callId": amendment.call_id,
            "number": number,
            "at": self._now,
            "sourceId": amendment.source_id,
            "changed": old_values,
        }

    def call_updates(self) -> list[Document]:
        """Return the update of the call's document, if any."""
        if not self._set:
            return []
        change: Document = {"$set": self._set}
        if self._unset:
            change["$unset"] = self._unset
        return [{"q": {"_id": self.document["_id"]}, "u": change}]

    def message_updates(self) -> list[Document]:
        """Return the update of the call's message, which holds its summary, if any."""
        if "summary" not in self._set:
            return []
        call = self.document
        # With the time, by which the messages of a conversation are indexed; it is the call's.
        query = {"conversationId": call["conversationId"], "createdAt": call["createdAt"], "callId": call["_id"]}
        return [{"q": query, "u": {"$set": {"content": call["summary"] or ""}}}]

    def history_updates(self) -> list[Document]:
        """Return the replacements of entries in the call's history."""
        return [{"q": {"_id": entry["_id"]}, "u": entry, "upsert": True} for entry in self._history]


def ids_of(call: CallDocument) -> CallIds:
    """Return the ids that the events of a stored call have."""
    return CallIds(call["_id"], call["contactId"], call["conversationId"])
