"""What must be done to its end is done although the task that waits for it is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from tether_rt.runtime.closing import through_cancellation


async def test_a_cancellation_waits_for_the_work_and_then_goes_on() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()
    done = False

    async def work() -> None:
        nonlocal done
        begun.set()
        await may_end.wait()
        done = True

    waiting = asyncio.create_task(through_cancellation(work()))
    await begun.wait()
    waiting.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert done


async def test_a_failure_of_the_work_is_the_callers() -> None:
    async def work() -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await through_cancellation(work())
