"""What is being erased: the collections `erasures` and `erasure_files`.

An erasure is written before anything is removed and says what is to be done; any process goes on with it. `nextAt` says when it
is worked on next, and is its lease as well. All times are MongoDB's, which all processes share.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple, TypedDict, cast

from motor.motor_asyncio import AsyncIOMotorClientSession, AsyncIOMotorCollection
from pymongo import ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from tether_rt.domain.audit import Door
from tether_rt.domain.erasure import NOTHING, ErasureDocument, Kind
from tether_rt.mongo.client import Database, Document, new_id
from tether_rt.mongo.documents import CallDocument, Collections

LEASE_S: Final = 20
KEPT_S: Final = 7 * 86_400
"""How long an erasure that is done can be looked at."""
MOST_COUNTED: Final = 10_000
_IS_DUE: Final = {"$expr": {"$lte": ["$nextAt", "$$NOW"]}}


class FileDocument(TypedDict):
    """A file of the recording store that is to be removed; the id is its key. `recordingId` is that of its waveform."""

    _id: str
    organizationId: str
    erasureId: str
    recordingId: str | None


class Asked(NamedTuple):
    """What somebody wants to be erased; `user_id` is None for the command line and the retention."""

    organization_id: str
    kind: Kind
    user_id: str | None
    door: Door
    call_id: str | None = None
    contact_id: str | None = None
    before: datetime | None = None
    days: int | None = None
    """In place of `before`: so many days ago, by MongoDB's clock."""
    erasure_id: str | None = None


class Erasures:
    """Queries on both collections, and for what is still to be erased."""

    def __init__(self, database: Database) -> None:
        self._erasures = cast("AsyncIOMotorCollection[ErasureDocument]", database["erasures"])
        self._files = cast("AsyncIOMotorCollection[FileDocument]", database["erasure_files"])
        collections = Collections(database)
        self._calls = collections.calls
        self._contacts = collections.contacts

    async def exists(self, asked: Asked) -> bool:
        """Say if the call or contact is there that is to be erased."""
        own: Document = {"organizationId": asked.organization_id}
        if asked.kind == "call":
            return await self._calls.find_one({**own, "_id": asked.call_id}, {"_id": 1}) is not None
        if asked.kind == "contact":
            return await self._contacts.find_one({**own, "_id": asked.contact_id}, {"_id": 1}) is not None
        return True

    async def is_recent(self, asked: Asked, seconds: float) -> bool:
        """Say if the erasure with the same id and days is under way, or was begun within that time."""
        recent = {"$expr": {"$gt": ["$at", _in(-seconds)]}, "days": asked.days}
        query: Document = {"_id": asked.erasure_id, "$or": [{"nextAt": {"$type": "date"}}, recent]}
        return await self._erasures.find_one(query, {"_id": 1}) is not None

    async def contact_with(self, organization_id: str, numbers: Collection[str]) -> str | None:
        """Return the id of the contact with one of these numbers."""
        query = {"organizationId": organization_id, "number": {"$in": list(numbers)}}
        found = await self._contacts.find_one(query, {"_id": 1})
        return found["_id"] if found is not None else None

    async def begin(self, asked: Asked) -> ErasureDocument | None:
        """Write down what is to be erased, and claim it. None if another process works on the one with the same id."""
        erasure_id = asked.erasure_id or new_id()
        before = asked.before if asked.days is None else _days_ago(asked.days)
        named = {"callId": asked.call_id, "contactId": asked.contact_id, "before": before, "days": asked.days}
        document: Document = {
            "organizationId": asked.organization_id,
            "kind": asked.kind,
            **{name: value for name, value in named.items() if value is not None},
            "userId": asked.user_id,
            "door": asked.door,
            "at": "$$NOW",
            "nextAt": _in(LEASE_S),
            "walkedTo": 0,
            "failures": 0,
            "erased": dict(NOTHING),
        }
        change = [{"$replaceWith": {"_id": erasure_id, **document}}]
        query: Document = {"_id": erasure_id, "nextAt": None}  # a retention's, that was done before, begins anew
        try:
            return await self._erasures.find_one_and_update(query, change, upsert=True, return_document=ReturnDocument.AFTER)
        except DuplicateKeyError:
            return None

    async def count(self) -> int:
        """Return how many are not done, of all organizations."""
        return await self._erasures.count_documents({"nextAt": {"$type": "date"}}, limit=MOST_COUNTED)

    async def claim(self) -> ErasureDocument | None:
        """Claim the erasure that is due for the longest time, or return None."""
        change = [{"$set": {"nextAt": _in(LEASE_S)}}]
        query: Document = {"nextAt": {"$type": "date"}, **_IS_DUE}
        return await self._erasures.find_one_and_update(
            query, change, sort=[("nextAt", 1)], return_document=ReturnDocument.AFTER
        )

    async def renew(self, erasure_id: str) -> ErasureDocument | None:
        """Hold the lease for longer, and return the erasure as it is now."""
        change = [{"$set": {"nextAt": _in(LEASE_S), "failures": 0}}]
        return await self._erasures.find_one_and_update(
            {"_id": erasure_id, "nextAt": {"$type": "date"}}, change, return_document=ReturnDocument.AFTER
        )

    async def put_off(self, erasure_id: str, wait_s: float) -> None:
        """Try again in `wait_s` seconds."""
        change = [{"$set": {"nextAt": _in(wait_s), "failures": {"$add": ["$failures", 1]}}}]
        await self._erasures.update_one({"_id": erasure_id, "nextAt": {"$type": "date"}}, change)

    async def finish(self, erasure_id: str) -> None:
        """Note that nothing is left to do."""
        done = {"nextAt": None, "expiresAt": _in(KEPT_S)}
        await self._erasures.update_one({"_id": erasure_id}, [{"$set": done}])

    async def find(self, erasure_id: str) -> ErasureDocument | None:
        """Return an erasure as it is now."""
        return await self._erasures.find_one({"_id": erasure_id})

    async def note(
        self,
        erasure_id: str,
        *,
        add: dict[str, int] | None = None,
        session: AsyncIOMotorClientSession | None = None,
        **changed: Any,
    ) -> None:
        """Add to the counts of what was erased, and set fields."""
        change: Document = {}
        if add:
            change["$inc"] = {f"erased.{name}": count for name, count in add.items()}
        if changed:
            change["$set"] = changed
        await self._erasures.update_one({"_id": erasure_id}, change, session=session)

    # ------------------------------------------------------------------ calls

    async def next_calls(self, erasure: ErasureDocument, most: int) -> list[CallDocument]:
        """Return some of the calls that are to be erased, with what is needed to erase them."""
        shown = {
            "deliveries": 1,
            "recordings": 1,
            "copies": 1,
            "userId": 1,
            "providerCallId": 1,
            "contactId": 1,
            "startTime": 1,
        }
        return await self._calls.find(calls_of(erasure), shown).sort([("startTime", 1), ("_id", 1)]).limit(most).to_list(None)

    async def count_calls(self, erasure: ErasureDocument) -> int:
        """Return how many calls are still to be erased, counted up to `MOST_COUNTED`."""
        return await self._calls.count_documents(calls_of(erasure), limit=MOST_COUNTED)

    async def doomed(self, erasure: ErasureDocument, call_ids: Collection[str]) -> list[str]:
        """Return those of the calls that are to be erased."""
        query = {**calls_of(erasure), "_id": {"$in": list(call_ids)}}
        return [call["_id"] async for call in self._calls.find(query, {"_id": 1})]

    # ------------------------------------------------------------------ files

    async def add_files(
        self,
        erasure: ErasureDocument,
        files: Iterable[tuple[str, str | None]],
        session: AsyncIOMotorClientSession | None = None,
    ) -> None:
        """Note files that are to be removed: keys, each with the id of the recording or None."""
        own = {"organizationId": erasure["organizationId"], "erasureId": erasure["_id"]}
        changes = [
            UpdateOne({"_id": key}, {"$set": {**own, "recordingId": recording_id}}, upsert=True) for key, recording_id in files
        ]
        if changes:
            await self._files.bulk_write(changes, ordered=False, session=session)

    async def files(self, erasure_id: str, most: int) -> list[FileDocument]:
        """Return some of the files that are to be removed."""
        return await self._files.find({"erasureId": erasure_id}).limit(most).to_list(None)

    async def count_files(self, erasure_id: str) -> int:
        """Return how many files are to be removed."""
        return await self._files.count_documents({"erasureId": erasure_id}, limit=MOST_COUNTED)

    async def forget_files(self, keys: Collection[str]) -> None:
        """Note that files are gone."""
        await self._files.delete_many({"_id": {"$in": list(keys)}})


def calls_of(erasure: ErasureDocument) -> Document:
    """Return the query for the calls that are to be erased."""
    query: Document = {"organizationId": erasure["organizationId"]}
    if erasure["kind"] == "call":
        return {**query, "_id": erasure["callId"]}
    if erasure["kind"] == "contact":
        return {**query, "contactId": erasure["contactId"]}
    return {**query, "startTime": {"$lt": erasure["before"]}}


def _days_ago(days: int) -> Document:
    return {"$dateSubtract": {"startDate": "$$NOW", "unit": "day", "amount": days}}


def _in(seconds: float) -> Document:
    return {"$dateAdd": {"startDate": "$$NOW", "unit": "millisecond", "amount": int(seconds * 1000)}}
