"""Group commit: calls that arrive while a commit is under way are committed together by the next one.

An idle server commits at once, with no timer and no added latency; a busy one shares the price of a transaction among all
that wait. A call is answered only after its commit is durable. One that MongoDB refuses is found by halving the batch, so
that it never takes its neighbours down; one whose recording takes long is left out, and comes again.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from tether_rt.errors import TetherError, Unavailable
from tether_rt.mongo.batch_plan import Entry, Outcome
from tether_rt.mongo.batch_writer import BatchIsStale, RecordingsNotKept, is_durable
from tether_rt.mongo.calls import NotStorable
from tether_rt.runtime.deadlines import ANSWER_WITHIN_S
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics

MAX_BATCH_CALLS: Final = 128
"""Which take MongoDB 40 ms; for that long every other process waits for the organization's counter."""
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024
MAX_WAITING_CALLS: Final = 4_096
_UNDIVIDED_CALLS: Final = 40
"""Of more calls that wait, a batch takes half: while it is committed there is something left to begin with, and the callers of
one batch are not answered, and come back, all at once."""
_BUSY_CALLS: Final = 3
"""More are on their way only where several callers send at once: of sixteen, eight are committed while eight are read."""
RETRY_FOR_S: Final = 3.0
_LONGEST_PAUSE_S: Final = 0.2
_OVERTAKEN_PAUSE_S: Final = 0.03
"""As long as a large batch takes another process. Who pauses for longer is overtaken again and again, for a second and more."""
_LOG: Final = logging.getLogger("tether.ingest")
_AWAY: Final = "The database cannot be reached just now; send the request again."
_BUSY: Final = "The server is busy with other calls; send this one again shortly."


class Writer(Protocol):
    """What makes a batch durable: `mongo.batch_writer.BatchWriter`."""

    async def write(
        self, entries: Sequence[Entry], *, kept: Sequence[asyncio.Future[None]] = (), again: bool = False
    ) -> list[Outcome]:
        """Make every entry durable, or none, and not before all that is `kept` is done; `again` says that it was tried before.

        Raises `NotStorable` when it is never to be tried again, `BatchIsStale` when nothing was written and it is to be,
        `RecordingsNotKept` when it is to be without some of them, and `Unavailable` when MongoDB is away: it is to be tried
        again, and doubtful what was written.
        """


@dataclass(slots=True)
class _Waiting:
    """A call; `kept` is done once its recording is safe, or cannot be, and None when there is nothing to wait for."""

    entry: Entry
    kept: asyncio.Future[None] | None
    outcome: asyncio.Future[Outcome]

    @property
    def loss(self) -> BaseException | None:
        return self.kept.exception() if self.kept is not None and self.kept.done() else None

    def give_up(self) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(Unavailable(_AWAY))


class Committer:
    """The queue of calls that wait for their commit, and the one loop that commits them."""

    def __init__(self, writer: Writer, metrics: Metrics) -> None:
        self._writer = writer
        self._metrics = metrics
        self._waiting: deque[_Waiting] = deque()
        metrics.commit_queue.set_function(lambda: len(self._waiting))
        self._committing = 0
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    async def submit(self, entry: Entry, within_s: float = math.inf, *, kept: asyncio.Future[None] | None = None) -> Outcome:
        """Return the outcome once it is durable; `kept` is done when the recording is, if that is not certain yet.

        After `within_s`, and in any case after `ANSWER_WITHIN_S`, the caller hears 503 although the commit may still succeed: a
        retry of a call that did get through is told so (`deduplicated`). Raises `Unavailable` for that, when too many calls
        wait and when MongoDB is away, `BadRequest` when MongoDB refuses what the call holds, and what its recording raised.
        """
        if len(self._waiting) >= MAX_WAITING_CALLS:
            raise Unavailable(_BUSY, 1, limit="commits")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(entry, kept, loop.create_future())
        self._enqueue(waiting)
        giving_up = loop.call_later(min(within_s, ANSWER_WITHIN_S), waiting.give_up)
        try:
            return await waiting.outcome
        finally:
            giving_up.cancel()

    def _enqueue(self, waiting: _Waiting, kept: object = None) -> None:
        self._waiting.append(waiting)
        self._idle.clear()
        self._arrived.set()

    async def run(self) -> None:
        """Commit batch after batch until cancelled."""
        while True:
            while self._waiting:
                batch = self._take()
                self._committing = len(batch)
                await self._commit(batch)
            self._committing = 0
            self._idle.set()
            await self._arrived.wait()
            self._arrived.clear()

    @property
    def is_busy(self) -> bool:
        """Say if many calls are on their way, so that other work had better wait."""
        return len(self._waiting) + self._committing > _BUSY_CALLS

    async def drain(self) -> None:
        """Return when nothing waits and nothing is under way."""
        await self._idle.wait()

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        most = min(MAX_BATCH_CALLS, max(_UNDIVIDED_CALLS, len(self._waiting) // 2))
        while self._waiting and len(batch) < most:
            waiting = self._waiting[0]
            # Done: its caller was told to come again, so it must not be stored behind their back.
            if (loss := waiting.loss) is not None and not waiting.outcome.done():
                waiting.outcome.set_exception(loss)
            if not waiting.outcome.done():
                size += len(waiting.entry.elements)
                if batch and size > MAX_BATCH_BYTES:
                    break
                batch.append(waiting)
            self._waiting.popleft()
        return batch

    async def _commit(self, batch: list[_Waiting], *, again: bool = False) -> None:
        if not batch:
            return
        started_s = time.perf_counter()
        try:
            outcomes = await self._write(batch, again)
        except RecordingsNotKept:
            await self._commit(self._with_recordings(batch), again=again)
            return
        except Exception as error:  # whatever it is, somebody waits for it: it is theirs, or halved until it is
            await self._fail(batch, error)
            return
        self._metrics.commit_s.observe(time.perf_counter() - started_s)
        self._metrics.commit_calls.observe(len(batch))
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if not waiting.outcome.done():
                waiting.outcome.set_result(outcome)

    def _with_recordings(self, batch: list[_Waiting]) -> list[_Waiting]:
        """Return those whose recordings are safe; the others wait again once they know about theirs."""
        ready: list[_Waiting] = []
        for waiting in batch:
            if waiting.kept is None or is_durable(waiting.kept):
                ready.append(waiting)
            else:
                waiting.kept.add_done_callback(partial(self._enqueue, waiting))
        return ready

    async def _write(self, batch: list[_Waiting], again: bool) -> list[Outcome]:
        """Write, again and again for `RETRY_FOR_S` while the reason is one that passes."""
        entries = [waiting.entry for waiting in batch]
        kept = [waiting.kept for waiting in batch if waiting.kept is not None]
        give_up_s = time.monotonic() + RETRY_FOR_S
        tries = 0
        while True:
            try:
                return await self._writer.write(entries, kept=kept, again=again or tries > 0)
            except (BatchIsStale, Unavailable) as error:
                if time.monotonic() >= give_up_s:
                    raise
                longest_s = _OVERTAKEN_PAUSE_S if isinstance(error, BatchIsStale) else _LONGEST_PAUSE_S
            tries += 1
            self._metrics.commit_retries.inc()
            # Full jitter: two processes that met at one organization's counter must not meet again in step.
            await asyncio.sleep(random.uniform(0, min(longest_s, 0.002 * 2**tries)))  # noqa: S311

    async def _fail(self, batch: list[_Waiting], error: Exception) -> None:
        away = isinstance(error, (BatchIsStale, Unavailable))
        if len(batch) > 1 and not away:
            middle = len(batch) // 2
            await self._commit(batch[:middle], again=True)
            await self._commit(batch[middle:], again=True)
            return
        answer: TetherError
        if away:
            answer = error if isinstance(error, Unavailable) else Unavailable(_BUSY, 1)
            log(_LOG, logging.WARNING, "commit_unavailable", calls=len(batch), reason=type(error.__cause__ or error).__name__)
        elif isinstance(error, NotStorable):
            answer = error
        else:
            answer = TetherError("Something went wrong here; the call was not stored and may be sent again.")
            _LOG.error("commit_failed", exc_info=error)
        for waiting in batch:
            if not waiting.outcome.done():
                waiting.outcome.set_exception(answer)
