"""What a batch of calls will write, worked out from what was read: no I/O, no clock of its own.

One call yields a call, a message, an update of its contact and conversation (or new ones), and its events.
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
from tether_rt.mongo.lookups import CallKey, ContactKey, StoredCall, contact_key
from tether_rt.mongo.wire.op_msg import Command, Spliced, insert, update


class Entry(NamedTuple):
    """One call that is ready to be stored; its recording, if any, is in the recording store, or on its way there."""

    call_id: str
    call: CompletedCall
    recording: Recording | None
    elements: bytes
    """What `calls.call_elements` made of it: about what the call takes in a transaction."""
    is_indexed: bool = False
    """Whether that has the terms that the call is found by; otherwise they follow (`words`)."""

    @property
    def key(self) -> CallKey | None:
        """What makes the call unique, or None when the vendor gave no `externalCallId`."""
        external = self.call.external_call_id
        return (self.call.user_id, external) if external is not None else None


class Created(NamedTuple):
    """The call is durable under these ids."""

    ids: CallIds


class Duplicate(NamedTuple):
    """The call was there before; `differs` when what was stored came from another body."""

    call_id: str
    differs: bool


Outcome = Created | Duplicate


@dataclass(slots=True)
class Count:
    """How much a batch adds to one organization."""

    calls: int = 0
    events: int = 0


@dataclass(slots=True)
class _Contact:
    """A contact as the batch leaves it; `found` is the name that it had, None when the batch makes it."""

    ids: tuple[str, str]
    name: str
    found: str | None


class Plan:
    """The writes and the outcomes of one batch: at first how many, and all of them once its contacts are known (`fill`).

    `existing` is what was found for the batch's keys; `committed` holds those of the batch's own calls that an earlier try,
    whose answer was lost, turned out to have stored.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        existing: dict[CallKey, StoredCall],
        now: datetime,
        committed: Mapping[str, CallIds] = MappingProxyType({}),
    ) -> None:
        self.now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        self.outcomes: list[Outcome] = []
        self.calls: list[Spliced] = []
        self.messages: list[Document] = []
        self.events: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        self._contacts: dict[ContactKey, _Contact] = {}
        self._touched: dict[ContactKey, _Contact] = {}
        self._resolve_duplicates = list(_resolve_duplicates(entries, dict(existing), committed))
        counts: dict[str, Count] = {}
        for entry in self._new():
            count = counts.setdefault(entry.call.organization_id, Count())
            count.calls += 1
            count.events += count_events(entry.recording)
        # Sorted, so that two processes take several organizations' locks in one order.
        self.counts = dict(sorted(counts.items()))

    def contact_keys(self) -> set[ContactKey]:
        """Return whose contacts the plan needs to know."""
        return {contact_key(entry.call) for entry in self._new()}

    def fill(self, contacts: Iterable[Document]) -> Generator[None, None, None]:
        """Work everything out, from the contacts that were found, a call at a step."""
        for found in contacts:
            contact = _Contact((found["_id"], found["conversationId"]), found["name"], found["name"])
            self._contacts[found["organizationId"], found["number"]] = contact
        for one in self._resolve_duplicates:
            self.outcomes.append(Created(self._add(one)) if isinstance(one, Entry) else one)
            yield

    def _new(self) -> Iterator[Entry]:
        return (one for one in self._resolve_duplicates if isinstance(one, Entry))

    def _add(self, entry: Entry) -> CallIds:
        call = entry.call
        contact = self._contact(call)
        ids = CallIds(entry.call_id, *contact.ids)
        self.calls.append(call_document(entry.elements, entry.is_indexed, ids, contact.name, self.now))
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
        key = contact_key(call)
        contact = self._contacts.get(key)
        if contact is None:
            contact = self._contacts[key] = _Contact((new_id(), new_id()), UNKNOWN_CALLER, None)
        if call.caller_name and contact.name == UNKNOWN_CALLER:
            contact.name = call.caller_name
        self._touched[key] = contact
        return contact

    def contacts(self) -> Iterator[tuple[ContactKey, Document]]:
        """Yield the batch's contacts as it leaves them, in the form in which they are found."""
        for key, contact in self._touched.items():
            ids = dict(zip(("_id", "conversationId"), contact.ids, strict=True))
            yield key, {**ids, "organizationId": key[0], "number": key[1], "name": contact.name}

    def commands(self) -> list[Command]:
        """Return the writes, but for the feed; each update is to find what it changes.

        A conversation that is there is not written: its last message is its contact's last call (`People.conversations`).
        """
        contacts: list[Document] = []
        conversations: list[Document] = []
        called: dict[str, str] = {}
        changes: list[Document] = []
        just_now: Document = {"lastCallAt": self.now, "updatedAt": self.now}
        for (organization_id, number), contact in self._touched.items():
            contact_id, _ = contact.ids
            if contact.found is None:
                contacts.append(self._new_contact(organization_id, number, contact))
                conversations.append(self._new_conversation(organization_id, contact))
            elif contact.name == contact.found:
                called[contact_id] = contact.found
            else:
                found = {"_id": contact_id, "name": contact.found}
                changes.append({"q": found, "u": {"$set": {**just_now, "name": contact.name}}})
        if called:
            # Together, which takes MongoDB a third less. One that is renamed at this moment is as good as not found, unless
            # to a name that another one has here: then the call tells of it by its name of a moment ago.
            those = {"_id": {"$in": list(called)}, "name": {"$in": list(set(called.values()))}}
            changes.append({"q": those, "u": {"$set": just_now}, "multi": True})
        commands = [
            update("contacts", changes),
            insert("contacts", contacts),
            insert("conversations", conversations),
            insert("calls", self.calls),
            insert("messages", self.messages),
        ]
        return [command for command in commands if command.documents]

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


def _resolve_duplicates(
    entries: Sequence[Entry], known: dict[CallKey, StoredCall], committed: Mapping[str, CallIds]
) -> Iterator[Entry | Outcome]:
    """Yield for each entry its outcome, or itself when it is to be written."""
    for entry in entries:
        own = committed.get(entry.call_id)
        stored = known.get(entry.key) if entry.key is not None else None
        if own is not None:
            yield Created(own)
        elif stored is not None:
            yield Duplicate(stored.call_id, differs=stored.fingerprint != entry.call.fingerprint)
        else:
            yield entry
            if entry.key is not None:
                known[entry.key] = StoredCall(entry.call_id, entry.call.fingerprint)


def segment_document(organization_id: str, last: int, events: list[tuple[str, dict[str, Any]]], at: datetime) -> Document:
    first, event_time = last - len(events) + 1, iso_ms(at)
    return {
        "_id": new_id(),
        "organizationId": organization_id,
        "first": first,
        "last": last,
        "at": at,
        "events": [event_text(name, first + index, event_time, data) for index, (name, data) in enumerate(events)],
    }
