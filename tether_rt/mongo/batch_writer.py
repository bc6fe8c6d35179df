"""One batch of calls of one organization, durable in one transaction with the feed segment that announces them.

The organization's counter is the transaction's first statement. It numbers the events, and since two transactions cannot both
change it, it is the organization's lock as well: numbers have no gaps and commit in order, whichever process wrote them. The
look-up of duplicates comes before; where that is out of date by now, a unique index refuses the batch (`WriteConflict`).
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from bson.errors import BSONError
from pymongo.errors import DocumentTooLarge, DuplicateKeyError, OperationFailure

from tether_rt.errors import NotStorable, Unavailable, WriteConflict
from tether_rt.mongo.batch_plan import BatchItem, Entry, ItemOutcome, Plan
from tether_rt.mongo.client import Database, Document, unavailable
from tether_rt.mongo.lookups import Lookups, amended_call_query, contacts_query
from tether_rt.mongo.wire.op_msg import Command, Encoded, Spliced, find_and_modify
from tether_rt.mongo.wire.transaction import Session, Transaction
from tether_rt.runtime.cooperative import run_cooperatively
from tether_rt.runtime.logs import log

EXCHANGE_S: Final = 1.5
"""The limit of one round trip of a batch. Two attempts fit into the time that a caller waits (`deadlines.ANSWER_WITHIN_S`)."""

_WRITE_CONFLICT: Final = 112
_UNSTORABLE: Final = frozenset({2, 15, 22, 10334, 17280, 17419, 17420})
"""BadValue, Overflow, InvalidBSON, BSONObjectTooLarge, KeyTooLong, and a document that an update makes too large."""
_FEED_KEY: Final = {"organizationId", "last"}
_LOG: Final = logging.getLogger("tether.store")


class BatchWriter:
    """Writes one batch at a time, over a connection and in a session of its own."""

    def __init__(
        self,
        database: Database,
        *,
        exchange_s: float = EXCHANGE_S,
    ) -> None:
        self._session = Session(database, exchange_s)
        self._lookups = Lookups(self._session.connection)

    async def close(self) -> None:
        """Close the connection; idempotent."""
        await self._session.close()

    async def write(self, items: Sequence[BatchItem], *, is_retry: bool = False) -> list[ItemOutcome]:
        """Make all items of one organization durable, or none; return an outcome for each, in order.

        `is_retry` says that this was tried before: an earlier attempt may have been committed although its reply was lost, or
        another process may have stored one of the calls. Then both are looked for first; otherwise a unique index refuses them.

        Raises `WriteConflict` when nothing was written because another transaction holds the counter or changed what the batch
        was planned on, `NotStorable` when MongoDB can never store one of the calls, `Unavailable` when MongoDB is away and it
        is doubtful what was written, and the driver's errors for everything unexpected.
        """
        try:
            plan = await self._plan(items, is_retry)
            if plan.writes_nothing:
                await run_cooperatively(plan.fill(()))
            else:
                await self._commit(plan)
        except Exception as error:
            named = _named(error, items[0].organization_id)
            if named is error:
                raise
            raise named from error
        return plan.outcomes

    async def _plan(self, items: Sequence[BatchItem], is_retry: bool) -> Plan:
        now = datetime.now(UTC)
        if not is_retry:
            return Plan(items, now)
        entries = [one for one in items if isinstance(one, Entry)]
        stored = await self._lookups.calls({entry.key for entry in entries if entry.key is not None})
        return Plan(items, now, stored, await self._lookups.committed([entry.call_id for entry in entries]))

    async def _commit(self, plan: Plan) -> None:
        async with self._session.transaction() as transaction:
            count = _count(plan.organization_id, plan.call_count, plan.event_count)
            contacts = contacts_query(plan.organization_id, plan.numbers, plan.contact_ids)
            amended = [amended_call_query(plan.organization_id, call_id) for call_id in plan.call_ids]
            counted, *found = await transaction.run([count, contacts, *amended])
            commands, encoded = await run_cooperatively(_encoded_writes(plan, transaction, counted["value"], *found))
            if commands:
                replies = await transaction.send(encoded)
                if not all(map(_took_effect, commands, replies)):
                    raise WriteConflict
            # Also when no amendment had anything to change: it must not be said of a state that a failover may take back.
            await transaction.commit()


def _encoded_writes(
    plan: Plan, transaction: Transaction, counter: Document, contacts: Document, *calls: Document
) -> Generator[None, None, tuple[list[Command], Encoded]]:
    """`contacts` and `calls` are the replies to their queries."""
    yield from plan.fill(contacts["cursor"]["firstBatch"], [one for reply in calls for one in reply["cursor"]["firstBatch"]])
    commands = plan.commands(counter["seq"], counter["at"])
    return commands, (yield from transaction.encoding(commands))


def _count(organization_id: str, calls: int, events: int) -> Command:
    """Return the command that adds a batch to the organization's counter and answers with the counter after it.

    Its time is MongoDB's clock, by which the feed's retention goes too: with this process' own clock, one that is a week
    slow would have its events removed as soon as they are written.
    """
    more = {"seq": events, "calls": calls}
    sums: dict[str, Any] = {name: {"$add": [{"$ifNull": [f"${name}", 0]}, number]} for name, number in more.items()}
    return find_and_modify("counters", {"_id": organization_id}, [{"$set": {**sums, "at": "$$NOW"}}])


def _took_effect(command: Command, reply: Document) -> bool:
    """Say if an update of contacts matched every document that it was to change; the others go by ids."""
    return command.body.get("update") != "contacts" or reply["n"] == sum(map(_expected_matches, command.documents))


def _expected_matches(change: Document | Spliced) -> int:
    assert not isinstance(change, Spliced), "an update is written out"
    return len(change["q"]["_id"]["$in"]) if change.get("multi") else 1


def _named(error: Exception, organization_id: str) -> Exception:
    """Return the error of our own tree that says what to do about `error`, or `error` itself."""
    code = error.code if isinstance(error, OperationFailure) else None
    if isinstance(error, DuplicateKeyError) and (error.details or {}).get("keyPattern", {}).keys() == _FEED_KEY:
        # `counters` was restored to an earlier state than `feed`: each attempt would meet the same numbers again.
        log(_LOG, logging.ERROR, "counter_behind_feed", organizationId=organization_id, collection="counters")
        return Unavailable("The numbers of events are behind the feed; the operator must mend the database.", 30)
    if isinstance(error, DuplicateKeyError) or code == _WRITE_CONFLICT:
        return WriteConflict()
    if code in _UNSTORABLE or isinstance(error, (DocumentTooLarge, BSONError, OverflowError)):
        return NotStorable()
    return unavailable(error) or error
