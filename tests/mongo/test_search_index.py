"""The search index is one more reader of the feed: it has every call in the end, whatever happens, and costs ingest nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.support.entries import caller, entry
from tests.support.indexing import amended, entries, found, index_all, spoken
from tether_rt.domain.events import Event, event_text
from tether_rt.mongo import client as store
from tether_rt.mongo.batch_contacts import Rename
from tether_rt.mongo.batch_writer import BatchWriter
from tether_rt.mongo.call_history import CallFilter, CallHistory
from tether_rt.mongo.search_feeder import SearchFeeder
from tether_rt.mongo.search_index import EntryDocument, SearchIndex


@pytest.mark.parametrize("page_bytes", [1, 4_000, 1 << 20])
async def test_what_was_said_is_found_once_it_is_indexed(
    database: store.Database, writer: BatchWriter, page_bytes: int
) -> None:
    whose = caller()
    await writer.write([entry(whose, transcript=spoken(f"word{number:02d} again")) for number in range(70)])
    assert await found(database, whose, "word69") == []
    await index_all(database, SearchFeeder(database, page_bytes=page_bytes))
    assert [len(await found(database, whose, f"word{number:02d}")) for number in range(70)] == [1] * 70
    assert len(await found(database, whose, "again")) == 70


async def test_the_last_word_of_three_hours_is_found(database: store.Database, writer: BatchWriter) -> None:
    whose = caller()
    turns = [f"turn{number} " + "they spoke of many things and of nothing " * 3 for number in range(1_999)]
    long = entry(whose, transcript=spoken(*turns, "Zirconium at last, 明日の予約"))
    await writer.write([long, entry(whose)])
    await index_all(database)
    for search in ("zirconium", "turn1998", "turn0", '"zirconium at last"', "予約", "明日の予約"):
        assert await found(database, whose, search) == [long.call_id], search
    assert await found(database, whose, "last zirconium") == [long.call_id]
    assert await found(database, whose, '"last zirconium"') == []
    assert await found(database, whose, "予約明日") == []


async def test_calls_larger_than_an_answer_of_mongodb_are_all_indexed(database: store.Database, writer: BatchWriter) -> None:
    """Six of 5 MB are 30 MB, and an answer has 16."""
    whose = caller()
    turns = ["a word and another one " * 40 for _ in range(5_500)]
    for number in range(6):
        await writer.write([entry(whose, transcript=spoken(f"rare{number:02d}", *turns))])
    await index_all(database)
    assert [len(await found(database, whose, f"rare{number:02d}")) for number in range(6)] == [1] * 6


async def test_a_call_behind_the_index_is_found_by_name_number_id_and_summary(
    database: store.Database, writer: BatchWriter
) -> None:
    whose = caller()
    await writer.write([entry(whose, summary="A parcel")])
    await index_all(database)
    new = entry(
        whose,
        summary="A giraffe called",
        callerName="Will Best",
        agentName="Zoë",
        fromNumber="+442079460958",
        externalCallId="crm-4711",
    )
    await writer.write([new])
    call = await database["calls"].find_one({"_id": new.call_id})
    assert call is not None
    searches = ("giraffe", "will", "will best", "zoe", "020 7946 0958", "crm-4711", "id:crm-4711", new.call_id, "agent:zoë")
    for search in (*searches, call["conversationId"], '"giraffe called"', "giraffe -parcel"):
        assert await found(database, whose, search) == [new.call_id], search
    assert await found(database, whose, "giraffe -best") == []
    await index_all(database)
    for search in (*searches, call["conversationId"], '"giraffe called"', "giraffe -parcel"):
        assert await found(database, whose, search) == [new.call_id], search
    assert await found(database, whose, "giraffe -best") == await found(database, caller(), "giraffe") == []


async def test_a_search_is_narrowed_like_a_list(database: store.Database, writer: BatchWriter) -> None:
    whose = caller()
    calls = [entry(whose, summary=f"parcel {'odd' if number % 2 else 'even'}", agentName=f"A{number}") for number in range(6)]
    await writer.write(calls[:3])
    await index_all(database)
    await writer.write(calls[3:])
    for _ in range(2):
        assert await found(database, whose, "parcel", agent_name="A1") == [calls[1].call_id]
        assert await found(database, whose, "parcel", agent_name="A4") == [calls[4].call_id]
        assert len(await found(database, whose, '"parcel even"', status="no-answer")) == 3
        assert await found(database, whose, "parcel", status="busy") == []
        assert await found(database, whose, '"parcel odd"', agent_name="A5") == [calls[5].call_id]
        assert await found(database, whose, '"parcel even"', status="busy") == []
        await index_all(database)


def test_an_entry_has_every_field_that_a_list_is_narrowed_by() -> None:
    every = CallFilter(**{name: 1 for name in CallFilter.__dataclass_fields__ if name != "hour"})  # type: ignore[arg-type]
    assert every.query("o").keys() <= EntryDocument.__annotations__.keys()


async def test_fields_of_metadata_are_found(database: store.Database, writer: BatchWriter) -> None:
    whose = caller()
    gold = entry(whose, metadata={"plan": "very gold", "order": {"id": 4711}, "vip": True, "$ref": {"$id": 1}})
    silver = entry(whose, metadata={"plan": "silver"}, summary="gold")
    await writer.write([gold, silver])
    await index_all(database)
    for search in ('plan:"very gold"', "plan:gold", "order.id:4711", "vip:true", "gold -silver plan:gold"):
        assert await found(database, whose, search) == [gold.call_id], search
    assert await found(database, whose, "plan:silver") == [silver.call_id]
    assert set(await found(database, whose, "gold")) == {gold.call_id, silver.call_id}


async def test_a_changed_call_is_found_by_what_it_says_now(database: store.Database, writer: BatchWriter) -> None:
    whose = caller()
    one = entry(whose, summary="An elephant", transcript=spoken("a giraffe"))
    await writer.write([one])
    await index_all(database)
    await writer.write([amended(whose, one.call_id, summary="A zebra", transcription=spoken("a lion"))])
    assert await found(database, whose, "zebra") == [one.call_id]
    assert await found(database, whose, "elephant") == []
    await index_all(database)
    assert await found(database, whose, "lion zebra") == [one.call_id]
    assert await found(database, whose, "elephant") == await found(database, whose, "giraffe") == []


async def test_calls_are_found_by_their_contacts_new_name(database: store.Database, writer: BatchWriter) -> None:
    whose = caller()
    calls = [entry(whose, fromNumber="+442079460958") for _ in range(70)]
    await writer.write(calls)
    await index_all(database)
    contact = await database["contacts"].find_one()
    assert contact is not None
    await writer.write([Rename(whose.organization_id, contact["_id"], "Becker, Flat 9c")])
    for _ in range(2):
        assert len(await found(database, whose, "becker 9c")) == 70
        await index_all(database)


async def test_a_call_that_is_gone_is_forgotten(database: store.Database, writer: BatchWriter) -> None:
    whose = caller()
    first, second, third = (entry(whose, summary="parcel") for _ in range(3))
    await writer.write([first, second, third])
    await index_all(database)
    index = SearchIndex(database)
    assert await index.forget(caller().organization_id, [first.call_id]) == 0
    assert await index.forget(whose.organization_id, [first.call_id, "f" * 24]) == 1
    assert await found(database, whose, "parcel") == [third.call_id, second.call_id]
    await writer.write([amended(whose, second.call_id, summary="x")])  # any event about it
    await database["calls"].delete_one({"_id": second.call_id})
    await index_all(database)
    assert [one["_id"] for one in await entries(database)] == [third.call_id]


async def test_calls_that_expired_are_forgotten_although_no_event_names_them(
    database: store.Database, writer: BatchWriter
) -> None:
    whose = caller()
    old, new = (entry(whose, summary="parcel", callStartTime=f"2026-05-{day}T09:00:00.000Z") for day in (10, 12))
    await writer.write([old, new])
    await index_all(database)
    await database["calls"].delete_one({"_id": old.call_id})
    event = Event("calls_expired", {"before": "2026-05-11T00:00:00.000Z", "contactId": "x"}, is_first=False)
    text = event_text(event, 7, "2026-05-15T00:00:00.000Z")
    segment = {"_id": "s", "organizationId": whose.organization_id, "first": 7, "last": 7, "at": datetime.now(UTC)}
    await database["feed"].insert_one({**segment, "events": [text]})
    await database["counters"].update_one({"_id": whose.organization_id}, {"$set": {"seq": 7, "at": datetime.now(UTC)}})
    await index_all(database)
    assert [one["_id"] for one in await entries(database)] == [new.call_id]


async def test_a_search_says_what_it_did_not_look_at(database: store.Database, writer: BatchWriter) -> None:
    whose = caller()
    history = CallHistory(database)

    async def asked(search: str) -> tuple[list[str], int, bool]:
        page = await history.page(whose.organization_id, CallFilter(search=search), limit=5)
        assert page is not None
        return list(page.shortfalls), page.total, page.is_exact

    for _ in range(9):
        await writer.write([entry(whose, summary="parcel came") for _ in range(128)])
    assert await asked('"came parcel"') == ([], 0, True)
    await index_all(database)
    await database["search_positions"].update_many({}, {"$set": {"building": True}})
    assert await asked('"came parcel"') == (["index_building", "partly_read"], 0, False)
    shortfalls, total, is_exact = await asked('"parcel came"')
    assert (shortfalls, is_exact) == (["index_building"], False)
    assert total > 5


async def test_a_rare_word_beside_a_frequent_one_reads_few_entries(database: store.Database, writer: BatchWriter) -> None:
    whose = caller()
    for number in range(5):
        await writer.write([entry(whose, summary=f"battery {'zirconium' if number == at == 3 else ''}") for at in range(128)])
    await index_all(database)
    (rare,) = await found(database, whose, "battery zirconium")
    for search in ("zirconium battery", "battery zirco", "zirconium bat", '"battery zirconium"', "battery zirconium -parcel"):
        await database["system.profile"].drop()
        await database.command("profile", 2)
        assert await found(database, whose, search) == [rare], search
        await database.command("profile", 0)
        seen = await database["system.profile"].find({"ns": f"{database.name}.search"}).to_list(None)
        assert max(one.get("docsExamined", 0) for one in seen) <= 1, search


async def test_pages_of_a_search_follow_each_other(database: store.Database, writer: BatchWriter) -> None:
    whose = caller()
    times = [f"2026-05-15T09:{minute:02d}:00.000Z" for minute in range(12)]
    calls = [entry(whose, summary="parcel here", callStartTime=time) for time in times]
    await writer.write(calls[::2])
    await index_all(database)
    await writer.write(calls[1::2])
    newest_first = [one.call_id for one in reversed(calls)]
    history = CallHistory(database)
    for _ in range(2):
        for search in ("parcel", '"parcel here"'):
            seen: list[str] = []
            before = None
            for at in range(0, 12, 5):
                page = await history.page(whose.organization_id, CallFilter(search=search), limit=5, before=before)
                by_offset = await history.page(whose.organization_id, CallFilter(search=search), limit=5, offset=at)
                assert page is not None
                assert by_offset is not None
                assert [call["_id"] for call in by_offset.calls] == [call["_id"] for call in page.calls]
                assert by_offset.total == 12
                seen += [call["_id"] for call in page.calls]
                before = seen[-1]
            assert seen == newest_first
            every = [
                call["_id"] async for part in history.every(whose.organization_id, CallFilter(search=search)) for call in part
            ]
            assert every == newest_first
        await index_all(database)
