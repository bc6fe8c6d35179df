"""Back-off: doubling, bounded, spread out."""

from __future__ import annotations

import pytest

from tether_rt.runtime.backoff import Backoff


@pytest.mark.parametrize(("failures", "longest_s"), [(1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (5000, 5.0)])
def test_waits_double_up_to_the_longest(failures: int, longest_s: float) -> None:
    waits = [Backoff(1.0, 5.0, jitter=0.25).wait_s(failures) for _ in range(100)]
    assert all(0.75 * longest_s <= wait_s <= longest_s for wait_s in waits)
    assert len(set(waits)) > 1


def test_without_a_failure_there_is_no_wait() -> None:
    assert Backoff().wait_s(0) == 0.0


def test_full_jitter_may_wait_hardly_at_all() -> None:
    assert min(Backoff(1.0, 1.0, jitter=1.0).wait_s(1) for _ in range(1000)) < 0.1
