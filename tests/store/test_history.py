"""Lists of calls: how many there are, and when that is no longer counted."""

from __future__ import annotations

from tests.support.entries import caller, entry
from tether_rt.store import client as store
from tether_rt.store.commit import BatchWriter
from tether_rt.store.history import MOST_COUNTED, CallFilter, CallHistory


async def test_a_filtered_list_is_counted_up_to_a_limit_and_says_so(database: store.Database) -> None:
    whose = caller()
    writer = BatchWriter(database.client, database)
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
