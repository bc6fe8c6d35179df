"""What a batch left in MongoDB, and how it was asked for."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from tether_rt.mongo import client as store
from tether_rt.mongo.batch_plan import Created, Outcome
from tether_rt.mongo.batch_writer import BatchWriter
from tether_rt.mongo.wire.loop_connection import Continuation, LoopConnection
from tether_rt.mongo.wire.op_msg import Encoded
from tether_rt.mongo.wire.transaction import Transaction

COLLECTIONS = ("counters", "contacts", "conversations", "calls", "messages", "feed")


class HesitantWriter(BatchWriter):
    """Commits in a step of its own, which a test can come before, or after."""

    def _is_ready(self, *_: object) -> bool:
        return False


class CutOffWriter(HesitantWriter):
    """Loses the connection at the commit: before it is asked for, or before its answer arrives."""

    lost: str | None = None

    async def _commit(self, transaction: Transaction) -> None:
        if self.lost == "question":
            raise AutoReconnect("connection closed")
        await super()._commit(transaction)
        if self.lost == "answer":
            raise AutoReconnect("connection closed")


@asynccontextmanager
async def another_process(mongodb_uri: str, database: store.Database) -> AsyncIterator[BatchWriter]:
    """A writer with a connection of its own."""
    client = store.connect(mongodb_uri)
    writer = BatchWriter(client, store.database(client, database.name))
    try:
        yield writer
    finally:
        await writer.close()
        client.close()


def ids(outcome: Outcome) -> Any:
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


def count_exchanges(monkeypatch: pytest.MonkeyPatch, database: store.Database) -> list[int]:
    """Return a list that grows by one number with each round trip to the database from now on: how many commands it has."""
    exchanges: list[int] = []
    exchange = LoopConnection.exchange

    async def counted(self: LoopConnection, encoded: Encoded, follow: Continuation | None = None) -> list[dict[str, Any]]:
        def note(sent: Encoded) -> None:
            if self._database.name == database.name:
                exchanges.append(sent.number)

        def followed(answers: list[dict[str, Any]]) -> Encoded | None:
            more = follow(answers) if follow is not None else None
            if more is not None:
                note(more)
            return more

        note(encoded)
        return await exchange(self, encoded, followed)

    monkeypatch.setattr(LoopConnection, "exchange", counted)
    return exchanges
