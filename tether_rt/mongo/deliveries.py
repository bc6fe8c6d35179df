"""Kept deliveries and their sealed bodies: the collections `deliveries` and `delivery_bodies`.

A body is written first, then its file, then the delivery, and they are removed the other way round but for the delivery: what a
crash leaves of a body or a file expires.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypedDict, cast

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from tether_rt.domain.delivery import (
    MAX_ATTEMPTS,
    SENDER,
    SETTLED,
    Kind,
    Result,
    Verdict,
    expires_at,
)
from tether_rt.mongo.client import Database, Document
from tether_rt.mongo.documents import AttemptDocument, BodyDocument, Collections, DeliveryDocument

MOST_COUNTED: Final = 10_000
"""A list's `total` is counted up to here."""
MOST_SUMMED: Final = 100_000
"""Of a source's deliveries, the newest so many are counted by verdict: 0.1 s."""
LEASE_S: Final = 10
"""For how long one process alone may replay a delivery, unless it says that it still does."""
_NEWEST_FIRST: Final = [("at", -1), ("_id", -1)]
_OLDEST_FIRST: Final = [("at", 1), ("_id", 1)]
_READ_BATCH: Final = 100
_DUPLICATE_KEY: Final = 11000
_LEASE_UNTIL: Final = {"$dateAdd": {"startDate": "$$NOW", "unit": "second", "amount": LEASE_S}}
"""By MongoDB's clock, which all processes share."""


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Conditions for deliveries; None means any. Times are aware and `end` is excluded."""

    source_id: str | None = None
    verdicts: tuple[Verdict, ...] | None = None
    code: str | None = None
    call_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None

    def query(self, organization_id: str) -> Document:
        """Return the conditions as a MongoDB query for deliveries of one organization."""
        query: Document = {"organizationId": organization_id}
        for name, value in (("sourceId", self.source_id), ("code", self.code), ("callId", self.call_id)):
            if value is not None:
                query[name] = {"$eq": value}
        if self.verdicts is not None:
            query["verdict"] = {"$in": list(self.verdicts)}
        if at := {name: time for name, time in (("$gte", self.start), ("$lt", self.end)) if time is not None}:
            query["at"] = at
        return query


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal to be kept; equal ones have equal ids, and `times` says how many there were since the last write."""

    delivery_id: str
    organization_id: str
    source_id: str
    request_id: str
    at: datetime
    kind: Kind
    target: str | None
    result: Result
    size_bytes: int
    kept_bytes: int
    has_file: bool
    times: int = 1


class Reason(TypedDict):
    """How many deliveries have one verdict and code, and when the newest one came."""

    verdict: Verdict
    code: str | None
    count: int
    lastAt: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """Some deliveries of a list, and how many the whole list has, up to `MOST_COUNTED`."""

    deliveries: list[DeliveryDocument]
    total: int


class Deliveries:
    """Queries on both collections."""

    def __init__(self, database: Database) -> None:
        collections = Collections(database)
        self._deliveries = collections.deliveries
        self._bodies = collections.delivery_bodies

    # ------------------------------------------------------------------ written by the keeper

    async def add(self, refusals: Sequence[Refusal]) -> None:
        """Add the refusals; one whose delivery is there becomes an attempt of it."""
        await self._deliveries.bulk_write([_refused(refusal) for refusal in refusals], ordered=False)

    async def with_body(self, delivery_ids: Collection[str]) -> set[str]:
        """Return those of the deliveries whose body is stored."""
        cursor = self._bodies.find({"_id": {"$in": list(delivery_ids)}}, {"_id": 1})
        return {body["_id"] for body in await cursor.to_list(None)}

    async def add_bodies(self, bodies: Sequence[BodyDocument]) -> None:
        """Add bodies; one that another process has added meanwhile stays."""
        try:
            await self._bodies.insert_many(bodies, ordered=False)
        except BulkWriteError as error:
            if any(one["code"] != _DUPLICATE_KEY for one in error.details["writeErrors"]):
                raise

    async def prolong_bodies(self, delivery_ids: Collection[str], until: datetime) -> None:
        """Keep bodies for as long as their deliveries, which came again."""
        for name in ("expiresAt", "fileExpiresAt"):
            query = {"_id": {"$in": list(delivery_ids)}, name: {"$exists": True}}
            await self._bodies.update_many(query, {"$set": {name: until}})

    async def excess(self, organization_id: str, source_id: str, most: int, most_bytes: int) -> list[DeliveryDocument]:
        """Return the oldest refused deliveries of a source that are past the limits: their ids and `hasFile`.

        MongoDB adds up: a thousand documents would hold the event loop.
        """
        until_here = {"documents": ["unbounded", "current"]}
        counted = {
            "count": {"$sum": 1, "window": until_here},
            "size": {"$sum": "$keptBytes", "window": until_here},
        }
        cursor = self._deliveries.aggregate(
            [
                {"$match": {"organizationId": organization_id, "sourceId": source_id, "verdict": "refused"}},
                {"$project": {"at": 1, "keptBytes": 1, "hasFile": 1, "organizationId": 1}},
                {"$setWindowFields": {"sortBy": {"at": -1}, "output": counted}},
                {"$match": {"$or": [{"count": {"$gt": most}}, {"size": {"$gt": most_bytes}}]}},
            ]
        )
        return await cursor.to_list(None)

    async def expired_files(self, now: datetime, most: int) -> list[BodyDocument]:
        """Return bodies with a file whose time is over; MongoDB removes all else that has expired itself."""
        cursor = self._bodies.find({"fileExpiresAt": {"$lt": now}}, {"organizationId": 1}).limit(most)
        return await cursor.to_list(None)

    async def remove_bodies(self, delivery_ids: Collection[str]) -> None:
        """Remove bodies whose files are gone."""
        await self._bodies.delete_many({"_id": {"$in": list(delivery_ids)}})

    async def remove(self, delivery_ids: Collection[str]) -> None:
        """Remove deliveries whose files are gone, and their bodies."""
        await self.remove_bodies(delivery_ids)
        await self._deliveries.delete_many({"_id": {"$in": list(delivery_ids)}})

    # ------------------------------------------------------------------ vendors' webhooks

    async def add_webhooks(self, deliveries: Sequence[DeliveryDocument]) -> None:
        """Add deliveries of webhooks."""
        await self._deliveries.insert_many(deliveries, ordered=False)

    async def waiting(self, source_id: str, call_key: str, most: int) -> list[DeliveryDocument]:
        """Return the deliveries of a source that wait for other parts of the call with this key, the oldest first."""
        own = {"sourceId": source_id, "callKey": call_key, "nextAt": {"$exists": True}}
        return await self._deliveries.find(own).sort("at").limit(most).to_list(None)

    async def next_due(self, now: datetime, again_at: datetime) -> DeliveryDocument | None:
        """Return a waiting delivery that is to be looked at, or None; it is looked at next time `again_at`."""
        query = {"nextAt": {"$lte": now}}
        return await self._deliveries.find_one_and_update(query, {"$set": {"nextAt": again_at}}, sort=[("nextAt", 1)])

    async def wait_on(self, delivery_id: str, code: str, until: datetime) -> None:
        """Note why a delivery waits, and when it is looked at again."""
        still = {"_id": delivery_id, "nextAt": {"$exists": True}}
        await self._deliveries.update_one(still, {"$set": {"code": code, "nextAt": until, "attempts.0.code": code}})

    async def settle(self, settled: Sequence[tuple[DeliveryDocument, Result]]) -> None:
        """Note what became of deliveries that waited; they wait no more. One that was settled by now stays as it is."""
        await self._deliveries.bulk_write([_settled(*one) for one in settled], ordered=False)

    # ------------------------------------------------------------------ read by people

    async def page(self, organization_id: str, chosen: DeliveryFilter, *, limit: int, before: str | None = None) -> Page | None:
        """Return one page, newest first, from the delivery with the id `before` on if that is given; None if there is none."""
        query = listed = chosen.query(organization_id)
        if before is not None:
            anchor = await self.find(organization_id, before)
            if anchor is None:
                return None
            older = [{"at": {"$lt": anchor["at"]}}, {"at": anchor["at"], "_id": {"$lt": before}}]
            listed = {"$and": [query, {"$or": older}]}
        deliveries = await self._deliveries.find(listed).sort(_NEWEST_FIRST).limit(limit).to_list(None)
        return Page(deliveries, await self.count(organization_id, chosen))

    async def count(self, organization_id: str, chosen: DeliveryFilter) -> int:
        """Return how many there are, up to `MOST_COUNTED`."""
        return await self._deliveries.count_documents(chosen.query(organization_id), limit=MOST_COUNTED)

    async def find(self, organization_id: str, delivery_id: str) -> DeliveryDocument | None:
        """Return a delivery of the organization."""
        return await self._deliveries.find_one({"_id": delivery_id, "organizationId": organization_id})

    async def body(self, organization_id: str, delivery_id: str) -> BodyDocument | None:
        """Return the sealed body of a delivery of the organization."""
        return await self._bodies.find_one({"_id": delivery_id, "organizationId": organization_id})

    async def every_body(self) -> AsyncGenerator[BodyDocument, None]:
        """Yield every body of every organization, each read when it is its turn."""
        async for one in self._bodies.find({}, {"_id": 1}):
            if (body := await self._bodies.find_one({"_id": one["_id"]})) is not None:
                yield body

    async def replace_sealed(self, body: BodyDocument, sealed: bytes) -> None:
        """Store a body as it is encrypted now, unless it was replaced meanwhile."""
        await self._bodies.update_one({"_id": body["_id"], "sealed": body["sealed"]}, {"$set": {"sealed": sealed}})

    async def reasons(self, organization_id: str) -> list[Reason]:
        """Return the counts by verdict and code, the most frequent first."""
        grouped = {"_id": {"verdict": "$verdict", "code": "$code"}, "count": {"$sum": 1}, "lastAt": {"$max": "$at"}}
        order = {"count": -1, "lastAt": -1, "_id": 1}
        cursor = self._deliveries.aggregate(
            [{"$match": {"organizationId": organization_id}}, {"$group": grouped}, {"$sort": order}]
        )
        rows = cast("list[Document]", await cursor.to_list(None))
        return [
            Reason(verdict=row["_id"]["verdict"], code=row["_id"]["code"], count=row["count"], lastAt=row["lastAt"])
            for row in rows
        ]

    async def verdicts(self, organization_id: str, source_id: str, start: datetime) -> dict[str, int]:
        """Return how many deliveries of a source since `start` have each verdict, of the newest `MOST_SUMMED`."""
        query = DeliveryFilter(source_id=source_id, start=start).query(organization_id)
        cursor = self._deliveries.aggregate(
            [
                {"$match": query},
                {"$sort": dict(_NEWEST_FIRST)},
                {"$limit": MOST_SUMMED},
                {"$group": {"_id": "$verdict", "count": {"$sum": 1}}},
            ]
        )
        rows = cast("list[Document]", await cursor.to_list(None))
        return {row["_id"]: row["count"] for row in sorted(rows, key=lambda row: -row["count"])}

    # ------------------------------------------------------------------ replayed

    async def oldest_first(self, organization_id: str, chosen: DeliveryFilter) -> AsyncGenerator[DeliveryDocument, None]:
        """Yield the deliveries, the oldest first, in batches; one that stops matching before its batch is left out."""
        query = chosen.query(organization_id)
        newer: list[Document] = []
        while True:
            cursor = self._deliveries.find({"$and": [query, *newer]}).sort(_OLDEST_FIRST).limit(_READ_BATCH)
            batch = await cursor.to_list(None)
            for delivery in batch:
                yield delivery
            if len(batch) < _READ_BATCH:
                return
            last = batch[-1]
            newer = [{"$or": [{"at": {"$gt": last["at"]}}, {"at": last["at"], "_id": {"$gt": last["_id"]}}]}]

    async def claim(self, organization_id: str, delivery_id: str, holder: str) -> DeliveryDocument | None:
        """Lease the delivery to `holder` for `LEASE_S`; return it, or None if another one holds it or it is gone."""
        free = {"$expr": {"$lt": ["$lease.until", "$$NOW"]}}  # what is missing is less than any time
        lease = [{"$set": {"lease": {"holder": holder, "until": _LEASE_UNTIL}}}]
        query = {"_id": delivery_id, "organizationId": organization_id, **free}
        return await self._deliveries.find_one_and_update(query, lease)

    async def renew(self, delivery_id: str, holder: str) -> None:
        """Hold the lease for another `LEASE_S`."""
        await self._deliveries.update_one(
            {"_id": delivery_id, "lease.holder": holder}, [{"$set": {"lease.until": _LEASE_UNTIL}}]
        )

    async def release(self, delivery_id: str, holder: str) -> None:
        """End the lease."""
        await self._deliveries.update_one({"_id": delivery_id, "lease.holder": holder}, {"$unset": {"lease": ""}})

    async def note_attempt(self, delivery: DeliveryDocument, result: Result, at: datetime, by: str) -> None:
        """Write what became of a replay into its delivery. That nothing was new leaves a `SETTLED` verdict as it is."""
        pushed = _attempts([attempt_of(result, at, by)], 1)
        changed: Document = {}
        if not (result.verdict == "duplicate" and delivery["verdict"] in SETTLED):
            shown = result._asdict()
            changed = {name: shown[name] for name in ("verdict", "code", "field", "error")}
            changed |= {"callId": result.call_id, "errors": _errors(result)}
            changed["expiresAt"] = expires_at(delivery["at"], result.verdict)
        await self._deliveries.update_one({"_id": delivery["_id"]}, {**pushed, **({"$set": changed} if changed else {})})


def _refused(refusal: Refusal) -> UpdateOne:
    result = refusal.result
    always: Document = {
        "at": refusal.at,
        "requestId": refusal.request_id,
        "verdict": result.verdict,
        "error": result.error,
        "errors": _errors(result),
        "expiresAt": expires_at(refusal.at, result.verdict),
    }
    first: Document = {
        "organizationId": refusal.organization_id,
        "sourceId": refusal.source_id,
        "kind": refusal.kind,
        "target": refusal.target,
        "code": result.code,
        "field": result.field,
        "callId": None,
        "bytes": refusal.size_bytes,
        "keptBytes": refusal.kept_bytes,
        "hasFile": refusal.has_file,
        "notes": [],
    }
    attempts = _attempts([attempt_of(result, refusal.at, SENDER)], refusal.times)
    return UpdateOne({"_id": refusal.delivery_id}, {"$set": always, "$setOnInsert": first, **attempts}, upsert=True)


def _settled(delivery: DeliveryDocument, result: Result) -> UpdateOne:
    shown = result._asdict()
    changed: Document = {name: shown[name] for name in ("verdict", "code", "field", "error")}
    first = {f"attempts.0.{name}": value for name, value in {**changed, "callId": result.call_id}.items()}
    changed |= {"callId": result.call_id, "expiresAt": expires_at(delivery["at"], result.verdict)}
    still = {"_id": delivery["_id"], "nextAt": {"$exists": True}}
    return UpdateOne(still, {"$set": {**changed, **first}, "$unset": {"nextAt": ""}})


def _errors(result: Result) -> list[Document]:
    return [fault._asdict() for fault in result.faults]


def _attempts(attempts: Iterable[AttemptDocument], times: int) -> Document:
    return {"$push": {"attempts": {"$each": list(attempts), "$slice": -MAX_ATTEMPTS}}, "$inc": {"times": times}}


def attempt_of(result: Result, at: datetime, by: str) -> AttemptDocument:
    """Return an attempt of a delivery as it is stored."""
    return {
        "at": at,
        "verdict": result.verdict,
        "code": result.code,
        "field": result.field,
        "error": result.error,
        "callId": result.call_id,
        "by": by,
    }
