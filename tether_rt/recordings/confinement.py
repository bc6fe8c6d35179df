"""What a process that decodes recordings takes from itself: decoders are C, and read what a stranger made."""

from __future__ import annotations

import os
import resource
import signal
from typing import Final

MEMORY_BYTES: Final = 1 << 30
_NICE: Final = 10


def confine(*, cpu_s: int, written_bytes: int = 0) -> None:
    """Limit this process to `cpu_s` seconds of a core, `MEMORY_BYTES`, and files of `written_bytes`; give it a low priority."""
    for limit, value in (
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, written_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    os.nice(_NICE)
    # Python would raise an exception, which is dropped in a callback of C: what was decoded until then would look whole.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
