"""Look-ups of stored calls and contacts, many in one query each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
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
    is_erased: bool = False
    """Whether it was erased since: it has no fingerprint then."""


DigestsOf = Callable[[CallKey], Sequence[str]]
"""Returns the keyed digests under which a call that was erased may be remembered."""


class Lookups:
    """Look-ups over one connection; they raise the driver's errors.

    Calls are read with read concern majority: a caller who is told that a call is stored need not send it again, so the
    call must not be rolled back by a failover.
    """

    def __init__(self, connection: LoopConnection, digests_of: DigestsOf | None = None) -> None:
        """With `digests_of`, calls that were erased are found as well."""
        self._connection = connection
        self._digests_of = digests_of

    async def close(self) -> None:
        """Close the connection; idempotent."""
        await self._connection.close()

    async def calls(self, keys: Iterable[CallKey]) -> dict[CallKey, StoredCall]:
        """Return the calls that are stored under these keys, or were until they were erased; in one round trip."""
        by_source: dict[str, list[str]] = {}
        erased: dict[str, CallKey] = {}
        for key in keys:
            by_source.setdefault(key[0], []).append(key[1])
            if self._digests_of is not None:
                erased |= dict.fromkeys(self._digests_of(key), key)
        if not by_source:
            return {}
        any_of = [{"userId": source_id, "providerCallId": {"$in": ids}} for source_id, ids in by_source.items()]
        commands = [_calls_query({"$or": any_of}, "userId", "providerCallId", "fingerprint")]
        if erased:
            commands.append(
                op_msg.find("erased_calls", {"_id": {"$in": list(erased)}}, "callId", readConcern=MAJORITY.document)
            )
        stored, *were_stored = await self._ask(commands)
        found = {erased[one["_id"]]: StoredCall(one["callId"], "", True) for reply in were_stored for one in reply}
        return found | {(one["userId"], one["providerCallId"]): StoredCall(one["_id"], one["fingerprint"]) for one in stored}

    async def committed(self, call_ids: list[str]) -> dict[str, CallIds]:
        """Return the calls that are stored with these ids."""
        (found,) = await self._ask([_calls_query({"_id": {"$in": call_ids}}, "contactId", "conversationId")])
        return {one["_id"]: CallIds(one["_id"], one["contactId"], one["conversationId"]) for one in found}

    async def _ask(self, commands: Sequence[Command]) -> list[list[Document]]:
        try:
            replies = await self._connection.ask(commands)
        except ConnectionFailure:  # a read is retried once, as the driver does: the connection alone may have broken
            replies = await self._connection.ask(commands)
        return [reply["cursor"]["firstBatch"] for reply in replies]


def _calls_query(query: Document, *fields: str) -> Command:
    return op_msg.find("calls", query, *fields, readConcern=MAJORITY.document)


def contacts_query(organization_id: str, numbers: Collection[str], contact_ids: Collection[str]) -> Command:
    """Return the query for an organization's contacts by their numbers or their ids."""
    query: Document = {"organizationId": organization_id, "number": {"$in": list(numbers)}}
    if contact_ids:
        query = {"organizationId": organization_id, "$or": [{"number": query["number"]}, {"_id": {"$in": list(contact_ids)}}]}
    return op_msg.find("contacts", query, "number", "name", "renamed", "conversationId")


def amended_call_query(organization_id: str, call_id: str) -> Command:
    """Return the query for a call that is to be changed: one for each, since a reply may hold no more than 16 MB."""
    return op_msg.find("calls", {"_id": call_id, "organizationId": organization_id}, projection=UNREAD)
