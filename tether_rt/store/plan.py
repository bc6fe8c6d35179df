"""What a batch of calls will write, worked out from what was read: no I/O, no clock of its own.

One call yields a call, a message, an update of its contact and conversation (or new ones), and its events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from pymongo import InsertOne, UpdateOne

from tether_rt.domain import UNKNOWN_CALLER, CompletedCall, Recording
from tether_rt.events import CallIds, call_events, event_text
from tether_rt.store.calls import call_document
from tether_rt.store.client import Document, new_id
from tether_rt.store.known import CallKey, ContactKey, StoredCall


@dataclass(frozen=True, slots=True)
class Entry:
    """One call that is ready to be stored; its recording, if any, is in the recording store already."""

    call_id: str
    call: CompletedCall
    recording: Recording | None
    weight_bytes: int
    """About what the call takes in a transaction: its JSON without the recording."""

    @property
    def key(self) -> CallKey | None:
        """What makes the call unique, or None when the vendor gave no `externalCallId`."""
        external = self.call.external_call_id
        return (self.call.user_id, external) if external is not None else None


@dataclass(frozen=True, slots=True)
class Created:
    """The call is durable under these ids."""

    ids: CallIds


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The call was there before; `differs` when what was stored came from another body."""

    call_id: str
    differs: bool


Outcome = Created | Duplicate


@dataclass(slots=True)
class _Contact:
    """A contact as the batch leaves it; `is_new` when the batch makes it."""

    ids: tuple[str, str]
    name: str
    is_new: bool
    rename: bool = False


class Plan:
    """The writes and the outcomes of one batch.

    `existing` and `contacts` are what was found for the batch's keys; `committed` holds those of the batch's own calls that an
    earlier try, whose answer was lost, turned out to have stored.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        existing: dict[CallKey, StoredCall],
        contacts: dict[ContactKey, Document],
        now: datetime,
        committed: Mapping[str, CallIds] = MappingProxyType({}),
    ) -> None:
        self.now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        self.outcomes: list[Outcome] = []
        self.calls: list[Document] = []
        self.messages: list[Document] = []
        self.events: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        self.calls_of: Counter[str] = Counter()
        self._contacts = {
            key: _Contact((found["_id"], found["conversationId"]), found["name"], is_new=False)
            for key, found in contacts.items()
        }
        self._touched: dict[ContactKey, _Contact] = {}
        known = dict(existing)
        for entry in entries:
            own = committed.get(entry.call_id)
            if own is not None:
                self.outcomes.append(Created(own))
                continue
            stored = known.get(entry.key) if entry.key is not None else None
            if stored is not None:
                differs = stored.fingerprint != entry.call.fingerprint
                self.outcomes.append(Duplicate(stored.call_id, differs))
                continue
            self.outcomes.append(Created(self._add(entry)))
            if entry.key is not None:
                known[entry.key] = StoredCall(entry.call_id, entry.call.fingerprint)
        # Sorted, so that two processes take several organizations' locks in one order.
        self.events = dict(sorted(self.events.items()))

    def _add(self, entry: Entry) -> CallIds:
        call = entry.call
        contact = self._contact(call)
        ids = CallIds(entry.call_id, *contact.ids)
        self.calls_of[call.organization_id] += 1
        self.calls.append(call_document(call, ids, contact.name, entry.recording, self.now))
        self.messages.append(
            {
                "_id": (message_id := new_id()),
                "messageId": message_id,
                "organizationId": call.organization_id,
                "conversationId": ids.conversation_id,
                "contactId": ids.contact_id,
                "callId": ids.call_id,
                "type": "call",
                "direction": call.direction,
                "content": call.summary or "",
                "createdAt": self.now,
            }
        )
        self.events.setdefault(call.organization_id, []).extend(call_events(call, ids, contact.name, entry.recording))
        return ids

    def _contact(self, call: CompletedCall) -> _Contact:
        key = (call.organization_id, call.contact_number)
        contact = self._contacts.get(key)
        if contact is None:
            contact = self._contacts[key] = _Contact((new_id(), new_id()), UNKNOWN_CALLER, is_new=True)
        if call.caller_name and contact.name == UNKNOWN_CALLER:
            contact.name, contact.rename = call.caller_name, True
        self._touched[key] = contact
        return contact

    def people_operations(self) -> dict[str, list[Any]]:
        """Return the writes to `contacts` and `conversations`.

        A conversation that is there is not written: its last message is its contact's last call (`People.conversations`).
        """
        contacts: list[Any] = []
        conversations: list[Any] = []
        for (organization_id, number), contact in self._touched.items():
            contact_id, _ = contact.ids
            if contact.is_new:
                contacts.append(InsertOne(self._new_contact(organization_id, number, contact)))
                conversations.append(InsertOne(self._new_conversation(organization_id, contact)))
                continue
            latest = {"$set": {"lastCallAt": self.now, "updatedAt": self.now}}
            contacts.append(UpdateOne({"_id": contact_id}, latest))
            if contact.rename:
                # Only the placeholder: a name given since the plan was made stays.
                placeholder = {"_id": contact_id, "name": UNKNOWN_CALLER}
                contacts.append(UpdateOne(placeholder, {"$set": {"name": contact.name}}))
        return {"contacts": contacts, "conversations": conversations}

    def _new_contact(self, organization_id: str, number: str, contact: _Contact) -> Document:
        contact_id, conversation_id = contact.ids
        return {
            "_id": contact_id,
            "contactId": contact_id,
            "organizationId": organization_id,
            "number": number,
            "name": contact.name,
            "conversationId": conversation_id,
            "createdAt": self.now,
            "updatedAt": self.now,
            "lastCallAt": self.now,
        }

    def _new_conversation(self, organization_id: str, contact: _Contact) -> Document:
        contact_id, conversation_id = contact.ids
        return {
            "_id": conversation_id,
            "conversationId": conversation_id,
            "organizationId": organization_id,
            "contactId": contact_id,
            "type": "call",
            "createdAt": self.now,
        }


def segment_document(organization_id: str, last: int, events: list[tuple[str, dict[str, Any]]], at: datetime) -> Document:
    first = last - len(events) + 1
    return {
        "_id": new_id(),
        "organizationId": organization_id,
        "first": first,
        "last": last,
        "at": at,
        "events": [event_text(name, first + index, at, data) for index, (name, data) in enumerate(events)],
    }
