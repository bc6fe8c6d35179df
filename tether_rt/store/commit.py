"""One batch of calls, durable in one transaction: contacts, conversations, calls, messages, and the feed that tells of them.

The organization's counter is the transaction's first statement. It hands out the events' numbers, and since two transactions
cannot both change it, it is the organization's lock as well: numbers have no gaps and commit in order, whichever process
wrote them. Which calls are stored already was read before; where that is out of date the unique indexes say so
(`BatchIsStale`), and the batch is planned again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

from bson.errors import BSONError
from pymongo.errors import DocumentTooLarge, DuplicateKeyError, OperationFailure

from tether_rt.store.client import Client, Database, unavailable
from tether_rt.store.known import Known
from tether_rt.store.opmsg import Command, find_and_modify, insert
from tether_rt.store.orphans import Orphans
from tether_rt.store.plan import Count, Entry, Outcome, Plan, segment_document
from tether_rt.store.transaction import Session, Transaction

_WRITE_CONFLICT: Final = 112
_UNSTORABLE: Final = frozenset({2, 15, 22, 10334, 17280, 17419, 17420})
"""BadValue, Overflow, InvalidBSON, BSONObjectTooLarge, KeyTooLong, and a document that an update makes too large."""


class BatchIsStale(Exception):
    """Another process changed what the batch was planned on; nothing was written, plan it again."""


class NotStorable(Exception):
    """MongoDB refuses a document of the batch for what it holds; nothing was written."""


class BatchWriter:
    """Writes batches, one at a time, in a thread of its own and over one session of its own.

    The thread runs the driver that Motor wraps: through Motor each round trip would go to a thread and back.
    """

    def __init__(self, client: Client, database: Database) -> None:
        self._known = Known(database.delegate)
        self._session = Session(database.delegate)
        self._orphans = Orphans(client)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tether-commit")

    async def close(self) -> None:
        """Let the thread end, after the batch that is being written; idempotent."""
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
        if plan.counts:
            self._transact(plan)
        else:
            plan.fill(())
        return plan.outcomes

    def _plan(self, entries: Sequence[Entry], again: bool) -> Plan:
        keys = {entry.key for entry in entries if again and entry.key is not None}
        return Plan(
            entries,
            self._known.calls(keys),
            datetime.now(UTC),
            self._known.committed([entry.call_id for entry in entries]) if again else {},
        )

    def _transact(self, plan: Plan) -> None:
        with self._session.transaction() as transaction:
            counting = [_count(organization_id, count) for organization_id, count in plan.counts.items()]
            *counted, found = transaction.run([*counting, plan.contacts_query()])
            plan.fill(found["cursor"]["firstBatch"])
            counters = [answer["value"] for answer in counted]
            segments = [segment_document(one["_id"], one["seq"], plan.events[one["_id"]], one["at"]) for one in counters]
            transaction.run([*plan.commands(), insert("feed", segments)])
            self._commit(transaction)

    def _commit(self, transaction: Transaction) -> None:
        transaction.commit()


def _count(organization_id: str, count: Count) -> Command:
    """Return what counts a batch, hands out the numbers of its events and tells the time by MongoDB's clock.

    The feed's retention goes by that clock. By this process' own, one that is a week behind would have its events removed as
    soon as they are written.
    """
    more = {"seq": count.events, "calls": count.calls}
    sums = {name: {"$add": [{"$ifNull": [f"${name}", 0]}, number]} for name, number in more.items()}
    change = [{"$set": {**sums, "at": "$$NOW"}}]
    return find_and_modify("counters", {"_id": organization_id}, change)


def _named(error: Exception) -> Exception:
    """Return the error under the name that tells the committer what to do about it."""
    if isinstance(error, DuplicateKeyError):
        return BatchIsStale()
    unstorable = isinstance(error, OperationFailure) and error.code in _UNSTORABLE
    if unstorable or isinstance(error, (DocumentTooLarge, BSONError, OverflowError)):
        return NotStorable()
    return unavailable(error) or error
