"""The `format` keywords that the contract enforces, as functions of a text. Pure."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

MAX_TIME_CHARS: Final = 64
_CACHED_DATES: Final = 1_024
"""Calls of one day have one date."""
_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_DATE_TIME: Final = re.compile(rf"{_DATE.pattern}[Tt](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII)


def is_date(text: str) -> bool:
    """Say if `text` is an RFC 3339 full-date that the calendar has."""
    match = _DATE.fullmatch(text)
    return match is not None and _is_in_calendar(*match.groups())


@lru_cache(_CACHED_DATES)
def _is_in_calendar(*digits: str) -> bool:
    year, month, day = map(int, digits)
    # The calendar repeats every 400 years; year 0, which RFC 3339 has and Python has not, is as long as the year 400.
    return 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year or 400, month)[1]


def is_date_time(text: str) -> bool:
    """Say if `text` is an RFC 3339 date-time: its section 5.6 with `T` and `Z` in either case, and real values (5.7).

    A leap second is 23:59:60 UTC and nothing else. Whether a program can hold the moment (year 0) is not asked here. The
    RFC bounds no fraction; past `MAX_TIME_CHARS` it is not a time that anybody measured.
    """
    match = _DATE_TIME.fullmatch(text) if len(text) <= MAX_TIME_CHARS else None
    if match is None:
        return False
    year, month, day, hour, minute, second, sign, offset_hour, offset_minute = match.groups("00")
    if not _is_in_calendar(year, month, day) or hour > "23" or minute > "59" or offset_hour > "23" or offset_minute > "59":
        return False
    if second == "60":
        offset_min = int(sign + offset_hour) * 60 + int(sign + offset_minute)
        return (int(hour) * 60 + int(minute) - offset_min) % 1440 == 1439
    return second <= "59"


FORMATS: Final[Mapping[str, Callable[[str], bool]]] = {"date": is_date, "date-time": is_date_time}
"""Every `format` that is enforced. The compiled validator has some of its own, which take `199.-12-28` for a date."""
