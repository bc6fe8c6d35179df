"""What a batch of calls will write, worked out from what was read: no I/O, no clock of its own.

All calls of a batch belong to one organization. Each new call yields a call, a message, an update of its contact (or a new
contact and conversation), and its events. Each amendment yields what it makes of a stored call (`amendments`), each rename a
contact's name (`batch_contacts`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from tether_rt.domain.call import CompletedCall, Recording, iso_ms
from tether_rt.domain.events import CallIds, Event, call_events, count_events, event_text
from tether_rt.domain.fingerprint import same_content
from tether_rt.domain.phone import same_telephone
from tether_rt.domain.source import EXTERNAL
from tether_rt.domain.warnings import CallWarning
from tether_rt.mongo.amendments import Amended, AmendedCall, Amendment, AmendmentOutcome, Missing
from tether_rt.mongo.batch_contacts import BatchContacts, MissingContact, Rename, Renamed
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
    is_erased: bool = False
    """Whether it was erased since: nothing but its id is known then."""

    @property
    def differs(self) -> bool:
        """Whether the stored call came from another body."""
        return not self.is_erased and not same_content(self.stored_fingerprint, self.fingerprint)


Outcome = Created | Duplicate
BatchItem = Entry | Amendment | Rename
ItemOutcome = Outcome | AmendmentOutcome | Renamed | MissingContact


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
        self._contacts = BatchContacts(self.organization_id, self.now)
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
        named = (one for one in items if isinstance(one, Amendment | Rename))
        self.contact_ids = {one.contact_id for one in named if one.contact_id is not None}
        """The same, as ids."""
        self.call_ids = list(dict.fromkeys(one.call_id for one in amendments))
        """The stored calls that the plan needs to know."""

    @property
    def writes_nothing(self) -> bool:
        """Whether it is known before anything is read that there is nothing to write."""
        return not self.call_count and not self.call_ids and not self.contact_ids

    def fill(self, contacts: Iterable[Document], calls: Iterable[Document] = ()) -> Generator[None, None, None]:
        """Work everything out from the contacts and the calls that were found, one change a step."""
        self._contacts.read(contacts)
        for found in calls:
            self._amended[found["_id"]] = AmendedCall(found, self.now, self.events)
        for one in self._resolved:
            if isinstance(one, Rename):
                self.outcomes.append(self._contacts.rename(one, self.events))
            elif isinstance(one, Amendment):
                self.outcomes.append(self._amend(one))
            else:
                self.outcomes.append(Created(self._add(one)) if isinstance(one, Entry) else one)
            yield

    def _amend(self, amendment: Amendment) -> AmendmentOutcome:
        call = self._amended.get(amendment.call_id)
        if call is None:
            return Missing(amendment.call_id)
        contact = self._contacts.stored(amendment.contact_id)
        name = contact.named_by(amendment.caller_name) if contact is not None else None
        outcome = call.amend(amendment, name)
        if contact is not None and name is not None and isinstance(outcome, Amended) and outcome.changed:
            contact.name = name
        if amendment.sealed_url is not None and isinstance(outcome, Amended) and outcome.changed:
            self._pending.append(amendment)
        return outcome

    def _add(self, entry: Entry) -> CallIds:
        call = entry.call
        moment = self._moment_of(call)
        contact = self._contacts.of_call(call, moment)
        ids = CallIds(entry.call_id, contact.contact_id, contact.conversation_id)
        self.calls.append(call_document(entry.elements, ids, contact.name, self.now))
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
                "createdAt": moment,
            }
        )
        self.events += call_events(call, ids, contact.name, entry.recording)
        if entry.sealed_url is not None:
            self._pending.append(entry)
        return ids

    def _moment_of(self, call: CompletedCall) -> datetime:
        """Return where a call belongs among those of its contact: now, but a call from the past at its start."""
        return min(call.start_time, self.now) if call.is_historic else self.now

    def commands(self, last_seq: int, at: datetime) -> list[Command]:
        """Return the writes. `last_seq` is the number of the new calls' last event, `at` the time by MongoDB's clock.

        A stored conversation is not written: its last message is its contact's last call (`Contacts.conversations`).
        """
        commands = [
            update("contacts", self._contacts.updates()),
            insert("contacts", self._contacts.new()),
            insert("conversations", self._contacts.new_conversations()),
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


def _resolve_duplicates(
    items: Sequence[BatchItem], stored: dict[CallKey, StoredCall], committed: Mapping[str, CallIds]
) -> Iterator[BatchItem | Outcome]:
    """Yield for each entry its outcome, or the entry itself when it is to be written; amendments and renames as they are."""
    for entry in items:
        if not isinstance(entry, Entry):
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
