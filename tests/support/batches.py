"""What a batch left in MongoDB, and how it was asked for; a wire that can be cut or held at a transaction's commit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.support.proxy import Passage, proxy_to_unix
from tether_rt.mongo import client as store
from tether_rt.mongo.batch_plan import Created, ItemOutcome
from tether_rt.mongo.batch_writer import BatchWriter

COLLECTIONS = ("counters", "contacts", "conversations", "calls", "messages", "feed")
WRITES = b"insert\0\x05\0\0\0feed\0"
COMMIT = b"commitTransaction\0"


class Wire:
    """The connection between a writer and MongoDB. It counts the commands of each round trip, and stops where it is told to."""

    def __init__(self) -> None:
        self.lost: str | None = None
        """Cuts the connection at the commit: "question" before it reaches MongoDB, "answer" before its reply arrives."""
        self.written = asyncio.Event()
        """Set once the writes of a transaction have been sent."""
        self.seen = asyncio.Event()
        """Set once a commit has been asked for."""
        self.may_commit = asyncio.Event()
        self.may_commit.set()
        self.requests: list[bytes] = []
        """What was sent to MongoDB since `requests` was cleared, a piece for each round trip."""

    async def look(self, passage: Passage, up: bool, piece: bytes) -> bool:
        if up:
            self.requests.append(piece)
            if WRITES in piece:
                self.written.set()
        if up and COMMIT in piece:
            passage.notes["commit"] = 1
            self.seen.set()
            await self.may_commit.wait()
        if passage.notes.get("commit") and self.lost == ("question" if up else "answer"):
            return False
        if not up:
            passage.notes.pop("commit", None)
        return True


@asynccontextmanager
async def wired_writer(mongodb_uri: str, database: store.Database, **options: Any) -> AsyncIterator[tuple[BatchWriter, Wire]]:
    """A writer whose connection to MongoDB passes through a `Wire`."""
    wire = Wire()
    async with proxy_to_unix(Path(unquote(urlsplit(mongodb_uri).netloc))) as proxy:
        proxy.look = wire.look
        client = store.connect(f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true")
        writer = BatchWriter(store.database(client, database.name), **options)
        try:
            yield writer, wire
        finally:
            await writer.close()
            client.close()


@asynccontextmanager
async def another_process(mongodb_uri: str, database: store.Database) -> AsyncIterator[BatchWriter]:
    """A writer with a connection of its own."""
    client = store.connect(mongodb_uri)
    writer = BatchWriter(store.database(client, database.name))
    try:
        yield writer
    finally:
        await writer.close()
        client.close()


async def written(writer: BatchWriter, *entries: Any, is_retry: bool = False) -> list[ItemOutcome]:
    """Write a batch whose recordings are durable, and return its outcomes."""
    return await writer.write(entries, is_retry=is_retry)


def ids(outcome: ItemOutcome) -> Any:
    assert isinstance(outcome, Created)
    return outcome.ids


async def counts(database: store.Database) -> dict[str, int]:
    """Return how many documents each collection holds."""
    return {name: await database[name].count_documents({}) for name in COLLECTIONS}


async def events_of(database: store.Database, organization_id: str) -> list[dict[str, Any]]:
    """Return every event of the organization, having seen that the segments fit together without a gap."""
    segments = await database["feed"].find({"organizationId": organization_id}).sort("last", 1).to_list(None)
    events: list[dict[str, Any]] = []
    for segment in segments:
        assert segment["first"] == len(events) + 1
        events += map(json.loads, segment["events"])
        assert segment["last"] == len(events)
    counter = await database["counters"].find_one({"_id": organization_id})
    assert (counter["seq"] if counter else 0) == len(events)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    return events
