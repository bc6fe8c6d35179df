"""Processes that write for one organization at once, on a real replica set: no gap, and no call twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.support.batches import another_process, counts, events_of, ids, wired_writer, written
from tests.support.entries import caller, entry
from tether_rt.errors import WriteConflict
from tether_rt.ingest.group_commit import GroupCommit
from tether_rt.mongo import client as store
from tether_rt.mongo.abandoned_transactions import AbandonedTransactions
from tether_rt.mongo.batch_plan import Created, Duplicate, Entry, ItemOutcome
from tether_rt.mongo.batch_writer import BatchWriter
from tether_rt.runtime.metrics import Metrics

NUMBER = "+442079460958"


async def committed(mongodb_uri: str, database: store.Database, entries: Sequence[Entry]) -> list[ItemOutcome]:
    """Commit one call after another as a process of its own does: with retries."""
    client = store.connect(mongodb_uri)
    group_commit = GroupCommit(lambda: BatchWriter(store.database(client, database.name)), Metrics())
    try:
        return [await group_commit.submit(one) for one in entries]
    finally:
        await group_commit.close()
        client.close()


@pytest.mark.parametrize("organizations", [1, 4])
async def test_numbers_have_no_gap_when_two_processes_write_at_once(
    mongodb_uri: str, database: store.Database, organizations: int
) -> None:
    whose = [caller() for _ in range(organizations)]
    shares = [[entry(whose[number % organizations]) for number in range(40)] for _ in range(2)]
    outcomes = await asyncio.gather(*(committed(mongodb_uri, database, share) for share in shares))
    assert all(isinstance(outcome, Created) for share in outcomes for outcome in share)
    announced: list[str] = []
    for each in whose:
        announced += [event["data"]["callId"] for event in await events_of(database, each.organization_id)]
    assert sorted(announced) == sorted(one.call_id for share in shares for one in share for _ in range(3))
    assert await database["calls"].count_documents({}) == 80


async def test_one_external_id_at_two_processes_at_once_is_one_call(mongodb_uri: str, database: store.Database) -> None:
    whose = caller()
    shares = [[entry(whose, externalCallId=str(number), fromNumber=NUMBER) for number in range(25)] for _ in range(2)]
    outcomes = await asyncio.gather(*(committed(mongodb_uri, database, share) for share in shares))
    for pair in zip(*outcomes, strict=True):
        made = [outcome for outcome in pair if isinstance(outcome, Created)]
        found = [outcome for outcome in pair if isinstance(outcome, Duplicate)]
        assert (len(made), len(found)) == (1, 1)
        assert found[0].call_id == made[0].ids.call_id
    expected = {"calls": 25, "messages": 25, "contacts": 1, "conversations": 1}
    assert {name: (await counts(database))[name] for name in expected} == expected
    assert len(await events_of(database, whose.organization_id)) == 75


async def test_a_contact_that_another_process_made_is_seen(
    mongodb_uri: str, database: store.Database, writer: BatchWriter
) -> None:
    whose = caller()
    first, late = entry(whose, fromNumber=NUMBER, callerName="Ann"), entry(whose, fromNumber=NUMBER, callerName="Tom")
    async with another_process(mongodb_uri, database) as other:
        await written(other, first)
    outcome, _ = await written(writer, late, entry(whose))
    call = await database["calls"].find_one({"_id": first.call_id})
    assert call is not None
    assert (ids(outcome).contact_id, ids(outcome).conversation_id) == (call["contactId"], call["conversationId"])
    assert [contact["name"] for contact in await database["contacts"].find({"number": NUMBER}).to_list(None)] == ["Ann"]


async def test_a_batch_conflicts_when_another_process_has_stored_its_call(
    mongodb_uri: str, database: store.Database, writer: BatchWriter
) -> None:
    whose = caller()
    first, late = (entry(whose, externalCallId="x", fingerprint=text) for text in ("one", "two"))
    neighbour = entry(whose)
    async with another_process(mongodb_uri, database) as other:
        await written(other, first)
    with pytest.raises(WriteConflict):
        await writer.write([neighbour, late])
    assert (await counts(database))["calls"] == 1
    outcomes = await written(writer, neighbour, late, is_retry=True)
    assert ids(outcomes[0]).call_id == neighbour.call_id
    assert outcomes[1] == Duplicate(first.call_id, "one", "two")
    assert len(await events_of(database, whose.organization_id)) == 6


async def test_the_first_of_two_that_meet_wins_and_the_other_meets_a_conflict(
    mongodb_uri: str, database: store.Database, writer: BatchWriter
) -> None:
    whose = caller()
    await written(writer, entry(whose))
    async with wired_writer(mongodb_uri, database) as (slow, wire):
        wire.may_commit.clear()
        writing = asyncio.create_task(written(slow, entry(whose)))
        await wire.seen.wait()
        with pytest.raises(WriteConflict):
            await writer.write([entry(whose)])
        wire.may_commit.set()
        await writing
    assert len(await events_of(database, whose.organization_id)) == 6


async def test_looking_for_abandoned_transactions_while_mongodb_is_away_fails_nobody(caplog: pytest.LogCaptureFixture) -> None:
    away = store.connect("mongodb://127.0.0.1:1/?directConnection=true")
    await AbandonedTransactions(away).end()
    assert "orphans_not_ended" in caplog.text
    away.close()
