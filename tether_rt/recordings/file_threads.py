"""Threads for work on files: flushing, hashing and decoding would block the event loop."""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, Generic, ParamSpec, TypeVar

from tether_rt.errors import Unavailable
from tether_rt.runtime.logs import log

P = ParamSpec("P")
T = TypeVar("T")

HUNG_AFTER_S: Final = 15.0
"""When one piece of work takes longer than this, the disk counts as hung and the caller gets 503. The thread is left to it."""

_LOG: Final = logging.getLogger("tether.recordings")
_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NOT_ALLOWED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class FileThreads:
    """A fixed number of threads for one part: a disk that hangs must not take the threads of sign-in and name look-ups."""

    def __init__(self, count: int, name: str, hung_after_s: float = HUNG_AFTER_S) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._hung_after_s = hung_after_s
        self._last_start_s = 0.0
        """When a thread last started a piece of work, in monotonic seconds."""

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a thread and return its result.

        Work that has started runs to its end, also when the caller is cancelled or has got `Unavailable`: nothing may close
        its file meanwhile. Raises what `work` raises, an `OSError` as `Unavailable`; and `Unavailable` when it has run for
        `hung_after_s`, or when all threads have been at one piece of work for that long.
        """
        job = _Job(partial(work, *args, **kwargs))
        submitted = self._pool.submit(self._start, job)
        outcome = asyncio.wrap_future(submitted)
        outcome.add_done_callback(_mark_retrieved)
        try:
            while not outcome.done():
                since_s = job.started_s or max(job.submitted_s, self._last_start_s)
                remaining_s = since_s + self._hung_after_s - time.monotonic()
                if remaining_s <= 0:
                    raise disk_hung()
                await asyncio.wait({outcome}, timeout=remaining_s)
            return outcome.result()
        except OSError as error:
            raise disk_error(error) from error
        finally:
            submitted.cancel()  # has no effect once the work has started

    def run_detached(self, work: Callable[[], object]) -> None:
        """Run `work` in a thread without waiting for it (here and now after `close`); an `OSError` is logged."""
        try:
            self._pool.submit(_log_failure, work)
        except RuntimeError:
            _log_failure(work)

    async def close(self) -> None:
        """Wait for all work that was submitted; idempotent."""
        await asyncio.to_thread(self._pool.shutdown)

    def _start(self, job: _Job[T]) -> T:
        job.started_s = self._last_start_s = time.monotonic()
        return job.work()


class _Job(Generic[T]):
    __slots__ = ("started_s", "submitted_s", "work")

    def __init__(self, work: Callable[[], T]) -> None:
        self.work = work
        self.submitted_s = time.monotonic()
        self.started_s = 0.0


def disk_error(error: OSError) -> Unavailable:
    """Log what the file system answered and return the failure to raise, whose sentence names no path."""
    log(_LOG, logging.ERROR, "recording_folder_failed", reason=error.strerror or type(error).__name__)
    if error.errno in _NO_SPACE:
        return Unavailable("The recording folder is full; send the request again later.", retry_after_s=30)
    if error.errno in _NOT_ALLOWED:
        return Unavailable("The server may not write to its recording folder; send the request again later.", retry_after_s=30)
    return Unavailable("The server cannot use its recording folder just now; send the request again.", retry_after_s=10)


def disk_hung() -> Unavailable:
    """Log that the disk hangs and return the failure to raise."""
    log(_LOG, logging.ERROR, "recording_folder_failed", reason="the disk does not answer")
    return Unavailable("The recording folder did not answer in time; send the request again.", retry_after_s=10)


def _log_failure(work: Callable[[], object]) -> None:
    try:
        work()
    except OSError as error:
        disk_error(error)


def _mark_retrieved(outcome: asyncio.Future[T]) -> None:
    """Asyncio logs an exception that nobody asked for; here the caller may have left."""
    if not outcome.cancelled():
        outcome.exception()
