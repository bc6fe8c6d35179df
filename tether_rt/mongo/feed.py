"""Queries on `feed` and `counters`: an organization's events, its last number, and the stream of new events.

Everything is read with read concern majority: a dashboard must never see an event that a failover rolls back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Final

from bson import Int64, Timestamp

from tether_rt.domain.events import FeedSegment
from tether_rt.errors import Unavailable
from tether_rt.mongo.client import MAJORITY, Database, Document
from tether_rt.mongo.documents import Collections
from tether_rt.mongo.wire.loop_connection import LoopConnection
from tether_rt.mongo.wire.op_msg import Command, find, logical_session

READS_AT_ONCE: Final = 4
"""Reads of `feed` that may be under way at a time. After a restart a thousand dashboards wait here for their turn, which leaves
most of the driver's threads (5 per core) to other work."""

_AWAIT_MS: Final = 500
"""How long MongoDB waits for new segments before it answers with none."""
_BATCH_DOCUMENTS: Final = 64
_CLOSED_CURSOR: Final = 0
"""The id that MongoDB gives a cursor that has ended."""


class Feed:
    """Queries on the segments and counters of all organizations."""

    def __init__(self, database: Database) -> None:
        self._database = database
        collections = Collections(database)
        self._feed = collections.feed.with_options(read_concern=MAJORITY)
        self._counters = collections.counters.with_options(read_concern=MAJORITY)
        self._reads = asyncio.Semaphore(READS_AT_ONCE)

    async def epoch(self) -> str:
        """Return the UUID of the collection `feed` as 32 hexadecimal digits.

        MongoDB gives a collection a new one when it is dropped and created again, as a restore does. Raises `Unavailable` when
        there is no such collection, and the driver's errors.
        """
        found = await (await self._database.list_collections(filter={"name": "feed"})).to_list(1)
        if not found:
            raise Unavailable("The collection feed is missing; `tether-rt indexes` creates it.")
        return bytes(found[0]["info"]["uuid"]).hex()

    async def renew_epoch(self) -> str:
        """Give the database another epoch and return it; nobody may commit events meanwhile. Raises as `epoch`.

        MongoDB writes the documents into a new collection, with the old one's indexes, and puts it in its place
        (mongodb.com/docs/manual/reference/operator/aggregation/out).
        """
        await self._database["feed"].aggregate([{"$out": "feed"}]).to_list(None)
        return await self.epoch()

    async def last_number(self, organization_id: str) -> int:
        """Return the number of the organization's last event, 0 when it has none."""
        return (await self.last_numbers([organization_id])).get(organization_id, 0)

    async def last_numbers(self, organization_ids: Iterable[str]) -> dict[str, int]:
        """Return the number of the last event by organization; organizations without events are left out."""
        cursor = self._counters.find({"_id": {"$in": list(organization_ids)}})
        return {counter["_id"]: counter["seq"] async for counter in cursor}

    async def newest(self, organization_id: str, limit: int) -> list[FeedSegment]:
        """Return the newest `limit` segments, oldest first."""
        async with self._reads:
            cursor = self._feed.find({"organizationId": organization_id}, sort=[("last", -1)], limit=limit)
            return list(reversed(await cursor.to_list(limit)))

    async def oldest_number_after(self, organization_id: str, seq: int) -> int | None:
        """Return the first number of the oldest segment that has events after `seq`; None when there is none."""
        query = {"organizationId": organization_id, "last": {"$gt": seq}}
        async with self._reads:
            found = await self._feed.find_one(query, {"first": 1}, sort=[("last", 1)])
        return found["first"] if found else None

    async def between(self, organization_id: str, seq: int, last: int, limit: int) -> list[FeedSegment]:
        """Return the first `limit` segments with numbers after `seq` and up to `last`, oldest first."""
        query = {"organizationId": organization_id, "last": {"$gt": seq}, "first": {"$lte": last}}
        async with self._reads:
            return await self._feed.find(query, sort=[("last", 1)], limit=limit).to_list(limit)

    def stream(self) -> FeedStream:
        """Return a stream of the segments that are committed after it was opened; use it with `async with`."""
        return FeedStream(self._database)


class FeedStream:
    """A change stream over `feed`, read in batches over a connection of its own (`mongo.wire`).

    Motor's `watch` takes a thread for every document (53 to 112 µs, where this takes 9 at 64 a batch), cannot return what is
    there as a batch, so that it could be sent together, and reconnects by itself.
    """

    def __init__(self, database: Database) -> None:
        self._connection = LoopConnection(database)
        self._session = logical_session()
        self._begin = Timestamp(0, 0)
        self._cursor_id = _CLOSED_CURSOR
        self._first: list[Document] = []

    async def __aenter__(self) -> FeedStream:
        # The stream begins at a known time, and what is read with `afterClusterTime` and read concern majority includes
        # everything up to that time. Without `startAtOperationTime` a stream begins at the last operation that the server has
        # applied, but reports the last one that a majority has: what was committed between the two would be missed.
        try:
            self._begin = (await self._ask({"ping": 1}))["operationTime"]
            pipeline = [
                {"$changeStream": {"startAtOperationTime": self._begin}},
                {"$match": {"operationType": "insert"}},
                {"$project": {"fullDocument": 1}},
            ]
            opening = {"aggregate": "feed", "pipeline": pipeline, "cursor": {}, "readConcern": MAJORITY.document}
            cursor = (await self._ask(opening))["cursor"]
        except BaseException:
            await self._connection.close()
            raise
        self._cursor_id, self._first = cursor["id"], cursor["firstBatch"]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The cursor is left to MongoDB, which closes it after ten minutes.
        await self._connection.close()

    async def last_numbers(self, organization_ids: Iterable[str]) -> dict[str, int]:
        """Return the numbers of the last events as of the beginning of the stream or later, so that none is missed in between.

        The stream may deliver events that these numbers include.
        """
        asked = find("counters", {"_id": {"$in": list(organization_ids)}}, "seq").body
        answer = await self._ask({**asked, "readConcern": {**MAJORITY.document, "afterClusterTime": self._begin}})
        return {document["_id"]: document["seq"] for document in answer["cursor"]["firstBatch"]}

    async def batch(self) -> list[FeedSegment]:
        """Return the next segments in the order of their commits; an empty list after half a second without any.

        Raises the driver's errors, and `Unavailable` when MongoDB ended the stream because the collection was dropped.
        """
        if self._first:
            changes, self._first = self._first, []
        else:
            if self._cursor_id == _CLOSED_CURSOR:
                raise Unavailable("MongoDB ended the change stream.")
            more = {"collection": "feed", "batchSize": _BATCH_DOCUMENTS, "maxTimeMS": _AWAIT_MS}
            cursor = (await self._ask({"getMore": Int64(self._cursor_id), **more}))["cursor"]
            self._cursor_id, changes = cursor["id"], cursor["nextBatch"]
        return [change["fullDocument"] for change in changes]

    async def _ask(self, body: Document) -> Document:
        # In one session: MongoDB continues a cursor only for the session that opened it.
        (answer,) = await self._connection.ask([Command({**body, "lsid": self._session})])
        return answer
