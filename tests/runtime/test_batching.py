"""Batching: what arrives while a batch is under way goes into the next one, and everybody gets their own outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tether_rt.runtime.batching import Batcher


class Gate:
    """A processor that notes its batches and waits until it is let go; odd numbers fail."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = asyncio.Event()
        self.open = asyncio.Event()
        self.error: Exception | None = None

    async def process(self, items: list[int]) -> Sequence[str | Exception]:
        self.batches.append(items)
        self.begun.set()
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return [ValueError(str(item)) if item % 2 else f"done {item}" for item in items]


async def test_what_arrives_meanwhile_goes_into_the_next_batch_in_order() -> None:
    gate = Gate()
    batcher = Batcher(gate.process, max_items=10)
    first = batcher.submit(0)
    await gate.begun.wait()
    others = [batcher.submit(number) for number in (2, 4, 6)]
    assert batcher.waiting == 3
    gate.open.set()
    assert await first == "done 0"
    assert await asyncio.gather(*others) == ["done 2", "done 4", "done 6"]
    assert gate.batches == [[0], [2, 4, 6]]
    assert batcher.batch_age_s == 0.0


async def test_a_batch_is_bounded_by_number_and_by_weight() -> None:
    gate = Gate()
    batcher = Batcher(gate.process, max_items=3, max_weight=10, weigh=lambda item: item)
    results = [batcher.submit(number) for number in (0, 2, 4, 6, 8, 100, 2)]
    gate.open.set()
    await asyncio.gather(*results)
    assert gate.batches == [[0, 2, 4], [6], [8], [100], [2]]


async def test_an_item_that_fails_fails_alone() -> None:
    gate = Gate()
    batcher = Batcher(gate.process, max_items=10)
    right, wrong = batcher.submit(2), batcher.submit(3)
    gate.open.set()
    assert await right == "done 2"
    with pytest.raises(ValueError, match="3"):
        await wrong


async def test_a_batch_that_fails_fails_for_all_and_the_next_one_goes_on() -> None:
    gate = Gate()
    gate.error = OSError("away")
    batcher = Batcher(gate.process, max_items=10)
    both = [batcher.submit(2), batcher.submit(4)]
    gate.open.set()
    assert [type(outcome) for outcome in await asyncio.gather(*both, return_exceptions=True)] == [OSError, OSError]
    gate.error = None
    assert await batcher.submit(6) == "done 6"


async def test_an_item_that_was_given_up_while_it_waited_is_left_out() -> None:
    gate = Gate()
    batcher = Batcher(gate.process, max_items=10)
    first = batcher.submit(0)
    await gate.begun.wait()
    given_up, kept = batcher.submit(2), batcher.submit(4)
    given_up.cancel()
    gate.open.set()
    await asyncio.gather(first, kept)
    assert gate.batches == [[0], [4]]


async def test_closing_ends_what_is_under_way_and_what_waits() -> None:
    gate = Gate()
    batcher = Batcher(gate.process, max_items=1)
    under_way = batcher.submit(0)
    await gate.begun.wait()
    waits = batcher.submit(2)
    await batcher.close()
    await batcher.close()
    assert under_way.cancelled()
    assert waits.cancelled()
