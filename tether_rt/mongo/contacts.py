"""Queries on `contacts`, `conversations` and `messages`: the people at the other end and what was said with them."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from typing import Any, Final

from tether_rt.domain.names import plain_name
from tether_rt.domain.party import WITHHELD
from tether_rt.domain.search_terms import by_field, call_terms, digits_of, has_unspaced
from tether_rt.mongo.client import Database
from tether_rt.mongo.documents import Collections, ContactDocument, MessageDocument

MAX_COUNTED: Final = 1_000
"""A search is counted up to here."""
_SEARCH_MS: Final = 2_000
"""No index helps a search: MongoDB reads the organization's contacts, some 300,000 in this time, and then gives up."""


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

        `search` matches the beginning of a word in the name or the SIP address, or digits anywhere in the number; `withheld`
        matches contacts without one. Matches are counted up to `MAX_COUNTED`. Raises the driver's `ExecutionTimeout` when a
        search takes too long.
        """
        text = plain_name(search) or (search or "").strip()  # names are stored so; what shows nothing is in none of them
        query: dict[str, Any] = {"organizationId": organization_id}
        bounds: dict[str, Any] = {}
        if text:
            query["$or"] = _matches(text)
            bounds = {"maxTimeMS": _SEARCH_MS, "limit": MAX_COUNTED}
        cursor = self._contacts.find(query).sort([("lastCallAt", -1), ("_id", -1)]).skip(skip).limit(limit)
        if text:
            cursor = cursor.max_time_ms(_SEARCH_MS)
        contacts, total = await asyncio.gather(cursor.to_list(None), self._contacts.count_documents(query, **bounds))
        return [_shown(contact) for contact in contacts], total

    async def contact(self, organization_id: str, contact_id: str) -> ContactDocument | None:
        """Return one contact of the organization."""
        contact = await self._contacts.find_one({"_id": contact_id, "organizationId": organization_id})
        return _shown(contact) if contact is not None else None

    async def index_name(self, organization_id: str, contact_id: str, name: str) -> None:
        """Let a search for a contact's new name find the contact's calls."""
        added = {field: {"$each": terms} for field, terms in by_field(call_terms((name,), ())).items()}
        await self._calls.update_many({"organizationId": organization_id, "contactId": contact_id}, {"$addToSet": added})

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


def _matches(text: str) -> list[dict[str, Any]]:
    """Return the conditions for contacts, of which one must hold."""
    pattern = re.escape(text).replace("\0", r"\x00")  # MongoDB takes no NUL in a pattern
    beginning = "" if has_unspaced(text) else r"(^|\s)"
    conditions: list[dict[str, Any]] = [{"name": {"$regex": beginning + pattern, "$options": "i"}}]
    if re.search(r"[^\W\d]", text):
        conditions.append({"number": {"$regex": r"^sips?:(.*\W)?" + pattern, "$options": "i"}})
        if WITHHELD.startswith(text.lower()):
            conditions.append({"number": {"$exists": False}})
    if digits := digits_of(text):
        conditions.append({"number": {"$regex": digits}})
    return conditions
