"""A request's body while it arrives: within its limit, counted against the budget of all bodies, and at a pace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from tether_rt.errors import BodyTooSlow, TetherError, TooLarge
from tether_rt.http.context import PACE_WINDOW_S, BodyBudget

_TURN_BYTES: Final = 64 * 1024
"""Above this size, a body yields to the event loop after every piece. Tornado reads what has arrived without waiting, so that a
fast sender would starve other connections."""
PACE_BYTES: Final = 80_000
"""What has to arrive of a body in every window, or all that is left of it: 8 kB/s, the rate of a telephone line."""
TOO_SLOW: Final = BodyTooSlow(
    f"The body came too slowly: send at least {PACE_BYTES // 1000} kB in every {PACE_WINDOW_S:g} seconds."
)


def too_large(limit_bytes: int) -> TooLarge:
    """Return the refusal of a body past `limit_bytes`."""
    limit = f"{limit_bytes >> 20} MB" if limit_bytes >= 1 << 20 else f"{limit_bytes >> 10} KB"
    return TooLarge(f"The body is too large: {limit} is the limit.")


class Body:
    """One body: its limit, its pace, and its place in the budget, which it has until `release`."""

    max_s: float | None = None
    """How long all of it may take, where that is not the server's own limit."""

    def __init__(
        self,
        budget: BodyBudget,
        limit_bytes: int,
        declared_bytes: int,
        cut_off: Callable[[], object],
        window_s: float = PACE_WINDOW_S,
    ) -> None:
        """Make room for `declared_bytes`; raises `Unavailable`.

        `cut_off` is called when nothing has come for `window_s`.
        """
        budget.reserve(declared_bytes)
        self._budget = budget
        self._limit_bytes = limit_bytes
        self._reserved_bytes = declared_bytes
        self._received_bytes = 0
        self._is_released = False
        self._cut_off = cut_off
        self._is_too_slow = False
        self._window_s = window_s
        self._watch_for(window_s)
        self._window_start_bytes = 0
        """How much had been received when this window began."""

    def add(self, piece: bytes) -> Awaitable[None] | None:
        """Take a piece; return what is to be awaited before the next one, if anything.

        Raises `TooLarge`, `BodyTooSlow` and `Unavailable`, after it has released everything.
        """
        raise NotImplementedError

    def take(self) -> bytearray:
        """Return what is kept in memory and let go of it."""
        return bytearray()

    def complete(self) -> None:
        """Note that all of it has come: its pace does not matter any more."""
        self._watch.cancel()

    def release(self) -> None:
        """Give the place in the budget back; idempotent."""
        self._is_released = True
        self._watch.cancel()
        self._budget.release(self._reserved_bytes)
        self._reserved_bytes = 0

    def _admit(self, piece: bytes) -> None:
        """Count a piece; raises what is raised for its pace and size."""
        self._received_bytes += len(piece)
        if self._is_too_slow:
            raise TOO_SLOW
        if self._received_bytes > self._limit_bytes:
            raise too_large(self._limit_bytes)

    def _reserve(self, held_bytes: int) -> None:
        """Make room for `held_bytes` in all; raises `Unavailable`."""
        if held_bytes > self._reserved_bytes:
            self._budget.reserve(held_bytes - self._reserved_bytes)
            self._reserved_bytes = held_bytes

    def _judge_pace(self) -> None:
        """Cut off a sender that is too slow: a few of them would hold the budget that others need."""
        progress_bytes = self._received_bytes - self._window_start_bytes
        if progress_bytes == 0:
            self._cut_off()
            return
        if progress_bytes < PACE_BYTES:
            self._is_too_slow = True  # refused with the next piece: closing while one is on its way would lose the answer
        self._window_start_bytes = self._received_bytes
        self._watch_for(self._window_s)

    def _watch_for(self, seconds: float) -> None:
        self._watch = asyncio.get_running_loop().call_later(seconds, self._judge_pace)


class RequestBody(Body):
    """A body that is kept in memory. Its size stays in the budget also after its content was taken."""

    def __init__(
        self,
        budget: BodyBudget,
        limit_bytes: int,
        declared_bytes: int,
        cut_off: Callable[[], object],
        window_s: float = PACE_WINDOW_S,
    ) -> None:
        super().__init__(budget, limit_bytes, declared_bytes, cut_off, window_s)
        self._content: bytearray | None = bytearray()

    def add(self, piece: bytes) -> Awaitable[None] | None:
        """Keep a piece, or drop it once the content is taken."""
        if self._content is None:
            return asyncio.sleep(0)
        try:
            self._admit(piece)
            self._reserve(self._received_bytes)
        except TetherError:
            self.release()
            raise
        self._content += piece
        return asyncio.sleep(0) if self._received_bytes > _TURN_BYTES else None

    def take(self) -> bytearray:
        content, self._content = self._content, None
        return content if content is not None else bytearray()

    def release(self) -> None:
        self._content = None
        super().release()
