"""Which uploaded recordings have a call, or wait for it."""

from __future__ import annotations

from collections.abc import Mapping

from tether_rt.mongo.client import Database, unavailable
from tether_rt.mongo.documents import Collections


class RecordingKeys:
    """Queries on `calls` and `deliveries` for the keys of their recordings."""

    def __init__(self, database: Database) -> None:
        collections = Collections(database)
        self._calls = collections.calls
        self._deliveries = collections.deliveries
        self._counters = collections.counters

    async def named(self, organization_id: str, call_ids: Mapping[str, str]) -> set[str]:
        """Return those of the keys that calls of an organization name now, and whatever transactions of the past decide.

        `call_ids` has the id of each key's call. Audio of a webhook that waits for its call is named by its delivery.

        The organization's counter is the lock of those who store calls: once it has been written here, a transaction that began
        before is over, also one whose process was killed. Raises `Unavailable` when MongoDB is away or the counter is held.
        """
        try:
            changes = {"$inc": {"checks": 1}, "$setOnInsert": {"seq": 0}}
            await self._counters.update_one({"_id": organization_id}, changes, upsert=True)
            waits = {"audio.key": {"$in": list(call_ids)}, "organizationId": organization_id}
            waiting = await self._deliveries.find(waits, {"audio.key": 1}).to_list(None)
            own = {"_id": {"$in": list(set(call_ids.values()))}, "organizationId": organization_id}
            calls = await self._calls.find(own, {"recordings.key": 1, "copies.key": 1}).to_list(None)
        except Exception as error:
            raise unavailable(error) or error from error
        parked = {delivery["audio"]["key"] for delivery in waiting}
        return parked | {file["key"] for call in calls for file in (*call["recordings"], *call.get("copies", ()))}
