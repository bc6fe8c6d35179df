"""One batch of calls, durable in one transaction: contacts, conversations, calls, messages, and the feed that tells of them.

The organization's counter is the transaction's first statement. It hands out the events' numbers, and since two transactions
cannot both change it, it is the organization's lock as well: numbers have no gaps and commit in order, whichever process
wrote them. What was read before the transaction may be out of date by then; the unique indexes say so (`BatchIsStale`) and
the batch is planned again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

from bson.errors import BSONError
from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.errors import BulkWriteError, DocumentTooLarge, DuplicateKeyError, OperationFailure, PyMongoError

from tether_rt.store.client import DURABLE, Client, Database, Document, unavailable
from tether_rt.store.known import Known
from tether_rt.store.orphans import Orphans
from tether_rt.store.plan import Entry, Outcome, Plan, segment_document

_DUPLICATE_KEY: Final = 11000
_WRITE_CONFLICT: Final = 112
_UNSTORABLE: Final = frozenset({2, 15, 22, 10334, 17280, 17419, 17420})
"""BadValue, Overflow, InvalidBSON, BSONObjectTooLarge, KeyTooLong, and a document that an update makes too large."""
_COMMIT_TRIES: Final = 3


class BatchIsStale(Exception):
    """Another process changed what the batch was planned on; nothing was written, plan it again."""


class NotStorable(Exception):
    """MongoDB refuses a document of the batch for what it holds; nothing was written."""


class BatchWriter:
    """Writes batches, one at a time, in a thread of its own and over one session of its own.

    The thread runs the driver that Motor wraps: a transaction is ten commands one after the other, and through Motor each of
    them would go to a thread and back. The session is kept for life on purpose: a transaction that a lost connection left open
    is aborted by the server as soon as the same session begins its next one, instead of holding the organization's lock until
    MongoDB's own limit (60 s).
    """

    def __init__(self, client: Client, database: Database) -> None:
        self._client = client.delegate
        self._database = database.delegate
        self._known = Known(self._database)
        self._orphans = Orphans(client)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tether-commit")
        self._session: ClientSession | None = None

    async def close(self) -> None:
        """End the session, after the batch that is being written; idempotent."""
        if self._session is not None:
            session, self._session = self._session, None
            await asyncio.get_running_loop().run_in_executor(self._thread, session.end_session)
        self._thread.shutdown(wait=False)

    async def write(self, entries: Sequence[Entry], *, again: bool = False) -> list[Outcome]:
        """Make every entry durable, or none; returns an outcome for each, in order.

        `again` says that this was tried before: an earlier try may have been committed although its answer was lost, or
        somebody else may have stored one of the calls. It is looked for first; without, their indexes refuse them. Raises
        `BatchIsStale` or `NotStorable` as their docstrings say, `errors.Unavailable` when MongoDB is away, and the driver's
        errors for what nobody foresaw.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._write, entries, again)
        except Exception as error:
            if isinstance(error, OperationFailure) and error.code == _WRITE_CONFLICT:
                await self._orphans.end()
            named = _named(error)
            if named is error:
                raise
            raise named from error

    def _write(self, entries: Sequence[Entry], again: bool) -> list[Outcome]:
        plan = self._plan(entries, again)
        if plan.calls:
            self._transact(plan)
        return plan.outcomes

    def _plan(self, entries: Sequence[Entry], again: bool) -> Plan:
        keys = {entry.key for entry in entries if again and entry.key is not None}
        return Plan(
            entries,
            self._known.calls(keys),
            self._known.contacts({(entry.call.organization_id, entry.call.contact_number) for entry in entries}),
            datetime.now(UTC),
            self._known.committed([entry.call_id for entry in entries]) if again else {},
        )

    def _transact(self, plan: Plan) -> None:
        if self._session is None:
            self._session = self._client.start_session(causal_consistency=False)
        session = self._session
        session.start_transaction(write_concern=DURABLE)
        try:
            self._statements(plan, session)
            self._commit(session)
        except BaseException:
            if session.in_transaction:
                session.abort_transaction()
            raise

    def _statements(self, plan: Plan, session: ClientSession) -> None:
        segments = []
        for organization_id, events in plan.events.items():
            counter = self._database["counters"].find_one_and_update(
                {"_id": organization_id},
                [{"$set": _counted(seq=len(events), calls=plan.calls_of[organization_id])}],
                upsert=True,
                return_document=ReturnDocument.AFTER,
                session=session,
            )
            segments.append(segment_document(organization_id, counter["seq"], events, counter["at"]))
        for collection, operations in plan.people_operations().items():
            if operations:
                self._database[collection].bulk_write(operations, ordered=False, session=session)
        self._database["calls"].insert_many(plan.calls, ordered=False, session=session)
        self._database["messages"].insert_many(plan.messages, ordered=False, session=session)
        self._database["feed"].insert_many(segments, ordered=False, session=session)

    def _commit(self, session: ClientSession) -> None:
        for attempt in range(1, _COMMIT_TRIES + 1):
            try:
                session.commit_transaction()
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
