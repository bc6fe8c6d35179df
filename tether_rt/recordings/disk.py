"""Recordings in a directory: what the demo and a single machine use.

A recording is there as a whole or not at all, and once `put` returned it survives a power cut. A large one is flushed before
it gets its name, and the folder after; small ones share one flush of the file system.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from tether_rt.errors import NotFound, Unavailable
from tether_rt.recordings import scratch
from tether_rt.recordings.flush import FLUSHES_FILE_SYSTEMS, flush_file, flush_file_system, flush_folder
from tether_rt.recordings.groups import Groups, Small
from tether_rt.recordings.protocol import PIECE_BYTES, check_key
from tether_rt.recordings.threads import FileThreads

MIN_FREE_BYTES: Final = 256 * 1024 * 1024
"""Below this, `check` says no while calls without a recording, and small ones, still go through."""

# An fsync takes 1 to 50 ms, and several at once hardly more than one.
_THREADS: Final = 8

_SMALL_BYTES: Final = 256 * 1024


class DiskStore:
    """A `RecordingStore` under `root` (keys begin with `recordings/`); several processes may share it."""

    def __init__(self, root: Path, min_free_bytes: int = MIN_FREE_BYTES) -> None:
        self._root = root
        # A folder of its own, so that the sweep at start need not look through a million recordings.
        self._unfinished = root / "recordings" / ".unfinished"
        self._min_free_bytes = min_free_bytes
        self._threads = FileThreads(_THREADS, "tether-disk")
        self._groups = Groups(self._threads, self._put_together)

    async def start(self) -> None:
        """Make the folder and remove what a killed process left unfinished."""
        await self._threads.run(self._prepare)

    async def close(self) -> None:
        await self._threads.close()

    async def check(self) -> None:
        """Write, flush and remove a small file; raise `Unavailable` when that fails or the space left is low."""
        await self._threads.run(self._probe)

    async def put(self, key: str, source: bytes | Path, content_type: str) -> None:
        """Store durably. A file on the same file system is moved, one from elsewhere is copied."""
        path = self._path(key)
        if FLUSHES_FILE_SYSTEMS and isinstance(source, bytes) and len(source) <= _SMALL_BYTES:
            await self._groups.put(path, source)
        else:
            await self._threads.run(self._put, path, source)

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

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _prepare(self) -> None:
        _make_folder(self._unfinished)
        scratch.sweep(self._unfinished)

    def _probe(self) -> None:
        descriptor, path = scratch.create(self._unfinished)
        try:
            os.write(descriptor, b"probe")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            path.unlink()
        if shutil.disk_usage(self._root).free < self._min_free_bytes:
            raise Unavailable("The recording folder is almost full; send the request again later.", retry_after_s=30)

    def _put(self, path: Path, source: bytes | Path) -> None:
        self._require_folder()
        _make_folder(path.parent)
        if isinstance(source, bytes):
            self._write(path, lambda target: target.write(source))
        else:
            flush_file(source)
            try:
                source.replace(path)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                with source.open("rb") as file:
                    self._write(path, lambda target: shutil.copyfileobj(file, target, PIECE_BYTES))
        flush_folder(path.parent)

    def _put_together(self, files: Sequence[Small]) -> list[OSError | None]:
        self._require_folder()
        descriptor = os.open(self._unfinished, os.O_RDONLY | os.O_DIRECTORY)
        try:
            errors = [self._put_unflushed(path, content) for path, content in files]
            flush_file_system(descriptor)
        finally:
            os.close(descriptor)
        return errors

    def _put_unflushed(self, path: Path, content: bytes) -> OSError | None:
        try:
            # One that a stored call has already is left alone: until the flush, what replaces it is not safe.
            if not scratch.appear(path, content) and not _holds(path, content):
                _make_folder(path.parent)
                self._write(path, lambda target: target.write(content), flush=False)
        except OSError as error:
            return error
        return None

    def _require_folder(self) -> None:
        # Fails when the volume was unmounted: a folder made in its place would hide recordings under the next mount.
        self._unfinished.stat()

    def _write(self, path: Path, write: Callable[[BinaryIO], object], *, flush: bool = True) -> None:
        descriptor, unfinished = scratch.create(self._unfinished)
        try:
            with os.fdopen(descriptor, "wb") as file:
                write(file)
                if flush:
                    file.flush()
                    os.fsync(file.fileno())
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise


def _holds(path: Path, content: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(content) + 1) == content
    except FileNotFoundError:
        return False


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


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        flush_folder(folder.parent)
