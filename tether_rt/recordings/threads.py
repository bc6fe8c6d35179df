"""Threads for what touches files: flushing, hashing and decoding would hold the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from tether_rt.recordings import partial_files

P = ParamSpec("P")
T = TypeVar("T")


class FileThreads:
    """A few threads of one part's own: a disk that hangs must not take those that sign-in and name look-up need."""

    def __init__(self, count: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a thread, to its end even when the caller is cancelled: nothing may close its file meanwhile.

        Raises what `work` raises, an `OSError` as `Unavailable`.
        """
        future = self._threads.submit(work, *args, **kwargs)
        try:
            return await asyncio.shield(asyncio.wrap_future(future))
        except OSError as error:
            raise partial_files.unavailable(error) from error

    def later(self, work: Callable[[], object]) -> None:
        """Have `work` run in a thread (here and now once closed), without waiting for it; an `OSError` is logged."""
        try:
            self._threads.submit(_logged, work)
        except RuntimeError:
            _logged(work)

    async def close(self) -> None:
        """Let what was begun end; idempotent."""
        await asyncio.to_thread(self._threads.shutdown)


def _logged(work: Callable[[], object]) -> None:
    try:
        work()
    except OSError as error:
        partial_files.unavailable(error)
