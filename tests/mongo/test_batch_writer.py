"""A batch in one transaction, on a real replica set: numbers without gaps, all or nothing, once and not twice."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.batches import COMMIT, WRITES, another_process, counts, events_of, ids, wired_writer, written
from tests.support.entries import caller, entry, recording
from tests.support.service import ROOT
from tether_rt.domain.call import UNKNOWN_CALLER
from tether_rt.domain.source import Source
from tether_rt.errors import NotStorable, Unavailable, WriteConflict
from tether_rt.mongo import client as store
from tether_rt.mongo.abandoned_transactions import AbandonedTransactions
from tether_rt.mongo.batch_plan import Duplicate, Entry, ItemOutcome
from tether_rt.mongo.batch_writer import BatchWriter

NUMBER = "+442079460958"


# ---------------------------------------------------------------------- what is written


async def test_a_batch_writes_each_call_with_its_people_its_message_and_its_events(
    writer: BatchWriter, database: store.Database
) -> None:
    whose = caller()
    entries = [entry(whose, voice=recording()), entry(whose, summary="Hello."), entry(whose)]
    outcomes = await written(writer, *entries)
    assert [ids(outcome).call_id for outcome in outcomes] == [one.call_id for one in entries]
    expected = {"contacts": 3, "conversations": 3, "calls": 3, "messages": 3, "counters": 1, "feed": 1}
    assert await counts(database) == expected
    events = await events_of(database, whose.organization_id)
    assert [event["data"]["callId"] for event in events] == [
        one.call_id for one, many in zip(entries, (4, 3, 3), strict=True) for _ in range(many)
    ]
    for outcome in outcomes:
        call = await database["calls"].find_one({"_id": ids(outcome).call_id})
        assert call is not None
        contact = await database["contacts"].find_one({"_id": call["contactId"]})
        conversation = await database["conversations"].find_one({"_id": call["conversationId"]})
        message = await database["messages"].find_one({"callId": call["_id"]})
        assert contact is not None
        assert conversation is not None
        assert message is not None
        assert contact["conversationId"] == conversation["_id"] == message["conversationId"]


@pytest.mark.parametrize("calls", [1, 100])
async def test_a_batch_takes_the_same_few_round_trips_however_large_it_is(
    mongodb_uri: str, database: store.Database, calls: int
) -> None:
    whose = caller()
    async with wired_writer(mongodb_uri, database) as (writer, wire):
        await written(writer, entry(whose))
        wire.requests.clear()
        await written(writer, *(entry(whose) for _ in range(calls)))
        (writes,) = [piece for piece in wire.requests if WRITES in piece]
        (commit,) = [piece for piece in wire.requests if COMMIT in piece]
        assert wire.requests.index(writes) < wire.requests.index(commit)


async def test_a_call_has_nothing_for_the_search_index(writer: BatchWriter, database: store.Database) -> None:
    spoken = [{"role": "agent", "message": "Hello there"}]
    await written(writer, entry(caller(), summary="A parcel was late", transcript=spoken))
    stored = await database["calls"].find_one()
    assert stored is not None
    assert not {"terms", "numbers", "newTerms", "unindexed"} & stored.keys()
    assert await database["search"].find_one() is None


async def test_a_segment_has_the_form_that_every_reader_expects(writer: BatchWriter, database: store.Database) -> None:
    whose = caller()
    await written(writer, entry(whose))
    await written(writer, entry(whose, voice=recording()), entry(whose))
    _, segment = await database["feed"].find().sort("last", 1).to_list(None)
    assert list(segment) == ["_id", "organizationId", "first", "last", "at", "events"]
    assert (segment["organizationId"], segment["first"], segment["last"]) == (whose.organization_id, 4, 10)
    assert all(isinstance(text, str) for text in segment["events"])
    event = json.loads(segment["events"][0])
    assert list(event) == ["event", "seq", "id", "at", "data"]
    assert event["at"] == segment["at"].isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_a_batch_of_duplicates_alone_writes_nothing(writer: BatchWriter, database: store.Database) -> None:
    whose = caller()
    first = entry(whose, externalCallId="x")
    await written(writer, first)
    before = await counts(database)
    twice = [entry(whose, externalCallId="x"), entry(whose, externalCallId="x", fingerprint="other")]
    with pytest.raises(WriteConflict):
        await writer.write(twice)
    outcomes = await written(writer, *twice, is_retry=True)
    assert [(one.call_id, one.differs) for one in outcomes if isinstance(one, Duplicate)] == [
        (first.call_id, False),
        (first.call_id, True),
    ]
    assert await counts(database) == before
    assert len(await events_of(database, whose.organization_id)) == 3


# ---------------------------------------------------------------------- faults


@pytest.mark.parametrize("keyed", [True, False])
async def test_a_lost_reply_is_found_out_by_a_retry_and_nothing_is_stored_twice(
    mongodb_uri: str, database: store.Database, keyed: bool
) -> None:
    whose = caller()
    changes: dict[str, Any] = {"externalCallId": "x"} if keyed else {}
    entries = [entry(whose, fromNumber=NUMBER, **changes), entry(whose)]
    async with wired_writer(mongodb_uri, database) as (writer, wire):
        wire.lost = "answer"
        with pytest.raises(Unavailable):
            await writer.write(entries)
        wire.lost = None
        before = await counts(database)
        outcomes = await written(writer, *entries, is_retry=True)
    assert [ids(outcome).call_id for outcome in outcomes] == [one.call_id for one in entries]
    contact = await database["contacts"].find_one({"number": NUMBER})
    assert contact is not None
    assert ids(outcomes[0]).contact_id == contact["_id"]
    assert await counts(database) == before
    assert len(await events_of(database, whose.organization_id)) == 6


async def test_a_lost_commit_stores_nothing_until_the_retry(mongodb_uri: str, database: store.Database) -> None:
    whose = caller()
    entries = [entry(whose, externalCallId="x"), entry(whose)]
    async with wired_writer(mongodb_uri, database) as (writer, wire):
        wire.lost = "question"
        with pytest.raises(Unavailable):
            await writer.write(entries)
        assert set((await counts(database)).values()) == {0}
        wire.lost = None
        outcomes = await written(writer, *entries, is_retry=True)
    assert [ids(outcome).call_id for outcome in outcomes] == [one.call_id for one in entries]
    assert len(await events_of(database, whose.organization_id)) == 6


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda whose: entry(whose, metadata={"a": "x" * (16 << 20)}), id="a document past 16 MB"),
        pytest.param(lambda whose: entry(whose, metadata={"a": _nested(200)}), id="more levels than MongoDB takes"),
        pytest.param(lambda whose: entry(whose, metadata={"a": 1 << 64}), id="an integer past 64 bits"),
        pytest.param(lambda whose: entry(whose, metadata={"a\0b": 1}), id="a NUL in a name"),
    ],
)
async def test_what_the_database_cannot_hold_is_named_so_and_nothing_of_its_batch_is_stored(
    writer: BatchWriter, database: store.Database, make: Callable[[Source], Entry]
) -> None:
    whose = caller()
    neighbours = [entry(whose), entry(whose)]
    with pytest.raises(NotStorable):
        await writer.write([neighbours[0], make(whose), neighbours[1]])
    assert set((await counts(database)).values()) == {0}
    assert len(await written(writer, *neighbours)) == 2
    assert len(await events_of(database, whose.organization_id)) == 6


async def test_a_counter_that_was_restored_alone_is_said_in_the_log_and_is_no_conflict(
    writer: BatchWriter, database: store.Database, caplog: pytest.LogCaptureFixture
) -> None:
    whose, other = caller(), caller()
    await written(writer, entry(whose))
    await database["counters"].delete_one({"_id": whose.organization_id})
    with pytest.raises(Unavailable, match="behind the feed") as raised:
        await writer.write([entry(whose)])
    assert not isinstance(raised.value, WriteConflict)
    (fields,) = [record.fields for record in caplog.records if record.message == "counter_behind_feed"]  # type: ignore[attr-defined]
    assert fields == {"organizationId": whose.organization_id, "collection": "counters"}
    assert len(await written(writer, entry(other))) == 1


_DIES_BEFORE_ITS_COMMIT = """
import asyncio, sys
from tests.support.batches import wired_writer
from tests.support.entries import entry
from tether_rt.domain.source import Source
from tether_rt.mongo import client as store

async def main(uri, name, user_id, organization_id):
    whose = Source(user_id, organization_id, "Sam Poe")
    async with wired_writer(uri, store.database(store.connect(uri), name)) as (writer, wire):
        wire.may_commit.clear()
        writing = asyncio.create_task(writer.write([entry(whose, fromNumber="+442079460958"), entry(whose)]))
        await wire.seen.wait()
        print("written", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_killed_process_leaves_nothing_and_holds_nobody_up(mongodb_uri: str, database: store.Database) -> None:
    whose = caller()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _DIES_BEFORE_ITS_COMMIT),
        *(mongodb_uri, database.name, whose.id, whose.organization_id),
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"written\n"
    process.kill()
    await process.communicate()
    assert set((await counts(database)).values()) == {0}
    entries = [entry(whose, fromNumber=NUMBER), entry(whose)]
    abandoned = AbandonedTransactions(database.client)
    async with another_process(mongodb_uri, database) as writer:
        outcomes: list[ItemOutcome] = []
        while not outcomes:
            try:
                outcomes = await written(writer, *entries)
            except WriteConflict:  # the transaction holds the counter until it has been idle for long enough to be ended
                await abandoned.end()
                await asyncio.sleep(0.05)
    assert [ids(outcome).call_id for outcome in outcomes] == [one.call_id for one in entries]
    assert await database["contacts"].count_documents({"number": NUMBER, "name": UNKNOWN_CALLER}) == 1
    assert len(await events_of(database, whose.organization_id)) == 6


async def test_a_duplicate_is_read_with_majority_so_that_it_cannot_be_rolled_back(
    writer: BatchWriter, database: store.Database
) -> None:
    whose = caller()
    await written(writer, entry(whose, externalCallId="x"))
    await database.command("profile", 2)
    await written(writer, entry(whose, externalCallId="x"), is_retry=True)
    await database.command("profile", 0)
    query = {"ns": f"{database.name}.calls", "command.find": "calls"}
    reads = await database["system.profile"].find(query).to_list(None)
    assert [read["command"]["readConcern"]["level"] for read in reads] == ["majority"] * 2


async def test_closing_twice_is_closing_once(writer: BatchWriter) -> None:
    await written(writer, entry(caller()))
    await writer.close()
    await writer.close()
