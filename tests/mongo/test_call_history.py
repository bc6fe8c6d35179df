"""Lists of calls: what is found, counted and exported while calls arrive and their search terms are written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.support.entries import caller, entry
from tests.support.indexing import index_all
from tests.support.proxy import Passage, Proxy
from tether_rt.mongo import client as store
from tether_rt.mongo.batch_writer import BatchWriter
from tether_rt.mongo.call_history import MOST_COUNTED, CallFilter, CallHistory


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


async def test_a_call_is_found_before_it_is_indexed_while_it_is_and_afterwards(database: store.Database) -> None:
    whose, somebody_else = caller(), caller()
    writer = BatchWriter(database)
    history = CallHistory(database)
    wanted: dict[str, Any] = {"fromNumber": "+442079460958", "agentName": "Zo\u00eb", "summary": "A parcel that was late"}
    written = [entry(whose, **wanted, callStartTime=f"2026-05-15T09:{minute}:00.000Z") for minute in range(10, 18)]
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

    await writer.write(written[:5])
    await index_all(database)
    await writer.write([*written[5:], entry(whose, summary="late"), entry(somebody_else, **wanted)])
    await look()
    await index_all(database)
    await look()
    await writer.close()


def once_before(mark: bytes, do: Callable[[], Awaitable[object]], proxy: Proxy) -> None:
    """Have the proxy `do` something before it passes on the first request with `mark` in it."""

    async def look(passage: Passage, up: bool, piece: bytes) -> bool:
        if up and mark in piece:
            proxy.look = None
            await do()
        return True

    proxy.look = look


async def test_a_call_that_is_indexed_during_the_search_is_found(
    database: store.Database, proxied: store.Database, proxy: Proxy
) -> None:
    whose = caller()
    writer = BatchWriter(database)
    await writer.write([entry(whose, summary="parcel")])
    await writer.close()
    # Calls behind the index are looked for first, and then the entries.
    once_before(b"search\0", lambda: index_all(database), proxy)
    page = await CallHistory(proxied).page(whose.organization_id, CallFilter(search="parcel"), limit=50)
    assert proxy.look is None
    assert page is not None
    assert (len(page.calls), page.total) == (1, 1)


async def test_every_call_up_to_the_lists_number_is_in_it_also_one_without_terms(
    database: store.Database, proxied: store.Database, proxy: Proxy
) -> None:
    whose = caller()
    writer = BatchWriter(database)
    await writer.write([entry(whose, summary="parcel")])
    once_before(b"counters", lambda: writer.write([entry(whose, summary="parcel")]), proxy)
    page = await CallHistory(proxied).page(whose.organization_id, CallFilter(search="parcel"), limit=50)
    assert proxy.look is None
    assert page is not None
    assert (page.seq, len(page.calls)) == (6, 2)
    await writer.close()
