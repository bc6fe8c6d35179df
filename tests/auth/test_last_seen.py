"""When sources were last seen: stored in the background, seldom, and not lost while MongoDB is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import pytest

from tests.support.proxy import Proxy
from tests.support.waiting import eventually
from tether_rt.auth.credentials import Keyring
from tether_rt.auth.last_seen import EVERY_S, LastSeen
from tether_rt.auth.source_admin import SourceAdmin
from tether_rt.mongo import client as store
from tether_rt.mongo.sources import Sources

ORGANIZATION = "64f0a1b2c3d4e5f6a7b8c900"


@asynccontextmanager
async def running(last_seen: LastSeen) -> AsyncIterator[None]:
    task = asyncio.create_task(last_seen.run())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def source(sources: Sources) -> str:
    admin = SourceAdmin(sources, Keyring("a secret that is long enough"))
    return (await admin.add(ORGANIZATION, None, {"name": "Booking agent"})).source["_id"]


async def seen_at(sources: Sources, source_id: str) -> datetime | None:
    found = await sources.one(ORGANIZATION, source_id)
    assert found is not None
    return found["lastSeenAt"]


async def stored(sources: Sources, source_id: str) -> None:
    """Return once it is stored that the source was seen."""

    async def is_stored() -> bool:
        return await seen_at(sources, source_id) is not None

    await eventually(is_stored)


async def test_a_source_that_goes_on_sending_is_stored_once_a_minute(database: store.Database) -> None:
    now_s = 1000.0
    sources = Sources(database)
    last_seen = LastSeen(sources, clock=lambda: now_s)
    busy, other = await source(sources), await source(sources)
    async with running(last_seen):
        last_seen.note(busy)
        await stored(sources, busy)
        await sources.change(ORGANIZATION, busy, {"lastSeenAt": None})
        now_s += EVERY_S - 1
        last_seen.note(busy)
        last_seen.note(other)
        await stored(sources, other)
        assert await seen_at(sources, busy) is None
        now_s += 1
        last_seen.note(busy)
        await stored(sources, busy)


async def test_what_is_seen_while_mongodb_is_away_is_stored_later(
    database: store.Database,
    proxied: store.Database,
    proxy: Proxy,
    caplog: pytest.LogCaptureFixture,
) -> None:
    source_id = await source(Sources(database))
    last_seen = LastSeen(Sources(proxied))
    await proxy.refuse()
    async with running(last_seen):
        last_seen.note(source_id)

        async def is_said() -> bool:
            return any(record.message == "last_seen_not_stored" for record in caplog.records)

        await eventually(is_said)
        assert {record.levelno for record in caplog.records if record.name == "tether.auth"} == {logging.WARNING}
        await proxy.listen()
        await stored(Sources(database), source_id)
