"""What is foreseen saves a round trip, and what turns out otherwise is asked for: nothing is written on a wrong guess."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from tests.support.batches import CutOffWriter, another_process, count_exchanges, counts, events_of, ids
from tests.support.entries import caller, entry, recording
from tether_rt.domain.call import UNKNOWN_CALLER, Caller
from tether_rt.errors import Unavailable
from tether_rt.mongo import client as store
from tether_rt.mongo import foresight as module
from tether_rt.mongo.batch_plan import Created, Duplicate, Entry, Outcome
from tether_rt.mongo.batch_writer import BatchIsStale, BatchWriter
from tether_rt.mongo.lookups import contact_key

NUMBER = "+442079460958"
ASKED = [2, 5, 1]
"""The round trips of a call from somebody new: counter and contacts; the writes; the commit."""
FORESEEN = [6, 1]


async def looked_up(writer: BatchWriter, *entries: Entry) -> None:
    """Let the writer look up the contacts of calls that are on their way."""
    for one in entries:
        writer.expect(contact_key(one.call))
    while (asking := writer._foresight._asking) is not None:
        await asyncio.wait({asking})


async def settle_in(writer: BatchWriter, whose: Caller) -> None:
    """Commit until nobody has come between often enough."""
    for _ in range(4):
        await writer.write([entry(whose)])


async def write(writer: BatchWriter, *entries: Entry) -> list[Outcome]:
    await looked_up(writer, *entries)
    return await writer.write(entries)


async def test_what_is_known_is_not_asked_for(
    writer: BatchWriter, database: store.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    whose = caller()
    await settle_in(writer, whose)
    new, named = entry(whose, fromNumber=NUMBER, voice=recording()), entry(whose, fromNumber=NUMBER, callerName="Ann")
    exchanges = count_exchanges(monkeypatch, database)
    await looked_up(writer, new)
    assert exchanges == [1]
    made = ids((await writer.write([new]))[0])
    found = ids((await writer.write([named]))[0])
    assert exchanges == [1, *FORESEEN, 5, 1]  # one insert into contacts and conversations is one update
    assert (found.contact_id, found.conversation_id) == (made.contact_id, made.conversation_id)
    names = [event["data"]["contactName"] for event in await events_of(database, whose.organization_id)
             if event["event"] == "call_initiated"]  # fmt: skip
    assert names[-2:] == [UNKNOWN_CALLER, "Ann"]
    contact = await database["contacts"].find_one({"number": NUMBER})
    assert contact is not None
    assert contact["name"] == "Ann"
    counter = await database["counters"].find_one({"_id": whose.organization_id})
    assert counter is not None
    assert counter["calls"] == 6


async def test_an_unknown_contact_is_asked_for(
    writer: BatchWriter, database: store.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    whose = caller()
    await settle_in(writer, whose)
    exchanges = count_exchanges(monkeypatch, database)
    await writer.write([entry(whose)])
    assert exchanges == ASKED


@pytest.mark.parametrize("organizations", [1, 3])
async def test_who_comes_between_leaves_no_gap_and_is_not_overwritten(
    mongodb_uri: str, database: store.Database, writer: BatchWriter, monkeypatch: pytest.MonkeyPatch, organizations: int
) -> None:
    everybody = [caller() for _ in range(organizations)]
    for whose in everybody:
        await settle_in(writer, whose)
    async with another_process(mongodb_uri, database) as other:
        await other.write([entry(everybody[-1])])
    exchanges = count_exchanges(monkeypatch, database)
    entries = [entry(whose) for whose in everybody]
    outcomes = await write(writer, *entries)
    assert all(isinstance(outcome, Created) for outcome in outcomes)
    # looked up, tried, given up where MongoDB had not done so already, asked for, written, committed
    assert exchanges[0] == 1
    assert exchanges[-3:] == [organizations + 1, 5, 1]
    for whose in everybody:
        await events_of(database, whose.organization_id)
    # Once bitten, twice shy.
    exchanges.clear()
    await write(writer, entry(everybody[-1]))
    assert exchanges == [1, *ASKED]
    await settle_in(writer, everybody[-1])
    exchanges.clear()
    await write(writer, entry(everybody[-1]))
    assert exchanges == [1, *FORESEEN]


async def test_two_processes_in_turn_hardly_ever_guess(
    mongodb_uri: str, database: store.Database, writer: BatchWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    whose = caller()
    async with another_process(mongodb_uri, database) as other:
        exchanges = count_exchanges(monkeypatch, database)
        for _ in range(10):
            await writer.write([entry(whose, fromNumber=NUMBER)])
            await other.write([entry(whose, fromNumber=NUMBER)])
    assert all(number in (1, 2, 4, 5) for number in exchanges)
    assert len(exchanges) == 60
    assert len(await events_of(database, whose.organization_id)) == 60


async def test_a_contact_that_was_made_since_it_was_looked_up_is_seen(
    mongodb_uri: str, database: store.Database, writer: BatchWriter
) -> None:
    whose = caller()
    await settle_in(writer, whose)
    late = entry(whose, fromNumber=NUMBER, callerName="Tom")
    await looked_up(writer, late)
    # As another process leaves it: the number alone is given away by the counter before the contact is looked at.
    contact = {"_id": store.new_id(), "organizationId": whose.organization_id, "number": NUMBER, "name": "Ann"}
    contact["conversationId"] = store.new_id()
    await database["contacts"].insert_one(contact)
    outcome = ids((await writer.write([late]))[0])
    assert (outcome.contact_id, outcome.conversation_id) == (contact["_id"], contact["conversationId"])
    assert [one["name"] for one in await database["contacts"].find({"number": NUMBER}).to_list(None)] == ["Ann"]
    events = await events_of(database, whose.organization_id)
    assert events[-3]["data"]["contactName"] == "Ann"


async def test_a_name_that_an_agent_gave_meanwhile_is_told_and_kept(database: store.Database, writer: BatchWriter) -> None:
    whose = caller()
    await writer.write([entry(whose, fromNumber=NUMBER)])
    await settle_in(writer, whose)
    await database["contacts"].update_one({"number": NUMBER}, {"$set": {"name": "Ann"}})
    await writer.write([entry(whose, fromNumber=NUMBER, callerName="Tom")])
    events = await events_of(database, whose.organization_id)
    assert events[-3]["data"]["contactName"] == "Ann"
    contact = await database["contacts"].find_one({"number": NUMBER})
    assert contact is not None
    assert contact["name"] == "Ann"


async def test_a_call_that_was_stored_meanwhile_is_not_stored_again(
    mongodb_uri: str, database: store.Database, writer: BatchWriter
) -> None:
    whose = caller()
    first, late = (entry(whose, externalCallId="x", fingerprint=text) for text in ("one", "two"))
    await writer.write([first])
    await settle_in(writer, whose)
    with pytest.raises(BatchIsStale):
        await write(writer, late)
    assert (await counts(database))["calls"] == 5
    assert await writer.write([late], again=True) == [Duplicate(first.call_id, differs=True)]
    assert len(await events_of(database, whose.organization_id)) == 15


@pytest.mark.parametrize("lost", ["question", "answer"])
async def test_a_commit_whose_end_is_doubtful_is_built_on_by_nothing(database: store.Database, lost: str) -> None:
    whose = caller()
    writer = CutOffWriter(database.client, database)
    await settle_in(writer, whose)
    late = entry(whose, fromNumber=NUMBER)
    writer.lost = lost
    with pytest.raises(Unavailable):
        await write(writer, late)
    writer.lost = None
    await writer.write([entry(whose, fromNumber=NUMBER)])
    assert ids((await writer.write([late], again=True))[0]).call_id == late.call_id
    assert len(await events_of(database, whose.organization_id)) == 18
    assert await database["contacts"].count_documents({"number": NUMBER}) == 1
    await writer.close()


async def test_the_time_of_an_event_is_mongodbs_whatever_the_clock_here_says(
    database: store.Database, writer: BatchWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    whose = caller()
    await settle_in(writer, whose)
    await database["counters"].update_one({"_id": whose.organization_id}, {"$set": {"at": None}})  # not what it goes by
    exchanges = count_exchanges(monkeypatch, database)
    await asyncio.sleep(0.3)
    await write(writer, entry(whose))
    assert exchanges == [1, *FORESEEN]
    counter = await database["counters"].find_one({"_id": whose.organization_id})
    segment = await database["feed"].find_one({"last": 15})
    assert counter is not None
    assert segment is not None
    assert abs(counter["at"] - segment["at"]) < timedelta(seconds=0.25)


async def test_what_is_remembered_is_bounded(writer: BatchWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONTACTS", 5)
    monkeypatch.setattr(module, "MAX_ORGANIZATIONS", 2)
    everybody = [caller() for _ in range(3)]
    entries = [entry(whose) for whose in everybody for _ in range(3)]
    await write(writer, *entries)
    assert len(writer._foresight._contacts) == 5
    assert list(writer._foresight._places) == sorted(whose.organization_id for whose in everybody)[1:]
    await looked_up(writer, *(entry(everybody[0]) for _ in range(9)))
    assert len(writer._foresight._contacts) == 5


async def test_a_look_up_that_fails_is_nobodys_trouble(
    writer: BatchWriter, database: store.Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whose = caller()
    await settle_in(writer, whose)

    async def away(*_: Any) -> Any:
        raise AutoReconnect("connection closed")

    one = entry(whose)
    with monkeypatch.context() as patched:
        patched.setattr(writer._foresight._known, "contacts", away)
        with caplog.at_level(logging.WARNING):
            await looked_up(writer, one)
    assert [one for one in caplog.records if one.name.startswith("tether.store")] == []
    exchanges = count_exchanges(monkeypatch, database)
    await writer.write([one])
    assert exchanges == ASKED
