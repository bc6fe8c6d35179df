"""What a vendor's host may take of this server."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tether_rt.recordings.fetch.fair_slots import SlotLimits


@dataclass(frozen=True, slots=True)
class Limits:
    """For one fetch. Past each of them the attempt fails, and the answer says which one it was."""

    size_bytes: int = 200 * 1024 * 1024
    redirects: int = 3
    connect_s: float = 5.0
    """For looking up the name, and again for the TCP connection and TLS together, per hop."""
    headers_s: float = 10.0
    """From the request to the end of the response's headers, per hop."""
    total_s: float = 120.0
    """For everything in one attempt, redirects included."""
    window_s: float = 10.0
    window_bytes: int = 80 * 1000
    """At least this many bytes must arrive in every `window_s`: 8 kB/s, the rate of a telephone line."""
    share_s: float = 2.0
    share_bytes: int = 64 * 1000
    """What must arrive in every `share_s` while another organization waits and this one holds more than its share of slots."""
    header_bytes: int = 32 * 1024
    retry_s: float = 10.0
    """How long after the first attempt another one may begin while the vendor's request waits; 0.0: there is only one."""


MAX_FETCHES: Final = 192
"""Fetches at once: each holds a socket, and a file or the recording itself. With 50 of them, a vendor whose host answers after
300 ms has 150 recordings a second."""
MAX_FETCHES_OF_ONE: Final = 128
MAX_FETCHES_FROM_HOST: Final = 96
MAX_WAITING: Final = 2048
MAX_WAITING_OF_ONE: Final = 1024
WAIT_S: Final = 20.0
"""How long a fetch waits for its slot."""

SLOTS: Final = SlotLimits(
    total=MAX_FETCHES,
    per_organization=MAX_FETCHES_OF_ONE,
    per_host=MAX_FETCHES_FROM_HOST,
    waiting=MAX_WAITING,
    waiting_per_organization=MAX_WAITING_OF_ONE,
    wait_s=WAIT_S,
)
FEW_SLOTS: Final = replace(SLOTS, total=32, per_organization=16, per_host=16)
"""Where the limit on open files is low."""
MAX_FILES: Final = 64
"""Recordings above `spool.MEMORY_BYTES` that arrive at once: each takes its size on the disk."""
MAX_FILES_OF_ONE: Final = 32
FILE_SLOTS: Final = replace(SLOTS, total=MAX_FILES, per_organization=MAX_FILES_OF_ONE, per_host=MAX_FILES)
