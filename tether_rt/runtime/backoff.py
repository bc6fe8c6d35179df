"""How long to wait before trying again."""

from __future__ import annotations

import random
from typing import Final

_FIRST_S: Final = 0.05
_LONGEST_S: Final = 2.0


def backoff_s(failures: int) -> float:
    """Return seconds to wait after so many failures in a row (from 1): doubling, with jitter so that many spread out."""
    return min(_LONGEST_S, _FIRST_S * 2.0 ** min(failures - 1, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
