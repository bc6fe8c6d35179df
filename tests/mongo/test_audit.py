"""The audit log: what was written is there, newest first, of one organization alone, or not at all."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from tether_rt.mongo import client as store
from tether_rt.mongo.audit import AuditFilter, AuditLog

MAPLE, OAK = "a" * 24, "b" * 24
ANN, BOB = "c" * 24, "d" * 24
CALL = "e" * 24


async def test_entries_are_read_newest_first_and_by_their_filter(database: store.Database) -> None:
    log = AuditLog(database)
    await log.add(OAK, "exported", BOB)
    await log.add(MAPLE, "listened", ANN, call_id=CALL)
    await asyncio.sleep(0.002)  # the order of one millisecond is that of the ids, which another process may interleave
    await log.add(MAPLE, "erased", None, door="command", details={"calls": 2})
    page = await log.page(MAPLE, AuditFilter(), limit=10)
    assert page is not None
    assert [entry["what"] for entry in page.entries] == ["erased", "listened"]
    assert page.total == 2
    assert page.entries[0]["details"] == {"calls": 2}
    older = await log.page(MAPLE, AuditFilter(), limit=10, before=page.entries[0]["_id"])
    assert older is not None
    assert [entry["what"] for entry in older.entries] == ["listened"]
    assert await log.page(OAK, AuditFilter(), limit=10, before=page.entries[0]["_id"]) is None
    later = datetime.now(UTC) + timedelta(days=1)
    for chosen in (AuditFilter(who=ANN), AuditFilter(what="listened"), AuditFilter(call_id=CALL)):
        found = await log.page(MAPLE, chosen, limit=10)
        assert found is not None
        assert [entry["what"] for entry in found.entries] == ["listened"]
    assert [batch async for batch in log.every(MAPLE, AuditFilter(start=later))] == []
    assert [len(batch) async for batch in log.every(MAPLE, AuditFilter(end=later))] == [2]


async def test_an_entry_of_a_transaction_that_is_aborted_is_not_there(database: store.Database) -> None:
    log = AuditLog(database)
    async with await database.client.start_session() as session:
        session.start_transaction()
        await log.add(MAPLE, "exported", ANN, session=session)
        await session.abort_transaction()
        async with session.start_transaction():
            await log.add(MAPLE, "renamed", ANN, session=session)
    page = await log.page(MAPLE, AuditFilter(), limit=10)
    assert page is not None
    assert [entry["what"] for entry in page.entries] == ["renamed"]
