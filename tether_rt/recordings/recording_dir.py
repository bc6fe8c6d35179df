"""The folder of recordings as it lies on the disk. Everything here blocks: it is for threads, and for a process of its own."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from tether_rt.errors import Unavailable
from tether_rt.recordings import partial_files
from tether_rt.recordings.fsync import flush_file, flush_file_system, flush_folder
from tether_rt.recordings.store import PIECE_BYTES

Small = tuple[str, bytes]
"""Where a file is to be, and what is to be in it. The path is text: a `Path` costs a third of what making the file does."""


class RecordingDir:
    """The recordings under `root`; methods raise `OSError`. Several processes may share it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        # A folder of its own, so that the sweep at start need not look through a million recordings.
        self._unfinished = root / "recordings" / ".unfinished"

    def prepare(self) -> None:
        """Make the folder and remove what a killed process left unfinished."""
        _make_folder(self._unfinished)
        partial_files.sweep(self._unfinished)

    def probe(self, min_free_bytes: int) -> None:
        """Write, flush and remove a small file; raise `Unavailable` when the space left is less than that."""
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
        """Make one file durable; one on the same file system is moved, one from elsewhere is copied."""
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

    def put_together(self, files: Sequence[Small]) -> list[OSError | None]:
        """Make the files durable with one flush; return for each what went wrong with it alone."""
        self._require_folder()
        descriptor = os.open(self._unfinished, os.O_RDONLY | os.O_DIRECTORY)
        try:
            errors = [self._put_unflushed(path, content) for path, content in files]
            flush_file_system(descriptor)
        finally:
            os.close(descriptor)
        return errors

    def _put_unflushed(self, path: str, content: bytes) -> OSError | None:
        try:
            # One that a stored call has already is left alone: until the flush, what replaces it is not safe.
            if not partial_files.create_atomically(path, content) and not _holds(path, content):
                _make_folder(Path(path).parent)
                self._write(Path(path), lambda target: target.write(content), flush=False)
        except OSError as error:
            return error
        return None

    def _require_folder(self) -> None:
        # Fails when the volume was unmounted: a folder made in its place would hide recordings under the next mount.
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


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        flush_folder(folder.parent)
