"""One transaction that erases some calls: their documents, what is left of their events, and the events that say so.

Its first statement changes the organization's counter, which is its lock, as the batch writer does: no call, amendment or event
of the organization is committed meanwhile. What it finds erased already counts for nothing, so it may be repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from motor.motor_asyncio import AsyncIOMotorClientSession
from pymongo import ReplaceOne, ReturnDocument
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from tether_rt.domain.audit import What
from tether_rt.domain.erasure import RETENTION, ErasureDocument
from tether_rt.domain.events import CallIds, Event, call_deleted, calls_expired, contact_deleted
from tether_rt.mongo.audit import AuditLog
from tether_rt.mongo.batch_plan import segment_document
from tether_rt.mongo.client import DURABLE, Client, Database, Document, new_id
from tether_rt.mongo.documents import CallDocument, Collections
from tether_rt.mongo.erased_events import ErasedEvents, Subjects
from tether_rt.mongo.erasures import Erasures, calls_of
from tether_rt.runtime.backoff import Backoff

_BACKOFF: Final = Backoff(0.004, 0.5, jitter=1.0)
_SHOWN: Final = dict.fromkeys(
    ("contactId", "conversationId", "userId", "providerCallId", "recordings", "copies", "createdAt", "startTime", "historic"), 1
)

_Result = TypeVar("_Result")
DigestOf = Callable[[str, str], str]
"""Returns the keyed digest of a source's id and an `externalCallId`."""


class Batch(NamedTuple):
    """What a transaction erased."""

    calls: int
    contacts: int


class ErasingTransaction:
    """Runs such transactions; one for the process."""

    def __init__(self, client: Client, database: Database, digest_of: DigestOf, end_abandoned: Any) -> None:
        """`end_abandoned` ends the transactions that a killed process left open."""
        self._client = client
        self._database = database
        self._digest_of = digest_of
        self._end_abandoned = end_abandoned
        self._collections = Collections(database)
        self._erased_calls = database["erased_calls"]
        self._events = ErasedEvents(database)
        self._erasures = Erasures(database)
        self._audit = AuditLog(database)

    async def erase_calls(self, erasure: ErasureDocument, call_ids: Collection[str], noted: Collection[str]) -> Batch:
        """Erase these calls of the erasure, and the contacts that have no other; raises the driver's errors.

        `noted` are keys of files that were noted to be removed, or were removed.
        """
        return await self._run(partial(self._erase_calls, erasure, call_ids, noted))

    async def expire_recordings(self, erasure: ErasureDocument, calls: Sequence[CallDocument]) -> int:
        """Take the recordings out of these calls; return of how many."""
        return await self._run(partial(self._expire_recordings, erasure, calls))

    async def announce_expired(self, erasure: ErasureDocument) -> None:
        """Commit `calls_expired`."""
        await self._run(partial(self._announce, erasure, [calls_expired(erasure["before"])], 0))

    async def _run(self, work: Callable[[AsyncIOMotorClientSession], Awaitable[_Result]]) -> _Result:
        failures = 0
        while True:
            try:
                async with (
                    await self._client.start_session() as session,
                    session.start_transaction(read_concern=ReadConcern("snapshot"), write_concern=DURABLE),
                ):
                    return await work(session)
            except PyMongoError as error:
                # Also where it is unknown whether it was committed: the next attempt finds nothing left to do.
                if not (
                    error.has_error_label("TransientTransactionError")
                    or error.has_error_label("UnknownTransactionCommitResult")
                ):
                    raise
            failures += 1
            await self._end_abandoned()
            await asyncio.sleep(_BACKOFF.wait_s(failures))

    async def _erase_calls(
        self,
        erasure: ErasureDocument,
        call_ids: Collection[str],
        noted: Collection[str],
        session: AsyncIOMotorClientSession,
    ) -> Batch:
        organization_id, them = erasure["organizationId"], self._collections
        counter = await self._lock(organization_id, session)
        doomed = {**calls_of(erasure), "_id": {"$in": list(call_ids)}}
        calls = await them.calls.find(doomed, _SHOWN, session=session).to_list(None)
        ids = [call["_id"] for call in calls]
        subjects = Subjects(call_ids=frozenset(ids))
        if erasure["kind"] == "contact":
            subjects = Subjects(contact_ids=frozenset((erasure["contactId"],)))
        erased = await self._events.erase(organization_id, subjects, erasure["walkedTo"], counter["seq"], session)
        if ids:
            of_calls = {"callId": {"$in": ids}}
            conversations = sorted({call["conversationId"] for call in calls})
            await them.messages.delete_many({"conversationId": {"$in": conversations}, **of_calls}, session=session)
            await them.call_changes.delete_many(of_calls, session=session)
            await them.pending_recordings.delete_many({"_id": {"$in": ids}}, session=session)
            await self._keep_digests(organization_id, calls, session)
            more = [one for one in files_of(calls) if one[0] not in noted]
            await self._erasures.add_files(erasure, more, session)
            await them.calls.delete_many({"_id": {"$in": ids}, "organizationId": organization_id}, session=session)
        gone = await self._forget_contacts(erasure, calls, session)
        if not ids and not gone:
            return Batch(0, 0)
        if erasure["kind"] not in RETENTION:
            events = [call_deleted(CallIds(call["_id"], call["contactId"], call["conversationId"])) for call in calls]
            events += [contact_deleted(*one) for one in gone]
            await self._announce(erasure, events, len(ids), session)
        else:
            await self._count(organization_id, 0, len(ids), session)
        recordings = sum(len(call["recordings"]) for call in calls)
        counts = {"calls": len(ids), "contacts": len(gone), "recordings": recordings, "events": erased}
        await self._erasures.note(erasure["_id"], add=counts, session=session)
        await self._prove(erasure, ids, [contact_id for contact_id, _ in gone], counts, session)
        return Batch(len(ids), len(gone))

    async def _expire_recordings(
        self, erasure: ErasureDocument, calls: Sequence[CallDocument], session: AsyncIOMotorClientSession
    ) -> int:
        organization_id, them = erasure["organizationId"], self._collections
        await self._lock(organization_id, session)
        query = {
            "_id": {"$in": [call["_id"] for call in calls]},
            "organizationId": organization_id,
            "recordings.0": {"$exists": 1},
        }
        found = await them.calls.find(query, _SHOWN, session=session).to_list(None)
        if not found:
            return 0
        number = {"$add": [{"$ifNull": ["$lastChange.number", 0]}, 1]}
        changed: Document = {
            "recordings": [],
            "copies": "$$REMOVE",
            "recordingStatus": None,
            "recordingDeleted": {"at": "$$NOW", "afterDays": erasure.get("days")},
            "updatedAt": "$$NOW",
            # An amendment that was worked out from the recordings as they were is worked out again.
            "lastChange": {"number": number, "id": new_id(), "changed": ["recording"]},
        }
        await self._erasures.add_files(erasure, files_of(found), session)
        ids = [call["_id"] for call in found]
        await them.calls.update_many({"_id": {"$in": ids}}, [{"$set": changed}], session=session)
        counts = {"recordings": sum(len(call["recordings"]) for call in found)}
        await self._erasures.note(erasure["_id"], add=counts, session=session)
        await self._prove(erasure, ids, [], counts, session)
        return len(found)

    async def _lock(self, organization_id: str, session: AsyncIOMotorClientSession) -> Any:
        return await self._collections.counters.find_one_and_update(
            {"_id": organization_id},
            {"$inc": {"checks": 1}, "$setOnInsert": {"seq": 0}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
            session=session,
        )

    async def _count(self, organization_id: str, events: int, calls: int, session: AsyncIOMotorClientSession) -> Any:
        # By MongoDB's clock, by which the feed's retention goes, too.
        left = {"$max": [0, {"$subtract": [{"$ifNull": ["$calls", 0]}, calls]}]}
        return await self._collections.counters.find_one_and_update(
            {"_id": organization_id},
            [{"$set": {"seq": {"$add": [{"$ifNull": ["$seq", 0]}, events]}, "calls": left, "at": "$$NOW"}}],
            upsert=True,
            return_document=ReturnDocument.AFTER,
            session=session,
        )

    async def _announce(
        self, erasure: ErasureDocument, events: Sequence[Event], calls: int, session: AsyncIOMotorClientSession
    ) -> None:
        organization_id = erasure["organizationId"]
        counter = await self._count(organization_id, len(events), calls, session)
        segment: Any = segment_document(organization_id, counter["seq"], events, counter["at"])
        segment["forgets"] = True
        await self._collections.feed.insert_one(segment, session=session)

    async def _keep_digests(
        self, organization_id: str, calls: Sequence[CallDocument], session: AsyncIOMotorClientSession
    ) -> None:
        """Keep what makes a repetition known: neither the vendor's id nor anything of the call can be read from it."""
        now = datetime.now(UTC)
        kept: list[Document] = [
            {
                "_id": self._digest_of(call["userId"], call["providerCallId"]),
                "organizationId": organization_id,
                "callId": call["_id"],
                "at": now,
            }
            for call in calls
            if "providerCallId" in call
        ]
        if kept:
            changes = [ReplaceOne({"_id": one["_id"]}, one, upsert=True) for one in kept]
            await self._erased_calls.bulk_write(changes, ordered=False, session=session)

    async def _forget_contacts(
        self, erasure: ErasureDocument, calls: Sequence[CallDocument], session: AsyncIOMotorClientSession
    ) -> list[tuple[str, str]]:
        """Remove the contacts that have no call any more, with their conversations; return the ids of both."""
        organization_id, them = erasure["organizationId"], self._collections
        conversations = {call["contactId"]: call["conversationId"] for call in calls}
        if erasure["kind"] == "contact":
            own = {"_id": erasure["contactId"], "organizationId": organization_id}
            contact = await them.contacts.find_one(own, {"conversationId": 1}, session=session)
            conversations = {contact["_id"]: contact["conversationId"]} if contact is not None else {}
        gone: list[tuple[str, str]] = []
        for contact_id, conversation_id in conversations.items():
            of_contact = {"organizationId": organization_id, "contactId": contact_id}
            if await them.calls.find_one(of_contact, {"_id": 1}, session=session) is None:
                await them.messages.delete_many({"conversationId": conversation_id}, session=session)
                await them.conversations.delete_many({"contactId": contact_id}, session=session)
                await them.contacts.delete_one({"_id": contact_id, "organizationId": organization_id}, session=session)
                gone.append((contact_id, conversation_id))
            elif erasure["kind"] != "contact":
                newest = max(max(one["createdAt"], one["startTime"]) for one in calls if one["contactId"] == contact_id)
                await self._set_last_call(of_contact, newest, session)
        return gone

    async def _set_last_call(self, of_contact: Document, newest: datetime, session: AsyncIOMotorClientSession) -> None:
        """Let a contact say when the last of its calls was that are left; `newest` is the time of the newest one erased."""
        contact = await self._collections.contacts.find_one(
            {"_id": of_contact["contactId"]}, {"lastCallAt": 1}, session=session
        )
        if contact is None or newest < contact["lastCallAt"]:
            return
        started = {"$min": ["$startTime", "$createdAt"]}
        moment = {"$cond": [{"$eq": ["$historic", True]}, started, "$createdAt"]}
        pipeline = [{"$match": of_contact}, {"$group": {"_id": None, "last": {"$max": moment}}}]
        found = await self._collections.calls.aggregate(pipeline, session=session).to_list(1)
        if found:
            last: Any = found[0]
            await self._collections.contacts.update_one(
                {"_id": of_contact["contactId"]}, {"$set": {"lastCallAt": last["last"]}}, session=session
            )

    async def _prove(
        self,
        erasure: ErasureDocument,
        call_ids: list[str],
        contact_ids: list[str],
        counts: dict[str, int],
        session: AsyncIOMotorClientSession,
    ) -> None:
        what: What = "expired" if erasure["kind"] in RETENTION else "erased"
        details: dict[str, Any] = {"erasureId": erasure["_id"], "kind": erasure["kind"], **counts, "contactIds": contact_ids}
        if "before" in erasure:
            details["before"] = erasure["before"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
        await self._audit.add(
            erasure["organizationId"],
            what,
            erasure["userId"],
            door=erasure["door"],
            call_id=erasure.get("callId"),
            call_ids=call_ids,
            contact_id=erasure.get("contactId"),
            details=details,
            session=session,
        )


def files_of(calls: Iterable[CallDocument]) -> list[tuple[str, str | None]]:
    """Return the keys of the calls' recordings and of copies of them, each with the id of the recording."""
    return [(one["key"], one["recordingId"]) for call in calls for one in (*call["recordings"], *call.get("copies", ()))]
