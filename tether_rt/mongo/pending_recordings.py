"""Recordings that are fetched after their call was stored: the collection `pending_recordings`.

A batch adds the document in the transaction that stores the call (`batch_plan`). `nextAt` says when it is to be tried next, and
is its lease as well: a process that claims it moves `nextAt` on, and nobody else finds it due until then. All times are
MongoDB's, which all processes share.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from pymongo import ReturnDocument

from tether_rt.mongo.client import Database, Document, new_id
from tether_rt.mongo.documents import Collections, PendingRecordingDocument

KEPT_DAYS: Final = 30
"""How long the address of a recording that was given up can be tried again."""
_IS_DUE: Final = {"$expr": {"$lte": ["$nextAt", "$$NOW"]}}


class Due(NamedTuple):
    """A recording that may be claimed."""

    call_id: str
    organization_id: str


class PendingRecordings:
    """Queries on the collection. A claim is held by the document's `holder`; one that was lost changes nothing."""

    def __init__(self, database: Database) -> None:
        collections = Collections(database)
        self._pending = collections.pending_recordings
        self._calls = collections.calls

    async def due(self, limit: int, without: Collection[str]) -> list[Due]:
        """Return those that are due for the longest time, at most `limit`.

        `without` are organizations whose recordings are left out.
        """
        query: Document = {"nextAt": {"$type": "date"}, **_IS_DUE}
        if without:
            query["organizationId"] = {"$nin": list(without)}
        found = self._pending.find(query, {"organizationId": 1}).sort("nextAt", 1).limit(limit)
        return [Due(one["_id"], one["organizationId"]) async for one in found]

    async def claim(self, call_ids: Collection[str], lease_s: float) -> list[PendingRecordingDocument]:
        """Claim those that are still due, and return them. The attempt is counted."""
        ids = {"_id": {"$in": list(call_ids)}}
        held = {"holder": new_id(), "nextAt": _in(lease_s), "attempts": {"$add": ["$attempts", 1]}}
        changed = await self._pending.update_many({**ids, "nextAt": {"$type": "date"}, **_IS_DUE}, [{"$set": held}])
        if not changed.modified_count:
            return []
        return await self._pending.find({**ids, "holder": held["holder"]}).to_list(None)

    async def reopen(self, organization_id: str, call_id: str, lease_s: float) -> PendingRecordingDocument | None:
        """Claim one that was given up, as if it had never been tried; None if the call has none."""
        query: Document = {"_id": call_id, "organizationId": organization_id, "nextAt": None}
        held = {"holder": new_id(), "nextAt": _in(lease_s), "attempts": 0, "expiresAt": "$$REMOVE"}
        return await self._pending.find_one_and_update(query, [{"$set": held}], return_document=ReturnDocument.AFTER)

    async def renew(self, claimed: PendingRecordingDocument, lease_s: float) -> bool:
        """Hold a claim for longer; say if it is still held."""
        renewed = await self._pending.update_one(_own(claimed), [{"$set": {"nextAt": _in(lease_s)}}])
        return renewed.matched_count == 1

    async def put_off(self, claimed: PendingRecordingDocument, wait_s: float, attempts: int) -> None:
        """Give a claim back: it is due in `wait_s` seconds, and was tried `attempts` times."""
        changed = {"nextAt": _in(wait_s), "attempts": attempts, "holder": "$$REMOVE"}
        await self._pending.update_one(_own(claimed), [{"$set": changed}])

    async def give_back(self, claimed: Sequence[PendingRecordingDocument]) -> None:
        """Give those back that are still held: they are due now, and the attempt does not count."""
        changed = {"nextAt": "$$NOW", "attempts": {"$subtract": ["$attempts", 1]}, "holder": "$$REMOVE"}
        await self._pending.update_many({"$or": [_own(one) for one in claimed]}, [{"$set": changed}])

    async def give_up(self, claimed: PendingRecordingDocument) -> None:
        """Keep the address for `KEPT_DAYS`, so that a person can have it tried again."""
        changed = {"nextAt": None, "expiresAt": _in(KEPT_DAYS * 86_400), "holder": "$$REMOVE"}
        await self._pending.update_one(_own(claimed), [{"$set": changed}])

    async def remove(self, claimed: Sequence[PendingRecordingDocument]) -> None:
        """Remove those whose calls have their recording, or are not there any more."""
        await self._pending.delete_many({"$or": [_own(one) for one in claimed]})

    async def count(self, organization_id: str | None = None, most: int = 1_000_000) -> int:
        """Return how many wait to be fetched, of one organization or of all, counted up to `most`."""
        query: Document = {"nextAt": {"$type": "date"}}
        if organization_id is not None:
            query["organizationId"] = organization_id
        return await self._pending.count_documents(query, limit=most)

    async def wanted(self, claimed: Sequence[PendingRecordingDocument]) -> list[bool]:
        """Say of each if its call is there and has no recording yet."""
        query = {"_id": {"$in": [one["_id"] for one in claimed]}}
        calls = self._calls.find(query, {"organizationId": 1, "recordings.recordingId": 1})
        open_calls = {(call["_id"], call["organizationId"]) async for call in calls if not call["recordings"]}
        return [(one["_id"], one["organizationId"]) in open_calls for one in claimed]


def _own(claimed: PendingRecordingDocument) -> Document:
    return {"_id": claimed["_id"], "holder": claimed["holder"]}


def _in(seconds: float) -> Document:
    return {"$dateAdd": {"startDate": "$$NOW", "unit": "millisecond", "amount": int(seconds * 1000)}}
