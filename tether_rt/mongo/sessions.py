"""Sessions; MongoDB removes a session when it expires (TTL index)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tether_rt.domain.people import role_of
from tether_rt.mongo.account_documents import SessionDocument
from tether_rt.mongo.client import Database
from tether_rt.mongo.documents import Collections


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

    async def roles(self, session_ids: list[str]) -> dict[str, str]:
        """Return the roles of the users of those sessions that have not ended, by the sessions' ids."""
        stages: list[dict[str, Any]] = [
            {"$match": {"_id": {"$in": session_ids}}},
            {"$lookup": {"from": "users", "localField": "userId", "foreignField": "_id", "as": "user"}},
            {"$project": {"user.accessRole": 1, "user.disabledAt": 1}},
        ]
        found: list[Any] = await self._sessions.aggregate(stages).to_list(None)
        users = {session["_id"]: session["user"][0] if session["user"] else {} for session in found}
        return {session_id: role_of(user.get("accessRole")) for session_id, user in users.items() if not user.get("disabledAt")}

    async def live(self, session_ids: list[str]) -> set[str]:
        """Return those of the ids whose sessions have not ended."""
        if not session_ids:
            return set()
        cursor = self._sessions.find({"_id": {"$in": session_ids}}, {"_id": 1})
        return {session["_id"] for session in await cursor.to_list(None)}

    async def end(self, session_id: str) -> str | None:
        """End a session and return the id of its user; None when it has ended."""
        ended = await self._sessions.find_one_and_delete({"_id": session_id}, {"userId": 1})
        return ended["userId"] if ended is not None else None
