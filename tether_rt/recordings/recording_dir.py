"""The directory of recordings. Everything here blocks: call it in a thread."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tether_rt.errors import Unavailable
from tether_rt.recordings import partial_files
from tether_rt.recordings.fsync import FileSystemFlush, flush_directory, flush_file
from tether_rt.recordings.store import PIECE_BYTES


class SmallFile(NamedTuple):
    """A file to create. `path` is text, because a `Path` would cost a third of what creating the file does."""

    path: str
    content: bytes


class RecordingDir:
    """The recordings under `root`; methods raise `OSError`. Several processes may share it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        # A directory of its own, so that the sweep at start need not look through a million recordings.
        self._unfinished = root / "recordings" / ".unfinished"

    def prepare(self) -> None:
        """Create the directory and remove the partial files that a killed process left."""
        _make_directory(self._unfinished)
        partial_files.sweep(self._unfinished)

    def probe(self, min_free_bytes: int) -> None:
        """Write, flush and remove a small file; raise `Unavailable` when less than `min_free_bytes` are free."""
        descriptor, path = partial_files.create(self._unfinished)
        try:
            os.write(descriptor, b"probe")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            path.unlink()
        if shutil.disk_usage(self._root).free < min_free_bytes:
            raise Unavailable("The recording folder is almost full; send the request again later.", retry_after_s=30)

    def put(self, path: Path, source: bytes | Path) -> None:
        """Make one file durable. A `source` on the same file system is moved, one on another is copied."""
        self._require_mounted()
        _make_directory(path.parent)
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
        flush_directory(path.parent)

    def put_group(self, files: Sequence[SmallFile], flush_file_system: FileSystemFlush) -> list[OSError | None]:
        """Make `files` durable with one flush; return for each the error that concerns it alone, or None."""
        self._require_mounted()
        descriptor = os.open(self._unfinished, os.O_RDONLY | os.O_DIRECTORY)
        try:
            errors = [self._put_unflushed(path, content) for path, content in files]
            flush_file_system(descriptor)
        finally:
            os.close(descriptor)
        return errors

    def _put_unflushed(self, path: str, content: bytes) -> OSError | None:
        try:
            # A file that is there already is not replaced: a stored call may need it, and its replacement is not flushed yet.
            if not partial_files.create_atomically(path, content) and not _holds(path, content):
                _make_directory(Path(path).parent)
                self._write(Path(path), lambda target: target.write(content), flush=False)
        except OSError as error:
            return error
        return None

    def _require_mounted(self) -> None:
        # A directory made in place of an unmounted volume would hide its recordings under the next mount.
        self._unfinished.stat()

    def _write(self, path: Path, write: Callable[[BinaryIO], object], *, flush: bool = True) -> None:
        descriptor, unfinished = partial_files.create(self._unfinished)
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


def _holds(path: str, content: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(content) + 1) == content
    except FileNotFoundError:
        return False


def _make_directory(directory: Path) -> None:
    if not directory.is_dir():
        _make_directory(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)
        flush_directory(directory.parent)
