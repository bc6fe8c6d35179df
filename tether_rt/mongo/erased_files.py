"""What of erased calls lies beside them: deliveries with their bodies, waveforms, and who else has a recording."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Final, cast

from tether_rt.domain.delivery import FAILED
from tether_rt.domain.erasure import ErasureDocument
from tether_rt.mongo.client import Database, Document
from tether_rt.mongo.documents import CallDocument, Collections
from tether_rt.mongo.erasures import Erasures

_PAGE_CALLS: Final = 2_000
"""MongoDB looks through so many calls in one query."""
_SHOWN: Final = {"organizationId": 1, "hasFile": 1, "audio.key": 1, "audio.recordingId": 1}


class ErasedFiles:
    """Queries on `deliveries`, `delivery_bodies`, `peaks` and `calls`."""

    def __init__(self, database: Database, erasures: Erasures) -> None:
        collections = Collections(database)
        self._deliveries = collections.deliveries
        self._bodies = collections.delivery_bodies
        self._peaks = collections.peaks
        self._copies = collections.recording_copies
        self._calls = collections.calls
        self._contacts = collections.contacts
        self._erasures = erasures

    async def remove_deliveries(self, erasure: ErasureDocument, calls: Sequence[CallDocument]) -> int:
        """Remove what sources have sent for these calls; their files are noted. Return how many there were."""
        organization_id = erasure["organizationId"]
        named = [one for call in calls for one in call.get("deliveries", ())]
        any_of: list[Document] = [{"callId": {"$in": [call["_id"] for call in calls]}}, {"_id": {"$in": named}}]
        by_source: dict[str, list[str]] = {}
        for call in calls:
            if call.get("deliveries") is not None and "providerCallId" in call:
                by_source.setdefault(call["userId"], []).append(call["providerCallId"])
        any_of += [{"sourceId": source_id, "target": {"$in": targets}} for source_id, targets in by_source.items()]
        if numbers := await self._numbers(calls):
            # What was refused belongs to no call, but its sentence may say which number was meant.
            said = {"$regex": "|".join(re.escape(number.removeprefix("+")) for number in numbers)}
            fields = ("error", "errors.error", "attempts.error")
            any_of.append({"verdict": {"$in": list(FAILED)}, "$or": [{field: said} for field in fields]})
        return sum([await self._remove(erasure, {"organizationId": organization_id, **one}) for one in any_of])

    async def _numbers(self, calls: Sequence[CallDocument]) -> list[str]:
        query: Document = {"_id": {"$in": list({call["contactId"] for call in calls})}, "number": {"$exists": True}}
        return [str(contact["number"]) for contact in await self._contacts.find(query, {"number": 1}).to_list(None)]

    async def remove_deliveries_of(self, erasure: ErasureDocument, call_ids: Collection[str]) -> int:
        """Remove what sources have sent and became one of these calls."""
        return await self._remove(erasure, {"organizationId": erasure["organizationId"], "callId": {"$in": list(call_ids)}})

    async def _remove(self, erasure: ErasureDocument, query: Document) -> int:
        """Note the files, then remove the bodies, then the deliveries, which name both."""
        found = await self._deliveries.find(query, _SHOWN).to_list(None)
        files: list[tuple[str, str | None]] = []
        for one in found:
            if one["hasFile"]:
                files.append((f"deliveries/{one['organizationId']}/{one['_id']}", None))
            if "audio" in one:
                files.append((one["audio"]["key"], one["audio"]["recordingId"]))
        await self._erasures.add_files(erasure, files)
        ids = {"_id": {"$in": [one["_id"] for one in found]}}
        if found:
            await self._bodies.delete_many(ids)
            await self._deliveries.delete_many(ids)
        return len(found)

    async def remove_waveforms(self, recording_ids: Collection[str | None]) -> None:
        """Remove the waveforms of recordings, and what is known of copies of them."""
        if recording_ids:
            await self._peaks.delete_many({"_id": {"$in": list(recording_ids)}})
            await self._copies.delete_many({"_id": {"$in": list(recording_ids)}})

    async def with_recordings(self, erasure: ErasureDocument, most: int) -> AsyncIterator[list[CallDocument]]:
        """Yield the calls from before the erasure's time that have a recording, `most` at a time, the oldest first."""
        async for page in self._pages({"organizationId": erasure["organizationId"], "startTime": {"$lt": erasure["before"]}}):
            calls = [call for call in page if call["recordings"]]
            for start in range(0, len(calls), most):
                yield calls[start : start + most]

    async def shared(self, erasure: ErasureDocument, keys: Collection[str]) -> set[str]:
        """Return those of the keys that calls name which are not erased: earlier versions gave the same sound one key.

        A key of today has its call's id, and is no other call's. Each look for older ones goes through all calls.
        """
        older = {key for key in keys if _is_shareable(key)}
        shared: set[str] = set()
        if not older:
            return shared
        async for page in self._pages({"organizationId": erasure["organizationId"]}):
            left = [call for call in page if {one["key"] for one in call["recordings"]} & older]
            doomed = set(await self._erasures.doomed(erasure, [call["_id"] for call in left])) if left else set()
            shared |= {one["key"] for call in left if call["_id"] not in doomed for one in call["recordings"]} & older
        return shared

    async def _pages(self, query: Document) -> AsyncIterator[list[CallDocument]]:
        """Yield all calls of a query with their recordings, a page at a time, in the order of an index."""
        order = [("startTime", 1), ("_id", 1)]
        after: Document = {}
        while True:
            found = self._calls.find({"$and": [query, after]}, {"recordings": 1, "startTime": 1}).sort(order).limit(_PAGE_CALLS)
            page = cast("list[Any]", await found.to_list(None))
            if page:
                yield page
            if len(page) < _PAGE_CALLS:
                return
            last = page[-1]
            after = {
                "startTime": {"$gte": last["startTime"]},
                "$or": [{"startTime": {"$gt": last["startTime"]}}, {"_id": {"$gt": last["_id"]}}],
            }


def _is_shareable(key: str) -> bool:
    folder, _, name = key.rpartition("/")
    return folder.startswith("recordings/") and len(name.partition(".")[0]) == 64  # SHA-256 in hex
