"""A request's body that is worked on while it arrives, and never held whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from tether_rt.http.context import PACE_WINDOW_S, BodyBudget
from tether_rt.http.request_body import Body

MAX_S: Final = 600.0
"""How long a streamed body may take: 77 MB, the recording of an hour, at 130 kB/s."""


class BodyConsumer(Protocol):
    """Takes the pieces of one body, in order."""

    @property
    def held_bytes(self) -> int:
        """How much of the body it has in memory."""

    async def feed(self, piece: bytes) -> None:
        """Take the next piece; the one after it is not read before this returns. What it raises is the request's answer."""

    def close(self) -> None:
        """Give back what was made of the body: its sender has left, or the answer is out. Called once or more."""


class StreamedBody(Body):
    """Hands each piece to a consumer, and keeps nothing; the budget counts what the consumer holds."""

    max_s = MAX_S

    def __init__(
        self,
        consumer: BodyConsumer,
        budget: BodyBudget,
        limit_bytes: int,
        cut_off: Callable[[], object],
        window_s: float = PACE_WINDOW_S,
    ) -> None:
        super().__init__(budget, limit_bytes, 0, cut_off, window_s)
        self._consumer = consumer

    async def add(self, piece: bytes) -> None:
        """Hand a piece on and wait until it is worked on, or drop it once the body is released."""
        if self._is_released:
            return
        try:
            self._admit(piece)
            self._reserve(self._consumer.held_bytes + len(piece))
            await self._feed(piece)
        except Exception:
            self.release()
            raise
        await asyncio.sleep(0)  # Tornado reads what has arrived without waiting

    def release(self) -> None:
        self._consumer.close()
        super().release()

    async def _feed(self, piece: bytes) -> None:
        """Stop the clock of the pace meanwhile: what the consumer takes is not the sender's time."""
        left_s = self._watch.when() - asyncio.get_running_loop().time()
        self._watch.cancel()
        try:
            await self._consumer.feed(piece)
        finally:
            if not self._is_released:
                self._watch_for(max(0.0, left_s))
