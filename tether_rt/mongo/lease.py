"""Work that one process does at a time, on behalf of all: a document in `leases` says who, and until when."""

from __future__ import annotations

from typing import Any, Final

from pymongo import ReturnDocument

from tether_rt.mongo.client import Database, Document, new_id

LEASE_S: Final = 10.0
"""How long a lease lasts: after a process was killed, another one takes over within this time."""


class Lease:
    """A named lease. Times are MongoDB's, so that the clocks of the processes do not matter."""

    def __init__(self, database: Database, name: str, lease_s: float = LEASE_S) -> None:
        self._leases = database["leases"]
        self._name = name
        self._holder = new_id()
        self._lease_ms = int(lease_s * 1000)

    async def take(self, **said: Any) -> bool:
        """Take or renew the lease and return whether it is held here now; `said` is kept with it, for `said` of any process.

        Raises the driver's errors.
        """
        is_free = {"$lte": [{"$ifNull": ["$until", "$$NOW"]}, "$$NOW"]}
        until = {"$dateAdd": {"startDate": "$$NOW", "unit": "millisecond", "amount": self._lease_ms}}
        own = {"holder": self._holder, "until": until, "said": {"$literal": said}}
        taken: list[Document] = [
            {"$set": {"isOurs": {"$or": [{"$eq": ["$holder", self._holder]}, is_free]}}},
            {"$set": {name: {"$cond": ["$isOurs", value, f"${name}"]} for name, value in own.items()}},
            {"$unset": "isOurs"},
        ]
        lease = await self._leases.find_one_and_update(
            {"_id": self._name}, taken, upsert=True, return_document=ReturnDocument.AFTER
        )
        return bool(lease["holder"] == self._holder)

    async def said(self) -> Document:
        """Return what the holder said last, of whichever process; empty if there was none."""
        lease = await self._leases.find_one({"_id": self._name}, {"said": 1})
        return dict(lease["said"]) if lease else {}

    async def release(self) -> None:
        """Let another process take it at once, if it is held here."""
        await self._leases.update_one({"_id": self._name, "holder": self._holder}, [{"$set": {"until": "$$NOW"}}])
