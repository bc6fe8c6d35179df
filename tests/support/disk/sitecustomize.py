"""A disk that hangs while small recordings are written: Python loads this first where its folder is on `PYTHONPATH`.

Giving a file its name (link(2), and rename(2) in a new directory) waits as long as the FIFO named by `TEST_DISK` exists and
nobody writes to it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any


def _hanging(function: Callable[..., None]) -> Callable[..., None]:
    def hanging(*args: Any, **options: Any) -> None:
        with suppress(FileNotFoundError):
            os.close(os.open(os.environ["TEST_DISK"], os.O_RDONLY))
        function(*args, **options)

    return hanging


os.link = _hanging(os.link)
os.replace = _hanging(os.replace)
