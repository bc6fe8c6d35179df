"""Recordings in a directory: what the demo and a single machine use.

A recording is there as a whole or not at all, and once `put` returned it survives a power cut. A large one is flushed before
it gets its name, and the folder after; small ones share one flush of the file system.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from tether_rt.errors import NotFound
from tether_rt.recordings import partial_files
from tether_rt.recordings.fsync import FLUSHES_FILE_SYSTEMS
from tether_rt.recordings.process import WriterGone, WriterProcess
from tether_rt.recordings.recording_dir import RecordingDir, Small
from tether_rt.recordings.store import PIECE_BYTES, check_key
from tether_rt.recordings.threads import FileThreads
from tether_rt.recordings.write_groups import WriteBatcher

MIN_FREE_BYTES: Final = 256 * 1024 * 1024
"""Below this, `check` says no while calls without a recording, and small ones, still go through."""

# An fsync takes 1 to 50 ms, and several at once hardly more than one.
_THREADS: Final = 8

_SMALL_BYTES: Final = 256 * 1024


class DiskStore:
    """A `RecordingStore` under `root` (keys begin with `recordings/`); several processes may share it."""

    def __init__(self, root: Path, min_free_bytes: int = MIN_FREE_BYTES) -> None:
        self._root = root
        self._folder = RecordingDir(root)
        self._min_free_bytes = min_free_bytes
        self._threads = FileThreads(_THREADS, "tether-disk")
        self._writer = WriterProcess(root)
        self._batcher = WriteBatcher(self._put_together)

    async def start(self) -> None:
        """Make the folder and remove what a killed process left unfinished."""
        await self._threads.run(self._folder.prepare)
        if FLUSHES_FILE_SYSTEMS:
            with suppress(WriterGone):
                await self._writer.start()

    async def close(self) -> None:
        await self._writer.close()
        await self._threads.close()

    async def check(self) -> None:
        """Write, flush and remove a small file; raise `Unavailable` when that fails or the space left is low."""
        await self._threads.run(self._folder.probe, self._min_free_bytes)

    def start_put(self, key: str, content: bytes) -> asyncio.Future[None] | None:
        """Begin with a small one while no flush takes longer than usual."""
        return self._batcher.put(self._text(key), content) if _is_small(content) and self._batcher.is_prompt else None

    async def put(self, key: str, source: bytes | Path, content_type: str) -> None:
        """Store durably. A file on the same file system is moved, one from elsewhere is copied."""
        if isinstance(source, bytes) and _is_small(source):
            await self._batcher.put(self._text(key), source)
        else:
            await self._threads.run(self._folder.put, self._path(key), source)

    async def url(self, key: str, content_type: str, expires_s: int) -> str | None:
        """There is none: the server itself must serve the bytes."""
        self._path(key)
        return None

    async def read(self, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        reading = _Reading(self._path(key), start)
        try:
            while start < end:
                piece = await self._threads.run(reading.read, min(PIECE_BYTES, end - start))
                if not piece:
                    return
                start += len(piece)
                yield piece
        finally:
            # In a thread: one that still reads, because the caller was cancelled, holds the file's lock.
            self._threads.later(reading.close)

    async def _put_together(self, files: Sequence[Small]) -> list[OSError | None]:
        try:
            return await self._writer.put_together(files)
        except WriterGone:
            # A file may be there already: then it is found whole, and flushed.
            return await self._threads.run(self._folder.put_together, files)
        except OSError as error:
            raise partial_files.unavailable(error) from error

    def _path(self, key: str) -> Path:
        return Path(self._text(key))

    def _text(self, key: str) -> str:
        return f"{self._root}{os.sep}{check_key(key)}"


def _is_small(content: bytes) -> bool:
    """Say if it is stored together with others, where one flush can be for many."""
    return FLUSHES_FILE_SYSTEMS and len(content) <= _SMALL_BYTES


class _Reading:
    """A file that its first read opens, and that stays closed where that read comes after `close`: its caller had left."""

    def __init__(self, path: Path, start: int) -> None:
        self._path = path
        self._start = start
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        self._closed = False

    def read(self, size_bytes: int) -> bytes:
        with self._lock:
            if self._closed:
                return b""
            if self._file is None:
                try:
                    self._file = self._path.open("rb")
                except FileNotFoundError as error:
                    raise NotFound("There is no such recording.") from error
                self._file.seek(self._start)
            return self._file.read(size_bytes)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._file is not None:
                self._file.close()
