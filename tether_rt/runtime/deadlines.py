"""The deadline of a request: how long it may wait for MongoDB, over all its queries.

The contract promises an answer within 5 s while MongoDB is away or hangs. One query alone may take that long: a dead
connection is noticed after 3.5 s (`mongo.client.SOCKET_MS`), and then the driver retries. A request with a limit for each of
its queries would take a multiple of it.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Final, TypeVar

from tether_rt.errors import Unavailable

ANSWER_WITHIN_S: Final = 4.5
"""The rest of the 5 s is for the network and for a busy event loop."""
_EXPIRED: Final = "The database did not answer in time; send the request again."
_T = TypeVar("_T")


class Deadline:
    """`async with deadline:` around each wait for MongoDB; raises `Unavailable` when no time is left.

    Time outside such blocks (for a body, a recording, a password check) is not counted. Not re-entrant.
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
        """Return the result of `answer`; at the deadline the future fails with `Unavailable`. Nobody else may await it.

        Does the same as `async with`, in a third of the time.
        """
        entered_s = time.monotonic()
        timer = asyncio.get_running_loop().call_later(self.remaining_s, _expire, answer)
        try:
            return await answer
        finally:
            timer.cancel()
            self.remaining_s -= time.monotonic() - entered_s


def _expire(answer: asyncio.Future[_T]) -> None:
    if not answer.done():
        answer.set_exception(Unavailable(_EXPIRED))
