"""Make files survive a power cut: flush one file, a directory's entries, or a whole file system."""

from __future__ import annotations

import ctypes
import os
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

_REPORTS_ERRORS_SINCE: Final = (5, 8)
"""The first Linux in which syncfs(2) reports that a write failed (its manual page, "Versions")."""

FileSystemFlush = Callable[[int], None]
"""Flushes all that was written to the file system of an open file or directory, directory entries included.

Raises `OSError`, also for writes that failed since the descriptor was opened: open it before writing.
"""


def _find_syncfs() -> Any:
    release = re.match(r"(\d+)\.(\d+)", platform.release())
    if platform.system() != "Linux" or release is None or tuple(map(int, release.groups())) < _REPORTS_ERRORS_SINCE:
        return None
    return getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)


_syncfs: Final = _find_syncfs()


def _call_syncfs(descriptor: int) -> None:
    if _syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


flush_file_system: Final[FileSystemFlush | None] = _call_syncfs if _syncfs is not None else None
"""syncfs(2), or None where the operating system has none that can be relied on."""


def flush_file(path: Path) -> None:
    """Flush a file's content; raises `OSError`."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def flush_directory(directory: Path) -> None:
    """Flush a directory's entries, without which a new file may be gone after a power cut (fsync(2)); raises `OSError`."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
