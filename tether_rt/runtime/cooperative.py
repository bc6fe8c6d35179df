"""Work that would keep the event loop to itself for long, done in steps between which others have their turn.

A thread would not help: what holds the interpreter, such as the encoding of BSON, holds up everybody in there as well, and the
thread and the event loop then take it from each other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Iterator
from typing import Final, Generic, TypeVar

_T = TypeVar("_T")

_SLICE_S: Final = 0.003
"""With a last step of 6 ms, the longest of 8 MB that are encoded, below the 10 ms that anything may take."""


class _StepsResult(Generic[_T]):
    """Steps to be walked through, and then what they came to."""

    result: _T

    def __init__(self, steps: Generator[None, None, _T]) -> None:
        self._steps = steps

    def __iter__(self) -> Iterator[None]:
        self.result = yield from self._steps


async def run_cooperatively(steps: Generator[None, None, _T]) -> _T:
    """Carry the steps out and return what they come to; others have their turn whenever some milliseconds have passed."""
    whole = _StepsResult(steps)
    began_s = time.perf_counter()
    for _ in whole:
        if time.perf_counter() - began_s >= _SLICE_S:
            await asyncio.sleep(0)
            began_s = time.perf_counter()
    return whole.result


def run_to_completion(steps: Generator[None, None, _T]) -> _T:
    """Carry the steps out, one after the other, and return what they come to."""
    whole = _StepsResult(steps)
    for _ in whole:
        pass
    return whole.result
