"""What a batch of calls will write, worked out from what was read: no I/O, no clock of its own.

All calls of a batch belong to one organization. Each new call yields a call, a message, an update of its contact (or a new
contact and conversation), and its events. Each amendment yields what it makes of a stored call (`amendments`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from tether_rt.domain.call import UNKNOWN_CALLER, CompletedCall, Recording, iso_ms
from tether_rt.domain.events import CallIds, Event, call_events, count_events, event_text
from tether_rt.domain.fingerprint import same_content
from tether_rt.domain.names import better_name
from tether_rt.domain.phone import same_telephone
from tether_rt.domain.source import EXTERNAL
from tether_rt.domain.warnings import CallWarning
from tether_rt.mongo.amendments import Amended, AmendedCall, Amendment, AmendmentOutcome, Missing
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
    """The BSON that `calls.call_elements` made of the call."""
    is_indexed: bool = False
    """Whether `elements` has the terms that the call is found by; otherwise the search indexer adds them later."""
    sealed_url: str | None = None
    """The encrypted address of a recording that is to be fetched later."""

    @property
    def organization_id(self) -> str:
        """The organization that the call belongs to."""
        return self.call.organization_id

    @property
    def source_id(self) -> str | None:
        """The source whose credentials its recording may need: None for those that have none."""
        return self.call.source_id if self.call.provider != EXTERNAL else None

    @property
    def weight_bytes(self) -> int:
        """About what the call takes in a transaction."""
        return len(self.elements)

    @property
    def key(self) -> CallKey | None:
        """What makes the call unique, or None when the vendor gave no `externalCallId`."""
        external = self.call.external_call_id
        return (self.call.source_id, external) if external is not None else None


class Created(NamedTuple):
    """The call is durable under these ids."""

    ids: CallIds
    warnings: tuple[CallWarning, ...] = ()
    """What is odd about the call, as its sender is told."""
    is_pending: bool = False
    """Whether its recording is fetched later."""


class Duplicate(NamedTuple):
    """The call was stored before."""

    call_id: str
    stored_fingerprint: str
    fingerprint: str
    """Of the body that came now."""
    fields: tuple[str, ...] = ()
    """In which the two bodies differ, as far as that was asked."""

    @property
    def differs(self) -> bool:
        """Whether the stored call came from another body."""
        return not same_content(self.stored_fingerprint, self.fingerprint)


Outcome = Created | Duplicate
BatchItem = Entry | Amendment
ItemOutcome = Outcome | AmendmentOutcome


@dataclass(slots=True)
class _Contact:
    """A contact as the batch leaves it; `stored_name` is the name it had before, None when the batch makes the contact.

    `number` is None for a caller who withheld it, `is_renamed` says that a person named the contact.
    """

    contact_id: str
    conversation_id: str
    number: str | None
    name: str
    stored_name: str | None
    is_renamed: bool = False
    last_call_at: datetime | None = None
    """When the batch's last call of the contact was; None when it has none."""

    def named_by(self, caller_name: str | None) -> str:
        """Return the contact's name after a call that says what the caller is called, or says nothing of it."""
        return self.name if self.is_renamed else better_name(self.name, caller_name)


class Plan:
    """The writes and the outcomes of one batch. Its counts are known at once, all else after `fill`.

    `stored` are the calls found under the batch's keys. `committed` are the batch's own calls that an earlier attempt, whose
    reply was lost, turned out to have stored, by call id.
    """

    def __init__(
        self,
        items: Sequence[BatchItem],
        now: datetime,
        stored: Mapping[CallKey, StoredCall] = MappingProxyType({}),
        committed: Mapping[str, CallIds] = MappingProxyType({}),
    ) -> None:
        self.now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # MongoDB keeps milliseconds
        self.organization_id = items[0].organization_id
        self.outcomes: list[ItemOutcome] = []
        self.calls: list[Spliced] = []
        self.events: list[Event] = []
        self.messages: list[Document] = []
        self._pending: list[Entry | Amendment] = []
        """Those whose recordings are to be fetched later."""
        self._contacts: dict[str, _Contact] = {}
        """By number: the stored ones, and those that the batch makes."""
        self._contacts_by_id: dict[str, _Contact] = {}
        """The stored ones."""
        self._touched: dict[str, _Contact] = {}
        """Those of new calls, by id."""
        self._amended: dict[str, AmendedCall] = {}
        """By call id."""
        self._resolved = list(_resolve_duplicates(items, dict(stored), committed))
        new = [one for one in self._resolved if isinstance(one, Entry)]
        amendments = [one for one in items if isinstance(one, Amendment)]
        self.call_count = len(new)
        self.event_count = sum(count_events(entry.recording) for entry in new)
        numbers = {entry.call.contact_number for entry in new}
        self.numbers = {form for number in numbers if number is not None for form in same_telephone(number)}
        """Whose contacts the plan needs to know: numbers in every form, and SIP addresses."""
        self.contact_ids = {one.contact_id for one in amendments if one.contact_id is not None}
        """The same, as ids."""
        self.call_ids = list(dict.fromkeys(one.call_id for one in amendments))
        """The stored calls that the plan needs to know."""

    @property
    def writes_nothing(self) -> bool:
        """Whether it is known before anything is read that there is nothing to write."""
        return not self.call_count and not self.call_ids

    def fill(self, contacts: Iterable[Document], calls: Iterable[Document] = ()) -> Generator[None, None, None]:
        """Work everything out from the contacts and the calls that were found, one change a step."""
        for found in contacts:
            number, name = found.get("number"), found["name"]
            contact = _Contact(found["_id"], found["conversationId"], number, name, name, found.get("renamed", False))
            self._contacts_by_id[contact.contact_id] = contact
            if number is not None:
                self._contacts[number] = contact
        for found in calls:
            self._amended[found["_id"]] = AmendedCall(found, self.now, self.events)
        for one in self._resolved:
            if isinstance(one, Amendment):
                self.outcomes.append(self._amend(one))
            else:
                self.outcomes.append(Created(self._add(one)) if isinstance(one, Entry) else one)
            yield

    def _amend(self, amendment: Amendment) -> AmendmentOutcome:
        call = self._amended.get(amendment.call_id)
        if call is None:
            return Missing(amendment.call_id)
        contact = self._contacts_by_id.get(amendment.contact_id or "")
        name = contact.named_by(amendment.caller_name) if contact is not None else None
        outcome = call.amend(amendment, name)
        if contact is not None and name is not None and isinstance(outcome, Amended) and outcome.changed:
            contact.name = name
        if amendment.sealed_url is not None and isinstance(outcome, Amended) and outcome.changed:
            self._pending.append(amendment)
        return outcome

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
                "createdAt": self._moment_of(call),
            }
        )
        self.events += call_events(call, ids, contact.name, entry.recording)
        if entry.sealed_url is not None:
            self._pending.append(entry)
        return ids

    def _contact_of(self, call: CompletedCall) -> _Contact:
        number = call.contact_number
        contact = self._contact_with(number) if number is not None else None
        if contact is None:
            known_by = same_telephone(number)[0] if number is not None else None
            contact = _Contact(new_id(), new_id(), known_by, UNKNOWN_CALLER, None)
            if known_by is not None:
                self._contacts[known_by] = contact
        contact.name = contact.named_by(call.caller_name)
        moment = self._moment_of(call)
        contact.last_call_at = max(contact.last_call_at or moment, moment)
        self._touched[contact.contact_id] = contact
        return contact

    def _moment_of(self, call: CompletedCall) -> datetime:
        """Return where a call belongs among those of its contact: now, but a call from the past at its start."""
        return min(call.start_time, self.now) if call.is_historic else self.now

    def _contact_with(self, number: str) -> _Contact | None:
        if (contact := self._contacts.get(number)) is not None:
            return contact
        return next((self._contacts[form] for form in same_telephone(number) if form in self._contacts), None)

    def commands(self, last_seq: int, at: datetime) -> list[Command]:
        """Return the writes. `last_seq` is the number of the new calls' last event, `at` the time by MongoDB's clock.

        A stored conversation is not written: its last message is its contact's last call (`Contacts.conversations`).
        """
        contacts: list[Document] = []
        conversations: list[Document] = []
        for contact in self._touched.values():
            if contact.stored_name is None:
                contacts.append(self._new_contact(contact))
                conversations.append(self._new_conversation(contact))
        commands = [
            update("contacts", self._contact_updates()),
            insert("contacts", contacts),
            insert("conversations", conversations),
            insert("calls", self.calls),
            insert("messages", self.messages),
            # One that was given up may still be there.
            update("pending_recordings", [_pending_update(item, at) for item in self._pending]),
            *self._amending_commands(),
        ]
        if more := len(self.events) - self.event_count:
            # The counter was raised by the new calls' events alone: those of changes were not known before they were decided.
            commands.append(update("counters", [{"q": {"_id": self.organization_id}, "u": {"$inc": {"seq": more}}}]))
        if self.events:
            segment = segment_document(self.organization_id, last_seq + more, self.events, at)
            commands.append(insert("feed", [segment]))
        return [command for command in commands if command.documents]

    def _amending_commands(self) -> list[Command]:
        calls = self._amended.values()
        return [
            update("calls", [one for call in calls for one in call.call_updates()]),
            update("messages", [one for call in calls for one in call.message_updates()]),
            update("call_changes", [one for call in calls for one in call.history_updates()]),
        ]

    def unindexed(self) -> list[str]:
        """Return the ids of the calls whose search terms are still to be indexed."""
        new = [call.document["_id"] for call in self.calls if "unindexed" in call.document]
        return [*new, *(call_id for call_id, call in self._amended.items() if call.is_unindexed)]

    def _contact_updates(self) -> list[Document]:
        """Return updates for the stored contacts; each must match all the contacts it names (`_id`)."""
        just_now: Document = {"lastCallAt": self.now, "updatedAt": self.now}
        updates: list[Document] = []
        unchanged: dict[str, str] = {}
        for contact in self._touched.values():
            if contact.stored_name is None:
                continue
            as_read: Document = {"_id": contact.contact_id, "name": contact.stored_name}
            if contact.last_call_at != self.now:  # it has calls from the past alone
                newest = {"lastCallAt": contact.last_call_at}
                updates.append({"q": as_read, "u": {"$max": newest, "$set": {"updatedAt": self.now, "name": contact.name}}})
            elif contact.name == contact.stored_name:
                unchanged[contact.contact_id] = contact.stored_name
            else:
                updates.append({"q": as_read, "u": {"$set": {**just_now, "name": contact.name}}})
        for contact in self._contacts_by_id.values():
            if contact.name != contact.stored_name and contact.contact_id not in self._touched:  # an amendment has named it
                as_read = {"_id": contact.contact_id, "name": contact.stored_name}
                updates.append({"q": as_read, "u": {"$set": {"name": contact.name, "updatedAt": self.now}}})
        if unchanged:
            # One update for all takes MongoDB a third less. A contact that is renamed at this moment does not match and the
            # batch is planned anew, unless another contact here has the new name: then the call's event has the old name.
            those = {"_id": {"$in": list(unchanged)}, "name": {"$in": list(set(unchanged.values()))}}
            updates.append({"q": those, "u": {"$set": just_now}, "multi": True})
        return updates

    def _new_contact(self, contact: _Contact) -> Document:
        number = {"number": contact.number} if contact.number is not None else {}  # absent: the unique index passes it by
        return {
            "_id": contact.contact_id,
            "contactId": contact.contact_id,
            "organizationId": self.organization_id,
            **number,
            "name": contact.name,
            "conversationId": contact.conversation_id,
            "createdAt": self.now,
            "updatedAt": self.now,
            "lastCallAt": contact.last_call_at,
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
    items: Sequence[BatchItem], stored: dict[CallKey, StoredCall], committed: Mapping[str, CallIds]
) -> Iterator[BatchItem | Outcome]:
    """Yield for each entry its outcome, or the entry itself when it is to be written; amendments as they are."""
    for entry in items:
        if isinstance(entry, Amendment):
            yield entry
            continue
        own = committed.get(entry.call_id)
        other = stored.get(entry.key) if entry.key is not None else None
        if own is not None:
            yield Created(own)
        elif other is not None:
            yield Duplicate(other.call_id, other.fingerprint, entry.call.fingerprint)
        else:
            yield entry
            if entry.key is not None:
                stored[entry.key] = StoredCall(entry.call_id, entry.call.fingerprint)


def _pending_update(item: Entry | Amendment, at: datetime) -> Document:
    """Return the update that makes the document of `pending_recordings` of a call; it is due at once."""
    document = {
        "_id": item.call_id,
        "organizationId": item.organization_id,
        "sourceId": item.source_id,
        "url": item.sealed_url,
        "attempts": 0,
        "nextAt": at,
        "createdAt": at,
    }
    return {"q": {"_id": item.call_id}, "u": document, "upsert": True}


def segment_document(organization_id: str, last: int, events: Sequence[Event], at: datetime) -> Document:
    """Return the document of `feed` that holds a batch's events, numbered up to `last`."""
    first, event_time = last - len(events) + 1, iso_ms(at)
    return {
        "_id": new_id(),
        "organizationId": organization_id,
        "first": first,
        "last": last,
        "at": at,
        "events": [event_text(event, seq, event_time) for seq, event in enumerate(events, first)],
    }
