"""A batch in one transaction, on a real replica set: numbers without gaps, all or nothing, once and not twice."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import bson
import pytest

from tests.hub.harness import eventually
from tests.support.batches import CutOffWriter, another_process, count_exchanges, counts, events_of, ids
from tests.support.entries import caller, entry, recording
from tests.support.service import ROOT
from tether_rt.domain.call import UNKNOWN_CALLER, Caller
from tether_rt.errors import Unavailable
from tether_rt.mongo import batch_writer as module
from tether_rt.mongo import calls
from tether_rt.mongo import client as store
from tether_rt.mongo.batch_plan import Created, Duplicate, Entry, Outcome
from tether_rt.mongo.batch_writer import BatchIsStale, BatchWriter, RecordingsNotKept
from tether_rt.mongo.calls import NotStorable
from tether_rt.mongo.wire.op_msg import Spliced
from tether_rt.runtime import cooperative

NUMBER = "+442079460958"


# ---------------------------------------------------------------------- what is written


async def test_a_batch_writes_each_call_with_its_people_its_message_and_its_events(
    writer: BatchWriter, database: store.Database
) -> None:
    whose = caller()
    entries = [entry(whose, voice=recording()), entry(whose, summary="Hello."), entry(whose)]
    outcomes = await writer.write(entries)
    assert [ids(outcome).call_id for outcome in outcomes] == [one.call_id for one in entries]
    written = {"contacts": 3, "conversations": 3, "calls": 3, "messages": 3, "counters": 1, "feed": 1}
    assert await counts(database) == written
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
async def test_a_batch_takes_three_round_trips_however_large_it_is(
    writer: BatchWriter, database: store.Database, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    exchanges = count_exchanges(monkeypatch, database)
    whose = caller()
    await writer.write([entry(whose) for _ in range(calls)])
    assert exchanges == [2, 5, 1]  # counter and contacts; contacts, conversations, calls, messages and feed; commit


async def test_a_batch_makes_no_entry_in_the_index_of_words(writer: BatchWriter, database: store.Database) -> None:
    await writer.write([entry(caller(), summary="A parcel was late", transcript=[{"role": "agent", "message": "Hello there"}])])
    stored = await database["calls"].find_one()
    assert stored is not None
    assert "terms" not in stored
    assert {"parcel", "late", "0100"} <= set(stored["newTerms"])
    assert stored["unindexed"] == stored["createdAt"]


async def test_a_segment_has_the_form_that_every_reader_expects(writer: BatchWriter, database: store.Database) -> None:
    whose = caller()
    await writer.write([entry(whose)])
    await writer.write([entry(whose, voice=recording()), entry(whose)])
    _, segment = await database["feed"].find().sort("last", 1).to_list(None)
    assert list(segment) == ["_id", "organizationId", "first", "last", "at", "events"]
    assert (segment["organizationId"], segment["first"], segment["last"]) == (whose.organization_id, 4, 10)
    assert all(isinstance(text, str) for text in segment["events"])
    event = json.loads(segment["events"][0])
    assert list(event) == ["event", "seq", "id", "at", "data"]
    assert event["at"] == segment["at"].isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_nothing_is_committed_before_its_recording_is_safe(
    writer: BatchWriter, database: store.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_KEPT_WITHIN_S", 30)
    exchanges = count_exchanges(monkeypatch, database)
    kept = asyncio.get_running_loop().create_future()
    whose = caller()
    entries = [entry(whose, voice=recording()), entry(whose)]
    writing = asyncio.create_task(writer.write(entries, kept=[kept]))
    await eventually(lambda: len(exchanges) == 2)
    await asyncio.sleep(0.1)
    assert not writing.done()
    assert set((await counts(database)).values()) == {0}
    kept.set_result(None)
    assert [type(outcome) for outcome in await writing] == [Created, Created]
    assert exchanges == [2, 5, 1]
    assert (await counts(database))["calls"] == 2


@pytest.mark.parametrize("loss", [None, Unavailable("The disk is full.")])
async def test_a_recording_that_is_late_or_lost_leaves_nothing_and_holds_nobody_up(
    writer: BatchWriter, database: store.Database, monkeypatch: pytest.MonkeyPatch, loss: Exception | None
) -> None:
    monkeypatch.setattr(module, "_KEPT_WITHIN_S", 0.01)
    kept = asyncio.get_running_loop().create_future()
    if loss is not None:
        kept.set_exception(loss)
    whose = caller()
    voiced, other = entry(whose, voice=recording()), entry(whose)
    with pytest.raises(RecordingsNotKept):
        await writer.write([voiced, other], kept=[kept])
    assert set((await counts(database)).values()) == {0}
    await writer.write([other])
    assert (await counts(database))["calls"] == 1
    assert len(await events_of(database, whose.organization_id)) == 3


async def test_a_batch_of_duplicates_alone_writes_nothing(writer: BatchWriter, database: store.Database) -> None:
    whose = caller()
    first = entry(whose, externalCallId="x")
    await writer.write([first])
    before = await counts(database)
    twice = [entry(whose, externalCallId="x"), entry(whose, externalCallId="x", fingerprint="other")]
    with pytest.raises(BatchIsStale):
        await writer.write(twice)
    outcomes = await writer.write(twice, again=True)
    assert outcomes == [Duplicate(first.call_id, differs=False), Duplicate(first.call_id, differs=True)]
    assert await counts(database) == before
    assert len(await events_of(database, whose.organization_id)) == 3


# ---------------------------------------------------------------------- faults


@pytest.mark.parametrize("keyed", [True, False])
async def test_a_lost_answer_is_found_out_by_asking_again_and_nothing_is_stored_twice(
    database: store.Database, keyed: bool
) -> None:
    whose = caller()
    writer = CutOffWriter(database.client, database)
    changes: dict[str, Any] = {"externalCallId": "x"} if keyed else {}
    entries = [entry(whose, fromNumber=NUMBER, **changes), entry(whose)]
    writer.lost = "answer"
    with pytest.raises(Unavailable):
        await writer.write(entries)
    writer.lost = None
    before = await counts(database)
    outcomes = await writer.write(entries, again=True)
    assert [ids(outcome).call_id for outcome in outcomes] == [one.call_id for one in entries]
    contact = await database["contacts"].find_one({"number": NUMBER})
    assert contact is not None
    assert ids(outcomes[0]).contact_id == contact["_id"]
    assert await counts(database) == before
    assert len(await events_of(database, whose.organization_id)) == 6
    await writer.close()


async def test_a_lost_question_stores_nothing_until_it_is_asked_again(database: store.Database) -> None:
    whose = caller()
    writer = CutOffWriter(database.client, database)
    entries = [entry(whose, externalCallId="x"), entry(whose)]
    writer.lost = "question"
    with pytest.raises(Unavailable):
        await writer.write(entries)
    assert set((await counts(database)).values()) == {0}
    writer.lost = None
    outcomes = await writer.write(entries, again=True)
    assert [ids(outcome).call_id for outcome in outcomes] == [one.call_id for one in entries]
    assert len(await events_of(database, whose.organization_id)) == 6
    await writer.close()


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
    writer: BatchWriter, database: store.Database, make: Callable[[Caller], Entry]
) -> None:
    whose = caller()
    neighbours = [entry(whose), entry(whose)]
    with pytest.raises(NotStorable):
        await writer.write([neighbours[0], make(whose), neighbours[1]])
    assert set((await counts(database)).values()) == {0}
    assert len(await writer.write(neighbours)) == 2
    assert len(await events_of(database, whose.organization_id)) == 6


_DIES_BEFORE_ITS_COMMIT = """
import asyncio, sys
from tests.support.batches import HesitantWriter
from tests.support.entries import entry
from tether_rt.domain.call import Caller
from tether_rt.mongo import client as store

class Dying(HesitantWriter):
    async def _commit(self, transaction):
        print("written", flush=True)
        await asyncio.Event().wait()

async def main(uri, name, user_id, organization_id):
    client = store.connect(uri)
    whose = Caller(user_id, organization_id)
    await Dying(client, store.database(client, name)).write([entry(whose, fromNumber="+442079460958"), entry(whose)])

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_killed_process_leaves_nothing_and_holds_nobody_up(mongodb_uri: str, database: store.Database) -> None:
    whose = caller()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _DIES_BEFORE_ITS_COMMIT),
        *(mongodb_uri, database.name, whose.user_id, whose.organization_id),
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"written\n"
    process.kill()
    await process.communicate()
    assert set((await counts(database)).values()) == {0}
    entries = [entry(whose, fromNumber=NUMBER), entry(whose)]
    async with another_process(mongodb_uri, database) as writer:
        outcomes: list[Outcome] = []
        while not outcomes:
            try:
                outcomes = await writer.write(entries)
            except BatchIsStale:  # its transaction holds the counter until it has been idle for long enough to be ended
                await asyncio.sleep(0.05)
    assert [ids(outcome).call_id for outcome in outcomes] == [one.call_id for one in entries]
    assert await database["contacts"].count_documents({"number": NUMBER, "name": UNKNOWN_CALLER}) == 1
    assert len(await events_of(database, whose.organization_id)) == 6


async def test_a_duplicate_is_read_with_majority_so_that_it_cannot_be_rolled_back(
    writer: BatchWriter, database: store.Database
) -> None:
    whose = caller()
    await writer.write([entry(whose, externalCallId="x")])
    await database.command("profile", 2)
    await writer.write([entry(whose, externalCallId="x")], again=True)
    await database.command("profile", 0)
    query = {"ns": f"{database.name}.calls", "command.find": "calls"}
    reads = await database["system.profile"].find(query).to_list(None)
    assert [read["command"]["readConcern"]["level"] for read in reads] == ["majority"] * 2


async def test_others_have_their_turn_between_the_calls_of_a_batch_and_between_its_documents(
    writer: BatchWriter, database: store.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cooperative, "_SLICE_S", 0)
    passed = 0
    worked_out: list[int] = []
    encoded: list[int] = []
    encode = bson.encode

    async def count() -> None:
        nonlocal passed
        while True:
            await asyncio.sleep(0)
            passed += 1

    def call_document(*args: Any) -> Spliced:
        worked_out.append(passed)
        return calls.call_document(*args)

    def noted(document: store.Document, **options: Any) -> bytes:
        if "messageId" in document:
            encoded.append(passed)
        return encode(document, **options)

    monkeypatch.setattr("tether_rt.mongo.batch_plan.call_document", call_document)
    monkeypatch.setattr(bson, "encode", noted)
    counting = asyncio.create_task(count())
    whose = caller()
    await writer.write([entry(whose) for _ in range(5)])
    counting.cancel()
    assert len(set(worked_out)) == len(set(encoded)) == 5
    assert len(await events_of(database, whose.organization_id)) == 15


async def test_closing_twice_is_closing_once(writer: BatchWriter) -> None:
    await writer.write([entry(caller())])
    await writer.close()
    await writer.close()
