"""`/readyz`: each check is made once for all who ask at about the same time."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.waiting import eventually
from tether_rt.api.health import RememberedCheck
from tether_rt.errors import Unavailable


class Part:
    """A part that can be missing; it counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None
        self.may_answer = asyncio.Event()

    async def check(self) -> None:
        self.asked += 1
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error


async def test_a_check_that_is_under_way_is_shared() -> None:
    part = Part()
    outcomes: list[bool] = []
    check = RememberedCheck(part.check, outcomes.append)
    asking = [asyncio.create_task(check.state()) for _ in range(10)]
    await eventually(lambda: part.asked > 0)
    asking.pop().cancel()
    part.may_answer.set()
    assert await asyncio.gather(*asking) == ["ok"] * 9
    assert await check.state() == "ok"
    assert part.asked == 1
    assert outcomes == [True]


@pytest.mark.parametrize(
    ("error", "state"), [(Unavailable("The disk is full."), "The disk is full."), (OSError("/secret"), "failing (OSError)")]
)
async def test_an_outcome_is_not_remembered_for_long(error: Exception, state: str) -> None:
    part = Part()
    part.may_answer.set()
    outcomes: list[bool] = []
    check = RememberedCheck(part.check, outcomes.append, remember_s=0.01)
    assert await check.state() == "ok"
    part.error = error
    while await check.state() == "ok":  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.01)
    assert await check.state() == state
    assert (outcomes[0], outcomes[-1]) == (True, False)
    part.error = None
    while await check.state() != "ok":  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.01)
