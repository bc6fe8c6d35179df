"""Look-ups of stored calls and contacts, many in one query each."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pymongo.errors import ConnectionFailure

from tether_rt.domain.events import CallIds
from tether_rt.mongo.amendments import UNREAD
from tether_rt.mongo.client import MAJORITY, Document
from tether_rt.mongo.wire import op_msg
from tether_rt.mongo.wire.loop_connection import LoopConnection
from tether_rt.mongo.wire.op_msg import Command

CallKey = tuple[str, str]
"""What makes a call unique: its source's id and `externalCallId`."""


@dataclass(frozen=True, slots=True)
class StoredCall:
    """As much of a stored call as the answer to a duplicate needs."""

    call_id: str
    fingerprint: str


class Lookups:
    """Look-ups over one connection; they raise the driver's errors.

    Calls are read with read concern majority: a caller who is told that a call is stored need not send it again, so the
    call must not be rolled back by a failover.
    """

    def __init__(self, connection: LoopConnection) -> None:
        self._connection = connection

    async def close(self) -> None:
        """Close the connection; idempotent."""
        await self._connection.close()

    async def calls(self, keys: Iterable[CallKey]) -> dict[CallKey, StoredCall]:
        """Return the calls that are stored under these keys."""
        by_source: dict[str, list[str]] = {}
        for source_id, external_call_id in keys:
            by_source.setdefault(source_id, []).append(external_call_id)
        if not by_source:
            return {}
        any_of = [{"userId": source_id, "providerCallId": {"$in": ids}} for source_id, ids in by_source.items()]
        found = await self._find({"$or": any_of}, "userId", "providerCallId", "fingerprint")
        return {(one["userId"], one["providerCallId"]): StoredCall(one["_id"], one["fingerprint"]) for one in found}

    async def committed(self, call_ids: list[str]) -> dict[str, CallIds]:
        """Return the calls that are stored with these ids."""
        found = await self._find({"_id": {"$in": call_ids}}, "contactId", "conversationId")
        return {one["_id"]: CallIds(one["_id"], one["contactId"], one["conversationId"]) for one in found}

    async def _find(self, query: Document, *fields: str) -> list[Document]:
        command = [op_msg.find("calls", query, *fields, readConcern=MAJORITY.document)]
        try:
            (reply,) = await self._connection.ask(command)
        except ConnectionFailure:  # a read is retried once, as the driver does: the connection alone may have broken
            (reply,) = await self._connection.ask(command)
        return list(reply["cursor"]["firstBatch"])


def contacts_query(organization_id: str, numbers: Collection[str], contact_ids: Collection[str]) -> Command:
    """Return the query for an organization's contacts by their numbers or their ids."""
    query: Document = {"organizationId": organization_id, "number": {"$in": list(numbers)}}
    if contact_ids:
        query = {"organizationId": organization_id, "$or": [{"number": query["number"]}, {"_id": {"$in": list(contact_ids)}}]}
    return op_msg.find("contacts", query, "number", "name", "renamed", "conversationId")


def amended_call_query(organization_id: str, call_id: str) -> Command:
    """Return the query for a call that is to be changed: one for each, since a reply may hold no more than 16 MB."""
    return op_msg.find("calls", {"_id": call_id, "organizationId": organization_id}, projection=UNREAD)
