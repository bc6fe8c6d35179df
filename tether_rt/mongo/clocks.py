"""What clocks show, as MongoDB expressions.

The caller knows the offsets, because MongoDB's time zone data is older than the system's and lacks some zones.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from tether_rt.domain.periods import ClockHour, Offset
from tether_rt.mongo.client import Document

_MILLISECOND: Final = timedelta(milliseconds=1)


def local_time(moment: Any, clocks: Sequence[Offset]) -> Document:
    """Return the expression for what clocks that have these offsets showed at a moment, as if it were a time in UTC."""
    *earlier, last = ((one.until, int(one.ahead / _MILLISECOND)) for one in clocks)
    ahead: Any = last[1]
    for until, milliseconds in reversed(earlier):
        ahead = {"$cond": [{"$lt": [moment, until]}, milliseconds, ahead]}
    return {"$add": [moment, ahead]}


def in_hour(moment: Any, asked: ClockHour) -> Document:
    """Return the condition that clocks showed this hour at a moment."""
    return {"$expr": {"$eq": [{"$hour": local_time(moment, asked.clocks)}, asked.hour]}}
