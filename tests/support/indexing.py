"""The search index, as far as the feed was read into it."""

from __future__ import annotations

from typing import Any

from tether_rt.domain.events import call_updated
from tether_rt.domain.source import Source
from tether_rt.mongo import client as store
from tether_rt.mongo.amendments import Amendment, Change, ids_of
from tether_rt.mongo.call_history import CallFilter, CallHistory
from tether_rt.mongo.documents import CallDocument
from tether_rt.mongo.search_feeder import SearchFeeder


async def is_indexed(database: store.Database) -> bool:
    """Say if every event is in the index."""
    positions = {one["_id"]: one for one in await database["search_positions"].find().to_list(None)}
    async for counter in database["counters"].find({"seq": {"$gt": 0}}):
        position = positions.get(counter["_id"])
        if position is None or position["seq"] < counter["seq"] or position.get("building"):
            return False
    return True


async def index_all(database: store.Database, feeder: SearchFeeder | None = None) -> None:
    """Read the feed into the index, to its end."""
    feeder = feeder or SearchFeeder(database)
    for _ in range(10_000):
        await feeder.step()
        if await is_indexed(database):
            await feeder.release()
            return
    raise AssertionError("The index does not get to the end.")


def spoken(*said: str) -> list[dict[str, str]]:
    """Return a transcript in which the agent says this."""
    return [{"role": "agent", "message": message} for message in said]


async def found(database: store.Database, whose: Source, search: str, **narrowed: Any) -> list[str]:
    """Return the ids of the calls that a search finds, newest first."""
    page = await CallHistory(database).page(whose.organization_id, CallFilter(search=search, **narrowed), limit=200)
    assert page is not None
    assert page.total == len(page.calls)
    return [call["_id"] for call in page.calls]


async def entries(database: store.Database) -> list[dict[str, Any]]:
    """Return the entries of the index."""
    return await database["search"].find().sort("_id", 1).to_list(None)


def amended(whose: Source, call_id: str, **values: Any) -> Amendment:
    """Return a change of these fields of a call."""

    def change(call: CallDocument) -> Change:
        return Change(values, [call_updated(ids_of(call), list(values), {**call, **values})], list(values))

    return Amendment(whose.organization_id, call_id, change, source_id=whose.id)
