"""Fairness between keys on the event loop: what waits of one key does not make another key wait."""

from __future__ import annotations

import asyncio
from collections import deque


class RoundRobin:
    """Lets tasks go on in turn: in every iteration of the event loop the next one of each key."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By key. A key is in it if one of its tasks went on in this iteration."""
        self._is_scheduled = False

    async def turn(self, key: str) -> None:
        """Return when it is the turn of this task; at once for the first one of its key in this iteration."""
        loop = asyncio.get_running_loop()
        if (waiting := self._waiting.get(key)) is not None:
            turn: asyncio.Future[None] = loop.create_future()
            waiting.append(turn)
            await turn
            return
        self._waiting[key] = deque()
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._next_iteration)

    def _next_iteration(self) -> None:
        for key in [key for key, waiting in self._waiting.items() if not _wake_first(waiting)]:
            del self._waiting[key]
        self._is_scheduled = bool(self._waiting)
        if self._is_scheduled:
            asyncio.get_running_loop().call_soon(self._next_iteration)


def _wake_first(waiting: deque[asyncio.Future[None]]) -> bool:
    """Wake the first task that still waits; return False if there is none."""
    while waiting:
        turn = waiting.popleft()
        if not turn.done():
            turn.set_result(None)
            return True
    return False
