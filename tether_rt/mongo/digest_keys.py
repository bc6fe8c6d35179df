"""The keys of digests that must outlive the server's secret: the collection `digest_keys`. Each is encrypted with it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypedDict, cast

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import DuplicateKeyError

from tether_rt.mongo.client import MAJORITY, Database


class DigestKeyDocument(TypedDict):
    """A key; the id is of the secret with which it was made first."""

    _id: str
    sealed: str
    createdAt: datetime


class DigestKeys:
    """Queries on the collection."""

    def __init__(self, database: Database) -> None:
        self._keys = cast("AsyncIOMotorCollection[DigestKeyDocument]", database["digest_keys"])
        self._erased_calls = database.get_collection("erased_calls", read_concern=MAJORITY)

    async def is_erased(self, digests: list[str]) -> bool:
        """Say if a call with one of these digests was erased."""
        return await self._erased_calls.find_one({"_id": {"$in": digests}}, {"_id": 1}) is not None

    async def every(self) -> list[DigestKeyDocument]:
        """Return all keys, the oldest first."""
        return await self._keys.find({}).sort([("createdAt", 1), ("_id", 1)]).to_list(None)

    async def add(self, key_id: str, sealed: str) -> None:
        """Add a key, unless another process was faster."""
        try:
            await self._keys.insert_one(DigestKeyDocument(_id=key_id, sealed=sealed, createdAt=datetime.now(UTC)))
        except DuplicateKeyError:
            return

    async def reseal(self, key_id: str, was: str, sealed: str) -> None:
        """Store a key as it is encrypted now."""
        await self._keys.update_one({"_id": key_id, "sealed": was}, {"$set": {"sealed": sealed}})
