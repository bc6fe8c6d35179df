"""One batch of calls, durable in one transaction: contacts, conversations, calls, messages, and the feed that tells of them.

The organization's counter is the transaction's first statement. It hands out the events' numbers, and since two transactions
cannot both change it, it is the organization's lock as well: numbers have no gaps and commit in order, whichever process
wrote them. Which calls are stored already was read before; where that is out of date the unique indexes say so
(`BatchIsStale`), and the batch is planned again. What the counter and the contacts will be is known before, as a rule
(`foresight`); then it is written at once, and given up where it was not so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from bson.errors import BSONError
from pymongo.errors import DocumentTooLarge, DuplicateKeyError, OperationFailure

from tether_rt.mongo.abandoned_transactions import AbandonedTransactions
from tether_rt.mongo.batch_plan import Count, Entry, Outcome, Plan, segment_document
from tether_rt.mongo.calls import NotStorable
from tether_rt.mongo.client import Client, Database, Document, unavailable
from tether_rt.mongo.foresight import Foreseen, Foresight
from tether_rt.mongo.lookups import Lookups, contacts_query
from tether_rt.mongo.wire.op_msg import Command, Encoded, Spliced, find_and_modify, insert
from tether_rt.mongo.wire.transaction import Session, Transaction
from tether_rt.runtime.cooperative import run_cooperatively

_WRITE_CONFLICT: Final = 112
_KEPT_WITHIN_S: Final = 0.1
"""How long an organization's lock is held for recordings that are still being flushed: many times what that takes."""
_UNSTORABLE: Final = frozenset({2, 15, 22, 10334, 17280, 17419, 17420})
"""BadValue, Overflow, InvalidBSON, BSONObjectTooLarge, KeyTooLong, and a document that an update makes too large."""

Stored = Callable[[Iterable[str], datetime], object]
"""Takes the ids of calls that were stored and are still to be indexed, and their time."""


class BatchIsStale(Exception):
    """Another process changed what the batch was planned on, or is about to; nothing was written, plan it again."""


class RecordingsNotKept(Exception):
    """A recording of the batch is not safe yet, or cannot be kept; nothing was written."""


class BatchWriter:
    """Writes batches, one at a time, over a connection and in a session of its own."""

    def __init__(self, client: Client, database: Database, stored: Stored | None = None) -> None:
        """`stored` is told which calls were stored whose words are to be indexed, and when."""
        self._stored = stored
        self._known = Lookups(database)
        self._session = Session(database.delegate)
        self._abandoned = AbandonedTransactions(client)
        self._foresight = Foresight(database)
        self.expect = self._foresight.expect
        """Is told whose calls will be written soon, so that less need be asked then."""

    async def close(self) -> None:
        """Close the connections; idempotent."""
        await self._foresight.close()
        await self._session.close()
        await self._known.close()

    async def write(
        self, entries: Sequence[Entry], *, kept: Sequence[asyncio.Future[None]] = (), again: bool = False
    ) -> list[Outcome]:
        """Make every entry durable, or none; returns an outcome for each, in order.

        `kept` are done when recordings of the batch are safe, which the commit waits for. `again` says that this was tried
        before: an earlier try may have been committed although its answer was lost, or somebody else may have stored one of the
        calls. It is looked for first; without, their indexes refuse them. Raises `BatchIsStale`, `NotStorable` or
        `RecordingsNotKept` as their docstrings say, `errors.Unavailable` when MongoDB is away, and the driver's errors for what
        nobody foresaw.
        """
        try:
            plan = await self._plan(entries, again)
            if plan.counts:
                foreseen = None if again else self._foresight.of(plan)
                try:
                    await self._transact(plan, foreseen, kept)
                except (BatchIsStale, DuplicateKeyError):
                    if foreseen is None:
                        raise
                    plan = await self._plan(entries, again)
                    await self._transact(plan, None, kept)
                if self._stored is not None:
                    marked = [call.document["_id"] for call in plan.calls if "unindexed" in call.document]
                    self._stored(marked, plan.now)
            else:
                await run_cooperatively(plan.fill(()))
        except Exception as error:
            if _code(error) == _WRITE_CONFLICT:
                await self._abandoned.end()
            named = _named(error)
            if named is error:
                raise
            raise named from error
        return plan.outcomes

    async def _plan(self, entries: Sequence[Entry], again: bool) -> Plan:
        now = datetime.now(UTC)
        if not again:
            return Plan(entries, {}, now)
        stored = await self._known.calls({entry.key for entry in entries if entry.key is not None})
        return Plan(entries, stored, now, await self._known.committed([entry.call_id for entry in entries]))

    async def _transact(self, plan: Plan, foreseen: Foreseen | None, kept: Sequence[asyncio.Future[None]]) -> None:
        try:
            counters = await self._write(plan, foreseen, kept)
        except BaseException:
            self._foresight.forget(plan)
            raise
        self._foresight.learn(counters, plan)

    async def _write(self, plan: Plan, foreseen: Foreseen | None, kept: Sequence[asyncio.Future[None]]) -> list[Document]:
        """Write and commit; return the counters."""
        counting = [_count(*each) for each in plan.counts.items()]
        async with self._session.transaction() as transaction:
            if foreseen is None:
                *counted, found = await transaction.run([*counting, contacts_query(plan.contact_keys())])
                counters, contacts = [answer["value"] for answer in counted], found["cursor"]["firstBatch"]
                first: list[Command] = []
            else:
                counters, contacts = foreseen
                first = [_only_as_foreseen(*each) for each in zip(counting, counters, plan.counts.values(), strict=True)]

            def fill() -> Generator[None, None, tuple[list[Command], Encoded]]:
                yield from plan.fill(contacts)
                segments = [segment_document(one["_id"], one["seq"], plan.events[one["_id"]], one["at"]) for one in counters]
                commands = [*first, *plan.commands(), insert("feed", segments)]
                return commands, (yield from transaction.encoding(commands))

            commands, encoded = await run_cooperatively(fill())
            answers, is_committed = await transaction.send_and_commit(
                encoded, lambda answers: self._is_ready(commands, answers, kept)
            )
            if not is_committed:
                if not all(map(_took_effect, commands, answers)):
                    raise BatchIsStale
                await _all_kept(kept)
                await self._commit(transaction)
            # What MongoDB made of those that were foreseen has its time, where they had a guess.
            return counters if foreseen is None else [answer["value"] for answer in answers[: len(first)]]

    def _is_ready(self, commands: list[Command], answers: list[Document], kept: Sequence[asyncio.Future[None]]) -> bool:
        """Say if a batch that was written can be committed at once."""
        return all(map(_took_effect, commands, answers)) and all(map(is_durable, kept))

    async def _commit(self, transaction: Transaction) -> None:
        await transaction.commit()


async def _all_kept(kept: Sequence[asyncio.Future[None]]) -> None:
    """Wait until every recording is safe, so that no call is durable before its own."""
    if pending := [one for one in kept if not one.done()]:
        await asyncio.wait(pending, timeout=_KEPT_WITHIN_S)
    if not all(map(is_durable, kept)):
        raise RecordingsNotKept


def is_durable(kept: asyncio.Future[None]) -> bool:
    """Say if a recording is known to be safe."""
    return kept.done() and kept.exception() is None


def _count(organization_id: str, count: Count) -> Command:
    """Return what counts a batch, hands out the numbers of its events and tells the time by MongoDB's clock.

    The feed's retention goes by that clock. By this process' own, one that is a week behind would have its events removed as
    soon as they are written.
    """
    more = {"seq": count.events, "calls": count.calls}
    sums = {name: {"$add": [{"$ifNull": [f"${name}", 0]}, number]} for name, number in more.items()}
    change = [{"$set": {**sums, "at": "$$NOW"}}]
    return find_and_modify("counters", {"_id": organization_id}, change)


def _only_as_foreseen(counting: Command, foreseen: Document, count: Count) -> Command:
    """Return the same, for a counter that stands where it was thought to."""
    before = {"_id": foreseen["_id"], "seq": foreseen["seq"] - count.events}
    return Command({**counting.body, "query": before, "upsert": False})


def _took_effect(command: Command, answer: Document) -> bool:
    """Say if a command found everything that it was to change."""
    if "findAndModify" in command.body:
        return answer["value"] is not None
    return "update" not in command.body or answer["n"] == sum(map(_to_be_found, command.documents))


def _to_be_found(change: Document | Spliced) -> int:
    assert not isinstance(change, Spliced), "an update is written out"
    return len(change["q"]["_id"]["$in"]) if change.get("multi") else 1


def _code(error: Exception) -> int | None:
    return error.code if isinstance(error, OperationFailure) else None


def _named(error: Exception) -> Exception:
    """Return the error under the name that tells the committer what to do about it."""
    if isinstance(error, DuplicateKeyError) or _code(error) == _WRITE_CONFLICT:
        return BatchIsStale()
    if _code(error) in _UNSTORABLE or isinstance(error, (DocumentTooLarge, BSONError, OverflowError)):
        return NotStorable()
    return unavailable(error) or error
