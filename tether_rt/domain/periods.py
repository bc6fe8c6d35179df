"""Periods of days in a time zone, the period before each, and how far a zone's clocks are from UTC. Pure.

Days begin and end where the zone's do: one may have 23 hours, or 25. What a period says of the present day ends now, and what
came before is cut at the same time of day, so that the two can be compared.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

NAMES: Final = ("today", "yesterday", "week", "month", "thisMonth")
"""The periods that have names: `week` is of 7 days and `month` of 30, both up to today; `thisMonth` begins on its first."""
MAX_DAYS: Final = 366
_DAY: Final = timedelta(days=1)
_MOMENT: Final = timedelta(milliseconds=1)


class Period(NamedTuple):
    """Some days of a time zone, as far as they are over."""

    first: date
    last: date
    """The last day, which is included."""
    start: datetime
    """In UTC."""
    end: datetime
    """In UTC, excluded."""

    @property
    def days(self) -> list[date]:
        """All its days."""
        return [self.first + _DAY * number for number in range((self.last - self.first).days + 1)]


class Offset(NamedTuple):
    """How far clocks are ahead of UTC up to some time."""

    until: datetime
    """In UTC, excluded."""
    ahead: timedelta


class ClockHour(NamedTuple):
    """An hour of each day, as clocks that have these offsets show it."""

    hour: int
    clocks: tuple[Offset, ...]


def zone_named(name: str) -> ZoneInfo | None:
    """Return the time zone with an IANA name, or None when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # what is no name at all may be a folder, or too long
        return None


def named_period(name: str, now: datetime, zone: ZoneInfo) -> Period:
    """Return one of the periods in `NAMES`."""
    today = now.astimezone(zone).date()
    yesterday = today - _DAY
    first, last = {
        "today": (today, today),
        "yesterday": (yesterday, yesterday),
        "week": (today - _DAY * 6, today),
        "month": (today - _DAY * 29, today),
        "thisMonth": (today.replace(day=1), today),
    }[name]
    return period_of(first, last, now, zone)


def period_of(first: date, last: date, now: datetime, zone: ZoneInfo) -> Period:
    """Return the period of the days from `first` to `last`, as far as they are over."""
    start = midnight(first, zone)
    end = min(midnight(last + _DAY, zone), now + _MOMENT)  # a call that begins now is in
    return Period(first, last, start, max(start, end))


def period_before(period: Period, now: datetime, zone: ZoneInfo, *, months: bool = False) -> Period:
    """Return as many days before the period, up to the same time of day if the period is not over.

    With `months` it is the same part of the month before: up to the same day, or to that month's last one.
    """
    if months:
        end_of_month = period.first - _DAY
        first = end_of_month.replace(day=1)
        last = min(first + (period.last - period.first), end_of_month)
        is_whole = last.day < period.last.day
    else:
        length = period.last - period.first + _DAY
        first, last, is_whole = period.first - length, period.last - length, False
    end = midnight(last + _DAY, zone)
    if not is_whole and period.end <= now + _MOMENT < midnight(period.last + _DAY, zone):
        same_time = datetime.combine(last, now.astimezone(zone).time(), zone)
        end = min(end, same_time.astimezone(UTC) + _MOMENT)
    start = midnight(first, zone)
    return Period(first, last, start, max(start, end))


def offsets(zone: ZoneInfo, start: datetime, end: datetime) -> list[Offset]:
    """Return what the clocks of a zone show between two times, in order; the last offset holds at `end`, too."""
    return list(_offsets(zone, start.astimezone(UTC), end.astimezone(UTC)))


def _offsets(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[Offset]:
    at = start
    while at < end:
        ahead, following = _ahead(zone, at), min(at + _DAY, end)
        if _ahead(zone, following) != ahead:
            following = _change(zone, at, following)
            yield Offset(following, ahead)
        at = following
    yield Offset(end, _ahead(zone, end))


def _change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """Return the first full second after `low` at which the clocks show what they show at `high`, and not what at `low`."""
    whole, before = low.replace(microsecond=0), _ahead(zone, low)
    seconds = range(math.ceil((high - low).total_seconds()))
    after = bisect.bisect_left(seconds, True, key=lambda second: _ahead(zone, whole + timedelta(seconds=second)) != before)
    return min(whole + timedelta(seconds=after), high)


def _ahead(zone: ZoneInfo, at: datetime) -> timedelta:
    ahead = at.astimezone(zone).utcoffset()
    assert ahead is not None, "a zone has an offset at every time"
    return ahead


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return when a day begins, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)
