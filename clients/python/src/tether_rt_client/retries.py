"""When to try again: exponential back-off with full jitter, and at least what the server asks for."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

MAX_RETRY_AFTER_S: Final = 3600.0
"""Nothing is waited for longer, whatever a server asks for."""


@dataclass(frozen=True, slots=True)
class Retries:
    """Waits at random up to `first_s`, then up to twice as long after each failure, and up to `longest_s` in the end."""

    first_s: float = 0.5
    longest_s: float = 15.0
    give_up_s: float = 3600.0
    """How long a call is sent again before `GaveUp`. Following never gives up."""
    attempt_s: float = 180.0
    """How long one attempt may take: the server may fetch a recording before it answers."""
    server_errors: int | None = None
    """Give up after so many answers of 500 to one call, which mean a bug in the server; None: as late as for all others."""

    def __post_init__(self) -> None:
        if not self.give_up_s >= 0:  # NaN is not, either
            raise ValueError(f"give_up_s must be 0 or more, not {self.give_up_s}")

    def wait_s(self, failures: int, asked_s: float = 0.0) -> float:
        """Return the seconds to wait after so many failures in a row, `asked_s` of them as the server asks."""
        bound_s = min(self.longest_s, self.first_s * 2.0 ** min(max(failures - 1, 0), 30))
        return asked_s + random.uniform(0.0, bound_s)  # noqa: S311 - jitter, not a secret


DEFAULT: Final = Retries()


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float:
    """Return the seconds that `Retry-After` asks for (RFC 9110 section 10.2.3), an hour at most; 0.0 without a valid one."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(MAX_RETRY_AFTER_S, float(value))
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return 0.0
    left_s = (date.replace(tzinfo=date.tzinfo or UTC) - (now or datetime.now(UTC))).total_seconds()
    return min(MAX_RETRY_AFTER_S, max(0.0, left_s))


def may_pass(status: int) -> bool:
    """Say if the same request may get another answer later."""
    return status >= 500 or status in (408, 425, 429)
