"""Recordings on their way from a vendor into the store: in a file, so that their size does not matter to memory.

Whoever opens a spool file removes it; what a killed process leaves is swept at the next start.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from tether_rt.recordings import partial_files
from tether_rt.recordings.audio_type import HEAD_BYTES
from tether_rt.recordings.threads import FileThreads

P = ParamSpec("P")
T = TypeVar("T")

# Decoding and hashing run beside the event loop on the same cores; more threads would only take its turns: with four on two
# cores everybody else waits twice as long in a flood of large bodies, and the flood is over no sooner.
_THREADS: Final = max(2, min(4, os.cpu_count() or 2))


@dataclass(frozen=True, slots=True)
class SpooledFile:
    """A recording that arrived as a whole; `head` is its beginning, for telling what it is."""

    path: Path
    size_bytes: int
    sha256: str
    head: bytes


class SpoolWriter:
    """A spool file being written. Its methods block: call them with `Spool.run`.

    Safe to discard while another thread still writes, which is what happens when a request is cancelled.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._discarded = False
        self._descriptor: int | None = None
        self._path: Path | None = None
        self._sha256 = hashlib.sha256()
        self._size_bytes = 0
        self._head = b""

    def write(self, data: bytes) -> None:
        """Append; raises `OSError`."""
        with self._lock:
            if self._discarded:
                return
            if self._descriptor is None:
                self._descriptor, self._path = partial_files.create(self._folder)
            if len(self._head) < HEAD_BYTES:
                self._head += data[: HEAD_BYTES - len(self._head)]
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]
            # Like writing, hashing leaves the interpreter to the event loop: 0.2 ms for 256 KiB.
            self._sha256.update(data)
            self._size_bytes += len(data)

    def finish(self) -> SpooledFile:
        """Close the file, which must have something in it, and return it."""
        with self._lock:
            if self._path is None:
                raise ValueError("nothing was written")
            self._close()
            return SpooledFile(self._path, self._size_bytes, self._sha256.hexdigest(), self._head)

    def discard(self) -> None:
        """Close and remove the file, if it is still there. Raises `OSError`."""
        with self._lock:
            self._discarded = True
            self._close()
            if self._path is not None:
                self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Spool:
    """The folder of spool files and the threads that write them.

    Put it on the file system of `DiskStore`, so that a finished file is moved and not copied.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = FileThreads(_THREADS, "tether-spool")

    async def start(self) -> None:
        """Make the folder and remove what a killed process left; raises `Unavailable`."""
        await self.run(self._prepare)

    async def close(self) -> None:
        await self._threads.close()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[SpoolWriter]:
        """A new spool file, which is gone afterwards: by then it has been stored, or it is of no use."""
        writer = SpoolWriter(self._folder)
        try:
            yield writer
        finally:
            self._threads.later(writer.discard)

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in one of the spool's threads; see `FileThreads.run`."""
        return await self._threads.run(work, *args, **kwargs)

    def _prepare(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial_files.sweep(self._folder)
