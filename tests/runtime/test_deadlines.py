from __future__ import annotations

import asyncio

import pytest

from tether_rt.errors import Unavailable
from tether_rt.runtime.deadlines import Deadline


async def test_what_is_waited_for_adds_up() -> None:
    deadline = Deadline(0.05)
    async with deadline:
        await asyncio.sleep(0.03)
    with pytest.raises(Unavailable) as refused:
        async with deadline:
            await asyncio.sleep(30)
    assert refused.value.retry_after_s
    with pytest.raises(Unavailable):
        async with deadline:
            await asyncio.sleep(0)


async def test_what_lies_outside_costs_nothing() -> None:
    deadline = Deadline(30)
    await asyncio.sleep(0.05)
    assert deadline.remaining_s == 30


async def test_errors_pass_and_a_cancelled_request_is_not_taken_for_one_that_waited_too_long() -> None:
    deadline = Deadline(30)
    with pytest.raises(ZeroDivisionError):
        async with deadline:
            raise ZeroDivisionError

    async def wait() -> None:
        async with deadline:
            await asyncio.sleep(30)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_time_limit_of_what_is_waited_for_stays_its_own() -> None:
    with pytest.raises(TimeoutError):
        async with Deadline(30), asyncio.timeout(0):
            await asyncio.sleep(30)
