"""Files that are being written: named so that nobody takes them for whole ones, and gone when their writer is.

A writer holds a lock (`flock`) on its file. A killed process loses its locks, so a sweep at start can tell what is left over
from what another process on the same folder is writing this very moment.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from tether_rt.errors import Unavailable

_log = logging.getLogger("tether.recordings")

_SUFFIX: Final = ".part"
# Between a file's creation and its lock lies a moment in which it looks left over.
_YOUNG_S: Final = 60.0
_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NOT_ALLOWED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def create(folder: Path) -> tuple[int, Path]:
    """Create a locked file in `folder`; return its descriptor, open for writing, and its path. Raises `OSError`."""
    path = folder / f"{secrets.token_hex(12)}{_SUFFIX}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    _lock(descriptor)
    return descriptor, path


def create_atomically(path: str, content: bytes) -> bool:
    """Make a file that is there at once and as a whole; return False where that does not go, whatever the reason.

    The file has no name until it is written (open(2), O_TMPFILE), and nothing has to be looked up, locked or renamed: three
    times as fast as `create`, which is for whatever stands in the way: one that is there already, a folder that is not, a file
    system without nameless files, a full disk.
    """
    try:
        descriptor = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        if os.write(descriptor, content) != len(content):
            return False
        # The descriptor in place of a folder is not looked at, the path being absolute; it makes Python ask for linkat(2).
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def sweep(folder: Path) -> int:
    """Remove what dead writers left in `folder`; return how many. Raises `OSError`."""
    removed = 0
    for path in folder.glob(f"*{_SUFFIX}"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _YOUNG_S and _is_abandoned(path):
                path.unlink()
                removed += 1
    if removed:
        _log.info("removed %d unfinished recordings of an earlier run", removed)
    return removed


def unavailable(error: OSError) -> Unavailable:
    """Return the failure to raise for what the file system answered, in words that name no path."""
    _log.error("the recording folder failed: %s", error.strerror or type(error).__name__, exc_info=error)
    if error.errno in _NO_SPACE:
        return Unavailable("The recording folder is full; send the request again later.", retry_after_s=30)
    if error.errno in _NOT_ALLOWED:
        return Unavailable("The server may not write to its recording folder; send the request again later.", retry_after_s=30)
    return Unavailable("The server cannot use its recording folder just now; send the request again.", retry_after_s=10)


if sys.platform == "win32":

    def _lock(descriptor: int) -> None:
        """Windows removes no file that somebody has open: that is the lock."""

    def _is_abandoned(path: Path) -> bool:
        try:
            path.rename(path)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        # Some network file systems have no locks; there, what is left over stays.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _is_abandoned(path: Path) -> bool:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True
