"""Words are indexed after their calls: all of them, once, and in the time that nobody else needs."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from tests.support.entries import caller, entry
from tether_rt.domain.search_terms import MAX_TERMS, indexed_terms
from tether_rt.mongo import client as store
from tether_rt.mongo import search_index as module
from tether_rt.mongo.batch_writer import BatchWriter
from tether_rt.mongo.call_history import CallFilter, CallHistory
from tether_rt.mongo.contacts import People
from tether_rt.mongo.search_index import SearchIndexer
from tether_rt.mongo.wire.op_msg import Command

LONG_AGO = datetime(2026, 5, 15, tzinfo=UTC)
_is_ours: ContextVar[bool] = ContextVar("is_ours", default=False)
"""Tells the index under test from one of a server that other tests have running in this process."""


async def commit_spoken(database: store.Database, count: int, words: SearchIndexer | None = None) -> None:
    """Store calls in which each says its own word, and say so."""
    whose = caller()
    writer = BatchWriter(database, words.expect) if words else BatchWriter(database)
    turns = [[{"role": "agent", "message": f"word{number} again"}] for number in range(count)]
    await writer.write([entry(whose, transcript=turn) for turn in turns])
    await writer.close()


async def found(database: store.Database, word: str) -> int:
    return await database["calls"].count_documents({"terms": word})


class Timed(SearchIndexer):
    """Ends after some turns, and remembers how long each took."""

    def __init__(self, database: store.Database, *, busy: bool, turns: int) -> None:
        super().__init__(database, lambda: busy)
        self.turns = turns
        self.took_s: list[float] = []

    async def index(self) -> int:
        if len(self.took_s) == self.turns:
            raise asyncio.CancelledError
        began_s = time.monotonic()
        indexed = await super().index()
        self.took_s.append(time.monotonic() - began_s)
        return indexed


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it was going to rest each time; here it does not."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        if not _is_ours.get():
            await asyncio.sleep(seconds)
        elif seconds:  # else it is a turn given to others
            made.append(seconds)
            await asyncio.sleep(0.01)  # a MongoDB that is away for a moment is not asked a thousand times

    monkeypatch.setattr(module, "asyncio", SimpleNamespace(sleep=sleep))
    return made


@pytest.fixture
async def words(database: store.Database) -> AsyncIterator[SearchIndexer]:
    words = SearchIndexer(database, lambda: False)
    yield words
    await words.close()


async def run(words: Timed) -> None:
    _is_ours.set(True)
    with pytest.raises(asyncio.CancelledError):
        await words.run()
    await words.close()


async def test_a_marked_call_is_found_by_its_words_and_its_mark_is_gone(database: store.Database, words: SearchIndexer) -> None:
    await commit_spoken(database, 70)
    assert await found(database, "word69") == 0
    assert [await words.index() for _ in range(4)] == [32, 32, 6, 0]
    assert [await found(database, f"word{number}") for number in range(70)] == [1] * 70
    assert await found(database, "again") == 70
    assert await database["calls"].count_documents({"unindexed": {"$exists": True}}) == 0


async def test_calls_with_the_most_words_are_indexed_at_the_first_try(database: store.Database, words: SearchIndexer) -> None:
    # 16,384 entries for one index, which MongoDB holds in pages that it may try to write at each of them.
    whose = caller()
    writer = BatchWriter(database)
    await writer.write(
        [
            entry(
                whose,
                summary=" ".join(f"word{number}x{word}" for word in range(MAX_TERMS)),
                transcript=[{"role": "agent", "message": " ".join(f"said{number}x{word}" for word in range(MAX_TERMS))}],
            )
            for number in range(32)
        ]
    )
    await writer.close()
    assert await words.index() == 32
    by_size = [{"$group": {"_id": {"$size": {"$concatArrays": ["$terms", "$numbers"]}}, "calls": {"$sum": 1}}}]
    assert await database["calls"].aggregate(by_size).to_list(None) == [{"_id": 2 * MAX_TERMS, "calls": 32}]


async def test_what_an_earlier_version_left_marked_is_indexed_and_keeps_its_words(
    database: store.Database, words: SearchIndexer
) -> None:
    await commit_spoken(database, 1)
    earlier = {"$set": {"unindexed": True, "terms": ["parcel"]}, "$unset": {"newTerms": ""}}
    await database["calls"].update_one({}, earlier)
    assert [await words.index() for _ in range(2)] == [1, 0]
    assert await found(database, "parcel") == await found(database, "word0") == 1
    assert await marked(database) == 0


async def test_a_name_that_a_call_is_given_while_it_is_indexed_is_not_lost(
    database: store.Database, words: SearchIndexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await commit_spoken(database, 2)
    one, other = await database["calls"].find().to_list(None)
    people = People(database)
    await people.rename(other["organizationId"], other["contactId"], "Flat 9c Becker")
    await database["calls"].update_many({}, {"$set": {"unindexed": LONG_AGO}})
    ask = words._connection.ask

    async def renamed_meanwhile(commands: Sequence[Command]) -> list[store.Document]:
        if "update" in commands[0].body:
            await people.rename(one["organizationId"], one["contactId"], "Room 12b Becker")
        return await ask(commands)

    monkeypatch.setattr(words._connection, "ask", renamed_meanwhile)
    assert await words.index() == 2
    monkeypatch.setattr(words._connection, "ask", ask)
    assert [call["_id"] async for call in database["calls"].find({"unindexed": {"$exists": True}})] == [one["_id"]]
    assert words.waiting_since <= LONG_AGO, "a search looks through the call as long as it waits"
    assert [await words.index() for _ in range(2)] == [2, 0], "without a sweep, which may be a minute away"
    assert await found(database, "becker") == await found(database, "again") == 2
    for search, call in (("room 12b", one), ("12b", one), ("flat 9c", other), ("9c", other)):
        page = await CallHistory(database).page(call["organizationId"], CallFilter(search=search), limit=5)
        assert page is not None
        assert [each["_id"] for each in page.calls] == [call["_id"]]


def is_lately(at: datetime) -> bool:
    return timedelta(seconds=60) < datetime.now(UTC) - at < timedelta(minutes=2)


async def test_it_is_known_since_when_calls_wait(database: store.Database, words: SearchIndexer) -> None:
    assert words.waiting_since.year == 1970  # nobody has looked yet what another process may have left
    await commit_spoken(database, 40)
    await database["calls"].update_one({"newTerms": {"$exists": True}}, {"$set": {"unindexed": LONG_AGO}})
    assert await words.index() == 32
    assert words.waiting_since == LONG_AGO
    assert await words.index() == 8
    assert is_lately(words.waiting_since)
    await commit_spoken(database, 1, words)
    assert is_lately(words.waiting_since)
    words.expect(["a" * 24], LONG_AGO)
    assert words.waiting_since == LONG_AGO
    assert [await words.index() for _ in range(2)] == [2, 0]
    assert is_lately(words.waiting_since)


async def marked(database: store.Database) -> int:
    return await database["calls"].count_documents({"unindexed": {"$exists": True}})


async def test_calls_that_were_announced_are_not_looked_for(
    database: store.Database, words: SearchIndexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await words.index() == 0
    await commit_spoken(database, 3, words)
    await commit_spoken(database, 2)
    assert [await words.index() for _ in range(2)] == [3, 0]
    assert await marked(database) == 2
    monkeypatch.setattr(words, "_sweep_at_s", time.monotonic())
    assert [await words.index() for _ in range(2)] == [2, 0]
    assert await marked(database) == 0


async def test_more_marks_than_one_look_finds_are_found_by_the_next(
    database: store.Database, words: SearchIndexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SWEPT_AT_ONCE", 10)
    await commit_spoken(database, 25)
    assert [await words.index() for _ in range(4)] == [10, 10, 5, 0]
    assert await marked(database) == 0


async def test_what_is_forgotten_because_it_is_too_much_is_found_by_its_mark(
    database: store.Database, words: SearchIndexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert words._ids.maxlen == module._MOST_EXPECTED
    monkeypatch.setattr(words, "_ids", deque(maxlen=4))
    assert await words.index() == 0
    await commit_spoken(database, 6, words)
    words.expect((), LONG_AGO)
    assert await words.index() == 4
    assert words.waiting_since == LONG_AGO
    assert [await words.index() for _ in range(2)] == [2, 0]
    assert await marked(database) == 0


@pytest.mark.parametrize(
    ("error", "expected"), [(AutoReconnect("connection closed"), 2), (OperationFailure("the document is too large", 17419), 0)]
)
async def test_calls_stay_expected_while_mongodb_is_away_and_not_when_it_refuses_them(
    database: store.Database, words: SearchIndexer, monkeypatch: pytest.MonkeyPatch, error: PyMongoError, expected: int
) -> None:
    assert await words.index() == 0
    await commit_spoken(database, 2, words)
    ask = words._connection.ask

    async def away(commands: Sequence[Command]) -> list[store.Document]:
        monkeypatch.setattr(words._connection, "ask", ask)
        raise error

    monkeypatch.setattr(words._connection, "ask", away)
    with pytest.raises(type(error)):
        await words.index()
    assert await words.index() == expected
    assert await marked(database) == 2 - expected


async def test_others_have_their_turn_between_the_words_of_any_two_calls(
    database: store.Database, words: SearchIndexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = 0
    taken_in: list[int] = []

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def noted(known: Iterable[str], said: Iterable[str]) -> dict[str, list[str]]:
        taken_in.append(turns)
        return indexed_terms(known, said)

    await commit_spoken(database, 10)
    monkeypatch.setattr(module, "indexed_terms", noted)
    counting = asyncio.create_task(count())
    assert await words.index() == 10
    counting.cancel()
    assert len(set(taken_in)) == 10


async def test_a_mongodb_that_was_away_is_waited_for(
    database: store.Database, pauses: list[float], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await commit_spoken(database, 1)
    words = Timed(database, busy=False, turns=2)
    ask = words._connection.ask

    async def away(commands: Sequence[Command]) -> list[store.Document]:
        monkeypatch.setattr(words._connection, "ask", ask)
        raise AutoReconnect("connection closed")

    monkeypatch.setattr(words._connection, "ask", away)
    await run(words)
    assert [record.getMessage() for record in caplog.records if record.name == "tether.store"] == ["words_not_indexed"]
    assert pauses == [1.0, 1.0]
    assert await found(database, "word0") == 1


async def test_an_idle_server_indexes_without_a_rest_and_then_looks_every_second(
    database: store.Database, pauses: list[float]
) -> None:
    await commit_spoken(database, 64)
    await run(Timed(database, busy=False, turns=4))
    assert pauses == [1.0, 1.0]


async def test_a_busy_server_indexes_for_a_tenth_of_the_time(database: store.Database, pauses: list[float]) -> None:
    await commit_spoken(database, 64)
    words = Timed(database, busy=True, turns=3)
    await run(words)
    assert [pause >= 9 * took for pause, took in zip(pauses, words.took_s[:2], strict=False)] == [True, True]
    assert pauses[2] == 1.0


async def test_with_enough_that_wait_the_next_come_with_their_words(
    database: store.Database, words: SearchIndexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ENOUGH_WAIT", 3)
    await words.index()
    for count, is_backlog_full in ((2, False), (1, True)):
        await commit_spoken(database, count, words)
        assert words.is_backlog_full is is_backlog_full
    assert await words.index() == 3
    assert not words.is_backlog_full


async def test_a_call_with_its_words_is_as_one_whose_words_came_later(database: store.Database, words: SearchIndexer) -> None:
    whose = caller()
    writer = BatchWriter(database, words.expect)
    said = [{"role": "user", "message": "About the boiler again"}, {"role": "agent", "message": ""}]
    more: dict[str, Any] = {
        "summary": "Boiler makes noise",
        "agentName": "Zoë",
        "callerName": "Ann Bell",
        "fromNumber": "+14165550199",
    }
    both = [entry(whose, transcript=said, is_indexed=at_once, **more) for at_once in (True, False)]
    assert await words.index() == 0
    await writer.write(both)
    await writer.close()
    assert await marked(database) == 1
    assert await words.index() == 1
    calls = [await database["calls"].find_one({"_id": one.call_id}) for one in both]
    own = {"_id": 0, "callId": 0, "contactName": 0}
    first, second = ({**call, **own} for call in calls if call is not None)
    assert first == second
    assert first["terms"] == ["ann", "bell", "zoe", "boiler", "makes", "noise", "again"]
