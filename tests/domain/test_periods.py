"""Periods of days where an agent is: their bounds, what they are compared with, and clocks that are changed meanwhile."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tether_rt.domain.periods import MAX_DAYS, NAMES, named_period, offsets, period_before, period_of, zone_named

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/Toronto", "Asia/Kathmandu", "Australia/Lord_Howe", "Asia/Beirut", "Pacific/Kiritimati"]
).map(ZoneInfo)
NOW = st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NOON = utc("2026-03-31T10:00:00")
"""Noon in Berlin, two days after its clocks went forward."""


@pytest.mark.parametrize(
    ("name", "first", "last", "start", "end", "before"),
    [
        ("today", "03-31", "03-31", "2026-03-30T22:00", "2026-03-31T10:00", ("2026-03-29T22:00", "2026-03-30T10:00")),
        ("yesterday", "03-30", "03-30", "2026-03-29T22:00", "2026-03-30T22:00", ("2026-03-28T23:00", "2026-03-29T22:00")),
        ("week", "03-25", "03-31", "2026-03-24T23:00", "2026-03-31T10:00", ("2026-03-17T23:00", "2026-03-24T11:00")),
        ("month", "03-02", "03-31", "2026-03-01T23:00", "2026-03-31T10:00", ("2026-01-30T23:00", "2026-03-01T11:00")),
        ("thisMonth", "03-01", "03-31", "2026-02-28T23:00", "2026-03-31T10:00", ("2026-01-31T23:00", "2026-02-28T23:00")),
    ],
)
def test_periods_and_what_they_are_compared_with(
    name: str, first: str, last: str, start: str, end: str, before: tuple[str, str]
) -> None:
    period = named_period(name, NOON, BERLIN)
    moment = timedelta(milliseconds=1 if name != "yesterday" else 0)
    days = date.fromisoformat(f"2026-{first}"), date.fromisoformat(f"2026-{last}")
    assert period == (*days, utc(start), utc(end) + moment)
    earlier = period_before(period, NOON, BERLIN, months=name == "thisMonth")
    cut = moment if name != "thisMonth" else timedelta(0)  # February has no 31st, so all of it is compared
    assert (earlier.start, earlier.end) == (utc(before[0]), utc(before[1]) + cut)


def test_the_days_that_are_chosen_are_compared_with_as_many_before() -> None:
    period = period_of(date(2026, 2, 1), date(2026, 2, 28), NOON, BERLIN)
    assert len(period.days) == 28
    earlier = period_before(period, NOON, BERLIN)
    assert (earlier.first, earlier.last, earlier.end) == (date(2026, 1, 4), date(2026, 1, 31), period.start)


@given(NOW, ZONES, st.sampled_from(NAMES))
def test_a_period_and_the_one_before_never_overlap_and_end_by_now(now: datetime, zone: ZoneInfo, name: str) -> None:
    period = named_period(name, now, zone)
    earlier = period_before(period, now, zone, months=name == "thisMonth")
    assert earlier.start < earlier.end <= period.start < period.end <= now + timedelta(milliseconds=1)
    assert period.start.astimezone(zone).date() == period.first == period.days[0]
    assert (period.end - timedelta(milliseconds=1)).astimezone(zone).date() == period.last == period.days[-1]


@given(NOW, ZONES, st.timedeltas(timedelta(0), timedelta(days=MAX_DAYS)), st.timedeltas(timedelta(0), timedelta(days=MAX_DAYS)))
def test_offsets_say_what_the_clocks_show(start: datetime, zone: ZoneInfo, length: timedelta, at: timedelta) -> None:
    end = start + length
    found = offsets(zone, start, end)
    assert [one.until for one in found] == sorted(one.until for one in found)
    assert found[-1].until == end
    assert len(found) <= 5
    moment = start + min(at, length)
    shown = next((one.ahead for one in found if moment < one.until), found[-1].ahead)
    assert shown == moment.astimezone(zone).utcoffset()


@pytest.mark.parametrize("name", ["Etc/Unknown", "../UTC", "/etc/passwd", "America", "zone.tab", "\0", "a" * 300, ""])
def test_what_is_no_zone_is_none(name: str) -> None:
    assert zone_named(name) is None


def test_a_zone_is_known_by_its_name() -> None:
    assert zone_named("Europe/Berlin") == BERLIN
