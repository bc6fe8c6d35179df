"""The keys of a source over time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tether_rt.domain.source import SourceKey, rotated

BEGIN = datetime(2026, 5, 15, 9, tzinfo=UTC)
HOURS = st.floats(0, 1_000).map(lambda hours: timedelta(hours=hours))


@given(st.lists(st.tuples(HOURS, HOURS), max_size=6), HOURS)
def test_a_key_holds_until_its_overlap_is_over_or_two_newer_ones_are_there(
    rotations: list[tuple[timedelta, timedelta]], later: timedelta
) -> None:
    """Each rotation is a pause since the one before and the overlap that it asks for."""
    keys: tuple[SourceKey, ...] = (SourceKey("0", BEGIN),)
    ends: dict[str, datetime | None] = {"0": None}  # when each key ends, worked out from the promise
    now = BEGIN
    for number, (pause, overlap) in enumerate(rotations, start=1):
        now += pause
        keys = rotated(keys, str(number), now, overlap)
        ends = {digest: min(end or now, now) for digest, end in ends.items()}
        ends[str(number - 1)] = now + overlap
        ends[str(number)] = None
    moment = now + later
    live = {key.digest for key in keys if key.is_live(moment)}
    assert live == {digest for digest, end in ends.items() if end is None or moment < end}
    assert str(len(rotations)) in live
    assert len(keys) <= 2
