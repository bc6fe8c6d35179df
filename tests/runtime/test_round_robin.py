"""Turns: one task of each key in every iteration of the event loop."""

from __future__ import annotations

import asyncio

from tether_rt.runtime.round_robin import RoundRobin


class Turns:
    """Tasks that take a turn, and the order in which they got it."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._turns = RoundRobin()

    def ask(self, *names: str) -> None:
        """Begin tasks; a name's first letter is its key."""
        for name in names:
            self.tasks[name] = asyncio.create_task(self._take(name))

    async def _take(self, name: str) -> None:
        await self._turns.turn(name[0])
        self.taken.append(name)


async def test_one_who_asks_alone_does_not_wait() -> None:
    turns = RoundRobin()
    await turns.turn("a")
    await asyncio.sleep(0)
    await turns.turn("a")


async def test_what_waits_of_one_key_does_not_make_another_key_wait() -> None:
    turns = Turns()
    turns.ask(*(f"a{number}" for number in range(50)))
    await asyncio.sleep(0)
    turns.ask("b0", "b1", "c0")
    await asyncio.gather(*turns.tasks.values())
    assert {"b0", "b1", "c0"} < set(turns.taken[:10])
    for key in "ab":
        of_key = [name for name in turns.taken if name[0] == key]
        assert of_key == [f"{key}{number}" for number in range(len(of_key))]


async def test_one_who_gives_up_takes_no_turn() -> None:
    turns = Turns()
    turns.ask("a0", "a1", "a2")
    await asyncio.sleep(0)
    turns.tasks["a1"].cancel()
    await asyncio.gather(*turns.tasks.values(), return_exceptions=True)
    assert turns.taken == ["a0", "a2"]
