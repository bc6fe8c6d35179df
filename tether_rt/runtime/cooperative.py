"""Long computations in steps, between which the event loop runs other work.

A thread would not help: encoding BSON, for example, holds the interpreter's lock, so it would block the event loop as well, and
the two threads would take the lock from each other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Iterator
from typing import Final, Generic, TypeVar

_T = TypeVar("_T")

_SLICE_S: Final = 0.003
"""With a last step of 6 ms, the longest when a batch of 8 MB is encoded, this stays below 10 ms, the limit for everything."""


class _StepsResult(Generic[_T]):
    """Iterates over a generator's steps and keeps what it returns."""

    result: _T

    def __init__(self, steps: Generator[None, None, _T]) -> None:
        self._steps = steps

    def __iter__(self) -> Iterator[None]:
        self.result = yield from self._steps


async def run_cooperatively(steps: Generator[None, None, _T]) -> _T:
    """Run the generator and return its result; yield to the event loop whenever 3 ms have passed."""
    iterator = _StepsResult(steps)
    began_s = time.perf_counter()
    for _ in iterator:
        if time.perf_counter() - began_s >= _SLICE_S:
            await asyncio.sleep(0)
            began_s = time.perf_counter()
    return iterator.result


def run_to_completion(steps: Generator[None, None, _T]) -> _T:
    """Run the generator without a pause and return its result."""
    iterator = _StepsResult(steps)
    for _ in iterator:
        pass
    return iterator.result
