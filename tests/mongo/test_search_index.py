"""Search terms are written after their calls: all of them, whatever happens, and without keeping ingest from its work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import encode
from pymongo.errors import BulkWriteError

from tests.conftest import settings_on
from tests.support.entries import caller, entry
from tests.support.proxy import Passage, Proxy
from tests.support.service import missed, running
from tether_rt.domain.search_terms import MAX_PAIRS, MAX_TERMS
from tether_rt.domain.source import Source
from tether_rt.mongo import client as store
from tether_rt.mongo.batch_writer import BatchWriter
from tether_rt.mongo.call_history import CallFilter, CallHistory
from tether_rt.mongo.contacts import Contacts
from tether_rt.mongo.search_index import SearchBacklog, SearchIndexer

LONG_AGO = datetime(2026, 5, 15, tzinfo=UTC)
MARKED = {"unindexed": {"$exists": True}}
MAX_DOCUMENT_BYTES = 16 << 20


async def store_spoken(database: store.Database, count: int, backlog: SearchBacklog | None = None) -> None:
    """Store calls in each of which another word is spoken; they are announced to the backlog, if one is given."""
    whose = caller()
    writer = BatchWriter(database, backlog.enqueue) if backlog else BatchWriter(database)
    turns = [[{"role": "agent", "message": f"word{number} again"}] for number in range(count)]
    await writer.write([entry(whose, transcript=turn) for turn in turns])
    await writer.close()


async def index_all(indexer: SearchIndexer) -> None:
    """Index until no more marked calls are known."""
    while await indexer.index():
        pass


async def with_word(database: store.Database, word: str) -> int:
    return await database["calls"].count_documents({"terms": word})


async def marked(database: store.Database) -> int:
    return await database["calls"].count_documents(MARKED)


async def found(database: store.Database, whose: str, search: str) -> list[str]:
    page = await CallHistory(database).page(whose, CallFilter(search=search), limit=50)
    assert page is not None
    return [call["_id"] for call in page.calls]


@pytest.mark.parametrize("page_bytes", [1, 4_000, 1 << 20])
async def test_a_marked_call_is_found_by_its_words_and_its_mark_is_gone(database: store.Database, page_bytes: int) -> None:
    await store_spoken(database, 70)
    assert await with_word(database, "word69") == 0
    await index_all(SearchIndexer(database, SearchBacklog(), page_bytes=page_bytes))
    assert [await with_word(database, f"word{number}") for number in range(70)] == [1] * 70
    assert await with_word(database, "again") == 70
    assert await marked(database) == 0


async def test_calls_with_more_words_than_one_answer_of_mongodb_holds_are_all_indexed(database: store.Database) -> None:
    """Six of 5 MB are 30 MB, and an answer has 16."""
    whose = caller()
    backlog = SearchBacklog()
    indexer = SearchIndexer(database, backlog)
    await index_all(indexer)
    turns = [{"role": "agent", "message": "a word and another one " * 40} for _ in range(5_500)]
    for number in range(6):
        writer = BatchWriter(database, backlog.enqueue)
        await writer.write([entry(whose, transcript=[{"role": "user", "message": f"rare{number:02d}"}, *turns])])
        await writer.close()
    await index_all(indexer)
    assert await marked(database) == 0
    assert [len(await found(database, whose.organization_id, f"rare{number:02d}")) for number in range(6)] == [1] * 6


async def test_calls_with_the_most_words_are_indexed_at_the_first_try(database: store.Database) -> None:
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
    await index_all(SearchIndexer(database, SearchBacklog()))
    by_size = [{"$group": {"_id": {"$size": {"$concatArrays": ["$terms", "$numbers"]}}, "calls": {"$sum": 1}}}]
    assert await database["calls"].aggregate(by_size).to_list(None) == [{"_id": 2 * MAX_TERMS, "calls": 32}]


async def test_calls_with_the_most_pairs_of_characters_are_indexed_at_the_first_try(database: store.Database) -> None:
    whose = caller()
    writer = BatchWriter(database)
    said = ["".join(chr(0x4E00 + number * 600 + at % 600 * (1 + at // 600)) for at in range(1_200)) for number in range(32)]
    await writer.write([entry(whose, transcript=[{"role": "agent", "message": text}]) for text in said])
    await writer.close()
    await index_all(SearchIndexer(database, SearchBacklog()))
    assert await marked(database) == 0
    assert await database["calls"].count_documents({f"terms.{MAX_PAIRS - 1}": {"$exists": True}}) == 32
    assert len(await found(database, whose.organization_id, said[31][400:410])) == 1


async def test_calls_with_terms_of_an_earlier_version_are_found_as_before(database: store.Database) -> None:
    await store_spoken(database, 1)
    (call,) = await database["calls"].find().to_list(None)
    terms = ["明日の予約を確認したいです", "क", "त", "ब", "donau", "dampf", "schiff", "muller"]
    numbers = ["14165550199", "4165550199", "5550199", "0199", "4711"]
    earlier = {"$set": {"terms": terms, "numbers": numbers}, "$unset": {"unindexed": "", "newTerms": ""}}
    await database["calls"].update_one({}, earlier)
    for search in (
        "明日の予約",
        "किताब",
        "donau\u00addampf",
        "Müller",
        "5550199",
        "555-0199",
        "(416) 555-0199",
        "+1 416 555 0199",
    ):
        assert await found(database, call["organizationId"], search) == [call["_id"]], search
    for search in ("4711", "0199", "41655", "muller 0199"):
        assert await found(database, call["organizationId"], search) == [call["_id"]], search
    assert await found(database, call["organizationId"], "予約") == []


async def test_a_call_that_an_earlier_version_marked_is_indexed_and_keeps_its_words(database: store.Database) -> None:
    await store_spoken(database, 1)
    earlier = {"$set": {"unindexed": True, "terms": ["parcel"]}, "$unset": {"newTerms": ""}}
    await database["calls"].update_one({}, earlier)
    await index_all(SearchIndexer(database, SearchBacklog()))
    assert await with_word(database, "parcel") == await with_word(database, "word0") == 1
    assert await marked(database) == 0


async def test_a_contacts_new_name_is_not_lost_while_its_call_is_indexed(
    database: store.Database, proxied: store.Database, proxy: Proxy
) -> None:
    await store_spoken(database, 2)
    one, other = await database["calls"].find().to_list(None)

    async def rename(call: dict[str, Any], name: str) -> None:
        await database["contacts"].update_one({"_id": call["contactId"]}, {"$set": {"name": name}})
        await Contacts(database).index_name(call["organizationId"], call["contactId"], name)

    await rename(other, "Flat 9c Becker")
    await database["calls"].update_many({}, {"$set": {"unindexed": LONG_AGO}})
    backlog = SearchBacklog()
    indexer = SearchIndexer(proxied, backlog)

    async def rename_before_the_update(passage: Passage, up: bool, piece: bytes) -> bool:
        if up and b"\x02update\x00" in piece:
            proxy.look = None
            await rename(one, "Room 12b Becker")
        return True

    proxy.look = rename_before_the_update
    assert await indexer.index() == 2
    assert proxy.look is None
    assert [call["_id"] async for call in database["calls"].find(MARKED)] == [one["_id"]]
    assert backlog.waiting_since <= LONG_AGO, "a search reads the call for as long as it is marked"
    assert await indexer.index() > 0, "without a sweep, which may be a minute away"
    assert await with_word(database, "becker") == await with_word(database, "again") == 2
    for search, call in (("room 12b", one), ("12b", one), ("flat 9c", other), ("9c", other)):
        assert await found(database, call["organizationId"], search) == [call["_id"]]


def is_a_minute_ago(at: datetime) -> bool:
    return timedelta(seconds=60) < datetime.now(UTC) - at < timedelta(minutes=2)


async def test_it_is_known_since_when_calls_are_marked(database: store.Database) -> None:
    backlog = SearchBacklog()
    indexer = SearchIndexer(database, backlog)
    assert backlog.waiting_since.year == 1970, "nobody has looked yet for what another process may have left"
    await store_spoken(database, 40)
    await database["calls"].update_one({"newTerms": {"$exists": True}}, {"$set": {"unindexed": LONG_AGO}})
    while await marked(database):
        assert await indexer.index()
        assert not await marked(database) or backlog.waiting_since == LONG_AGO
    assert is_a_minute_ago(backlog.waiting_since)
    await store_spoken(database, 1, backlog)
    assert is_a_minute_ago(backlog.waiting_since)
    backlog.enqueue(["a" * 24], LONG_AGO)
    assert backlog.waiting_since == LONG_AGO
    await index_all(indexer)
    assert is_a_minute_ago(backlog.waiting_since)


async def test_calls_of_another_process_are_found_by_their_marks(database: store.Database) -> None:
    backlog = SearchBacklog()
    indexer = SearchIndexer(database, backlog, sweep_every_s=0)
    await index_all(indexer)
    await store_spoken(database, 3, backlog)
    await store_spoken(database, 2)
    await index_all(indexer)
    assert await marked(database) == 0


async def test_more_marked_calls_than_one_sweep_finds_are_found_by_the_next(database: store.Database) -> None:
    await store_spoken(database, 25)
    await index_all(SearchIndexer(database, SearchBacklog(), swept_calls=10))
    assert await marked(database) == 0


async def test_calls_that_the_backlog_has_no_room_for_are_found_by_their_marks(database: store.Database) -> None:
    backlog = SearchBacklog(max_calls=4)
    indexer = SearchIndexer(database, backlog)
    await index_all(indexer)
    await store_spoken(database, 6, backlog)
    backlog.enqueue(["a" * 24], LONG_AGO)
    await indexer.index()
    assert backlog.waiting_since == LONG_AGO
    await index_all(indexer)
    assert await marked(database) == 0


async def test_calls_are_tried_again_after_mongodb_was_away(
    database: store.Database, proxied: store.Database, proxy: Proxy
) -> None:
    backlog = SearchBacklog()
    indexer = SearchIndexer(proxied, backlog)
    await index_all(indexer)
    await store_spoken(database, 2, backlog)
    await proxy.refuse()
    with pytest.raises(store.DriverError) as away:
        await indexer.index()
    assert store.unavailable(away.value) is not None
    await proxy.listen()
    await index_all(indexer)
    assert await marked(database) == 0


async def test_a_call_that_mongodb_refuses_does_not_block_the_others(database: store.Database) -> None:
    """A document that is as large as it may be has no room for its terms."""
    backlog = SearchBacklog()
    indexer = SearchIndexer(database, backlog)
    await index_all(indexer)
    full = {"_id": "full", "unindexed": LONG_AGO, "newTerms": ["parcel"], "transcription": [{"message": "boiler"}], "rest": ""}
    await database["calls"].insert_one({**full, "rest": "x" * (MAX_DOCUMENT_BYTES - len(encode(full)))})
    backlog.enqueue(["full"], LONG_AGO)
    await store_spoken(database, 3, backlog)
    with pytest.raises(BulkWriteError):
        await index_all(indexer)
    await index_all(indexer)
    assert [call["_id"] async for call in database["calls"].find(MARKED, {"_id": 1})] == ["full"]
    assert await with_word(database, "again") == 3


class Stop(Exception):
    """Ends an indexer that runs."""


async def pauses_of(
    database: store.Database, backlog: SearchBacklog, pauses: int, pause: Callable[[], Awaitable[object]]
) -> list[float]:
    """Run an indexer until it has paused that often; return for how many seconds it wanted to each time."""
    wanted: list[float] = []

    async def sleep(seconds: float) -> None:
        wanted.append(seconds)
        if len(wanted) == pauses:
            raise Stop
        await pause()

    with pytest.raises(Stop):
        await SearchIndexer(database, backlog, sleep=sleep).run()
    return wanted


async def test_an_indexer_waits_for_a_mongodb_that_is_away(
    database: store.Database, proxied: store.Database, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    await store_spoken(database, 1)
    await proxy.refuse()
    # The first pause is after the failure, the second when nothing is left to do.
    assert await pauses_of(proxied, SearchBacklog(), 2, proxy.listen) == [1.0, 1.0]
    assert [record.getMessage() for record in caplog.records if record.name == "tether.store"] == ["words_not_indexed"]
    assert await with_word(database, "word0") == 1


async def test_an_idle_server_indexes_without_a_rest_and_then_looks_every_second(database: store.Database) -> None:
    await store_spoken(database, 64)
    assert await pauses_of(database, SearchBacklog(), 2, lambda: asyncio.sleep(0)) == [1.0, 1.0]
    assert await marked(database) == 0


@asynccontextmanager
async def other_calls_being_stored(backlog: SearchBacklog) -> Any:
    """Report a stored batch, of which no call is marked, at every turn of the event loop."""

    async def report() -> None:
        while True:
            backlog.enqueue([], datetime.now(UTC))
            await asyncio.sleep(0)

    task = asyncio.create_task(report())
    yield
    task.cancel()


async def test_a_server_that_stores_calls_rests_after_each_batch_of_the_index(database: store.Database) -> None:
    await store_spoken(database, 64)
    backlog = SearchBacklog()
    async with other_calls_being_stored(backlog):
        rest, another, look, _ = await pauses_of(database, backlog, 4, lambda: asyncio.sleep(0))
    assert rest > 0
    assert another > 0
    assert look == 1.0
    assert await marked(database) == 0


async def test_a_full_backlog_has_room_again_once_calls_are_indexed(database: store.Database) -> None:
    backlog = SearchBacklog(full_calls=3)
    for count, is_full in ((2, False), (1, True)):
        await store_spoken(database, count, backlog)
        assert backlog.is_full() is is_full
    await index_all(SearchIndexer(database, backlog))
    assert not backlog.is_full()


def _two(whose: Source) -> list[Any]:
    said = [{"role": "user", "message": "About the boiler again"}, {"role": "agent", "message": ""}]
    more: dict[str, Any] = {
        "summary": "Boiler makes noise",
        "agentName": "Zoë",
        "callerName": "Ann Bell",
        "fromNumber": "+14165550199",
    }
    return [entry(whose, transcript=said, is_indexed=at_once, **more) for at_once in (True, False)]


async def test_a_call_that_is_stored_with_its_terms_is_as_one_whose_terms_came_later(database: store.Database) -> None:
    backlog = SearchBacklog()
    writer = BatchWriter(database, backlog.enqueue)
    both = _two(caller())
    await writer.write(both)
    await writer.close()
    assert await marked(database) == 1
    await index_all(SearchIndexer(database, backlog))
    calls = [await database["calls"].find_one({"_id": one.call_id}) for one in both]
    own = {"_id": 0, "callId": 0, "contactName": 0}
    first, second = ({**call, **own} for call in calls if call is not None)
    assert first == second
    assert first["terms"] == ["ann", "bell", "zoe", "boiler", "makes", "noise", "again"]


async def test_a_server_with_a_full_search_backlog_takes_a_call_with_its_terms_unless_it_is_large(
    mongodb_uri: str, tmp_path: Path
) -> None:
    async with running(settings_on(mongodb_uri, tmp_path)) as service:
        tenant, backlog, calls = await service.tenant(), service.server.app.search_backlog, service.database["calls"]
        while True:
            small, large = missed(transcript=[{"role": "user", "message": "A boiler"}]), missed(metadata={"a": "x" * 200_000})
            backlog.enqueue([f"{number:024x}" for number in range(25_000)], datetime.now(UTC))  # of calls that are gone
            ids = [(await tenant.post_call(call)).body["callId"] for call in (small, large)]
            if backlog.is_full():  # so it was when the calls were taken, and they are behind 20,000 others
                break
        stored = {call["_id"]: call async for call in calls.find({"_id": {"$in": ids}})}
        assert stored[ids[0]]["terms"] == ["boiler"]
        assert "unindexed" not in stored[ids[0]]
        assert "unindexed" in stored[ids[1]]
        found = (await tenant.get("/api/calls/history?search=boiler")).body["calls"]
        assert [call["callId"] for call in found] == ids[:1]
