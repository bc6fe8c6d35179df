"""Queries on `contacts`, `conversations` and `messages`: the people on the other side and what was said with them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from pymongo import ReturnDocument

from tether_rt.domain.search_terms import by_field, call_terms
from tether_rt.mongo.client import Database, Document


class People:
    """Queries on `contacts`, `conversations` and `messages`."""

    def __init__(self, database: Database) -> None:
        self._contacts = database["contacts"]
        self._conversations = database["conversations"]
        self._messages = database["messages"]
        self._calls = database["calls"]

    async def contacts(self, organization_id: str, *, search: str | None, skip: int, limit: int) -> tuple[list[Document], int]:
        """Return one page of contacts, the last called first, and how many there are in all.

        `search` matches the beginning of a name's words, or digits anywhere in the number.
        """
        query: dict[str, Any] = {"organizationId": organization_id}
        text = (search or "").strip()
        if text:
            digits = re.sub(r"\D", "", text)
            pattern = re.escape(text).replace("\0", r"\x00")  # MongoDB takes no NUL in a pattern
            choices: list[dict[str, Any]] = [{"name": {"$regex": r"(^|\s)" + pattern, "$options": "i"}}]
            if digits:
                choices.append({"number": {"$regex": digits}})
            query["$or"] = choices
        cursor = self._contacts.find(query).sort([("lastCallAt", -1), ("_id", -1)]).skip(skip).limit(limit)
        return await cursor.to_list(None), await self._contacts.count_documents(query)

    async def contact(self, organization_id: str, contact_id: str) -> Document | None:
        """Return one contact of the organization."""
        return await self._contacts.find_one({"_id": contact_id, "organizationId": organization_id})

    async def rename(self, organization_id: str, contact_id: str, name: str) -> Document | None:
        """Give a contact a name, under which its calls are found from now on; None when there is no such contact."""
        ours = {"_id": contact_id, "organizationId": organization_id}
        contact = await self._contacts.find_one_and_update(
            ours, {"$set": {"name": name, "updatedAt": datetime.now(UTC)}}, return_document=ReturnDocument.AFTER
        )
        if contact is not None:
            added = {field: {"$each": terms} for field, terms in by_field(call_terms((name,), ())).items()}
            await self._calls.update_many({"organizationId": organization_id, "contactId": contact_id}, {"$addToSet": added})
        return contact

    async def conversations(self, organization_id: str, contact_id: str) -> list[Document] | None:
        """Return a contact's conversations, or None when the organization has no such contact.

        There is one, of its calls: what its last message was is told by the contact, which every call writes anyway.
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
    ) -> list[Document] | None:
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
