"""The search index, as far as the feed was read into it."""

from __future__ import annotations

from tether_rt.mongo import client as store
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
