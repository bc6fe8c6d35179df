"""Places for work: how many there are is learned from how long the work takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tether_rt.runtime.concurrency_limit import ConcurrencyLimit


async def worked(limit: ConcurrencyLimit, pieces: int, took_s: Callable[[int], float]) -> int:
    """Let many work at once; each takes what `took_s` says for the number that are at work. Returns the most at work."""
    at_work = most = 0

    async def piece() -> None:
        nonlocal at_work, most
        async with limit.place():
            at_work += 1
            most = max(most, at_work)
            await asyncio.sleep(0)
            limit.learn(took_s(at_work))
            at_work -= 1

    await asyncio.gather(*(piece() for _ in range(pieces)))
    return most


async def test_work_that_waits_for_something_far_away_gets_all_places() -> None:
    limit = ConcurrencyLimit(2, 32)
    assert await worked(limit, 3_000, lambda at_work: 0.012) == 32
    assert limit.limit == 32


async def test_work_that_waits_for_its_like_gets_few_places() -> None:
    """One processor: two at work take twice as long."""
    limit = ConcurrencyLimit(1, 32)
    await worked(limit, 3_000, lambda at_work: 0.005 * at_work)
    assert limit.limit <= 3


async def test_places_are_taken_away_when_work_becomes_slow_and_given_back_when_that_is_how_it_is_now() -> None:
    limit = ConcurrencyLimit(2, 32)
    await worked(limit, 3_000, lambda at_work: 0.005)
    await worked(limit, 400, lambda at_work: 0.020)
    assert limit.limit < 32
    await worked(limit, 5_000, lambda at_work: 0.020)
    assert limit.limit == 32


async def test_no_place_is_added_while_the_present_ones_are_not_taken() -> None:
    limit = ConcurrencyLimit(2, 32)
    for _ in range(1_000):
        async with limit.place():
            limit.learn(0.005)
    assert limit.limit == 2


async def test_places_go_round_in_the_order_of_asking() -> None:
    limit = ConcurrencyLimit(1, 1)
    order: list[int] = []

    async def piece(number: int) -> None:
        async with limit.place():
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(piece(number) for number in range(10)))
    assert order == list(range(10))


@pytest.mark.parametrize("turns", [0, 1, 2], ids=["while it waits", "as it gets the place", "while it works"])
async def test_one_who_is_cancelled_leaves_its_place_to_the_next(turns: int) -> None:
    limit = ConcurrencyLimit(1, 1)
    may_end = asyncio.Event()

    async def piece() -> None:
        async with limit.place():
            await may_end.wait()

    first, second, third = (asyncio.create_task(piece()) for _ in range(3))
    await asyncio.sleep(0)
    if turns:
        first.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)
    second.cancel()
    may_end.set()
    results = await asyncio.gather(first, second, third, return_exceptions=True)
    assert isinstance(results[1], asyncio.CancelledError)
    assert results[2] is None
