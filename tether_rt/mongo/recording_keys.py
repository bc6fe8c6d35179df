"""Which uploaded recordings have a call."""

from __future__ import annotations

from collections.abc import Iterable

from tether_rt.mongo.client import Database, unavailable
from tether_rt.mongo.documents import Collections


class RecordingKeys:
    """Queries on `calls` for the keys of their recordings."""

    def __init__(self, database: Database) -> None:
        collections = Collections(database)
        self._calls = collections.calls
        self._counters = collections.counters

    async def named(self, organization_id: str, call_ids: Iterable[str]) -> set[str]:
        """Return the keys that these calls of an organization name now, and whatever transactions of the past decide.

        The organization's counter is the lock of those who store calls: once it has been written here, a transaction that began
        before is over, also one whose process was killed. Raises `Unavailable` when MongoDB is away or the counter is held.
        """
        try:
            changes = {"$inc": {"checks": 1}, "$setOnInsert": {"seq": 0}}
            await self._counters.update_one({"_id": organization_id}, changes, upsert=True)
            own = {"_id": {"$in": list(call_ids)}, "organizationId": organization_id}
            calls = await self._calls.find(own, {"recordings.key": 1}).to_list(None)
        except Exception as error:
            raise unavailable(error) or error from error
        return {recording["key"] for call in calls for recording in call["recordings"]}
