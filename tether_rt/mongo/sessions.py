"""Sessions; MongoDB removes a session when it expires (TTL index)."""

from __future__ import annotations

from datetime import UTC, datetime

from tether_rt.mongo.client import Database
from tether_rt.mongo.documents import Collections, SessionDocument


class Sessions:
    """Queries on `sessions`."""

    def __init__(self, database: Database) -> None:
        self._sessions = Collections(database).sessions

    async def add(self, session_id: str, user_id: str, organization_id: str, expires_at: datetime) -> None:
        """Begin a session."""
        await self._sessions.insert_one(
            SessionDocument(
                _id=session_id,
                userId=user_id,
                organizationId=organization_id,
                createdAt=datetime.now(UTC),
                expiresAt=expires_at,
            )
        )

    async def live(self, session_ids: list[str]) -> set[str]:
        """Return those of the ids whose sessions have not ended."""
        cursor = self._sessions.find({"_id": {"$in": session_ids}}, {"_id": 1})
        return {session["_id"] for session in await cursor.to_list(None)}

    async def end(self, session_id: str) -> None:
        """End a session; does nothing when it has ended."""
        await self._sessions.delete_one({"_id": session_id})
