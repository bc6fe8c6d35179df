"""Lists of calls: how many there are, and when that is no longer counted."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.entries import caller, entry
from tether_rt.mongo import call_history as module
from tether_rt.mongo import client as store
from tether_rt.mongo.batch_writer import BatchWriter
from tether_rt.mongo.call_history import MOST_COUNTED, CallFilter, CallHistory
from tether_rt.mongo.search_index import SearchIndexer


async def test_a_filtered_list_is_counted_up_to_a_limit_and_says_so(database: store.Database) -> None:
    whose = caller()
    writer = BatchWriter(database)
    await writer.write([entry(whose) for _ in range(MOST_COUNTED)])
    history = CallHistory(database)
    every = CallFilter(direction="inbound")

    async def total() -> tuple[int, bool, int]:
        page = await history.page(whose.organization_id, every, limit=2)
        assert page is not None
        return page.total, page.is_exact, len(page.calls)

    assert await total() == (MOST_COUNTED, True, 2)
    await writer.write([entry(whose)])
    await writer.close()
    assert await total() == (MOST_COUNTED, False, 2)


@pytest.mark.parametrize("named_at_most", [1_000, 4])
async def test_a_call_is_found_before_its_words_are_indexed_while_they_are_and_afterwards(
    database: store.Database, monkeypatch: pytest.MonkeyPatch, named_at_most: int
) -> None:
    monkeypatch.setattr(module, "_NAMED_AT_MOST", named_at_most)
    whose, somebody_else = caller(), caller()
    writer = BatchWriter(database)
    words = SearchIndexer(database, lambda: False)
    history = CallHistory(database, lambda: words.waiting_since)
    wanted: dict[str, Any] = {"fromNumber": "+442079460958", "agentName": "Zo\u00eb", "summary": "A parcel that was late"}
    written = [entry(whose, **wanted, callStartTime=f"2026-05-15T09:{minute}:00.000Z") for minute in range(10, 18)]
    await writer.write([*written, entry(whose, summary="late"), entry(somebody_else, **wanted)])
    newest_first = [one.call_id for one in reversed(written)]

    async def look() -> None:
        for search in ("parcel", "late par", "0958", "zoe 946", "+442079460958"):
            page = await history.page(whose.organization_id, CallFilter(search=search), limit=50)
            assert page is not None
            assert ([call["_id"] for call in page.calls], page.total) == (newest_first, 8), search
        three = CallFilter(search="parcel", start=written[1].call.start_time, end=written[4].call.start_time)
        page = await history.page(whose.organization_id, three, limit=2)
        assert page is not None
        assert ([call["_id"] for call in page.calls], page.total) == (newest_first[4:6], 3)
        page = await history.page(whose.organization_id, three, limit=2, before=page.calls[-1]["_id"])
        assert page is not None
        assert [call["_id"] for call in page.calls] == newest_first[6:7]
        assert not {"terms", "newTerms", "unindexed"} & page.calls[0].keys()
        parts = history.every(whose.organization_id, CallFilter(search="parcel"))
        assert [call["_id"] async for part in parts for call in part] == newest_first
        nothing = await history.page(whose.organization_id, CallFilter(search="elephant"), limit=50)
        assert nothing is not None
        assert (nothing.calls, nothing.total) == ([], 0)

    await look()
    words.expect((one.call_id for one in written[2:5]), datetime.now(UTC))
    words._sweep_at_s = math.inf
    assert await words.index() == 3
    await look()
    words._sweep_at_s = 0
    assert await words.index() == 7
    assert await database["calls"].count_documents({"unindexed": {"$exists": True}}) == 0
    await look()
    await words.close()
    await writer.close()


async def test_a_call_that_is_indexed_during_the_search_is_found(database: store.Database) -> None:
    whose = caller()
    writer = BatchWriter(database)
    words = SearchIndexer(database, lambda: False)
    await writer.write([entry(whose, summary="parcel")])

    class Slow(CallHistory):
        async def _query(self, organization_id: str, narrowed: CallFilter) -> dict[str, Any]:
            query = await super()._query(organization_id, narrowed)
            assert await words.index() == 1
            return query

    page = await Slow(database).page(whose.organization_id, CallFilter(search="parcel"), limit=50)
    assert page is not None
    assert (len(page.calls), page.total) == (1, 1)
    await words.close()
    await writer.close()


async def test_every_call_up_to_the_lists_number_is_in_it_also_one_that_waits_for_its_words(
    database: store.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    whose = caller()
    writer = BatchWriter(database)
    await writer.write([entry(whose, summary="parcel")])
    history = CallHistory(database)
    counters = history._counters

    class Late:
        async def find_one(self, *args: Any) -> Any:
            await writer.write([entry(whose, summary="parcel")])
            return await counters.find_one(*args)

    monkeypatch.setattr(history, "_counters", Late())
    page = await history.page(whose.organization_id, CallFilter(search="parcel"), limit=50)
    assert page is not None
    assert (page.seq, len(page.calls)) == (6, 2)
    await writer.close()
