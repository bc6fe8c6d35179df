"""What a vendor's host may take of this server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


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
    header_bytes: int = 32 * 1024
    retry_s: float = 10.0
    """How long after the first attempt another one may begin while the vendor's request waits; 0.0: there is only one."""


MAX_FETCHES: Final = 32
"""Fetches at once: each holds a socket, a file and about 1 MiB."""
MAX_FETCHES_PER_ORGANIZATION: Final = 8
WAIT_S: Final = 10.0
"""How long an attempt waits for a slot, first of its organization's and then of all."""
