"""Sessions that have not ended; MongoDB removes them when they expire (TTL index)."""

from __future__ import annotations

from datetime import UTC, datetime

from tether_rt.mongo.client import Database


class Sessions:
    """Queries on `sessions`."""

    def __init__(self, database: Database) -> None:
        self._sessions = database["sessions"]

    async def add(self, session_id: str, user_id: str, organization_id: str, expires_at: datetime) -> None:
        """Begin a session."""
        await self._sessions.insert_one(
            {
                "_id": session_id,
                "userId": user_id,
                "organizationId": organization_id,
                "createdAt": datetime.now(UTC),
                "expiresAt": expires_at,
            }
        )

    async def live(self, session_ids: list[str]) -> set[str]:
        """Return those of the ids that are live."""
        cursor = self._sessions.find({"_id": {"$in": session_ids}}, {"_id": 1})
        return {document["_id"] for document in await cursor.to_list(None)}

    async def end(self, session_id: str) -> None:
        """End a session; it is no error when it has ended already."""
        await self._sessions.delete_one({"_id": session_id})
