"""A request's body while it arrives: within its limit, counted against the budget of all bodies, and at a pace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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


class RequestBody:
    """One body. Its size stays in the budget until `release`, also after its content was taken."""

    def __init__(
        self,
        budget: BodyBudget,
        limit_bytes: int,
        declared_bytes: int,
        cut_off: Callable[[], object],
        window_s: float = PACE_WINDOW_S,
    ) -> None:
        """Make room for what was declared (0: not known); raises `Unavailable`.

        `cut_off` is called when nothing has come for `window_s`.
        """
        budget.reserve(declared_bytes)
        self._budget = budget
        self._limit_bytes = limit_bytes
        self._reserved_bytes = declared_bytes
        self._cut_off = cut_off
        self._content: bytearray | None = bytearray()
        self._is_too_slow = False
        self._window_s = window_s
        self._watch = asyncio.get_running_loop().call_later(window_s, self._judge_pace, 0)

    def add(self, piece: bytes) -> bool:
        """Keep a piece, or drop it once the content is taken; return True if the event loop should run before the next one.

        Raises `TooLarge`, `BodyTooSlow` and `Unavailable`, after it has released everything.
        """
        if self._content is None:
            return True
        needed_bytes = len(self._content) + len(piece)
        try:
            if self._is_too_slow:
                raise TOO_SLOW
            if needed_bytes > self._limit_bytes:
                raise too_large(self._limit_bytes)
            if needed_bytes > self._reserved_bytes:
                self._budget.reserve(needed_bytes - self._reserved_bytes)
                self._reserved_bytes = needed_bytes
        except TetherError:
            self.release()
            raise
        self._content += piece
        return needed_bytes > _TURN_BYTES

    def take(self) -> bytearray:
        """Return the content and let go of it, so that its memory is free once the caller is done."""
        content, self._content = self._content, None
        return content if content is not None else bytearray()

    def release(self) -> None:
        """Give the place in the budget back; idempotent."""
        self._content = None
        self._watch.cancel()
        self._budget.release(self._reserved_bytes)
        self._reserved_bytes = 0

    def _judge_pace(self, before_bytes: int) -> None:
        """Cut off a sender that is too slow: a few of them would hold the budget that others need."""
        if self._content is None:
            return
        progress_bytes = len(self._content) - before_bytes
        if progress_bytes == 0:
            self._cut_off()
        elif progress_bytes < PACE_BYTES:
            self._is_too_slow = True  # refused with the next piece: closing while one is on its way would lose the answer
        self._watch = asyncio.get_running_loop().call_later(self._window_s, self._judge_pace, len(self._content))
