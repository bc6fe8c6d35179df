"""A disk that hangs, as seen by whoever opens one file: a FIFO without a writer, whose opening does not end."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def hang(path: Path) -> None:
    """Make opening `path` for reading hang until `let_go`."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.mkfifo(path)


def let_go(path: Path) -> None:
    """Let everyone who is opening `path` go on, with a file that is empty."""
    with suppress(OSError):  # nobody is opening it
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
