"""Files that name the recordings being uploaded, so that the next start knows what a crash left. Everything here blocks.

Each process writes a file of its own and holds a lock (flock(2)) on it. A killed process loses its lock, so the next start can
tell a dead process' file from that of another process which works in the same directory.

A line is written before its upload begins, and not flushed: a killed process leaves it to the kernel. What a power cut loses is
the knowledge of a recording that no call names, which costs its room and harms nobody.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from tether_rt.recordings.store import key_owner

MAX_BYTES: Final = 256 * 1024
"""A longer file is replaced by one that names the undecided recordings alone."""
_SUFFIX: Final = ".uploads"


class UploadJournal:
    """The file of this process in `directory`; methods raise `OSError`. Not for two threads at once."""

    def __init__(self, directory: Path, max_bytes: int = MAX_BYTES) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._descriptor: int | None = None
        self._path: Path | None = None
        self._size_bytes = 0

    def open(self) -> None:
        """Create the directory and the file."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor, self._path = _create(self._directory)

    def note(self, keys: Iterable[str], undecided: Callable[[], Collection[str]]) -> None:
        """Write `keys`. `undecided` returns all keys, these among them, whose recordings may turn out to have no call."""
        if self._size_bytes > self._max_bytes:
            descriptor, path, keys = self._descriptor, self._path, undecided()
            self._descriptor, self._path = _create(self._directory)
            self._size_bytes = 0
            self._append(keys)
            _remove(descriptor, path)
        else:
            self._append(keys)

    def close(self, undecided: Collection[str]) -> None:
        """Remove the file, unless a recording is undecided: then the next start looks after it. Idempotent."""
        if self._descriptor is not None:
            if undecided:
                os.close(self._descriptor)
            else:
                _remove(self._descriptor, self._path)
            self._descriptor = None

    def adopt(self) -> list[str]:
        """Take over what dead processes' files name, and remove those files."""
        adopted: list[str] = []
        for path in self._directory.glob(f"*{_SUFFIX}"):
            with suppress(FileNotFoundError):  # another start was faster
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    if _lock(descriptor):
                        keys = [line for line in path.read_text(errors="replace").splitlines() if key_owner(line)]
                        self._append(keys)
                        path.unlink()
                        adopted += keys
                finally:
                    os.close(descriptor)
        return adopted

    def _append(self, keys: Iterable[str]) -> None:
        assert self._descriptor is not None
        # It begins with a line feed, because a full disk may have cut off the last line.
        text = "\n".join(("", *keys, "")).encode()
        self._size_bytes += len(text)
        while text:
            text = text[os.write(self._descriptor, text) :]


def _create(directory: Path) -> tuple[int, Path]:
    while True:
        path = directory / f"{secrets.token_hex(12)}{_SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with suppress(OSError):  # some network file systems have no locks; what a crash leaves there stays
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path.exists():  # else a start that found it before it was locked took it for a dead process'
            return descriptor, path
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove(descriptor: int | None, path: Path | None) -> None:
    if descriptor is not None and path is not None:
        path.unlink(missing_ok=True)
        os.close(descriptor)
