"""Work in steps: all of it is done, in its order, and others have their turn between."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest

from tether_rt.runtime import cooperative
from tether_rt.runtime.cooperative import run_cooperatively, run_to_completion


def steps(done: list[int], count: int) -> Generator[None, None, str]:
    for number in range(count):
        done.append(number)
        yield
    return "all of it"


def test_at_once_is_the_same_without_anybody_else() -> None:
    done: list[int] = []
    assert run_to_completion(steps(done, 3)) == "all of it"
    assert done == [0, 1, 2]


@pytest.mark.parametrize(("turn_s", "seen"), [(0, [1, 2, 3, 4]), (60, [])])
async def test_others_have_their_turn_whenever_the_steps_have_taken_long_enough(
    monkeypatch: pytest.MonkeyPatch, turn_s: float, seen: list[int]
) -> None:
    monkeypatch.setattr(cooperative, "_SLICE_S", turn_s)
    done: list[int] = []
    others: list[int] = []

    async def look() -> None:
        while True:
            others.append(len(done))
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    assert await run_cooperatively(steps(done, 4)) == "all of it"
    looking.cancel()
    assert done == [0, 1, 2, 3]
    assert others == seen


async def test_what_a_step_raises_is_raised() -> None:
    def broken() -> Generator[None, None, None]:
        yield
        raise ValueError("this one")

    with pytest.raises(ValueError, match="this one"):
        await run_cooperatively(broken())
    with pytest.raises(ValueError, match="this one"):
        run_to_completion(broken())
