"""The search index is fed by one process at a time, from where it was left, whatever happens to processes and MongoDB."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from tests.support.entries import caller, entry
from tests.support.indexing import amended, entries, found, index_all, is_indexed, spoken
from tests.support.proxy import Passage, Proxy
from tether_rt.mongo import client as store
from tether_rt.mongo.batch_writer import BatchWriter
from tether_rt.mongo.search_feeder import SearchFeeder
from tether_rt.mongo.search_index import SearchIndex
from tether_rt.runtime.metrics import Metrics


async def test_an_index_is_fed_by_one_process_at_a_time(database: store.Database, writer: BatchWriter) -> None:
    one, other = SearchFeeder(database), SearchFeeder(database)
    await one.step()
    await writer.write([entry(caller(), summary="parcel")])
    assert await other.step() > 0
    assert not await is_indexed(database)
    await one.step()
    assert await is_indexed(database)
    await writer.write([entry(caller(), summary="parcel")])
    await one.release()
    await index_all(database, other)
    assert len(await entries(database)) == 2


async def test_every_process_shows_how_far_the_index_is(database: store.Database, writer: BatchWriter) -> None:
    ours, theirs = Metrics(), Metrics()
    feeding = SearchFeeder(database, ours, page_bytes=1)
    await feeding.step()
    for _ in range(20):
        await writer.write([entry(caller())])
    await database["leases"].update_many({}, {"$set": {"said": {"behind": 60, "since": datetime.now(UTC), "building": 1}}})
    await SearchFeeder(database, theirs).step()
    assert b"tether_search_behind_events 60.0" in theirs.exposition()
    assert b"tether_search_building 1.0" in theirs.exposition()
    await index_all(database, feeding)
    await feeding.step()
    assert b"tether_search_behind_events 0.0" in ours.exposition()
    assert b"tether_search_lag_seconds 0.0" in ours.exposition()


async def test_a_process_that_hung_while_another_took_over_writes_nothing(
    database: store.Database, proxied: store.Database, proxy: Proxy, writer: BatchWriter
) -> None:
    whose = caller()
    one = entry(whose, summary="elephant")
    await writer.write([one])
    hung = SearchFeeder(proxied)

    async def take_over() -> None:
        await database["leases"].delete_many({})
        await writer.write([amended(whose, one.call_id, summary="zebra")])
        await index_all(database)

    once_before(b"search_positions\0\x03query", take_over, proxy)
    await hung.step()
    await hung.step()
    assert proxy.look is None
    assert await is_indexed(database)
    assert await found(database, whose, "zebra") == [one.call_id]
    (written,) = await entries(database)
    assert "elephant" not in written["terms"]


def once_before(mark: bytes, do: Callable[[], Awaitable[object]], proxy: Proxy) -> None:
    async def look(passage: Passage, up: bool, piece: bytes) -> bool:
        if up and mark in piece:
            proxy.look = None
            await do()
        return True

    proxy.look = look


async def test_a_feeder_that_is_cut_off_at_any_moment_leaves_nothing_out_and_nothing_twice(
    database: store.Database, proxied: store.Database, proxy: Proxy, writer: BatchWriter
) -> None:
    whose = caller()
    first = [entry(whose, transcript=spoken(f"word{number} again")) for number in range(5)]
    await writer.write(first)
    await index_all(database)
    await writer.write([entry(whose, transcript=spoken("never")), amended(whose, first[0].call_id, summary="zebra")])
    before = await entries(database), await database["search_positions"].find().to_list(None)
    await index_all(database)
    wanted = [{**one, "_id": ""} for one in await entries(database)]
    left = 0
    for moment in range(1, 200):
        await database["search"].delete_many({})
        await database["search"].insert_many(before[0])
        await database["search_positions"].delete_many({})
        await database["search_positions"].insert_many(before[1])
        left = moment

        async def cut_off(passage: Passage, up: bool, piece: bytes) -> bool:
            nonlocal left
            left -= not any(name in piece for name in (b"hello", b"isMaster", b"isWritablePrimary"))
            return left > 0

        proxy.look = cut_off
        with suppress(store.DriverError):
            await SearchFeeder(proxied).step()
        proxy.look = None
        await database.client.admin.command("killAllSessions", [])  # a server ends abandoned transactions after 2 s
        await database["leases"].delete_many({})
        await index_all(database)
        assert [{**one, "_id": ""} for one in await entries(database)] == wanted, moment
        if left > 0:
            break
    assert moment > 10


async def test_documents_of_earlier_versions_are_indexed_although_their_events_are_gone(
    database: store.Database, writer: BatchWriter
) -> None:
    whose = caller()
    calls = [entry(whose, summary=f"parcel{number}", callerName="Ann", fromNumber="+442079460958") for number in range(150)]
    await writer.write(calls[:128])
    await writer.write(calls[128:])
    await database["feed"].delete_many({})
    await database["contacts"].update_many({}, {"$unset": {"terms": ""}})
    await database["calls"].update_many({}, {"$set": {"terms": ["old"], "numbers": ["0958"], "unindexed": datetime.now(UTC)}})
    await index_all(database)
    assert [len(await found(database, whose, f"parcel{number}")) for number in (0, 77, 149)] == [1, 1, 1]
    contact = await database["contacts"].find_one()
    assert contact is not None
    assert contact["terms"]
    assert await found(database, whose, "old") == []


async def test_a_log_that_has_a_gap_behind_the_position_is_built_anew(database: store.Database, writer: BatchWriter) -> None:
    whose = caller()
    await writer.write([entry(whose, summary="parcel")])
    await index_all(database)
    lost = entry(whose, summary="giraffe")
    await writer.write([lost])
    await database["feed"].delete_many({})
    await writer.write([entry(whose, summary="parcel")])
    await index_all(database)
    assert await found(database, whose, "giraffe") == [lost.call_id]
    assert len(await found(database, whose, "parcel")) == 2


@pytest.mark.parametrize("has_feed", [True, False])
async def test_an_index_that_is_emptied_is_built_while_it_is_followed(
    database: store.Database, writer: BatchWriter, has_feed: bool
) -> None:
    whose = caller()
    await writer.write([entry(whose, summary="parcel") for _ in range(100)])
    feeder = SearchFeeder(database)
    await feeder.step()
    await index_all(database, feeder)
    if not has_feed:
        await database["feed"].delete_many({})
    await SearchIndex(database).forget_all()
    assert await entries(database) == []
    await feeder.release()
    await feeder.step()
    new = entry(whose, summary="parcel and giraffe")
    await writer.write([new])
    await index_all(database, feeder)
    assert len(await found(database, whose, "parcel")) == 101
    assert await found(database, whose, "giraffe") == [new.call_id]


async def test_an_entry_that_mongodb_refuses_does_not_block_the_others(
    database: store.Database, writer: BatchWriter, caplog: pytest.LogCaptureFixture
) -> None:
    whose = caller()
    refused = {"collMod": "search", "validator": {"terms": {"$ne": "poison"}}}
    await database.command(refused)
    await writer.write([entry(whose, summary="poison" if number == 3 else "parcel") for number in range(7)])
    await index_all(database)
    assert len(await entries(database)) == 6
    assert "search_entry_refused" in [record.getMessage() for record in caplog.records]


class Stop(Exception):
    """Ends a feeder that runs."""


async def test_a_feeder_waits_for_a_mongodb_that_is_away(
    database: store.Database, proxied: store.Database, proxy: Proxy, writer: BatchWriter, caplog: pytest.LogCaptureFixture
) -> None:
    await writer.write([entry(caller(), summary="parcel")])
    await proxy.refuse()
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            await proxy.listen()
        elif await is_indexed(database):
            raise Stop

    with pytest.raises(Stop):
        await SearchFeeder(proxied, sleep=sleep).run()
    assert pauses[0] == 1.0
    assert "words_not_indexed" in [record.getMessage() for record in caplog.records if record.name == "tether.store"]


async def test_a_feeder_rests_while_calls_are_stored_and_not_otherwise(database: store.Database, writer: BatchWriter) -> None:
    whose = caller()
    feeder = SearchFeeder(database)
    await writer.write([entry(whose) for _ in range(100)])
    assert await feeder.step() == 0.0
    await writer.write([entry(whose)])
    assert await feeder.step() > 0.0
