"""A wall clock that jumps: Python loads this first in a process that has its folder on `PYTHONPATH` (see `site`).

What `time.time` and `datetime.now` say is off by the seconds that stand in the file named by `TEST_CLOCK`, at any moment as
another process has written it. Monotonic time goes on as it does. Nothing else of the process is changed, and everything that
it imports sees this clock alone.
"""

from __future__ import annotations

import datetime
import mmap
import os
import struct
import time
from typing import Any

_descriptor = os.open(os.environ["TEST_CLOCK"], os.O_RDONLY)
_offset = mmap.mmap(_descriptor, 8, access=mmap.ACCESS_READ)
os.close(_descriptor)
_time = time.time
_datetime = datetime.datetime


def _now() -> float:
    return _time() + float(struct.unpack("d", _offset[:8])[0])


def _now_ns() -> int:
    return int(_now() * 1e9)


class _Kind(type):
    """Real datetimes pass as instances of the class that stands in for theirs."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _datetime)


class _Shifted(_datetime, metaclass=_Kind):
    def __new__(cls, *args: Any, **options: Any) -> Any:
        return _datetime(*args, **options)

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return _datetime.fromtimestamp(_now(), tz)

    @classmethod
    def utcnow(cls) -> Any:
        return _datetime.fromtimestamp(_now(), datetime.UTC).replace(tzinfo=None)


time.time = _now
time.time_ns = _now_ns
datetime.datetime = _Shifted  # type: ignore[misc]
