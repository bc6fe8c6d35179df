"""Was this call stored before? Asked together, answered for each, and never by what was read before the question."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest
from pymongo.errors import AutoReconnect

from tests.support.entries import caller, entry
from tether_rt.domain.call import MAX_NAME_CHARS
from tether_rt.domain.source import Source
from tether_rt.ingest.deduplication import MAX_KEYS, DuplicateCheck
from tether_rt.mongo import client as store
from tether_rt.mongo.batch_writer import BatchWriter
from tether_rt.mongo.lookups import CallKey, Lookups, StoredCall
from tether_rt.mongo.wire.loop_connection import LoopConnection


class WatchedCalls(Lookups):
    """The real queries, counted, held back when the test says so, and failing when it says so."""

    def __init__(self, database: store.Database) -> None:
        super().__init__(LoopConnection(database))
        self.queries: list[set[CallKey]] = []
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.error: Exception | None = None

    async def calls(self, keys: Iterable[CallKey]) -> dict[CallKey, StoredCall]:
        asked = set(keys)
        self.queries.append(asked)
        self.begun.set()
        await self.may_end.wait()
        if self.error is not None:
            raise self.error
        return await super().calls(asked)


@pytest.fixture
async def calls(database: store.Database) -> WatchedCalls:
    return WatchedCalls(database)


@pytest.fixture
async def check(calls: WatchedCalls) -> AsyncIterator[DuplicateCheck]:
    check = DuplicateCheck(calls)
    yield check
    await check.close()


async def stored(database: store.Database, whose: Source, external_id: str) -> str:
    """Store a call under this id and return the one that it was given."""
    one = entry(whose, externalCallId=external_id, fingerprint=f"print of {external_id}")
    writer = BatchWriter(database)
    await writer.write([one])
    await writer.close()
    return one.call_id


async def test_a_stored_call_is_found_by_its_own_key_alone(database: store.Database, check: DuplicateCheck) -> None:
    whose, other = caller(), caller()
    call_id = await stored(database, whose, "a\0b")
    assert await check.find((whose.id, "a\0b")) == StoredCall(call_id, "print of a\0b")
    for key in (
        (other.id, "a\0b"),
        (whose.id, "A\0b"),
        (whose.id, "a"),
        (whose.id, ""),
        (whose.id, "$eq"),
    ):
        assert await check.find(key) is None


async def test_questions_that_come_during_a_query_are_asked_together_by_the_next(
    calls: WatchedCalls, check: DuplicateCheck
) -> None:
    calls.may_end.clear()
    first = asyncio.ensure_future(check.find(("u", "0")))
    await calls.begun.wait()
    later = [asyncio.ensure_future(check.find(("u", str(number)))) for number in range(10) for _ in range(3)]
    await asyncio.sleep(0)
    calls.may_end.set()
    assert await asyncio.gather(first, *later) == [None] * 31
    assert calls.queries == [{("u", "0")}, {("u", str(number)) for number in range(10)}]


async def test_an_answer_is_never_older_than_its_question(
    database: store.Database, calls: WatchedCalls, check: DuplicateCheck
) -> None:
    whose = caller()
    key = (whose.id, "same")
    calls.may_end.clear()
    early = asyncio.ensure_future(check.find(key))
    await calls.begun.wait()
    call_id = await stored(database, whose, "same")
    late = asyncio.ensure_future(check.find(key))
    await asyncio.sleep(0)
    calls.may_end.set()
    assert await late == StoredCall(call_id, "print of same")
    await early
    assert len(calls.queries) == 2


async def test_the_longest_keys_fit_into_one_query_however_many_ask(calls: WatchedCalls, check: DuplicateCheck) -> None:
    widest = "\U0001f600" * (MAX_NAME_CHARS - 6)
    keys = [("u" * 24, f"{widest}{number}") for number in range(MAX_KEYS * 2 + 1)]
    assert set(await asyncio.gather(*[check.find(key) for key in keys])) == {None}
    assert [len(query) for query in calls.queries] == [MAX_KEYS, MAX_KEYS, 1]


async def test_a_failed_query_fails_those_who_asked_it_and_nobody_later(calls: WatchedCalls, check: DuplicateCheck) -> None:
    calls.error = AutoReconnect("away")
    calls.may_end.clear()
    asked = [asyncio.ensure_future(check.find(("u", str(number)))) for number in range(3)]
    await calls.begun.wait()
    calls.may_end.set()
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [AutoReconnect] * 3
    calls.error = None
    assert await check.find(("u", "0")) is None


async def test_a_caller_who_left_takes_nobody_along(calls: WatchedCalls, check: DuplicateCheck) -> None:
    calls.may_end.clear()
    left, stayed = [asyncio.ensure_future(check.find(("u", "1"))) for _ in range(2)]
    await calls.begun.wait()
    left.cancel()
    calls.may_end.set()
    assert await stayed is None
    assert left.cancelled()
