"""What is stored already: calls, by what makes them unique or by their ids, and contacts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pymongo.errors import ConnectionFailure

from tether_rt.domain.call import CompletedCall
from tether_rt.domain.events import CallIds
from tether_rt.mongo.client import MAJORITY, Database, Document
from tether_rt.mongo.wire import op_msg
from tether_rt.mongo.wire.loop_connection import LoopConnection
from tether_rt.mongo.wire.op_msg import Command

CallKey = tuple[str, str]
"""What makes a call unique: the API key's user and `externalCallId`."""
ContactKey = tuple[str, str]
"""What makes a contact unique: organization id and E.164 number."""


@dataclass(frozen=True, slots=True)
class StoredCall:
    """As much of a stored call as a duplicate's answer needs."""

    call_id: str
    fingerprint: str


class Lookups:
    """Look-ups of many calls in one query each, over a connection of its own; they raise the driver's errors.

    Calls are read so that what is seen can no longer be rolled back: a caller who hears that one is there need not come again.
    Contacts are read as they are: a transaction that goes by one makes sure of it.
    """

    def __init__(self, database: Database) -> None:
        self._connection = LoopConnection(database.delegate)

    async def close(self) -> None:
        """Close the connection; idempotent."""
        await self._connection.close()

    async def calls(self, keys: Iterable[CallKey]) -> dict[CallKey, StoredCall]:
        """Return the calls that are stored under these keys."""
        by_user = grouped(keys)
        if not by_user:
            return {}
        any_of = [{"userId": user_id, "providerCallId": {"$in": ids}} for user_id, ids in by_user.items()]
        found = await self._find({"$or": any_of}, "userId", "providerCallId", "fingerprint")
        return {(one["userId"], one["providerCallId"]): StoredCall(one["_id"], one["fingerprint"]) for one in found}

    async def contacts(self, keys: Iterable[ContactKey]) -> dict[ContactKey, Document]:
        """Return the contacts that are there with these organizations and numbers."""
        found = await self._ask(contacts_query(keys))
        return {(one["organizationId"], one["number"]): one for one in found}

    async def committed(self, call_ids: list[str]) -> dict[str, CallIds]:
        """Return the calls that are stored with these ids."""
        found = await self._find({"_id": {"$in": call_ids}}, "contactId", "conversationId")
        return {one["_id"]: CallIds(one["_id"], one["contactId"], one["conversationId"]) for one in found}

    async def _find(self, query: Document, *fields: str) -> list[Document]:
        return await self._ask(op_msg.find("calls", query, *fields, readConcern=MAJORITY.document))

    async def _ask(self, command: Command) -> list[Document]:
        question = [command]
        try:
            (answer,) = await self._connection.ask(question)
        except ConnectionFailure:  # once more, as the driver does with whatever reads: it may have been but this connection
            (answer,) = await self._connection.ask(question)
        return list(answer["cursor"]["firstBatch"])


def contact_key(call: CompletedCall) -> ContactKey:
    """Return whose contact a call needs."""
    return call.organization_id, call.contact_number


def contacts_query(keys: Iterable[ContactKey]) -> Command:
    """Return the question for contacts by organization and number."""
    any_of = [{"organizationId": one, "number": {"$in": numbers}} for one, numbers in grouped(keys).items()]
    return op_msg.find("contacts", {"$or": any_of}, "organizationId", "number", "name", "conversationId")


def grouped(keys: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return what belongs to each owner, from pairs of owner and what is theirs."""
    groups: dict[str, list[str]] = {}
    for whose, which in keys:
        groups.setdefault(whose, []).append(which)
    return groups
