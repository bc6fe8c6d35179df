"""Processes that write for one organization at once, on a real replica set: no gap, and no call twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.support.batches import HesitantWriter, another_process, counts, events_of, ids
from tests.support.entries import caller, entry
from tether_rt.ingest.group_commit import Committer
from tether_rt.mongo import client as store
from tether_rt.mongo.abandoned_transactions import AbandonedTransactions
from tether_rt.mongo.batch_plan import Created, Duplicate, Entry, Outcome, Plan
from tether_rt.mongo.batch_writer import BatchIsStale, BatchWriter
from tether_rt.mongo.wire.transaction import Transaction
from tether_rt.runtime.metrics import Metrics

NUMBER = "+442079460958"


class PausingWriter(BatchWriter):
    """Stops between reading and writing, where another process may come in between."""

    def __init__(self, client: store.Client, database: store.Database) -> None:
        super().__init__(client, database)
        self.planned = asyncio.Event()
        self.go_on = asyncio.Event()

    async def _plan(self, entries: Sequence[Entry], again: bool) -> Plan:
        plan = await super()._plan(entries, again)
        self.planned.set()
        await self.go_on.wait()
        return plan


async def write_through(writer: BatchWriter, entries: Sequence[Entry]) -> list[Outcome]:
    """Write one call after another, with the committer's patience."""
    committer = Committer(writer, Metrics())
    task = asyncio.create_task(committer.run())
    try:
        return [await committer.submit(one) for one in entries]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("organizations", [1, 4])
async def test_numbers_have_no_gap_when_two_processes_write_at_once(
    mongodb_uri: str, database: store.Database, organizations: int
) -> None:
    whose = [caller() for _ in range(organizations)]
    shares = [[entry(whose[number % organizations]) for number in range(40)] for _ in range(2)]
    async with another_process(mongodb_uri, database) as one, another_process(mongodb_uri, database) as two:
        outcomes = await asyncio.gather(write_through(one, shares[0]), write_through(two, shares[1]))
    assert all(isinstance(outcome, Created) for share in outcomes for outcome in share)
    told: list[str] = []
    for each in whose:
        told += [event["data"]["callId"] for event in await events_of(database, each.organization_id)]
    assert sorted(told) == sorted(one.call_id for share in shares for one in share for _ in range(3))
    assert await database["calls"].count_documents({}) == 80


async def test_one_external_id_at_two_processes_at_once_is_one_call(mongodb_uri: str, database: store.Database) -> None:
    whose = caller()
    shares = [[entry(whose, externalCallId=str(number), fromNumber=NUMBER) for number in range(25)] for _ in range(2)]
    async with another_process(mongodb_uri, database) as one, another_process(mongodb_uri, database) as two:
        outcomes = await asyncio.gather(write_through(one, shares[0]), write_through(two, shares[1]))
    for pair in zip(*outcomes, strict=True):
        made = [outcome for outcome in pair if isinstance(outcome, Created)]
        found = [outcome for outcome in pair if isinstance(outcome, Duplicate)]
        assert (len(made), len(found)) == (1, 1)
        assert found[0].call_id == made[0].ids.call_id
    expected = {"calls": 25, "messages": 25, "contacts": 1, "conversations": 1}
    assert {name: (await counts(database))[name] for name in expected} == expected
    assert len(await events_of(database, whose.organization_id)) == 75


async def meanwhile(
    mongodb_uri: str, database: store.Database, late: Sequence[Entry], first: Sequence[Entry]
) -> BaseException | list[Outcome]:
    """Return what becomes of `late`, planned before and written after another process wrote `first`."""
    pausing = PausingWriter(database.client, database)
    task = asyncio.create_task(pausing.write(late))
    await pausing.planned.wait()
    async with another_process(mongodb_uri, database) as other:
        await other.write(first)
    pausing.go_on.set()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    await pausing.close()
    return outcome


async def test_a_contact_that_was_made_meanwhile_is_seen(
    mongodb_uri: str, database: store.Database, writer: BatchWriter
) -> None:
    whose = caller()
    first, late = entry(whose, fromNumber=NUMBER, callerName="Ann"), entry(whose, fromNumber=NUMBER, callerName="Tom")
    outcomes = await meanwhile(mongodb_uri, database, [late, entry(whose)], [first])
    assert isinstance(outcomes, list)
    outcome = outcomes[0]
    call = await database["calls"].find_one({"_id": first.call_id})
    assert call is not None
    assert (ids(outcome).contact_id, ids(outcome).conversation_id) == (call["contactId"], call["conversationId"])
    assert [contact["name"] for contact in await database["contacts"].find({"number": NUMBER}).to_list(None)] == ["Ann"]


async def test_a_batch_is_stale_when_its_call_was_stored_meanwhile(
    mongodb_uri: str, database: store.Database, writer: BatchWriter
) -> None:
    whose = caller()
    first, late = (entry(whose, externalCallId="x", fingerprint=text) for text in ("one", "two"))
    neighbour = entry(whose)
    assert isinstance(await meanwhile(mongodb_uri, database, [neighbour, late], [first]), BatchIsStale)
    assert (await counts(database))["calls"] == 1
    outcomes = await writer.write([neighbour, late], again=True)
    assert ids(outcomes[0]).call_id == neighbour.call_id
    assert outcomes[1] == Duplicate(first.call_id, differs=True)
    assert len(await events_of(database, whose.organization_id)) == 6


async def test_a_name_that_was_given_meanwhile_is_kept(mongodb_uri: str, database: store.Database, writer: BatchWriter) -> None:
    whose = caller()
    await writer.write([entry(whose, fromNumber=NUMBER)])
    late = entry(whose, fromNumber=NUMBER, callerName="Tom")
    outcome = await meanwhile(mongodb_uri, database, [late], [entry(whose, fromNumber=NUMBER, callerName="Ann")])
    assert isinstance(outcome, list)
    (contact,) = await database["contacts"].find().to_list(None)
    assert contact["name"] == "Ann"


async def test_the_first_of_two_that_meet_wins_and_the_other_is_told_to_come_again(
    mongodb_uri: str, database: store.Database, writer: BatchWriter
) -> None:
    whose = caller()
    await writer.write([entry(whose)])

    async def meet() -> None:
        async with another_process(mongodb_uri, database) as other:
            with pytest.raises(BatchIsStale):
                await other.write([entry(whose)])

    class Slow(HesitantWriter):
        async def _commit(self, transaction: Transaction) -> None:
            await meet()
            await super()._commit(transaction)

    slow = Slow(database.client, database)
    await slow.write([entry(whose)])
    await slow.close()
    assert len(await events_of(database, whose.organization_id)) == 6


async def test_a_conflict_is_told_although_mongodb_went_away_before_orphans_could_be_looked_for(
    mongodb_uri: str, database: store.Database, writer: BatchWriter
) -> None:
    whose = caller()
    await writer.write([entry(whose)])
    away = store.connect("mongodb://127.0.0.1:1/?directConnection=true")

    class Slow(HesitantWriter):
        async def _commit(self, transaction: Transaction) -> None:
            async with another_process(mongodb_uri, database) as other:
                other._abandoned = AbandonedTransactions(away)
                with pytest.raises(BatchIsStale):
                    await other.write([entry(whose)])
            await super()._commit(transaction)

    slow = Slow(database.client, database)
    await slow.write([entry(whose)])
    await slow.close()
    away.close()
