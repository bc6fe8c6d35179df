"""Group commit for small recordings: those that arrive while some are being flushed are written and flushed together next.

A flush is most of what a small recording costs, and one for thirty costs hardly more than one for one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tether_rt.recordings import partial_files
from tether_rt.recordings.recording_dir import Small

MAX_GROUP_BYTES: Final = 4 * 1024 * 1024
"""Written before the flush: a bound on how long the first one of a group waits for the last."""
_USUAL_S: Final = 0.05
"""A group takes 1 to 20 ms on a disk that is well."""


@dataclass(slots=True)
class _Waiting:
    file: Small
    stored: asyncio.Future[None]


class WriteBatcher:
    """The files that wait to be written, and the one job that writes them."""

    def __init__(self, write: Callable[[Sequence[Small]], Awaitable[list[OSError | None]]]) -> None:
        """Take `write`, which makes files durable and returns for each what went wrong with it alone."""
        self._write = write
        self._waiting: deque[_Waiting] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._began_s = 0.0

    @property
    def is_prompt(self) -> bool:
        """Say if no group has been under way for longer than usual."""
        return self._writing is None or time.monotonic() - self._began_s < _USUAL_S

    def put(self, path: str, content: bytes) -> asyncio.Future[None]:
        """Return what is done once the file is durable; it raises `Unavailable`."""
        waiting = _Waiting((path, content), asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        return waiting.stored

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                self._began_s = time.monotonic()
                await self._write_group(self._take())
        finally:
            self._writing = None

    def _take(self) -> list[_Waiting]:
        group = [self._waiting.popleft()]
        size = len(group[0].file[1])
        while self._waiting and (size := size + len(self._waiting[0].file[1])) <= MAX_GROUP_BYTES:
            group.append(self._waiting.popleft())
        return group

    async def _write_group(self, group: list[_Waiting]) -> None:
        outcomes: Sequence[Exception | None]
        try:
            errors = await self._write([waiting.file for waiting in group])
            outcomes = [error and partial_files.unavailable(error) for error in errors]
        except Exception as error:  # handed to everybody who waits, who raise it
            outcomes = [error] * len(group)
        for waiting, outcome in zip(group, outcomes, strict=True):
            if waiting.stored.done():
                continue  # its caller has left
            if outcome is None:
                waiting.stored.set_result(None)
            else:
                waiting.stored.set_exception(outcome)
