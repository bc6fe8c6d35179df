"""Batching without a timer: what arrives while a batch is under way goes into the next one.

An idle batcher starts at once and adds no latency; a busy one shares the cost of one query, flush or transaction among all
that wait.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Batcher(Generic[_Item, _Result]):
    """Hands items to `process` in batches, one batch at a time, in the order in which they arrived.

    `process` takes a list of items and returns a result for each, in their order; a result that is an exception is raised to
    the submitter of that item alone. What `process` raises is raised to the submitters of the whole batch.
    """

    def __init__(
        self,
        process: Callable[[list[_Item]], Awaitable[Sequence[_Result | Exception]]],
        *,
        max_items: int,
        max_weight: int | None = None,
        weigh: Callable[[_Item], int] = lambda item: 0,
        order: Callable[[_Item], int] | None = None,
    ) -> None:
        """Bound a batch by `max_items` and by `max_weight`, the sum of `weigh(item)`; one item alone may weigh more.

        With `order`, the items that wait are sorted by it before each batch; equal ones keep their order.
        """
        self._process = process
        self._max_items = max_items
        self._max_weight = max_weight
        self._weigh = weigh
        self._order = order
        self._waiting: deque[tuple[_Item, asyncio.Future[_Result]]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._batch_began_s = 0.0

    @property
    def waiting(self) -> int:
        """How many items wait for the next batch."""
        return len(self._waiting)

    @property
    def batch_age_s(self) -> float:
        """For how many seconds the current batch has been under way; 0.0 while idle."""
        return time.monotonic() - self._batch_began_s if self._worker is not None else 0.0

    def submit(self, item: _Item) -> asyncio.Future[_Result]:
        """Return a future for the item's result. Cancelling it leaves the item out, unless its batch has begun."""
        result: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return result

    def fail_waiting(self, error: Exception) -> None:
        """Raise `error` to the submitters of all items that wait for the next batch."""
        while self._waiting:
            _fail(self._waiting.popleft()[1], error)

    async def close(self) -> None:
        """Cancel the batch under way and whatever waits; idempotent."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait({self._worker})
        while self._waiting:
            self._waiting.popleft()[1].cancel()

    async def _work(self) -> None:
        batch: list[tuple[_Item, asyncio.Future[_Result]]] = []
        try:
            while batch := self._next_batch():
                self._batch_began_s = time.monotonic()
                await self._run(batch)
        finally:
            self._worker = None
            for _, result in batch:
                result.cancel()

    async def _run(self, batch: list[tuple[_Item, asyncio.Future[_Result]]]) -> None:
        outcomes: Sequence[_Result | Exception]
        try:
            outcomes = await self._process([item for item, _ in batch])
        except Exception as error:  # the submitters raise it
            outcomes = [error] * len(batch)
        for (_, result), outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Exception):
                _fail(result, outcome)
            elif not result.done():
                result.set_result(outcome)

    def _next_batch(self) -> list[tuple[_Item, asyncio.Future[_Result]]]:
        if self._order is not None:
            order = self._order
            self._waiting = deque(sorted(self._waiting, key=lambda waiting: order(waiting[0])))
        batch: list[tuple[_Item, asyncio.Future[_Result]]] = []
        weight = 0
        while self._waiting and len(batch) < self._max_items:
            item, result = self._waiting[0]
            if not result.done():
                weight += self._weigh(item)
                if batch and self._max_weight is not None and weight > self._max_weight:
                    break
                batch.append((item, result))
            self._waiting.popleft()
        return batch


def _fail(result: asyncio.Future[Any], error: Exception) -> None:
    if not result.done():  # else its submitter cancelled it
        result.set_exception(error)
        result.exception()  # marks it as retrieved: a submitter that has left is not an unexpected error
