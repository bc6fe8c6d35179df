"""Refusals of vendors' sources: counted in the background, and not lost while MongoDB is away."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import pytest

from tests.support.proxy import Proxy
from tests.support.waiting import eventually
from tether_rt.auth.refusal_counts import MAX_WAITING, RefusalCounts
from tether_rt.mongo import client as store
from tether_rt.mongo.sources import Sources


async def test_what_is_refused_while_mongodb_is_away_is_counted_later(
    database: store.Database, proxied: store.Database, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    ids = [store.new_id() for _ in range(3)]
    await database["sources"].insert_many([{"_id": one} for one in ids])
    counts = RefusalCounts(Sources(proxied))
    await proxy.refuse()
    counts.note(ids[0], "signature")
    counts.note(ids[1], "too_large")
    task = asyncio.create_task(counts.run())

    async def is_said() -> bool:
        return any(record.message == "refusals_not_stored" for record in caplog.records)

    await eventually(is_said)
    assert {record.levelno for record in caplog.records if record.name == "tether.auth"} == {logging.WARNING}
    for code in ("stale", "signature"):
        counts.note(ids[0], code)
    counts.note(ids[2], "disabled")
    await proxy.listen()

    async def are_counted() -> bool:
        stored = {one["_id"]: one.get("refusals") async for one in database["sources"].find({"_id": {"$in": ids}})}
        return stored == {ids[0]: {"signature": 2, "stale": 1}, ids[1]: {"too_large": 1}, ids[2]: {"disabled": 1}}

    await eventually(are_counted)
    last = await database["sources"].find_one({"_id": ids[0]})
    assert last is not None
    assert last["lastRefusal"]["code"] == "signature"
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_bounded_number_of_sources_waits(database: store.Database) -> None:
    first = store.new_id()
    await database["sources"].insert_one({"_id": first})
    counts = RefusalCounts(Sources(database))
    counts.note(first, "signature")
    for number in range(MAX_WAITING):
        counts.note(f"{number:024x}", "signature")
    counts.note(first, "signature")
    last = f"{MAX_WAITING - 1:024x}"
    await database["sources"].insert_one({"_id": last})
    task = asyncio.create_task(counts.run())

    async def are_counted() -> bool:
        found = await database["sources"].find_one({"_id": first})
        return found is not None and found.get("refusals") == {"signature": 2}

    await eventually(are_counted)
    found = await database["sources"].find_one({"_id": last})
    assert found is not None
    assert "refusals" not in found
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
