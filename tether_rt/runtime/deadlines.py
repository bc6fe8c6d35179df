"""How long one request may wait for MongoDB, over all that it asks.

The contract promises an answer within 5 s while MongoDB is away or hangs, and one question alone may take that long: a
connection that died is noticed after 3.5 s (`store.client`), and then the driver asks once more. A request that asked its
questions one after another, each with a limit of its own, would take a multiple of it.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Final, TypeVar

from tether_rt.errors import Unavailable

ANSWER_WITHIN_S: Final = 4.5
"""The rest of the 5 s is for the way there and back, and for a busy event loop."""
_EXPIRED: Final = "The database did not answer in time; send the request again."
_T = TypeVar("_T")


class Deadline:
    """`async with patience:` around whatever waits for MongoDB; raises `Unavailable` once it is used up.

    What a request waits for besides (its body, a recording, its turn to have a password checked) lies outside such blocks
    and costs none of it. Not to be entered again inside of itself.
    """

    def __init__(self, seconds: float = ANSWER_WITHIN_S) -> None:
        self.remaining_s = seconds
        self._entered_s = 0.0
        self._timeout: asyncio.Timeout

    async def __aenter__(self) -> None:
        self._entered_s = time.monotonic()
        self._timeout = asyncio.timeout(self.remaining_s)
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remaining_s -= time.monotonic() - self._entered_s
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError as timeout:
            raise Unavailable(_EXPIRED) from timeout

    async def wait_for(self, answer: asyncio.Future[_T]) -> _T:
        """Return what will be in `answer`, which is the caller's alone: once the patience is used up, it is given up.

        The same as `async with`, for a third of the time.
        """
        entered_s = time.monotonic()
        giving_up = asyncio.get_running_loop().call_later(self.remaining_s, _give_up, answer)
        try:
            return await answer
        finally:
            giving_up.cancel()
            self.remaining_s -= time.monotonic() - entered_s


def _give_up(answer: asyncio.Future[_T]) -> None:
    if not answer.done():
        answer.set_exception(Unavailable(_EXPIRED))
