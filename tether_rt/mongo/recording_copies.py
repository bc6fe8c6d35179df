"""Copies of recordings that every browser plays: `copies` of a call names them, the collection `recording_copies` says who
makes one, and why there is none.

A claim is a lease: `until` is when another process may take it. All times are MongoDB's, which all processes share.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pymongo import ReturnDocument

from tether_rt.mongo.client import Database, Document, new_id
from tether_rt.mongo.documents import Collections, CopyDocument, RecordingCopyDocument

MAX_FAILURES: Final = 3
"""After so many converters that crashed or took too long, a recording counts as one of which no copy can be made."""
_KEPT_S: Final = 30 * 86_400
"""How long it is remembered that there is no copy."""


class NoCopy(NamedTuple):
    """Why there is no copy and will be none."""

    outcome: str


class Claim(NamedTuple):
    """What is known of a recording, and whether it was claimed. Nobody has it if it has no `holder`."""

    document: RecordingCopyDocument
    is_held: bool


class RecordingCopies:
    """Queries on both."""

    def __init__(self, database: Database) -> None:
        collections = Collections(database)
        self._calls = collections.calls
        self._claims = collections.recording_copies

    async def find(self, organization_id: str, call_id: str, recording_id: str) -> CopyDocument | None:
        """Return the copy of a call's recording."""
        query: Document = {"_id": call_id, "organizationId": organization_id, "copies.recordingId": recording_id}
        call = await self._calls.find_one(query, {"copies.$": 1})
        return call["copies"][0] if call else None

    async def refusal(self, recording_id: str, version: int) -> NoCopy | None:
        """Return why there will be no copy of a recording; what an older version of the converter found does not count."""
        found = await self._claims.find_one({"_id": recording_id, "version": {"$gte": version}})
        outcome = found and found.get("outcome")
        return NoCopy(outcome) if outcome else None

    async def claim(self, recording_id: str, lease_s: float) -> Claim:
        """Claim a recording, unless somebody has it, or its converter failed a short time ago."""
        holder = new_id()
        is_free = {"$lte": [{"$ifNull": ["$until", "$$NOW"]}, "$$NOW"]}
        held = {"holder": holder, "until": _in(lease_s), "expiresAt": _in(_KEPT_S)}
        claimed = {name: {"$cond": [is_free, value, f"${name}"]} for name, value in held.items()}
        found = await self._claims.find_one_and_update(
            {"_id": recording_id}, [{"$set": claimed}], upsert=True, return_document=ReturnDocument.AFTER
        )
        assert found is not None
        return Claim(found, found.get("holder") == holder)

    async def renew(self, claimed: RecordingCopyDocument, lease_s: float) -> None:
        """Hold a claim for longer; one that was lost stays lost."""
        await self._claims.update_one(_own(claimed), [{"$set": {"until": _in(lease_s)}}])

    async def give_back(self, claimed: RecordingCopyDocument) -> None:
        """Leave the recording to whoever asks next."""
        await self._claims.update_one(_own(claimed), {"$unset": {"until": 1, "holder": 1}})

    async def put_off(self, claimed: RecordingCopyDocument, wait_s: float, version: int) -> None:
        """Count a converter that failed: nobody tries again for `wait_s`, and nobody ever after `MAX_FAILURES`."""
        failures = claimed.get("failures", 0) + 1
        if failures >= MAX_FAILURES:
            await self.refuse(claimed, "failed", version)
            return
        await self._claims.update_one(
            _own(claimed), [{"$set": {"until": _in(wait_s), "failures": failures}}, {"$unset": "holder"}]
        )

    async def refuse(self, claimed: RecordingCopyDocument, outcome: str, version: int) -> None:
        """Note why there will be no copy."""
        await self._claims.update_one(
            _own(claimed), {"$set": {"outcome": outcome, "version": version}, "$unset": {"until": 1, "holder": 1}}
        )

    async def store(self, organization_id: str, call_id: str, copy: CopyDocument) -> bool:
        """Name a copy in its call; return False if the call is not there, or has a copy of that recording."""
        recording_id = copy["recordingId"]
        query: Document = {
            "_id": call_id,
            "organizationId": organization_id,
            "recordings.recordingId": recording_id,
            "copies.recordingId": {"$ne": recording_id},
        }
        stored = await self._calls.update_one(query, {"$push": {"copies": copy}})
        return stored.modified_count == 1

    async def done(self, claimed: RecordingCopyDocument) -> None:
        """Forget a claim whose copy is stored."""
        await self._claims.delete_one(_own(claimed))


def _own(claimed: RecordingCopyDocument) -> Document:
    return {"_id": claimed["_id"], "holder": claimed["holder"]}


def _in(seconds: float) -> Document:
    return {"$dateAdd": {"startDate": "$$NOW", "unit": "millisecond", "amount": int(seconds * 1000)}}
