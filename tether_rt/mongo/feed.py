"""Queries on `feed` and `counters`: what was said in an organization, where it stands, and what is being said now.

Everything is read with read concern majority: a dashboard must never see an event that a failover takes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Final, cast

from bson import Int64, Timestamp
from motor.motor_asyncio import AsyncIOMotorCollection

from tether_rt.domain.events import FeedSegment
from tether_rt.errors import Unavailable
from tether_rt.mongo.client import MAJORITY, Database, Document
from tether_rt.mongo.wire.loop_connection import LoopConnection
from tether_rt.mongo.wire.op_msg import Command, find, logical_session

READS_AT_ONCE: Final = 4
"""Reads of `feed` under way at one time. A thousand dashboards that come back after a restart wait here in turn, and leave
most of the driver's threads (5 per core) to ingest."""

_AWAIT_MS: Final = 500
"""How long MongoDB waits for news before it answers with none."""
_BATCH_DOCUMENTS: Final = 64
_CURSOR_IS_DEAD: Final = 0


class Feed:
    """The segments and counters of every organization."""

    def __init__(self, database: Database) -> None:
        self._database = database
        feed = database.get_collection("feed", read_concern=MAJORITY)
        self._feed = cast("AsyncIOMotorCollection[FeedSegment]", feed)
        self._counters = database.get_collection("counters", read_concern=MAJORITY)
        self._turns = asyncio.Semaphore(READS_AT_ONCE)

    async def epoch(self) -> str:
        """Return the UUID of the collection `feed` as 32 hexadecimal digits.

        MongoDB gives a collection a new one when it is dropped and created again, as a restore does. Raises `Unavailable` when
        there is no such collection, and the driver's errors.
        """
        found = await (await self._database.list_collections(filter={"name": "feed"})).to_list(1)
        if not found:
            raise Unavailable("The collection feed is missing; `tether-rt indexes` creates it.")
        return bytes(found[0]["info"]["uuid"]).hex()

    async def last_number(self, organization_id: str) -> int:
        """Return the last number committed in the organization, 0 when there is none."""
        return (await self.last_numbers([organization_id])).get(organization_id, 0)

    async def last_numbers(self, organization_ids: Iterable[str]) -> dict[str, int]:
        """Return the last number committed by organization, in one query; those without any are left out."""
        cursor = self._counters.find({"_id": {"$in": list(organization_ids)}})
        return {document["_id"]: document["seq"] async for document in cursor}

    async def newest(self, organization_id: str, limit: int) -> list[FeedSegment]:
        """Return the newest segments, at most `limit`, oldest first."""
        async with self._turns:
            cursor = self._feed.find({"organizationId": organization_id}, sort=[("last", -1)], limit=limit)
            return (await cursor.to_list(limit))[::-1]

    async def oldest_number_after(self, organization_id: str, seq: int) -> int | None:
        """Return the first number of the oldest kept segment that holds anything after `seq`; None when nothing does."""
        query = {"organizationId": organization_id, "last": {"$gt": seq}}
        async with self._turns:
            found = await self._feed.find_one(query, {"first": 1}, sort=[("last", 1)])
        return found["first"] if found else None

    async def between(self, organization_id: str, seq: int, last: int, limit: int) -> list[FeedSegment]:
        """Return the segments that hold numbers after `seq` and up to `last`, oldest first, at most `limit`."""
        query = {"organizationId": organization_id, "last": {"$gt": seq}, "first": {"$lte": last}}
        async with self._turns:
            return await self._feed.find(query, sort=[("last", 1)], limit=limit).to_list(limit)

    def stream(self) -> FeedStream:
        """Return a stream of the segments that are committed from its opening on; use it with `async with`."""
        return FeedStream(self._database)


class FeedStream:
    """One change stream over `feed`, read a batch at a time with MongoDB's own commands, over a connection of its own.

    Not Motor's `watch`: that takes a hop to a thread and back for every document (53 to 112 µs each where this takes 9, drained
    at 64 a batch), cannot say whether more are waiting, so that they could be sent together, and reconnects unasked.
    """

    def __init__(self, database: Database) -> None:
        self._connection = LoopConnection(database)
        self._session = logical_session()
        self._begin = Timestamp(0, 0)
        self._cursor_id = _CURSOR_IS_DEAD
        self._first: list[Document] = []

    async def __aenter__(self) -> FeedStream:
        # What is read with read concern majority and `afterClusterTime` includes everything up to that time, and the stream
        # begins at it. Left to itself it begins at the last one the server has applied and tells us the last one a majority
        # has (found by test): what was committed between those two would be neither read nor delivered.
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
        # MongoDB ends a cursor that nobody has come back to for ten minutes.
        await self._connection.close()

    async def last_numbers(self, organization_ids: Iterable[str]) -> dict[str, int]:
        """Return the last numbers, as of the stream's beginning or later: nothing falls between them and the stream.

        The stream may deliver what these numbers count already.
        """
        asked = find("counters", {"_id": {"$in": list(organization_ids)}}, "seq").body
        answer = await self._ask({**asked, "readConcern": {**MAJORITY.document, "afterClusterTime": self._begin}})
        return {document["_id"]: document["seq"] for document in answer["cursor"]["firstBatch"]}

    async def batch(self) -> list[FeedSegment]:
        """Return the next segments, in the order of their commits; an empty list when there were none for half a second.

        Raises the driver's errors, and `Unavailable` when MongoDB ended the stream (the collection was dropped).
        """
        if self._first:
            changes, self._first = self._first, []
        else:
            if self._cursor_id == _CURSOR_IS_DEAD:
                raise Unavailable("MongoDB ended the change stream.")
            more = {"collection": "feed", "batchSize": _BATCH_DOCUMENTS, "maxTimeMS": _AWAIT_MS}
            cursor = (await self._ask({"getMore": Int64(self._cursor_id), **more}))["cursor"]
            self._cursor_id, changes = cursor["id"], cursor["nextBatch"]
        return [change["fullDocument"] for change in changes]

    async def _ask(self, body: Document) -> Document:
        # In one session, with which MongoDB knows that a cursor is asked for more by whom it belongs to.
        (answer,) = await self._connection.ask([Command({**body, "lsid": self._session})])
        return answer
