"""The contacts of a batch: those that were read, those that it makes, and what it writes of them. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from tether_rt.domain.call import UNKNOWN_CALLER, CompletedCall
from tether_rt.domain.entry_terms import contact_terms
from tether_rt.domain.events import Event, contact_updated
from tether_rt.domain.names import better_name
from tether_rt.domain.phone import same_telephone
from tether_rt.mongo.client import Document, new_id


class Rename(NamedTuple):
    """A contact's new name, given by a person: no call changes it any more."""

    organization_id: str
    contact_id: str
    name: str
    weight_bytes: int = 1024
    """About what it takes in a transaction."""


class Renamed(NamedTuple):
    """The contact has the name, durably; `is_new` is False when it had it before."""

    contact_id: str
    is_new: bool


class MissingContact(NamedTuple):
    """The organization has no contact with this id."""

    contact_id: str


@dataclass(slots=True)
class Contact:
    """A contact as the batch leaves it; `stored_name` is the name it had before, None when the batch makes the contact.

    `number` is None for a caller who withheld it, `is_renamed` says that a person named the contact.
    """

    contact_id: str
    conversation_id: str
    number: str | None
    name: str
    stored_name: str | None
    is_renamed: bool = False
    was_renamed: bool = False
    """Whether a person had named it before the batch."""
    last_call_at: datetime | None = None
    """When the batch's last call of the contact was; None when it has none."""

    def named_by(self, caller_name: str | None) -> str:
        """Return the contact's name after a call that says what the caller is called, or says nothing of it."""
        return self.name if self.is_renamed else better_name(self.name, caller_name)

    @property
    def is_changed(self) -> bool:
        """Whether the name is to be written."""
        return self.name != self.stored_name or self.is_renamed != self.was_renamed

    def naming(self) -> Document:
        """Return the fields that hold the name, and those by which a search finds it."""
        terms = contact_terms(self.name, self.number)
        return {"name": self.name, "terms": terms, **({"renamed": True} if self.is_renamed else {})}


class BatchContacts:
    """The contacts of one organization that a batch concerns."""

    def __init__(self, organization_id: str, now: datetime) -> None:
        self._organization_id = organization_id
        self._now = now
        self._by_number: dict[str, Contact] = {}
        """The stored ones, and those that the batch makes."""
        self._stored: dict[str, Contact] = {}
        """By id."""
        self._called: dict[str, Contact] = {}
        """Those of new calls, by id."""

    def read(self, found: Iterable[Document]) -> None:
        """Take the contacts that were found."""
        for one in found:
            number, name, is_renamed = one.get("number"), one["name"], one.get("renamed", False)
            contact = Contact(one["_id"], one["conversationId"], number, name, name, is_renamed, is_renamed)
            self._stored[contact.contact_id] = contact
            if number is not None:
                self._by_number[number] = contact

    def stored(self, contact_id: str | None) -> Contact | None:
        """Return the contact with this id, if it was found."""
        return self._stored.get(contact_id or "")

    def rename(self, rename: Rename, events: list[Event]) -> Renamed | MissingContact:
        """Give a contact its name; a name that it did not have is announced in `events`."""
        contact = self.stored(rename.contact_id)
        if contact is None:
            return MissingContact(rename.contact_id)
        is_new = contact.name != rename.name
        contact.name, contact.is_renamed = rename.name, True
        if is_new:
            events.append(contact_updated(contact.contact_id, contact.conversation_id, rename.name))
        return Renamed(contact.contact_id, is_new)

    def of_call(self, call: CompletedCall, moment: datetime) -> Contact:
        """Return the contact of a new call that belongs at `moment` among the contact's calls; it is made if there is none."""
        number = call.contact_number
        contact = self._with(number) if number is not None else None
        if contact is None:
            known_by = same_telephone(number)[0] if number is not None else None
            contact = Contact(new_id(), new_id(), known_by, UNKNOWN_CALLER, None)
            if known_by is not None:
                self._by_number[known_by] = contact
        contact.name = contact.named_by(call.caller_name)
        contact.last_call_at = max(contact.last_call_at or moment, moment)
        self._called[contact.contact_id] = contact
        return contact

    def _with(self, number: str) -> Contact | None:
        if (contact := self._by_number.get(number)) is not None:
            return contact
        return next((self._by_number[form] for form in same_telephone(number) if form in self._by_number), None)

    def updates(self) -> list[Document]:
        """Return updates for the stored contacts; each must match all the contacts it names (`_id`)."""
        just_now: Document = {"lastCallAt": self._now, "updatedAt": self._now}
        updates: list[Document] = []
        unchanged: dict[str, str] = {}
        for contact in self._called.values():
            if contact.stored_name is None:
                continue
            as_read: Document = {"_id": contact.contact_id, "name": contact.stored_name}
            if contact.last_call_at != self._now:  # it has calls from the past alone
                newest = {"lastCallAt": contact.last_call_at}
                updates.append({"q": as_read, "u": {"$max": newest, "$set": {"updatedAt": self._now, **contact.naming()}}})
            elif not contact.is_changed:
                unchanged[contact.contact_id] = contact.stored_name
            else:
                updates.append({"q": as_read, "u": {"$set": {**just_now, **contact.naming()}}})
        for contact in self._stored.values():
            if contact.is_changed and contact.contact_id not in self._called:  # a person or an amendment has named it
                as_read = {"_id": contact.contact_id, "name": contact.stored_name}
                updates.append({"q": as_read, "u": {"$set": {**contact.naming(), "updatedAt": self._now}}})
        if unchanged:
            # One update for all takes MongoDB a third less. A contact that is renamed at this moment does not match and the
            # batch is planned anew, unless another contact here has the new name: then the call's event has the old name.
            those = {"_id": {"$in": list(unchanged)}, "name": {"$in": list(set(unchanged.values()))}}
            updates.append({"q": those, "u": {"$set": just_now}, "multi": True})
        return updates

    def new(self) -> list[Document]:
        """Return the documents of the contacts that the batch makes."""
        return [self._document(contact) for contact in self._made()]

    def new_conversations(self) -> list[Document]:
        """Return the documents of their conversations."""
        return [self._conversation(contact) for contact in self._made()]

    def _made(self) -> list[Contact]:
        return [contact for contact in self._called.values() if contact.stored_name is None]

    def _document(self, contact: Contact) -> Document:
        number = {"number": contact.number} if contact.number is not None else {}  # absent: the unique index passes it by
        return {
            "_id": contact.contact_id,
            "contactId": contact.contact_id,
            "organizationId": self._organization_id,
            **number,
            **contact.naming(),
            "conversationId": contact.conversation_id,
            "createdAt": self._now,
            "updatedAt": self._now,
            "lastCallAt": contact.last_call_at,
        }

    def _conversation(self, contact: Contact) -> Document:
        return {
            "_id": contact.conversation_id,
            "conversationId": contact.conversation_id,
            "organizationId": self._organization_id,
            "contactId": contact.contact_id,
            "type": "call",
            "createdAt": self._now,
        }
