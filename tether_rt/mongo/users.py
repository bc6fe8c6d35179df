"""Organizations and their users: who may sign in, and whose API key is whose."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from pymongo.errors import DuplicateKeyError

from tether_rt.domain.call import Caller
from tether_rt.errors import BadRequest
from tether_rt.mongo.client import Database, Document, new_id

ROLES: Final = ("admin", "agent")


class Users:
    """Queries on `organizations` and `users`."""

    def __init__(self, database: Database) -> None:
        self._organizations = database["organizations"]
        self._users = database["users"]
        self._counters = database["counters"]

    async def organization_named(self, name: str) -> str:
        """Return the id of the organization, made if new, with its feed counter."""
        found = await self._organizations.find_one({"name": name})
        if found is None:
            try:
                found = {"_id": new_id(), "name": name, "createdAt": datetime.now(UTC)}
                await self._organizations.insert_one(found)
            except DuplicateKeyError:  # another process was first
                found = await self._organizations.find_one({"name": name})
                assert found is not None
        await self._counters.update_one({"_id": found["_id"]}, {"$setOnInsert": {"seq": 0}}, upsert=True)
        return str(found["_id"])

    async def add(
        self,
        *,
        organization_id: str,
        email: str,
        full_name: str,
        role: str,
        password_hash: str,
        api_key_digest: str,
        sealed_api_key: str,
    ) -> str:
        """Add a user and return the id; raises `BadRequest` when the address is taken, in any organization."""
        user = {
            "_id": new_id(),
            "organizationId": organization_id,
            "email": normal_email(email),
            "fullName": full_name,
            "accessRole": role,
            "passwordHash": password_hash,
            "apiKeyDigest": api_key_digest,
            "apiKeySealed": sealed_api_key,
            "createdAt": datetime.now(UTC),
        }
        try:
            await self._users.insert_one(user)
        except DuplicateKeyError as error:
            raise BadRequest(f"There is already a user with the address {normal_email(email)}.") from error
        return str(user["_id"])

    async def by_email(self, email: str) -> Document | None:
        """Return the whole user document."""
        return await self._users.find_one({"email": normal_email(email)})

    async def by_id(self, user_id: str) -> Document | None:
        """Return the whole user document."""
        return await self._users.find_one({"_id": user_id})

    async def callers_by_key_digest(self, digests: list[str]) -> dict[str, Caller]:
        """Return, for those of the SHA-256 that are a key's, whose it is."""
        cursor = self._users.find({"apiKeyDigest": {"$in": digests}}, {"organizationId": 1, "apiKeyDigest": 1})
        return {
            user["apiKeyDigest"]: Caller(user_id=user["_id"], organization_id=user["organizationId"])
            for user in await cursor.to_list(None)
        }

    async def sealed_key(self, user_id: str) -> str | None:
        """Return the user's encrypted API key."""
        user = await self._users.find_one({"_id": user_id}, {"apiKeySealed": 1})
        return str(user["apiKeySealed"]) if user else None

    async def replace_key(self, user_id: str, digest: str, sealed: str) -> str | None:
        """Give the user another key and return the old one's digest; None when the user is gone."""
        old = await self._users.find_one_and_update(
            {"_id": user_id},
            {"$set": {"apiKeyDigest": digest, "apiKeySealed": sealed}},
            projection={"apiKeyDigest": 1},
        )
        return str(old["apiKeyDigest"]) if old else None


def normal_email(email: str) -> str:
    """Return the form in which an address is unique: trimmed, lower case."""
    return email.strip().lower()
