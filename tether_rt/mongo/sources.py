"""Queries on `sources`: where an organization's calls come from, beside the API keys of its users."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, ReturnDocument, UpdateOne

from tether_rt.domain.source import API_KIND, Source, SourceKey, SourceKind, SourceSettings
from tether_rt.mongo.account_documents import SourceDocument, SourceSettingsDocument
from tether_rt.mongo.client import Database
from tether_rt.mongo.documents import Collections


@dataclass(slots=True)
class Refusals:
    """Requests to a source that were refused without proof of their origin: how many by code, and the last one."""

    counts: defaultdict[str, int]
    last_at: datetime
    last_code: str


class Sources:
    """Queries on `sources`. Those that take `organization_id` find nothing of another organization; None means any."""

    def __init__(self, database: Database) -> None:
        self._sources = Collections(database).sources

    async def add(self, source: SourceDocument) -> None:
        """Store a new source."""
        await self._sources.insert_one(source)

    async def count(self, organization_id: str) -> int:
        """Return how many sources the organization has."""
        return await self._sources.count_documents({"organizationId": organization_id})

    async def every(self, organization_id: str) -> list[SourceDocument]:
        """Return the organization's sources, oldest first."""
        order = [("createdAt", ASCENDING), ("_id", ASCENDING)]  # not all ids grow with time
        return await self._sources.find({"organizationId": organization_id}).sort(order).to_list(None)

    async def one(self, organization_id: str | None, source_id: str) -> SourceDocument | None:
        """Return a source by its id."""
        return await self._sources.find_one(_own(organization_id, source_id))

    async def change(
        self, organization_id: str | None, source_id: str, values: dict[str, Any], removed: Sequence[str] = ()
    ) -> SourceDocument | None:
        """Set fields, remove others, and return the source as it is then; None if there is no such source."""
        update = {"$set": values, "$unset": dict.fromkeys(removed, "")}
        own = _own(organization_id, source_id)
        if not any(update.values()):
            return await self._sources.find_one(own)
        given = {operator: fields for operator, fields in update.items() if fields}
        return await self._sources.find_one_and_update(own, given, return_document=ReturnDocument.AFTER)

    async def replace_keys(self, source: SourceDocument, keys: Sequence[SourceKey]) -> bool:
        """Replace the keys that `source` has. Return False, and replace nothing, if it has others by now."""
        unchanged = {"_id": source["_id"], "keys": source["keys"]}
        documents = [{"digest": key.digest, "createdAt": key.created_at, "endsAt": key.ends_at} for key in keys]
        return (await self._sources.update_one(unchanged, {"$set": {"keys": documents}})).matched_count == 1

    async def by_key_digest(self, digests: list[str], now: datetime) -> dict[str, Source]:
        """Return the sources of API keys by the keys' SHA-256, as far as source and key are in force."""
        fields = {"organizationId": 1, "name": 1, "kind": 1, "settings": 1, "keys": 1}
        cursor = self._sources.find({"keys.digest": {"$in": digests}, "enabled": True}, fields)
        asked = set(digests)
        return {
            key.digest: source_of(found)
            for found in await cursor.to_list(None)
            for key in keys_of(found)
            if key.digest in asked and key.is_live(now)
        }

    async def of_vendors(self, source_ids: list[str]) -> dict[str, SourceDocument]:
        """Return the sources of vendors' kinds, disabled ones as well, by their ids."""
        cursor = self._sources.find({"_id": {"$in": source_ids}, "kind": {"$ne": API_KIND}})
        return {source["_id"]: source for source in await cursor.to_list(None)}

    async def by_secret_digest(self, kind: SourceKind, digests: list[str]) -> dict[str, SourceDocument]:
        """Return the enabled sources of this kind by the digests of their secrets.

        Of several sources with one secret it is the oldest, and none if they are not of the same organization.
        """
        query = {"secrets.digest": {"$in": digests}, "kind": kind, "enabled": True}
        order = [("createdAt", ASCENDING), ("_id", ASCENDING)]
        owners: defaultdict[str, list[SourceDocument]] = defaultdict(list)
        for source in await self._sources.find(query).sort(order).to_list(None):
            for secret in source.get("secrets", ()):
                owners[secret["digest"]].append(source)
        return {
            digest: owners[digest][0] for digest in digests if len({source["organizationId"] for source in owners[digest]}) == 1
        }

    async def add_refusals(self, refusals: Mapping[str, Refusals]) -> None:
        """Add to the refusals of these sources."""
        updates = [
            UpdateOne(
                {"_id": source_id},
                {
                    "$inc": {f"refusals.{code}": count for code, count in refused.counts.items()},
                    "$max": {"lastRefusal": {"at": refused.last_at, "code": refused.last_code}},
                },
            )
            for source_id, refused in refusals.items()
        ]
        await self._sources.bulk_write(updates, ordered=False)

    async def seen(self, source_ids: list[str], at: datetime) -> None:
        """Note that these sources have sent something; the id of a user is none of them and is left out."""
        await self._sources.update_many({"_id": {"$in": source_ids}}, {"$max": {"lastSeenAt": at}})


def _own(organization_id: str | None, source_id: str) -> dict[str, Any]:
    own: dict[str, Any] = {"_id": source_id}
    return own if organization_id is None else {**own, "organizationId": organization_id}


def keys_of(source: SourceDocument) -> list[SourceKey]:
    """Return a source's keys, of which some may have ended."""
    return [SourceKey(key["digest"], key["createdAt"], key["endsAt"]) for key in source["keys"]]


def source_of(document: SourceDocument) -> Source:
    """Return the source that a document holds."""
    settings: SourceSettingsDocument = document["settings"]
    default = SourceSettings()
    return Source(
        document["_id"],
        document["organizationId"],
        document["name"],
        document["kind"],
        SourceSettings(
            recordings=settings.get("recordings", default.recordings),
            historic=settings.get("historic", default.historic),
            numbers=tuple(settings.get("numbers", default.numbers)),
            agent_ids=tuple(settings.get("agentIds", default.agent_ids)),
            tolerance_s=settings.get("toleranceS", default.tolerance_s),
            public_url=settings.get("publicUrl", default.public_url),
            proof=settings.get("proof", default.proof),
            fetch_user=settings.get("fetchUser", default.fetch_user),
            sealed_fetch_password=settings.get("fetchPassword", default.sealed_fetch_password),
        ),
    )
