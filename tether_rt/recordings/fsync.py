"""What makes files survive a power cut: flushing one, a folder's names, or all that a file system was given."""

from __future__ import annotations

import ctypes
import os
import platform
import re
from pathlib import Path
from typing import Any, Final

_REPORTS_ERRORS_SINCE: Final = (5, 8)
"""Before this Linux, syncfs(2) says that all is well when a write failed (its manual page, "Versions")."""


def _find_syncfs() -> Any:
    release = re.match(r"(\d+)\.(\d+)", platform.release())
    if platform.system() != "Linux" or release is None or tuple(map(int, release.groups())) < _REPORTS_ERRORS_SINCE:
        return None
    return getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)


_syncfs: Final = _find_syncfs()
FLUSHES_FILE_SYSTEMS: Final = _syncfs is not None
"""Whether `flush_file_system` can be used here."""


def flush_file(path: Path) -> None:
    """Flush a file's content; raises `OSError`."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder, without which a new file may be gone (fsync(2)); raises `OSError`."""
    # Windows can open no folder, and need not.
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def flush_file_system(descriptor: int) -> None:
    """Flush all that was written to the file system of an open file or folder, names included (syncfs(2)).

    Raises `OSError`, also for what failed to be written since the descriptor was opened: open it before writing.
    """
    if _syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
