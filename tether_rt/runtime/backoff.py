"""How long to wait before trying again: exponential back-off with jitter."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from `first_s` up to `longest_s` seconds, each shortened at random by up to `jitter` of itself.

    The jitter spreads out many that failed at the same moment: 0.5 leaves at least half of each wait, 1.0 is "full jitter".
    """

    first_s: float = 0.05
    longest_s: float = 2.0
    jitter: float = 0.5

    def wait_s(self, failures: int) -> float:
        """Return the seconds to wait after `failures` failures in a row; 0.0 after none."""
        if failures < 1:
            return 0.0
        # The exponent is bounded because 2.0**1024 overflows.
        longest_s = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return longest_s * random.uniform(1 - self.jitter, 1.0)  # noqa: S311 - jitter, not a secret
