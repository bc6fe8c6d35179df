"""The audit log: the collection `audit`, of which the server only inserts and reads; MongoDB removes what is too old.

Every entry is written before what it tells of is answered: an answer that cannot be recorded is 503, and so nothing is lost
silently. It costs one insert, beside the work itself where the two can run at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, cast

from motor.motor_asyncio import AsyncIOMotorClientSession, AsyncIOMotorCollection

from tether_rt.domain.audit import AuditDocument, Detail, Door, What, subject_id
from tether_rt.mongo.client import Database, Document, new_id
from tether_rt.mongo.documents import Collections

MOST_COUNTED: Final = 10_000
"""A list's `total` is counted up to here."""
_NEWEST_FIRST: Final = [("at", -1), ("_id", -1)]
_READ_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Conditions for entries; None means any. Times are aware and `end` is excluded."""

    who: str | None = None
    """The id of a user or of a read token."""
    what: What | None = None
    call_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None

    def query(self, organization_id: str) -> Document:
        """Return the conditions as a MongoDB query for entries of one organization."""
        query: Document = {"organizationId": organization_id}
        if self.what is not None:
            query["what"] = {"$eq": self.what}
        either = ((self.who, ("userId", "tokenId")), (self.call_id, ("callId", "callIds")))
        if alternatives := [
            {"$or": [{name: {"$eq": value}} for name in names]} for value, names in either if value is not None
        ]:
            query["$and"] = alternatives
        if at := {name: time for name, time in (("$gte", self.start), ("$lt", self.end)) if time is not None}:
            query["at"] = at
        return query


class Page(NamedTuple):
    """Some entries of a list, and how many the whole list has, up to `MOST_COUNTED`."""

    entries: list[AuditDocument]
    total: int


class AuditLog:
    """Writes and reads entries."""

    def __init__(self, database: Database) -> None:
        self._audit = cast("AsyncIOMotorCollection[AuditDocument]", database["audit"])
        self._users = Collections(database).users
        self._tokens = Collections(database).tokens
        self._sources = Collections(database).sources

    async def add(
        self,
        organization_id: str,
        what: What,
        user_id: str | None,
        *,
        door: Door = "page",
        token_id: str | None = None,
        call_id: str | None = None,
        call_ids: Sequence[str] = (),
        contact_id: str | None = None,
        details: Mapping[str, Detail] | None = None,
        session: AsyncIOMotorClientSession | None = None,
    ) -> None:
        """Write an entry, in the transaction of `session` if one is given. Raises the driver's errors.

        `user_id` is who did it, None for the command line, the server itself and the read token with the id `token_id`.
        `details` are ids, counts and words of ours, never what a caller or a person wrote.
        """
        entry = AuditDocument(
            _id=new_id(),
            organizationId=organization_id,
            at=datetime.now(UTC),
            what=what,
            door=door,
            userId=user_id,
            details=dict(details or {}),
        )
        if token_id is not None:
            entry["tokenId"] = token_id
        if call_id is not None:
            entry["callId"] = call_id
        if call_ids:
            entry["callIds"] = list(call_ids)
        if contact_id is not None:
            entry["contactId"] = contact_id
        await self._audit.insert_one(entry, session=session)

    async def page(self, organization_id: str, chosen: AuditFilter, *, limit: int, before: str | None = None) -> Page | None:
        """Return one page, newest first, from the entry with the id `before` on if that is given; None if there is none."""
        query = listed = chosen.query(organization_id)
        if before is not None:
            anchor = await self._audit.find_one({"_id": before, "organizationId": organization_id}, {"at": 1})
            if anchor is None:
                return None
            listed = _older(query, anchor)
        entries = await self._audit.find(listed).sort(_NEWEST_FIRST).limit(limit).to_list(None)
        return Page(entries, await self._audit.count_documents(query, limit=MOST_COUNTED))

    async def every(self, organization_id: str, chosen: AuditFilter) -> AsyncGenerator[list[AuditDocument], None]:
        """Yield all entries in batches, newest first."""
        query = listed = chosen.query(organization_id)
        while entries := await self._audit.find(listed).sort(_NEWEST_FIRST).limit(_READ_BATCH).to_list(None):
            yield entries
            listed = _older(query, entries[-1])

    async def names(self, organization_id: str, entries: Sequence[AuditDocument]) -> dict[str, str]:
        """Return the addresses of users, and the names of read tokens and sources, as they are now, by id.

        They are those who did what the entries say, and those to whom it was done. Who is gone is left out.
        """
        ids = {one for entry in entries for one in (entry["userId"], entry.get("tokenId"), subject_id(entry)) if one}
        own = {"_id": {"$in": list(ids)}, "organizationId": organization_id}
        users, tokens, sources = await asyncio.gather(
            self._users.find(own, {"email": 1}).to_list(None),
            self._tokens.find(own, {"name": 1}).to_list(None),
            self._sources.find(own, {"name": 1}).to_list(None),
        )
        return {one["_id"]: one["email"] for one in users} | {one["_id"]: one["name"] for one in (*tokens, *sources)}

    async def user_id(self, organization_id: str, email: str) -> str | None:
        """Return the id of the organization's user with this address."""
        user = await self._users.find_one({"email": email.strip().lower(), "organizationId": organization_id}, {"_id": 1})
        return user["_id"] if user is not None else None


def _older(query: Document, anchor: Mapping[str, Any] | AuditDocument) -> Document:
    older = [{"at": {"$lt": anchor["at"]}}, {"at": anchor["at"], "_id": {"$lt": anchor["_id"]}}]
    return {"$and": [query, {"$or": older}]}
