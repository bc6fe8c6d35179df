"""Group commit, one lane for each organization.

Calls that arrive while a commit of their organization is under way are committed together by the next one: an idle lane commits
at once, with no timer and no added latency, and a busy one shares the cost of a transaction among all that wait. A call is
answered only after its commit is durable. Changes of stored calls (`Amendment`) and of contacts' names (`Rename`) go the same
way, in the order of arrival.

Organizations never wait for each other: not for a lock, not for a batch, not for a retry. A lane whose counter another
transaction holds gives its place back and tries again later. A call that MongoDB refuses is found by halving its batch, so it
never takes its neighbours down.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, overload

from tether_rt.errors import NotFound, NotStorable, TetherError, Unavailable, WriteConflict
from tether_rt.mongo.amendments import Amended, Amendment, Missing, Stale
from tether_rt.mongo.batch_contacts import MissingContact, Rename, Renamed
from tether_rt.mongo.batch_plan import BatchItem, Entry, ItemOutcome, Outcome
from tether_rt.runtime.backoff import Backoff
from tether_rt.runtime.concurrency_limit import ConcurrencyLimit
from tether_rt.runtime.deadlines import ANSWER_WITHIN_S
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics

MIN_LANES: Final = 2
MAX_LANES: Final = 32
"""Lanes that may be at work in a process at once, each with a connection to MongoDB; the others wait for a place.

How many between the two is learned from how long commits take. Where MongoDB is busy, and not far away, few lanes at a time
make larger batches, which cost less."""
MAX_BATCH_CALLS: Final = 128
"""Which take MongoDB 40 ms; for that long other processes wait for the organization's counter."""
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024
MAX_WAITING_CALLS: Final = 4_096
MAX_WAITING_CALLS_OF_ONE: Final = 1_024
"""Of one organization, so that one whose counter is held, or that floods, leaves room for the others."""
_CONFLICT_BACKOFF: Final = Backoff(0.004, 0.03, jitter=1.0)
"""No longer than a large batch takes another process: a lane that waits longer is overtaken again and again. Full jitter: two
processes that met at one counter must not meet again in step."""
_AWAY_BACKOFF: Final = Backoff(0.004, 0.2, jitter=1.0)
_TELLING_CONFLICTS: Final = 50
"""Conflicts in a row that are worth a line in the log: two busy processes meet a few times at most."""
_LOG: Final = logging.getLogger("tether.ingest")


class Writer(Protocol):
    """What makes a batch durable: `mongo.batch_writer.BatchWriter`, whose docstrings hold."""

    async def write(self, items: Sequence[BatchItem], *, is_retry: bool = False) -> list[ItemOutcome]: ...

    async def close(self) -> None: ...


@dataclass(slots=True, eq=False)
class _Waiting:
    """A call, or a change of one, that waits for its commit."""

    item: BatchItem
    outcome: asyncio.Future[Outcome | Amended | Stale | Renamed]
    was_tried: bool = False
    """Whether an earlier attempt may have been committed although its reply was lost."""
    reason: TetherError | None = None
    """Why the last attempt failed."""

    def give_up(self) -> None:
        """Answer the caller, who has waited long enough, with 503."""
        self.fail(self.reason or Unavailable("The database did not answer in time; send the request again."))

    def fail(self, error: TetherError) -> None:
        """Answer the caller with an error, unless there was an answer."""
        if not self.outcome.done():
            self.outcome.set_exception(error)


@dataclass(slots=True, eq=False)
class _Lane:
    """The calls of one organization, and the writer that it used last."""

    waiting: deque[_Waiting] = field(default_factory=deque)
    writer: Writer | None = None


class GroupCommit:
    """The lanes, and the places and connections that they share."""

    def __init__(
        self,
        make_writer: Callable[[], Writer],
        metrics: Metrics,
        *,
        end_abandoned: Callable[[], Awaitable[None]] | None = None,
        min_lanes: int = MIN_LANES,
        max_lanes: int = MAX_LANES,
        max_batch_calls: int = MAX_BATCH_CALLS,
        max_waiting_calls: int = MAX_WAITING_CALLS,
        max_waiting_calls_of_one: int = MAX_WAITING_CALLS_OF_ONE,
        answer_within_s: float = ANSWER_WITHIN_S,
    ) -> None:
        """`end_abandoned` ends the transactions that a killed process left open; it is called after a conflict."""
        self._make_writer = make_writer
        self._metrics = metrics
        self._end_abandoned = end_abandoned
        self._max_batch_calls = max_batch_calls
        self._max_waiting_calls = max_waiting_calls
        self._max_waiting_calls_of_one = max_waiting_calls_of_one
        self._answer_within_s = answer_within_s
        self._lanes: dict[str, _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = ConcurrencyLimit(min_lanes, max_lanes)
        self._idle_writers: list[Writer] = []
        self._writers: list[Writer] = []
        self._waiting_calls = 0
        self._idle = asyncio.Event()
        self._idle.set()
        metrics.commit_queue.set_function(lambda: self._waiting_calls)
        metrics.commit_lanes.set_function(lambda: len(self._writers) - len(self._idle_writers))

    @overload
    async def submit(self, item: Entry, within_s: float = math.inf) -> Outcome: ...

    @overload
    async def submit(self, item: Amendment, within_s: float = math.inf) -> Amended | Stale: ...

    @overload
    async def submit(self, item: Rename, within_s: float = math.inf) -> Renamed: ...

    async def submit(self, item: BatchItem, within_s: float = math.inf) -> Outcome | Amended | Stale | Renamed:
        """Return the outcome once it is durable.

        After `within_s`, and in any case after `ANSWER_WITHIN_S`, the caller is answered 503 although the commit may still
        succeed: a retry of such a call is answered as a duplicate. Raises `Unavailable` for that, when too many calls wait and
        when MongoDB is away, `NotStorable` when MongoDB refuses what the call holds, and `NotFound` when the call or contact
        that is to be changed is not there.
        """
        lane = self._lanes.get(item.organization_id)
        waiting_of_one = len(lane.waiting) if lane is not None else 0
        if self._waiting_calls >= self._max_waiting_calls or waiting_of_one >= self._max_waiting_calls_of_one:
            raise Unavailable("The server is busy with other calls; send this one again shortly.", 1, limit="commits")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(item, loop.create_future())
        self._enqueue(waiting)
        timer = loop.call_later(min(within_s, self._answer_within_s), waiting.give_up)
        try:
            return await waiting.outcome
        finally:
            timer.cancel()

    async def drain(self) -> None:
        """Return when nothing waits and nothing is under way."""
        await self._idle.wait()

    async def close(self) -> None:
        """End what is under way and close the connections; idempotent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(writer.close() for writer in self._writers))

    def _enqueue(self, waiting: _Waiting) -> None:
        """Put a call at the end of its lane and set the lane to work."""
        organization_id = waiting.item.organization_id
        lane = self._lanes.get(organization_id)
        if lane is None:
            lane = self._lanes[organization_id] = _Lane()
            self._idle.clear()
            task = asyncio.create_task(self._run(organization_id, lane))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        lane.waiting.append(waiting)
        self._waiting_calls += 1

    async def _run(self, organization_id: str, lane: _Lane) -> None:
        """Commit batch after batch until no call of the organization waits."""
        failures = 0
        try:
            while lane.waiting:
                reason = await self._commit_next(lane)
                failures = failures + 1 if reason is not None else 0
                if reason is not None:
                    await self._back_off(lane, reason, failures)
        except Exception as error:
            _LOG.exception("commit_failed")
            for waiting in self._take(lane, len(lane.waiting)):
                waiting.fail(_internal(error))
        finally:
            self._waiting_calls -= len(lane.waiting)
            del self._lanes[organization_id]
            if not self._lanes:
                self._idle.set()

    async def _back_off(self, lane: _Lane, reason: Unavailable, failures: int) -> None:
        self._metrics.commit_retries.inc()
        is_conflict = isinstance(reason, WriteConflict)
        if failures == (_TELLING_CONFLICTS if is_conflict else 1):
            cause = type(reason.__cause__ or reason).__name__
            log(_LOG, logging.WARNING, "commit_unavailable", calls=len(lane.waiting), reason=cause)
        if is_conflict and self._end_abandoned is not None:
            await self._end_abandoned()
        await asyncio.sleep((_CONFLICT_BACKOFF if is_conflict else _AWAY_BACKOFF).wait_s(failures))

    async def _commit_next(self, lane: _Lane) -> Unavailable | None:
        """Commit the lane's next batch; return why it has to be tried again, or None."""
        async with self._places.place():
            batch = self._take(lane, self._max_batch_calls)
            if not batch:
                return None
            writer = lane.writer = self._writer_for(lane)
            try:
                return await self._commit(lane, writer, batch)
            finally:
                self._idle_writers.append(writer)

    def _writer_for(self, lane: _Lane) -> Writer:
        """Return an idle writer, the lane's last one if possible.

        A transaction that a lost connection left open holds the counter until its session begins another one. Either this lane
        does that now, or another lane that has the writer meanwhile has done it.
        """
        if lane.writer in self._idle_writers:
            self._idle_writers.remove(lane.writer)
            return lane.writer
        if self._idle_writers:
            return self._idle_writers.pop()
        writer = self._make_writer()
        self._writers.append(writer)
        return writer

    def _take(self, lane: _Lane, max_calls: int) -> list[_Waiting]:
        """Take the next batch out of the lane, without the calls that were answered meanwhile.

        It ends before an amendment of a call that it stores: a batch reads what it amends before it writes.
        """
        batch: list[_Waiting] = []
        new_ids: set[str] = set()
        size_bytes = 0
        while lane.waiting and len(batch) < max_calls:
            waiting = lane.waiting[0]
            # An answered caller was told to send the call again: it must not be stored after that.
            if not waiting.outcome.done():
                size_bytes += waiting.item.weight_bytes
                if batch and size_bytes > MAX_BATCH_BYTES:
                    break
                if isinstance(waiting.item, Entry):
                    new_ids.add(waiting.item.call_id)
                elif isinstance(waiting.item, Amendment) and waiting.item.call_id in new_ids:
                    break
                batch.append(waiting)
            lane.waiting.popleft()
            self._waiting_calls -= 1
        return batch

    def _put_back(self, lane: _Lane, batch: Sequence[_Waiting]) -> None:
        lane.waiting.extendleft(reversed(batch))
        self._waiting_calls += len(batch)

    async def _commit(self, lane: _Lane, writer: Writer, batch: list[_Waiting]) -> Unavailable | None:
        """Write a batch and answer its callers; return why it was put back to be tried again, or None."""
        is_retry = any(waiting.was_tried for waiting in batch)
        started_s = asyncio.get_running_loop().time()
        try:
            outcomes = await writer.write([waiting.item for waiting in batch], is_retry=is_retry)
        except Unavailable as error:
            for waiting in batch:
                waiting.was_tried, waiting.reason = True, error
            self._put_back(lane, batch)
            return error
        except Exception as error:  # the batch is halved until the call that is to blame is alone
            return await self._split(lane, writer, batch, error)
        took_s = asyncio.get_running_loop().time() - started_s
        self._places.learn(took_s)
        self._metrics.commit_s.observe(took_s)
        self._metrics.commit_calls.observe(len(batch))
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Missing):
                waiting.fail(NotFound("There is no such call."))
            elif isinstance(outcome, MissingContact):
                waiting.fail(NotFound("There is no such contact."))
            elif not waiting.outcome.done():
                waiting.outcome.set_result(outcome)
        return None

    async def _split(self, lane: _Lane, writer: Writer, batch: list[_Waiting], error: Exception) -> Unavailable | None:
        if len(batch) == 1:
            if not isinstance(error, NotStorable):
                _LOG.error("commit_failed", exc_info=error)
            batch[0].fail(error if isinstance(error, NotStorable) else _internal(error))
            return None
        for waiting in batch:
            waiting.was_tried = True
        middle = len(batch) // 2
        first = await self._commit(lane, writer, batch[:middle])
        second = await self._commit(lane, writer, batch[middle:])
        return first or second


def _internal(error: Exception) -> TetherError:
    public = TetherError("Something went wrong here; the call was not stored and may be sent again.")
    public.__cause__ = error
    return public
