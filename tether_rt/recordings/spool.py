"""Recordings on their way from a vendor into the store: in spool files, so that their size does not matter to memory.

A small one that is fetched stays in memory, within a bound for all of them.

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
from typing import Final, NamedTuple, ParamSpec, Protocol, TypeVar

from tether_rt.errors import Unavailable
from tether_rt.recordings import partial_files
from tether_rt.recordings.audio_type import HEAD_BYTES
from tether_rt.recordings.file_threads import HUNG_AFTER_S, FileThreads
from tether_rt.recordings.growing_file import GrowingFile
from tether_rt.recordings.store import PIECE_BYTES

P = ParamSpec("P")
T = TypeVar("T")

# Decoding and hashing share the cores with the event loop. With four threads on two cores, in a flood of large bodies,
# everybody else waited twice as long, and the flood was over no sooner.
_THREADS: Final = max(2, min(4, os.cpu_count() or 2))

MEMORY_BYTES: Final = 1024 * 1024
"""Up to this size a recording that is fetched stays in memory: a file costs as much as all the rest of a small one."""
MAX_MEMORY_BYTES: Final = 32 * 1024 * 1024
"""So much of those in all; past it, they go into files."""

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

    def create(self) -> Path:
        """Create the file, empty, for another program to write; return its path. Raises `OSError`."""
        self.write(b"")
        assert self._path is not None, "the writer was discarded"
        return self._path

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

    def growing(self, size_bytes: int) -> tuple[GrowingFile, bytes]:
        """Return the file, which has begun and will have `size_bytes`, and its first `HEAD_BYTES`, or as many as there are."""
        with self._lock:
            if self._path is None:
                raise ValueError("nothing was written")
            return GrowingFile(self._path, size_bytes, self._size_bytes), self._head

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


class Received(NamedTuple):
    """A complete recording that was received, in memory or in a spool file; `head` as in `SpooledFile`."""

    content: bytes | Path
    size_bytes: int
    sha256: str
    head: bytes


class Follower(Protocol):
    """Reads a recording of a known length while it arrives: `early_upload.EarlyUpload`."""

    def begin(self, file: GrowingFile, head: bytes) -> None:
        """Begin with a file of which `head`, its first `HEAD_BYTES`, and perhaps more is there."""

    async def stop(self) -> None:
        """Forget the file: it is written anew, or not to its end."""


class Receiver:
    """Takes a recording while it arrives, and hashes it: in memory while it is small and there is room, else in a spool file.

    `flush` and `finish` wait for the disk where the recording is in a file.
    """

    def __init__(self, spool: Spool, follower: Follower | None = None) -> None:
        self.size_bytes = 0
        self._spool = spool
        self._follower = follower
        self._expected_bytes = 0
        self._growing: GrowingFile | None = None
        self._pieces: list[bytes] = []
        self._pieces_bytes = 0
        self._reserved_bytes = 0
        self._sha256 = hashlib.sha256()
        self._writer: SpoolWriter | None = None
        """Of the spool file; None while the recording is in memory."""

    def expect(self, size_bytes: int) -> None:
        """Note how large the recording will be, 0 if unknown: a large one goes into a file from its first byte."""
        self._expected_bytes = size_bytes
        if size_bytes > MEMORY_BYTES and self._writer is None:
            self._writer = self._spool.unbounded_writer()

    def keep(self, piece: bytes) -> bool:
        """Take the next piece; return False if `flush` is to be called before the next one."""
        self.size_bytes += len(piece)
        self._pieces.append(piece)
        self._pieces_bytes += len(piece)
        if self._writer is not None:
            return self._pieces_bytes < PIECE_BYTES
        if self.size_bytes > MEMORY_BYTES or not self._spool.reserve(len(piece)):
            return False
        self._reserved_bytes += len(piece)
        self._sha256.update(piece)
        return True

    async def flush(self) -> None:
        """Write what is in memory into the file; raises `Unavailable`."""
        if self._writer is None:
            self._writer = self._spool.unbounded_writer()
        pieces = self._take_pieces()
        await self._spool.run(self._writer.write, pieces)
        if self._growing is not None:
            self._growing.grow(len(pieces))
        elif self._follower is not None and self._expected_bytes > self.size_bytes:
            self._growing, head = self._writer.growing(self._expected_bytes)
            self._follower.begin(self._growing, head)

    async def restart(self) -> None:
        """Forget what was received; raises `Unavailable`."""
        if self._follower is not None:
            await self._follower.stop()
        self._growing = None
        self._take_pieces()
        self.size_bytes = 0
        self._sha256 = hashlib.sha256()
        if self._writer is not None:
            await self._spool.run(self._writer.restart)

    async def finish(self) -> Received:
        """Return the recording, which is not empty; raises `Unavailable`. It lasts until `close`."""
        if self._writer is None:
            content = b"".join(self._pieces)
            self._pieces = [content]
            return Received(content, self.size_bytes, self._sha256.hexdigest(), content[:HEAD_BYTES])
        if self._pieces:
            await self.flush()
        file = await self._spool.run(self._writer.finish)
        return Received(file.path, file.size_bytes, file.sha256, file.head)

    def close(self) -> None:
        """Let go of the recording; idempotent. Does not wait for the disk."""
        self._take_pieces()
        if self._writer is not None:
            self._spool.discard(self._writer)

    def _take_pieces(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._pieces_bytes = 0
        self._spool.release(self._reserved_bytes)
        self._reserved_bytes = 0
        return data


class Spool:
    """The directory of spool files and the threads that write them.

    Put it on the file system of `DiskStore`, so that a complete file is moved and not copied.
    """

    def __init__(
        self, directory: Path, hung_after_s: float = HUNG_AFTER_S, *, max_memory_bytes: int = MAX_MEMORY_BYTES
    ) -> None:
        self._directory = directory
        self._max_memory_bytes = max_memory_bytes
        self._memory_bytes = 0
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

    @asynccontextmanager
    async def receiving(self, follower: Follower | None = None) -> AsyncIterator[Receiver]:
        """Yield a receiver, and let go of its recording at the end of the block, unless the store has moved its file."""
        receiver = Receiver(self, follower)
        try:
            yield receiver
        finally:
            receiver.close()

    def reserve(self, size_bytes: int) -> bool:
        """Take memory for a small recording; return False if there is no room."""
        if self._memory_bytes + size_bytes > self._max_memory_bytes:
            return False
        self._memory_bytes += size_bytes
        return True

    def release(self, size_bytes: int) -> None:
        """Give memory back."""
        self._memory_bytes -= size_bytes

    def unbounded_writer(self) -> SpoolWriter:
        """Return the writer of a new spool file, for an owner that bounds how many there are, and must `discard` it."""
        return SpoolWriter(self._directory)

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
