"""Queries on `contacts`, `conversations` and `messages`: the people at the other end and what was said with them."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, Final

from tether_rt.domain.call_match import CallTexts, matches
from tether_rt.domain.party import WITHHELD, is_number
from tether_rt.domain.search_query import parse_search
from tether_rt.mongo.client import Database, Document
from tether_rt.mongo.documents import Collections, ContactDocument, MessageDocument
from tether_rt.mongo.search_condition import both, condition, is_exact

MAX_COUNTED: Final = 1_000
"""A search is counted up to here."""

_LAST_CALLED_FIRST: Final = [("lastCallAt", -1), ("_id", -1)]
_SHOWN: Final = {"terms": 0}


class Contacts:
    """Queries on `contacts`, `conversations` and `messages`."""

    def __init__(self, database: Database) -> None:
        collections = Collections(database)
        self._contacts = collections.contacts
        self._conversations = collections.conversations
        self._messages = collections.messages
        self._calls = collections.calls

    async def contacts(
        self, organization_id: str, *, search: str | None, skip: int, limit: int
    ) -> tuple[list[ContactDocument], int]:
        """Return one page of contacts, the last called first, and how many there are in all.

        A search is one for calls (`search_query`), in names, numbers and SIP addresses; `withheld` finds contacts without one.
        Matches are counted up to `MAX_COUNTED`.
        """
        query: Document = {"organizationId": organization_id}
        cursor = self._contacts.find(query, _SHOWN)
        if not (search or "").strip():
            contacts, total = await asyncio.gather(
                cursor.sort(_LAST_CALLED_FIRST).skip(skip).limit(limit).to_list(None), self._contacts.count_documents(query)
            )
            return [_shown(contact) for contact in contacts], total
        asked = parse_search(search or "")
        if asked.is_nothing:
            return [], 0
        query = both(query, condition(asked))
        if is_exact(asked):
            found = self._contacts.find(query, _SHOWN).sort(_LAST_CALLED_FIRST).skip(skip).limit(limit)
            counted = self._contacts.count_documents(query, limit=MAX_COUNTED)
            contacts, total = await asyncio.gather(found.to_list(None), counted)
        else:
            candidates = self._contacts.find(query, _SHOWN).sort(_LAST_CALLED_FIRST).limit(MAX_COUNTED)
            matching = [one for one in await candidates.to_list(None) if matches(_texts_of(one), asked)]
            contacts, total = matching[skip : skip + limit], len(matching)
        return [_shown(contact) for contact in contacts], total

    async def contact(self, organization_id: str, contact_id: str) -> ContactDocument | None:
        """Return one contact of the organization."""
        contact = await self._contacts.find_one({"_id": contact_id, "organizationId": organization_id}, _SHOWN)
        return _shown(contact) if contact is not None else None

    async def conversations(self, organization_id: str, contact_id: str) -> list[dict[str, Any]] | None:
        """Return a contact's conversations (`ConversationDocument`, and the time of the last message as `lastMessageAt`).

        None when the organization has no such contact. There is one conversation, of the contact's calls. The time is not
        written to it but taken from the contact, which every call updates anyway.
        """
        own = {"_id": contact_id, "organizationId": organization_id}
        contact = await self._contacts.find_one(own, {"lastCallAt": 1})
        if contact is None:
            return None
        cursor = self._conversations.find({"contactId": contact_id}).sort("createdAt", 1)
        last = {"updatedAt": contact["lastCallAt"], "lastMessageAt": contact["lastCallAt"]}
        return [{**conversation, **last} for conversation in await cursor.to_list(None)]

    async def messages(
        self, organization_id: str, conversation_id: str, *, before: datetime | str | None, limit: int
    ) -> list[MessageDocument] | None:
        """Return the last `limit` messages before a time or a message's id, oldest first; None for an unknown conversation."""
        own = {"_id": conversation_id, "organizationId": organization_id}
        if not await self._conversations.find_one(own, {"_id": 1}):
            return None
        query: dict[str, Any] = {"conversationId": conversation_id}
        if isinstance(before, datetime):
            query["createdAt"] = {"$lt": before}
        elif before is not None:
            anchor = await self._messages.find_one({"_id": before, "conversationId": conversation_id})
            if anchor is None:
                return []
            query["$or"] = [
                {"createdAt": {"$lt": anchor["createdAt"]}},
                {"createdAt": anchor["createdAt"], "_id": {"$lt": before}},
            ]
        cursor = self._messages.find(query).sort([("createdAt", -1), ("_id", -1)]).limit(limit)
        return list(reversed(await cursor.to_list(None)))


def _shown(contact: ContactDocument) -> ContactDocument:
    return {**contact, "number": contact.get("number")}


def _texts_of(contact: ContactDocument) -> CallTexts:
    address = contact.get("number") or WITHHELD
    is_other = not is_number(address)
    return CallTexts(names=(contact["name"], address if is_other else None), numbers=() if is_other else (address,))
