"""One batch of calls, durable in one transaction: contacts, conversations, calls, messages, and the feed that tells of them.

The organization's counter is the transaction's first statement. It hands out the events' numbers, and since two transactions
cannot both change it, it is the organization's lock as well: numbers have no gaps and commit in order, whichever process
wrote them. What was read before the transaction may be out of date by then; the unique indexes say so (`BatchIsStale`) and
the batch is planned again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from bson.errors import BSONError
from motor.motor_asyncio import AsyncIOMotorClientSession
from pymongo import ReturnDocument
from pymongo.errors import BulkWriteError, DocumentTooLarge, DuplicateKeyError, OperationFailure, PyMongoError

from tether_rt.store.calls import Calls
from tether_rt.store.client import DURABLE, Client, Database, Document, unavailable
from tether_rt.store.orphans import Orphans
from tether_rt.store.people import People
from tether_rt.store.plan import Entry, Outcome, Plan, segment_document

_DUPLICATE_KEY: Final = 11000
_WRITE_CONFLICT: Final = 112
_UNSTORABLE: Final = frozenset({2, 15, 22, 10334, 17280, 17419, 17420})
"""BadValue, Overflow, InvalidBSON, BSONObjectTooLarge, KeyTooLong, and a document that an update makes too large."""
_COMMIT_TRIES: Final = 3
_IN_THREAD_BYTES: Final = 128 * 1024
"""From here on a batch is planned in a thread: to find the words of 8 MB of summaries takes a third of a second."""


class BatchIsStale(Exception):
    """Another process changed what the batch was planned on; nothing was written, plan it again."""


class NotStorable(Exception):
    """MongoDB refuses a document of the batch for what it holds; nothing was written."""


class BatchWriter:
    """Writes batches, one at a time, over one session of its own.

    The session is kept for life on purpose: a transaction that a lost connection left open is aborted by the server as soon as
    the same session begins its next one, instead of holding the organization's lock until MongoDB's own limit (60 s).
    """

    def __init__(self, client: Client, database: Database) -> None:
        self._client = client
        self._database = database
        self._calls = Calls(database)
        self._people = People(database)
        self._orphans = Orphans(client)
        self._session: AsyncIOMotorClientSession | None = None

    async def close(self) -> None:
        """End the session."""
        if self._session is not None:
            await self._session.end_session()
            self._session = None

    async def write(self, entries: Sequence[Entry], *, doubtful: bool = False) -> list[Outcome]:
        """Make every entry durable, or none; returns an outcome for each, in order.

        `doubtful` says that an earlier try with these entries may have been committed although its answer was lost: what it
        stored is looked for first. Raises `BatchIsStale` or `NotStorable` as their docstrings say, `errors.Unavailable` when
        MongoDB is away (the batch is doubtful then), and the driver's errors for what nobody foresaw.
        """
        try:
            plan = await self._plan(entries, doubtful)
            if plan.calls:
                await self._transact(plan)
        except Exception as error:
            named = _named(error)
            if named is error:
                raise
            raise named from error
        return plan.outcomes

    async def _plan(self, entries: Sequence[Entry], doubtful: bool) -> Plan:
        keys = {entry.key for entry in entries if entry.key is not None}
        numbers = {(entry.call.organization_id, entry.call.contact_number) for entry in entries}
        existing, contacts = await asyncio.gather(self._calls.existing(keys), self._people.contacts_by_number(numbers))
        committed = await self._calls.committed([entry.call_id for entry in entries]) if doubtful else {}
        parts = (entries, existing, contacts, datetime.now(UTC), committed)
        if sum(entry.weight_bytes for entry in entries) < _IN_THREAD_BYTES:
            return Plan(*parts)
        return await asyncio.to_thread(Plan, *parts)

    async def _transact(self, plan: Plan) -> None:
        if self._session is None:
            self._session = await self._client.start_session(causal_consistency=False)
        session = self._session
        session.start_transaction(write_concern=DURABLE)
        try:
            await self._statements(plan, session)
            await self._commit(session)
        except BaseException as error:
            if session.delegate.in_transaction:
                await session.abort_transaction()
            if isinstance(error, OperationFailure) and error.code == _WRITE_CONFLICT:
                await self._orphans.end()
            raise

    async def _statements(self, plan: Plan, session: AsyncIOMotorClientSession) -> None:
        segments = []
        for organization_id, events in plan.events.items():
            counter = await self._database["counters"].find_one_and_update(
                {"_id": organization_id},
                [{"$set": _counted(seq=len(events), calls=plan.calls_of[organization_id])}],
                upsert=True,
                return_document=ReturnDocument.AFTER,
                session=session,
            )
            segments.append(segment_document(organization_id, counter["seq"], events, counter["at"]))
        for collection, operations in plan.people_operations():
            await self._database[collection].bulk_write(operations, ordered=False, session=session)
        await self._database["calls"].insert_many(plan.calls, ordered=False, session=session)
        await self._database["messages"].insert_many(plan.messages, ordered=False, session=session)
        await self._database["feed"].insert_many(segments, ordered=False, session=session)

    async def _commit(self, session: AsyncIOMotorClientSession) -> None:
        for attempt in range(1, _COMMIT_TRIES + 1):
            try:
                await session.commit_transaction()
                return
            except PyMongoError as error:
                if not error.has_error_label("UnknownTransactionCommitResult") or attempt == _COMMIT_TRIES:
                    raise


def _counted(**more: int) -> Document:
    """Return what a counter becomes: so much more of each, and the time by MongoDB's clock.

    The feed's retention goes by that clock. By this process' own, one that is a week behind would have its events removed as
    soon as they are written.
    """
    sums = {name: {"$add": [{"$ifNull": [f"${name}", 0]}, number]} for name, number in more.items()}
    return {**sums, "at": "$$NOW"}


def _named(error: Exception) -> Exception:
    """Return the error under the name that tells the committer what to do about it."""
    if isinstance(error, DuplicateKeyError):
        return BatchIsStale()
    codes: set[int | None] = set()
    if isinstance(error, BulkWriteError):
        codes = {problem.get("code") for problem in error.details.get("writeErrors", ())}
        if codes == {_DUPLICATE_KEY}:
            return BatchIsStale()
    elif isinstance(error, OperationFailure):
        codes = {error.code}
    if isinstance(error, (DocumentTooLarge, BSONError, OverflowError)) or codes & _UNSTORABLE:
        return NotStorable()
    return unavailable(error) or error
