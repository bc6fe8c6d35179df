"""A disk that hangs: a FIFO without a writer, which cannot be opened for reading."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def hang(path: Path) -> None:
    """Make opening `path` for reading hang until `let_go`."""
    os.mkfifo(path)


def let_go(path: Path) -> None:
    """Let every pending opening of `path` succeed, with an empty file."""
    with suppress(OSError):  # nobody is opening it
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


class HungDisk:
    """The disk of a server process: give `variables` to a `ServerProcess`, then `hang` and `let_go`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "hung"

    @property
    def variables(self) -> dict[str, str]:
        here = Path(__file__).parent
        return {"PYTHONPATH": f"{here / 'disk'}:{here.parents[1]}", "TEST_DISK": str(self._path)}

    def hang(self) -> None:
        """Let small recordings hang on their way to the disk."""
        hang(self._path)

    def let_go(self) -> None:
        """Let them go on; further ones do not hang."""
        os.rename(self._path, self._path.with_name("let go"))
        let_go(self._path.with_name("let go"))
