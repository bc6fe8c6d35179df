"""A disk that can be filled to the last byte and emptied again: a tmpfs of its own where this account may mount one.

Where it may not, a running process is given a limit on the size of files instead, which fails its writes in the same way.
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
    """`folder` on a disk that is as good as empty until `fill`."""

    def __init__(self, folder: Path, *, is_mounted: bool) -> None:
        self.folder = folder
        self.is_mounted = is_mounted
        self._filler = folder / "filler"
        self._limited: list[int] = []

    def fill(self, pid: int) -> None:
        """Leave no room for the process' next write of any size."""
        if not self.is_mounted:
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (_SMALL_FILE_BYTES, hard))
            self._limited.append(pid)
            return
        # To the last byte, while others may be writing, too.
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
    """Yield the disk, mounted at `folder` until the block ends."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    is_mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield FullDisk(folder, is_mounted=is_mounted)
    finally:
        if is_mounted:
            subprocess.run(["umount", str(folder)], check=True)
