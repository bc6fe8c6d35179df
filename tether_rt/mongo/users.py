"""Organizations and their users: who may sign in, and whose each API key is."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from tether_rt.domain.people import ADMIN, VIEWER, role_of
from tether_rt.domain.source import Source
from tether_rt.errors import BadRequest
from tether_rt.mongo.account_documents import OrganizationDocument, UserDocument
from tether_rt.mongo.client import Database, new_id
from tether_rt.mongo.documents import Collections


class Users:
    """Queries on `organizations` and `users`."""

    def __init__(self, database: Database) -> None:
        collections = Collections(database)
        self._organizations = collections.organizations
        self._users = collections.users
        self._counters = collections.counters
        self._sessions = collections.sessions

    async def organization_named(self, name: str) -> str:
        """Return the id of the organization with this name. If there is none, add it, and its counter."""
        found = await self._organizations.find_one({"name": name})
        if found is None:
            found = OrganizationDocument(_id=new_id(), name=name, createdAt=datetime.now(UTC))
            try:
                await self._organizations.insert_one(found)
            except DuplicateKeyError:  # another process was first
                found = await self._organizations.find_one({"name": name})
                assert found is not None
        await self._counters.update_one({"_id": found["_id"]}, {"$setOnInsert": {"seq": 0}}, upsert=True)
        return found["_id"]

    async def organization_id(self, name: str) -> str | None:
        """Return the id of the organization with this name, or None."""
        found = await self._organizations.find_one({"name": name}, {"_id": 1})
        return found["_id"] if found else None

    async def organization(self, organization_id: str) -> OrganizationDocument | None:
        """Return an organization."""
        return await self._organizations.find_one({"_id": organization_id})

    async def has_admin(self, organization_id: str) -> bool:
        """Say if the organization has an admin."""
        return await self._users.find_one({"organizationId": organization_id, "accessRole": ADMIN}, {"_id": 1}) is not None

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
        """Add a user and return the id; raises `BadRequest` when a user of any organization has the address."""
        user = UserDocument(
            _id=new_id(),
            organizationId=organization_id,
            email=normal_email(email),
            fullName=full_name,
            accessRole=role,
            passwordHash=password_hash,
            apiKeyDigest=api_key_digest,
            apiKeySealed=sealed_api_key,
            createdAt=datetime.now(UTC),
        )
        try:
            await self._users.insert_one(user)
        except DuplicateKeyError as error:
            raise BadRequest(f"There is already a user with the address {user['email']}.") from error
        return user["_id"]

    async def by_email(self, email: str) -> UserDocument | None:
        """Return the user with this address, in whatever case it is written."""
        return await self._users.find_one({"email": normal_email(email)})

    async def by_id(self, user_id: str) -> UserDocument | None:
        """Return the user with this id."""
        return await self._users.find_one({"_id": user_id})

    async def full_names(self, user_ids: Collection[str]) -> dict[str, str]:
        """Return the names of these users by their ids; one who is gone is left out."""
        if not user_ids:
            return {}
        found = await self._users.find({"_id": {"$in": list(user_ids)}}, {"fullName": 1}).to_list(None)
        return {user["_id"]: user["fullName"] for user in found}

    async def every(self, organization_id: str) -> list[UserDocument]:
        """Return the organization's users, oldest first."""
        order = [("createdAt", ASCENDING), ("_id", ASCENDING)]
        return await self._users.find({"organizationId": organization_id}).sort(order).to_list(None)

    async def by_link(self, digest: str) -> UserDocument | None:
        """Return the user who has a link with this digest."""
        return await self._users.find_one({"link.digest": digest})

    async def session_counts(self, user_ids: list[str], now: datetime) -> dict[str, int]:
        """Return how many sessions each of these users has; one who has none is left out."""
        query = {"userId": {"$in": user_ids}, "expiresAt": {"$gt": now}}
        stages: list[dict[str, Any]] = [{"$match": query}, {"$group": {"_id": "$userId", "count": {"$sum": 1}}}]
        counted: list[Any] = await self._sessions.aggregate(stages).to_list(None)
        return {user["_id"]: user["count"] for user in counted}

    async def changed_access(self, within_s: float) -> dict[str, str]:
        """Return the users whose role, password or sessions were changed in the last seconds, each with the role."""
        since = {"$subtract": ["$$NOW", round(within_s * 1000)]}
        query = {"accessChangedAt": {"$exists": True}, "$expr": {"$gte": ["$accessChangedAt", since]}}
        found = await self._users.find(query, {"accessRole": 1}).to_list(None)
        return {user["_id"]: role_of(user["accessRole"]) for user in found}

    async def seen(self, user_ids: list[str], at: datetime) -> None:
        """Note that these users have used the server."""
        await self._users.update_many({"_id": {"$in": user_ids}}, {"$max": {"lastSeenAt": at}})

    async def touch(self, user_id: str) -> None:
        """Have all processes look at a user's sessions again."""
        await self._users.update_one({"_id": user_id}, {"$currentDate": {"accessChangedAt": True}})

    async def sources_by_key_digest(self, digests: list[str]) -> dict[str, Source]:
        """Return the users, as sources, of API keys by the keys' SHA-256, as far as they may have a key.

        Users who are disabled and viewers have none that holds.
        """
        query = {"apiKeyDigest": {"$in": digests}, "accessRole": {"$ne": VIEWER}, "disabledAt": None}
        cursor = self._users.find(query, {"organizationId": 1, "apiKeyDigest": 1, "fullName": 1})
        return {
            user["apiKeyDigest"]: Source(user["_id"], user["organizationId"], user["fullName"])
            for user in await cursor.to_list(None)
        }

    async def source(self, organization_id: str, source_id: str) -> Source | None:
        """Return a user of the organization as the source of that id."""
        query = {"_id": source_id, "organizationId": organization_id}
        user = await self._users.find_one(query, {"fullName": 1})
        return Source(source_id, organization_id, user["fullName"]) if user is not None else None

    async def sealed_key(self, user_id: str) -> str | None:
        """Return the user's API key, encrypted; None when there is no such user."""
        user = await self._users.find_one({"_id": user_id}, {"apiKeySealed": 1})
        return user["apiKeySealed"] if user else None

    async def replace_key(self, user_id: str, digest: str, sealed: str) -> str | None:
        """Give the user another API key and return the digest of the old one; None when there is no such user."""
        old = await self._users.find_one_and_update(
            {"_id": user_id},
            {"$set": {"apiKeyDigest": digest, "apiKeySealed": sealed}},
            projection={"apiKeyDigest": 1},
        )
        return old["apiKeyDigest"] if old else None


def normal_email(email: str) -> str:
    """Return the form in which an address is unique: trimmed, lower case."""
    return email.strip().lower()
