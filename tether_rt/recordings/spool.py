"""Spool files: recordings on their way from a vendor into the store, on disk, so that their size does not matter to memory.

Each spool file is removed at the end of its `async with` block; what a killed process leaves is swept at the next start.
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

from tether_rt.errors import Unavailable
from tether_rt.recordings import partial_files
from tether_rt.recordings.audio_type import HEAD_BYTES
from tether_rt.recordings.file_threads import HUNG_AFTER_S, FileThreads

P = ParamSpec("P")
T = TypeVar("T")

# Decoding and hashing share the cores with the event loop. With four threads on two cores, in a flood of large bodies,
# everybody else waited twice as long, and the flood was over no sooner.
_THREADS: Final = max(2, min(4, os.cpu_count() or 2))

MAX_STREAMED: Final = 16
"""How many recordings may be decoded at once while their requests arrive: each takes its size on the disk."""


@dataclass(frozen=True, slots=True)
class SpooledFile:
    """A complete recording; `head` is its first `HEAD_BYTES`, from which its audio type is read."""

    path: Path
    size_bytes: int
    sha256: str
    head: bytes


class SpoolWriter:
    """A spool file that is being written. Its methods block: call them with `Spool.run`.

    `discard` is safe while another thread still writes, as happens when a request is cancelled.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._discarded = False
        self._descriptor: int | None = None
        self._path: Path | None = None
        self._sha256 = hashlib.sha256()
        self._size_bytes = 0
        self._head = b""

    def write(self, data: bytes) -> None:
        """Append `data`; raises `OSError`."""
        with self._lock:
            if self._discarded:
                return
            if self._descriptor is None:
                self._descriptor, self._path = partial_files.create(self._directory)
            if len(self._head) < HEAD_BYTES:
                self._head += data[: HEAD_BYTES - len(self._head)]
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]
            self._sha256.update(data)
            self._size_bytes += len(data)

    def restart(self) -> None:
        """Forget what was written; raises `OSError`."""
        with self._lock:
            if self._descriptor is not None:
                os.ftruncate(self._descriptor, 0)
                os.lseek(self._descriptor, 0, os.SEEK_SET)
            self._sha256 = hashlib.sha256()
            self._size_bytes = 0
            self._head = b""

    def finish(self) -> SpooledFile:
        """Close the file and return it; raises `ValueError` when nothing was written."""
        with self._lock:
            if self._path is None or not self._size_bytes:
                raise ValueError("nothing was written")
            self._close()
            return SpooledFile(self._path, self._size_bytes, self._sha256.hexdigest(), self._head)

    def discard(self) -> None:
        """Close the file and remove it if it is still there. Raises `OSError`."""
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
    """The directory of spool files and the threads that write them.

    Put it on the file system of `DiskStore`, so that a complete file is moved and not copied.
    """

    def __init__(self, directory: Path, hung_after_s: float = HUNG_AFTER_S) -> None:
        self._directory = directory
        self._streamed: set[SpoolWriter] = set()
        self._threads = FileThreads(_THREADS, "tether-spool", hung_after_s)

    async def start(self) -> None:
        """Create the directory and remove what a killed process left; raises `Unavailable`."""
        await self.run(self._prepare)

    async def close(self) -> None:
        await self._threads.close()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[SpoolWriter]:
        """Yield the writer of a new spool file, and remove the file at the end of the block, unless the store has moved it."""
        writer = SpoolWriter(self._directory)
        try:
            yield writer
        finally:
            self.discard(writer)

    def new_writer(self) -> SpoolWriter:
        """Return the writer of a new spool file, for work that is no block; its owner must `discard` it.

        Raises `Unavailable` when `MAX_STREAMED` are in use.
        """
        if len(self._streamed) >= MAX_STREAMED:
            raise Unavailable("The server is busy with other recordings; send this one again shortly.", 5, limit="streamed")
        writer = SpoolWriter(self._directory)
        self._streamed.add(writer)
        return writer

    def discard(self, writer: SpoolWriter) -> None:
        """Remove the writer's file, unless the store has moved it; does not wait for that. Idempotent."""
        self._streamed.discard(writer)
        self._threads.run_detached(writer.discard)

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in one of the spool's threads; see `FileThreads.run`."""
        return await self._threads.run(work, *args, **kwargs)

    def _prepare(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial_files.sweep(self._directory)
