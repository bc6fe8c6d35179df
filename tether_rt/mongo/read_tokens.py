"""Queries on `tokens`: the read tokens of organizations."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from pymongo import ASCENDING

from tether_rt.domain.read_token import NEVER, ReadToken
from tether_rt.mongo.account_documents import ReadTokenDocument
from tether_rt.mongo.client import Database
from tether_rt.mongo.documents import Collections

_IN_FORCE = {"revokedAt": None}


class ReadTokenQueries:
    """Queries on `tokens`. A token that was revoked stays for the audit log, which names it; nothing else finds it."""

    def __init__(self, database: Database) -> None:
        self._tokens = Collections(database).tokens

    async def add(self, token: ReadTokenDocument) -> None:
        """Store a new token."""
        await self._tokens.insert_one(token)

    async def count(self, organization_id: str) -> int:
        """Return how many tokens the organization has, expired ones as well."""
        return await self._tokens.count_documents({"organizationId": organization_id, **_IN_FORCE})

    async def every(self, organization_id: str) -> list[ReadTokenDocument]:
        """Return the organization's tokens, oldest first."""
        order = [("createdAt", ASCENDING), ("_id", ASCENDING)]
        return await self._tokens.find({"organizationId": organization_id, **_IN_FORCE}).sort(order).to_list(None)

    async def revoke(self, organization_id: str | None, token_id: str) -> ReadTokenDocument | None:
        """Revoke a token and return it; None if there is none, or it was revoked. Without an organization it is any's."""
        own = {"_id": token_id, **_IN_FORCE, **({} if organization_id is None else {"organizationId": organization_id})}
        return await self._tokens.find_one_and_update(own, {"$set": {"revokedAt": datetime.now(UTC)}})

    async def by_digest(self, digests: list[str]) -> dict[str, ReadToken]:
        """Return the tokens of these SHA-256 that were not revoked; some may have expired."""
        fields = {"organizationId": 1, "digest": 1, "scopes": 1, "expiresAt": 1}
        cursor = self._tokens.find({"digest": {"$in": digests}, **_IN_FORCE}, fields)
        return {
            found["digest"]: ReadToken(
                found["_id"], found["organizationId"], frozenset(found["scopes"]), found["expiresAt"] or NEVER
            )
            for found in await cursor.to_list(None)
        }

    async def live(self, token_ids: Collection[str]) -> set[str]:
        """Return those of the ids whose tokens were not revoked."""
        cursor = self._tokens.find({"_id": {"$in": list(token_ids)}, **_IN_FORCE}, {"_id": 1})
        return {token["_id"] for token in await cursor.to_list(None)}

    async def seen(self, token_ids: list[str], at: datetime) -> None:
        """Note that these tokens were used."""
        await self._tokens.update_many({"_id": {"$in": token_ids}}, {"$max": {"lastUsedAt": at}})
