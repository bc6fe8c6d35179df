"""A disk that hangs, for one file: a FIFO without a writer, which cannot be opened for reading."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def hang(path: Path) -> None:
    """Make opening `path` for reading hang until `let_go`."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.mkfifo(path)


def let_go(path: Path) -> None:
    """Let every pending opening of `path` succeed, with an empty file."""
    with suppress(OSError):  # nobody is opening it
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
