"""A disk that can be filled to the last byte and emptied again: a tmpfs, if this account may mount one.

If it may not, `fill` limits the size of a running process' files instead, which makes its writes fail in the same way.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SMALL_FILE_BYTES = 16_384


class FullDisk:
    """`folder` on a disk that has room until `fill`."""

    def __init__(self, folder: Path, *, is_mounted: bool) -> None:
        self.folder = folder
        self.is_mounted = is_mounted
        self._filler = folder / "filler"
        self._limited: list[int] = []

    def fill(self, pid: int) -> None:
        """Leave no room for the next write of the process `pid`."""
        if not self.is_mounted:
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (_SMALL_FILE_BYTES, hard))
            self._limited.append(pid)
            return
        # To the last byte, although others may be writing at the same time.
        with self._filler.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(min(1 << 20, max(1, shutil.disk_usage(self.folder).free))))

    def free(self) -> None:
        """Make room again."""
        self._filler.unlink(missing_ok=True)
        for pid in self._limited:
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        self._limited.clear()


@contextmanager
def full_disk(folder: Path, size_bytes: int) -> Iterator[FullDisk]:
    """Yield a disk that is mounted at `folder` until the block ends."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    is_mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield FullDisk(folder, is_mounted=is_mounted)
    finally:
        if is_mounted:
            subprocess.run(["umount", str(folder)], check=True)
