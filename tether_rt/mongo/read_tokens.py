"""Queries on `tokens`: the read tokens of organizations."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from motor.motor_asyncio import AsyncIOMotorClientSession as ClientSession
from pymongo import ASCENDING

from tether_rt.domain.audit import Actor, Detail
from tether_rt.domain.read_token import MAX_TOKENS, NEVER, ReadToken
from tether_rt.errors import BadRequest
from tether_rt.mongo.account_documents import ReadTokenDocument
from tether_rt.mongo.audit import AuditLog
from tether_rt.mongo.client import Database
from tether_rt.mongo.documents import Collections
from tether_rt.mongo.organization_changes import alone

_IN_FORCE = {"revokedAt": None}


class ReadTokenQueries:
    """Queries on `tokens`. A token that was revoked stays for the audit log, which names it; nothing else finds it."""

    def __init__(self, database: Database) -> None:
        self._tokens = Collections(database).tokens

    async def every(self, organization_id: str) -> list[ReadTokenDocument]:
        """Return the organization's tokens, oldest first."""
        order = [("createdAt", ASCENDING), ("_id", ASCENDING)]
        return await self._tokens.find({"organizationId": organization_id, **_IN_FORCE}).sort(order).to_list(None)

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


class ReadTokenChanges:
    """Makes and revokes read tokens, each together with its entry of the audit log."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._tokens = Collections(database).tokens
        self._audit = audit

    async def add(self, token: ReadTokenDocument, actor: Actor) -> None:
        """Store a new token; raises `BadRequest` if the organization has `MAX_TOKENS`, expired ones as well."""
        others = {"organizationId": token["organizationId"], **_IN_FORCE}

        async def add(session: ClientSession) -> None:
            if await self._tokens.count_documents(others, session=session) >= MAX_TOKENS:
                raise BadRequest(f"An organization has at most {MAX_TOKENS} read tokens: revoke one that is not in use")
            await self._tokens.insert_one(token, session=session)
            await self._note(session, token, actor, {"added": True, "scopes": list(token["scopes"])})

        await alone(self._database, token["organizationId"], add)

    async def revoke(self, organization_id: str | None, token_id: str, actor: Actor) -> ReadTokenDocument | None:
        """Revoke a token and return it; None if there is none, or it was revoked. Without an organization it is any's."""
        own = {"_id": token_id, **_IN_FORCE, **({} if organization_id is None else {"organizationId": organization_id})}

        async def revoke(session: ClientSession) -> ReadTokenDocument | None:
            token = await self._tokens.find_one_and_update(own, {"$set": {"revokedAt": datetime.now(UTC)}}, session=session)
            if token is not None:
                await self._note(session, token, actor, {"revoked": True})
            return token

        found = await self._tokens.find_one(own, {"organizationId": 1})
        return None if found is None else await alone(self._database, found["organizationId"], revoke)

    async def _note(self, session: ClientSession, token: ReadTokenDocument, actor: Actor, done: dict[str, Detail]) -> None:
        which: dict[str, Detail] = {"tokenId": token["_id"]}
        await self._audit.add(
            token["organizationId"], "token_changed", actor.user_id, door=actor.door, details=which | done, session=session
        )
