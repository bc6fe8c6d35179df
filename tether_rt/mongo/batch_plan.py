"""What a batch of calls will write, worked out from what was read: no I/O, no clock of its own.

All calls of a batch belong to one organization. Each yields a call, a message, an update of its contact (or a new contact and
conversation), and its events.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from tether_rt.domain.call import UNKNOWN_CALLER, CompletedCall, Recording, iso_ms
from tether_rt.domain.events import CallIds, call_events, count_events, event_text
from tether_rt.mongo.calls import call_document
from tether_rt.mongo.client import Document, new_id
from tether_rt.mongo.lookups import CallKey, StoredCall
from tether_rt.mongo.wire.op_msg import Command, Spliced, insert, update


class Entry(NamedTuple):
    """One call that is ready to be stored; its recording, if any, is in the recording store, or on its way there."""

    call_id: str
    call: CompletedCall
    recording: Recording | None
    elements: bytes
    """The BSON that `calls.call_elements` made of the call: about what the call takes in a transaction."""
    is_indexed: bool = False
    """Whether `elements` has the terms that the call is found by; otherwise the search indexer adds them later."""

    @property
    def key(self) -> CallKey | None:
        """What makes the call unique, or None when the vendor gave no `externalCallId`."""
        external = self.call.external_call_id
        return (self.call.source_id, external) if external is not None else None


class Created(NamedTuple):
    """The call is durable under these ids."""

    ids: CallIds


class Duplicate(NamedTuple):
    """The call was stored before; `differs` when the stored one came from another body."""

    call_id: str
    differs: bool


Outcome = Created | Duplicate


@dataclass(slots=True)
class _Contact:
    """A contact as the batch leaves it; `stored_name` is the name it had before, None when the batch makes the contact."""

    contact_id: str
    conversation_id: str
    name: str
    stored_name: str | None


class Plan:
    """The writes and the outcomes of one batch. Its counts are known at once, all else after `fill`.

    `stored` are the calls found under the batch's keys. `committed` are the batch's own calls that an earlier attempt, whose
    reply was lost, turned out to have stored, by call id.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        now: datetime,
        stored: Mapping[CallKey, StoredCall] = MappingProxyType({}),
        committed: Mapping[str, CallIds] = MappingProxyType({}),
    ) -> None:
        self.now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # MongoDB keeps milliseconds
        self.organization_id = entries[0].call.organization_id
        self.outcomes: list[Outcome] = []
        self.calls: list[Spliced] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.messages: list[Document] = []
        self._contacts: dict[str, _Contact] = {}
        """By E.164 number: the stored ones, and those that the batch makes."""
        self._touched: dict[str, _Contact] = {}
        self._resolved = list(_resolve_duplicates(entries, dict(stored), committed))
        new = [one for one in self._resolved if isinstance(one, Entry)]
        self.call_count = len(new)
        self.event_count = sum(count_events(entry.recording) for entry in new)
        self.numbers = {entry.call.contact_number for entry in new}
        """Whose contacts the plan needs to know, as E.164 numbers."""

    def fill(self, contacts: Iterable[Document]) -> Generator[None, None, None]:
        """Work everything out from the contacts that were found, one call a step."""
        for found in contacts:
            name = found["name"]
            self._contacts[found["number"]] = _Contact(found["_id"], found["conversationId"], name, name)
        for one in self._resolved:
            self.outcomes.append(Created(self._add(one)) if isinstance(one, Entry) else one)
            yield

    def _add(self, entry: Entry) -> CallIds:
        call = entry.call
        contact = self._contact_of(call)
        ids = CallIds(entry.call_id, contact.contact_id, contact.conversation_id)
        self.calls.append(call_document(entry.elements, entry.is_indexed, ids, contact.name, self.now))
        message_id = new_id()
        self.messages.append(
            {
                "_id": message_id,
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
        self.events += call_events(call, ids, contact.name, entry.recording)
        return ids

    def _contact_of(self, call: CompletedCall) -> _Contact:
        number = call.contact_number
        contact = self._contacts.get(number)
        if contact is None:
            contact = self._contacts[number] = _Contact(new_id(), new_id(), UNKNOWN_CALLER, None)
        if call.caller_name and contact.name == UNKNOWN_CALLER:
            contact.name = call.caller_name
        self._touched[number] = contact
        return contact

    def commands(self, last_seq: int, at: datetime) -> list[Command]:
        """Return the writes. `last_seq` is the number of the batch's last event, `at` the time by MongoDB's clock.

        A stored conversation is not written: its last message is its contact's last call (`Contacts.conversations`).
        """
        contacts: list[Document] = []
        conversations: list[Document] = []
        for number, contact in self._touched.items():
            if contact.stored_name is None:
                contacts.append(self._new_contact(number, contact))
                conversations.append(self._new_conversation(contact))
        commands = [
            update("contacts", self._contact_updates()),
            insert("contacts", contacts),
            insert("conversations", conversations),
            insert("calls", self.calls),
            insert("messages", self.messages),
            insert("feed", [segment_document(self.organization_id, last_seq, self.events, at)]),
        ]
        return [command for command in commands if command.documents]

    def _contact_updates(self) -> list[Document]:
        """Return updates for the stored contacts; each must match all the contacts it names (`_id`)."""
        just_now: Document = {"lastCallAt": self.now, "updatedAt": self.now}
        updates: list[Document] = []
        unchanged: dict[str, str] = {}
        for contact in self._touched.values():
            if contact.stored_name is None:
                continue
            if contact.name == contact.stored_name:
                unchanged[contact.contact_id] = contact.stored_name
            else:
                query = {"_id": contact.contact_id, "name": contact.stored_name}
                updates.append({"q": query, "u": {"$set": {**just_now, "name": contact.name}}})
        if unchanged:
            # One update for all takes MongoDB a third less. A contact that is renamed at this moment does not match and the
            # batch is planned anew, unless another contact here has the new name: then the call's event has the old name.
            those = {"_id": {"$in": list(unchanged)}, "name": {"$in": list(set(unchanged.values()))}}
            updates.append({"q": those, "u": {"$set": just_now}, "multi": True})
        return updates

    def _new_contact(self, number: str, contact: _Contact) -> Document:
        return {
            "_id": contact.contact_id,
            "contactId": contact.contact_id,
            "organizationId": self.organization_id,
            "number": number,
            "name": contact.name,
            "conversationId": contact.conversation_id,
            "createdAt": self.now,
            "updatedAt": self.now,
            "lastCallAt": self.now,
        }

    def _new_conversation(self, contact: _Contact) -> Document:
        return {
            "_id": contact.conversation_id,
            "conversationId": contact.conversation_id,
            "organizationId": self.organization_id,
            "contactId": contact.contact_id,
            "type": "call",
            "createdAt": self.now,
        }


def _resolve_duplicates(
    entries: Sequence[Entry], stored: dict[CallKey, StoredCall], committed: Mapping[str, CallIds]
) -> Iterator[Entry | Outcome]:
    """Yield for each entry its outcome, or the entry itself when it is to be written."""
    for entry in entries:
        own = committed.get(entry.call_id)
        other = stored.get(entry.key) if entry.key is not None else None
        if own is not None:
            yield Created(own)
        elif other is not None:
            yield Duplicate(other.call_id, differs=other.fingerprint != entry.call.fingerprint)
        else:
            yield entry
            if entry.key is not None:
                stored[entry.key] = StoredCall(entry.call_id, entry.call.fingerprint)


def segment_document(organization_id: str, last: int, events: list[tuple[str, dict[str, Any]]], at: datetime) -> Document:
    """Return the document of `feed` that holds a batch's events, numbered up to `last`."""
    first, event_time = last - len(events) + 1, iso_ms(at)
    return {
        "_id": new_id(),
        "organizationId": organization_id,
        "first": first,
        "last": last,
        "at": at,
        "events": [event_text(name, first + index, event_time, data) for index, (name, data) in enumerate(events)],
    }
