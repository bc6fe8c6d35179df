"""Changes of stored calls, committed beside new calls on a real replica set: in order, once, and in the same segment."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.batches import COMMIT, WRITES, another_process, counts, events_of, ids, wired_writer, written
from tests.support.entries import caller, entry, recording
from tether_rt.domain.call import UNKNOWN_CALLER
from tether_rt.domain.events import call_updated, fetch_messages, recording_ready
from tether_rt.errors import NotFound, Unavailable
from tether_rt.ingest.group_commit import GroupCommit
from tether_rt.mongo import client as store
from tether_rt.mongo.amendments import MAX_HISTORY, Amended, Amendment, Change, Missing, Stale, ids_of
from tether_rt.mongo.batch_plan import Entry
from tether_rt.mongo.batch_writer import BatchWriter
from tether_rt.mongo.documents import CallDocument
from tether_rt.runtime.metrics import Metrics

NUMBER = "+442079460958"


def summary(text: str) -> Callable[[CallDocument], Change | None]:
    """Return the change to another summary."""

    def change(call: CallDocument) -> Change | None:
        if call["summary"] == text:
            return None
        shown = {**call, "summary": text}
        return Change(
            set={"summary": text},
            events=[call_updated(ids_of(call), ["summary"], shown), fetch_messages(ids_of(call))],
            changed=["summary"],
            history={"summary": call["summary"]},
        )

    return change


def with_recording(call: CallDocument) -> Change | None:
    """Make the change that adds a recording without a trace in the history."""
    ready = recording_ready(ids_of(call), recording())
    return Change(set={"recordings": [*call["recordings"], {"recordingId": ready.data["recordingId"]}]}, events=[ready])


def amendment(one: Entry, change: Callable[[CallDocument], Change | None], **more: Any) -> Amendment:
    return Amendment(one.organization_id, one.call_id, change, source_id="s" * 24, **more)


async def stored(database: store.Database, one: Entry) -> dict[str, Any]:
    found = await database["calls"].find_one({"_id": one.call_id})
    assert found is not None
    return found


async def test_a_change_is_announced_in_the_segment_of_the_calls_that_it_came_with(
    writer: BatchWriter, database: store.Database
) -> None:
    whose = caller()
    old, first, last = entry(whose, summary="Before."), entry(whose), entry(whose)
    await written(writer, old)
    outcomes = await written(writer, first, amendment(old, summary("After.")), last)
    assert [ids(outcome).call_id for outcome in (outcomes[0], outcomes[2])] == [first.call_id, last.call_id]
    assert outcomes[1] == Amended(old.call_id, ["summary"])
    events = (await events_of(database, whose.organization_id))[3:]
    assert [(event["event"], event["data"]["callId"]) for event in events] == [
        *((name, first.call_id) for name in ("call_initiated", "call_ended", "fetch_messages")),
        *((name, old.call_id) for name in ("call_updated", "fetch_messages")),
        *((name, last.call_id) for name in ("call_initiated", "call_ended", "fetch_messages")),
    ]
    assert await database["feed"].count_documents({}) == 2
    counter = await database["counters"].find_one({"_id": whose.organization_id})
    assert counter is not None
    assert (counter["calls"], counter["seq"]) == (3, 11)
    call = await stored(database, old)
    assert call["summary"] == "After."
    assert call["updatedAt"] > call["createdAt"]
    message = await database["messages"].find_one({"callId": old.call_id})
    assert message is not None
    assert (message["content"], message["createdAt"]) == ("After.", call["createdAt"])


async def test_changes_of_one_call_in_one_batch_apply_one_after_the_other(
    writer: BatchWriter, database: store.Database
) -> None:
    whose = caller()
    one = entry(whose)
    await written(writer, one)
    texts = ["One.", "Two.", "Two.", "Three."]
    outcomes = await written(writer, *(amendment(one, summary(text)) for text in texts))
    assert outcomes == [Amended(one.call_id, changed) for changed in (["summary"], ["summary"], (), ["summary"])]
    history = await database["call_changes"].find({"callId": one.call_id}).sort("number", 1).to_list(None)
    assert [entry["changed"] for entry in history] == [{"summary": None}, {"summary": "One."}, {"summary": "Two."}]
    assert {(entry["organizationId"], entry["sourceId"]) for entry in history} == {(whose.organization_id, "s" * 24)}
    updated = [event for event in await events_of(database, whose.organization_id) if event["event"] == "call_updated"]
    assert [event["data"]["summary"] for event in updated] == ["One.", "Two.", "Three."]
    assert [event["id"] for event in updated] == [
        f"{one.call_id}:call_updated",
        *(f"{one.call_id}:call_updated:{event['seq']}" for event in updated[1:]),
    ]
    assert (await stored(database, one))["summary"] == "Three."


async def test_the_id_of_an_event_is_plain_only_for_the_first_of_its_name(
    writer: BatchWriter, database: store.Database
) -> None:
    whose = caller()
    bare, voiced = entry(whose), entry(whose, voice=recording())
    await written(writer, bare, voiced)
    for one in (bare, voiced, bare):
        await written(writer, amendment(one, with_recording))
    ready = [event for event in await events_of(database, whose.organization_id) if event["event"] == "call_recording_ready"]
    name = "call_recording_ready"
    assert [event["id"] for event in ready] == [
        f"{voiced.call_id}:{name}",
        f"{bare.call_id}:{name}",
        f"{voiced.call_id}:{name}:{ready[2]['seq']}",
        f"{bare.call_id}:{name}:{ready[3]['seq']}",
    ]
    assert await database["call_changes"].count_documents({}) == 0
    messages = await written(writer, amendment(bare, summary("Hello.")))
    assert messages == [Amended(bare.call_id, ["summary"])]
    event = (await events_of(database, whose.organization_id))[-1]
    assert event["id"] == f"{bare.call_id}:fetch_messages:{event['seq']}"


async def test_what_changes_nothing_writes_nothing(writer: BatchWriter, database: store.Database) -> None:
    whose = caller()
    one = entry(whose, summary="Same.")
    await written(writer, one)
    before, call = await counts(database), await stored(database, one)
    assert await written(writer, amendment(one, summary("Same."))) == [Amended(one.call_id, ())]
    assert await counts(database) == before
    assert await stored(database, one) == call
    assert len(await events_of(database, whose.organization_id)) == 3


async def test_another_organizations_call_is_not_there(writer: BatchWriter, database: store.Database) -> None:
    one, stranger = entry(caller()), caller()
    await written(writer, one)
    foreign = Amendment(stranger.organization_id, one.call_id, summary("Mine."))
    assert await written(writer, foreign) == [Missing(one.call_id)]
    assert (await stored(database, one))["summary"] is None
    assert await events_of(database, stranger.organization_id) == []
    group_commit = GroupCommit(lambda: writer, Metrics())
    with pytest.raises(NotFound):
        await group_commit.submit(foreign)
    await group_commit.close()


async def test_a_change_that_was_made_for_an_earlier_state_is_not_written(
    writer: BatchWriter, database: store.Database
) -> None:
    one = entry(caller())
    await written(writer, one)
    both = [amendment(one, summary(text), expected_change=0) for text in ("One.", "Two.")]
    assert await written(writer, *both) == [Amended(one.call_id, ["summary"]), Stale(one.call_id)]
    assert (await stored(database, one))["summary"] == "One."
    assert await written(writer, amendment(one, summary("Two."), expected_change=1)) == [Amended(one.call_id, ["summary"])]


@pytest.mark.parametrize("lost", ["answer", "question"])
async def test_a_change_whose_reply_was_lost_is_made_and_announced_once(
    mongodb_uri: str, database: store.Database, lost: str
) -> None:
    whose = caller()
    one, more = entry(whose), entry(whose)
    added = amendment(one, with_recording)
    async with wired_writer(mongodb_uri, database) as (writer, wire):
        await written(writer, one)
        wire.lost = lost
        with pytest.raises(Unavailable):
            await writer.write([added, more])
        wire.lost = None
        outcomes = await written(writer, added, more, is_retry=True)
    assert [outcome.call_id for outcome in outcomes if isinstance(outcome, Amended)] == [one.call_id]
    assert len((await stored(database, one))["recordings"]) == 1
    assert len(await events_of(database, whose.organization_id)) == 3 + 1 + 3


@pytest.mark.parametrize("changes", [0, 1, 5])
async def test_changes_cost_no_round_trip_of_their_own(mongodb_uri: str, database: store.Database, changes: int) -> None:
    """Three: the counter with what has to be read, the writes, the commit."""
    whose = caller()
    old = [entry(whose) for _ in range(5)]
    async with wired_writer(mongodb_uri, database) as (writer, wire):
        await written(writer, *old)
        wire.requests.clear()
        await written(writer, entry(whose), *(amendment(one, summary("New.")) for one in old[:changes]))
        (reads,) = [piece for piece in wire.requests if b"startTransaction" in piece]
        (writes,) = [piece for piece in wire.requests if WRITES in piece]
        (commit,) = [piece for piece in wire.requests if COMMIT in piece]
        assert [wire.requests.index(piece) for piece in (reads, writes, commit)] == sorted(
            wire.requests.index(piece) for piece in (reads, writes, commit)
        )
        assert reads.count(b"find\0\x06\0\0\0calls\0") == changes
        assert len(wire.requests) == 3


async def test_a_name_is_given_to_a_contact_that_has_none(writer: BatchWriter, database: store.Database) -> None:
    whose = caller()
    one = entry(whose, fromNumber=NUMBER)
    await written(writer, one)
    contact = await database["contacts"].find_one({"number": NUMBER})
    assert contact is not None
    assert contact["name"] == UNKNOWN_CALLER

    def named(name: str) -> Amendment:
        change = Change(set={"callerName": name}, changed=["callerName"])
        return amendment(one, lambda call: change, contact_id=contact["_id"], caller_name=name)

    await written(writer, named("Tom"))
    await written(writer, entry(whose, fromNumber=NUMBER), named("Jerry"))
    found = await database["contacts"].find_one({"number": NUMBER})
    assert found is not None
    assert found["name"] == "Tom"
    assert found["lastCallAt"] > contact["lastCallAt"]
    call = await stored(database, one)
    assert call["contactName"] == "Tom"


async def test_a_contact_that_is_renamed_meanwhile_keeps_that_name(
    mongodb_uri: str, writer: BatchWriter, database: store.Database
) -> None:
    whose = caller()
    one = entry(whose, fromNumber=NUMBER)
    await written(writer, one)
    contact = await database["contacts"].find_one({"number": NUMBER})
    assert contact is not None
    async with another_process(mongodb_uri, database) as other:
        await database["contacts"].update_one({"_id": contact["_id"]}, {"$set": {"name": "Ann"}})
        change = Change(set={"callerName": "Tom"}, changed=["callerName"])
        await written(other, amendment(one, lambda call: change, contact_id=contact["_id"], caller_name="Tom"))
    assert (await database["contacts"].find_one({"_id": contact["_id"]}) or {})["name"] == "Ann"
    assert (await stored(database, one))["contactName"] == "Ann"


async def test_a_history_has_the_last_hundred_changes(writer: BatchWriter, database: store.Database) -> None:
    one = entry(caller())
    await written(writer, one)
    count = MAX_HISTORY + 7
    await written(writer, *(amendment(one, summary(str(number))) for number in range(count)))
    history = await database["call_changes"].find({"callId": one.call_id}).sort("number", 1).to_list(None)
    assert [entry["number"] for entry in history] == list(range(count - MAX_HISTORY + 1, count + 1))
    assert json.dumps(history[-1]["changed"]) == json.dumps({"summary": str(count - 2)})
