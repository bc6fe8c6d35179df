"""Recordings in a directory, for the demo and for a single machine.

A recording is there as a whole or not at all, and once `put` has returned it survives a power cut. A large file is flushed
before it gets its name, and its directory after that. Small files that arrive while others are being flushed share the next
flush of the file system: the flush is most of what a small file costs, and one for thirty costs hardly more than one for one.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from tether_rt.errors import NotFound, Unavailable
from tether_rt.recordings.file_threads import HUNG_AFTER_S, FileThreads, disk_error, disk_hung
from tether_rt.recordings.fsync import FileSystemFlush, flush_file_system
from tether_rt.recordings.growing_file import GrowingFile
from tether_rt.recordings.recording_dir import RecordingDir, SmallFile
from tether_rt.recordings.store import PIECE_BYTES, check_key
from tether_rt.runtime.batching import Batcher

MIN_FREE_BYTES: Final = 256 * 1024 * 1024
"""With less free space `check` fails. Calls without a recording, and small recordings, still go through."""

MAX_GROUP_BYTES: Final = 4 * 1024 * 1024
"""The most that is written before a flush: it bounds how long the first file of a group waits for the last."""
MAX_GROUP_FILES: Final = 256

SMALL_BYTES: Final = 256 * 1024
"""Up to this size a recording shares a flush with others."""

SMALL_PUT_S: Final = 4.5
"""How long a small recording may take, the flush under way included: as long as MongoDB may."""

# An fsync takes 1 to 50 ms, and several at once hardly more than one.
_THREADS: Final = 8


class DiskStore:
    """A `RecordingStore` under `root` (keys begin with `recordings/`); several processes may share it."""

    def __init__(
        self,
        root: Path,
        min_free_bytes: int = MIN_FREE_BYTES,
        *,
        flush_file_system: FileSystemFlush | None = flush_file_system,
        hung_after_s: float = HUNG_AFTER_S,
        small_put_s: float = SMALL_PUT_S,
    ) -> None:
        """Take `flush_file_system`, None where there is none: then every recording is flushed alone."""
        self._root = root
        self._directory = RecordingDir(root)
        self._min_free_bytes = min_free_bytes
        self._flush_file_system = flush_file_system
        self._small_put_s = small_put_s
        self._threads = FileThreads(_THREADS, "tether-disk", hung_after_s)
        self._groups: Batcher[SmallFile, None] = Batcher(
            self._put_group, max_items=MAX_GROUP_FILES, max_weight=MAX_GROUP_BYTES, weigh=lambda file: len(file.content)
        )

    @property
    def part_bytes(self) -> None:
        return None

    async def start(self) -> None:
        """Create the directory and remove the partial files that a killed process left."""
        await self._threads.run(self._directory.prepare)

    async def close(self) -> None:
        await self._groups.close()
        await self._threads.close()

    async def check(self) -> None:
        """Write, flush and remove a small file; raise `Unavailable` when that fails or little space is left."""
        await self._threads.run(self._directory.probe, self._min_free_bytes)

    async def put(self, key: str, source: bytes | Path | GrowingFile, content_type: str) -> None:
        """Store durably. A file on the same file system is moved, one on another is copied."""
        if not isinstance(source, bytes) or not self._is_small(source):
            assert not isinstance(source, GrowingFile), "`part_bytes` is None"
            await self._threads.run(self._directory.put, Path(self._path(key)), source)
            return
        try:
            async with asyncio.timeout(self._small_put_s):
                await self._groups.submit(SmallFile(self._path(key), source))
        except TimeoutError as error:
            raise disk_hung() from error

    async def remove(self, key: str) -> None:
        """Remove the file. A power cut may bring it back, which harms nobody."""
        await self._threads.run(Path(self._path(key)).unlink, missing_ok=True)

    async def url(self, key: str, content_type: str, expires_s: int, *, is_saved: bool = False) -> str | None:
        """Return None: the server itself serves the bytes."""
        check_key(key)
        return None

    async def read(self, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        reader = _FileReader(Path(self._path(key)), start)
        try:
            while start < end:
                piece = await self._threads.run(reader.read, min(PIECE_BYTES, end - start))
                if not piece:
                    return
                start += len(piece)
                yield piece
        finally:
            # In a thread: a read that goes on after its caller was cancelled holds the reader's lock.
            self._threads.run_detached(reader.close)

    async def _put_group(self, files: list[SmallFile]) -> Sequence[Unavailable | None]:
        assert self._flush_file_system is not None
        errors = await self._threads.run(self._directory.put_group, files, self._flush_file_system)
        return [None if error is None else disk_error(error) for error in errors]

    def _is_small(self, content: bytes) -> bool:
        return self._flush_file_system is not None and len(content) <= SMALL_BYTES

    def _path(self, key: str) -> str:
        return f"{self._root}{os.sep}{check_key(key)}"


class _FileReader:
    """Reads a file, which its first `read` opens. Closed before that, it stays closed: its caller has left."""

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
