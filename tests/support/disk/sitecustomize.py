"""A disk that hangs while small recordings are written: Python loads this first where its folder is on `PYTHONPATH`.

Giving a file its name (link(2)) waits as long as the FIFO named by `TEST_DISK` exists and nobody writes to it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

_link = os.link


def _hanging_link(*args: Any, **options: Any) -> None:
    with suppress(FileNotFoundError):
        os.close(os.open(os.environ["TEST_DISK"], os.O_RDONLY))
    _link(*args, **options)


os.link = _hanging_link
