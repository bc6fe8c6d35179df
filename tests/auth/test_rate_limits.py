"""The rate limits alone, with a clock that the test sets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tether_rt.auth.rate_limits import RateLimit, SignInLimits, network_of, retry_after_s


class Clock:
    """Returns what the test has set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_allowed_and_then_the_rate() -> None:
    clock = Clock()
    limit = RateLimit[str](5, 0.5, clock=clock)
    assert [limit.take("key") for _ in range(5)] == [0.0] * 5
    assert limit.take("key") == 0.5
    clock.now += 0.25
    assert limit.take("key") == 0.25
    clock.now += 0.25
    assert limit.take("key") == 0.0
    assert limit.take("key") == 0.5
    clock.now += 100
    assert [limit.take("key") for _ in range(6)] == [0.0] * 5 + [0.5]


def test_a_caller_that_waits_as_told_is_allowed() -> None:
    clock = Clock()
    for rate in (0.1, 3, 7, 1 / 3, 1000):
        limit = RateLimit[str](max(1, rate * 10), 1 / rate, clock=clock)
        for _ in range(200):
            wait_s = limit.take("key")
            if wait_s:
                clock.now += wait_s
                assert limit.take("key") == 0.0
        assert retry_after_s(limit.take("key")) >= 1


def test_each_key_has_its_own_limit() -> None:
    limit = RateLimit[str](1, 1, clock=Clock())
    assert limit.take("one") == 0.0
    assert limit.take("one") > 0
    assert limit.take("two") == 0.0


def test_asking_takes_nothing_and_neither_does_a_refusal() -> None:
    clock = Clock()
    limit = RateLimit[str](1, 10, clock=clock)
    for _ in range(50):
        assert limit.wait_s("key") == 0.0
    limit.take("key")
    for _ in range(50):
        assert limit.take("key") == 10
    clock.now += 10
    assert limit.take("key") == 0.0


def test_memory_is_bounded_whatever_keys_come() -> None:
    clock = Clock()
    limit = RateLimit[int](1, 1000, max_keys=100, clock=clock)
    for key in range(10_000):
        limit.take(key)
    assert len(limit) == 100
    assert limit.take(9_999) > 0, "the most recent ones are remembered"
    clock.now += 2000
    for key in range(200):
        limit.take(-key)
    assert len(limit) <= 100


def test_a_key_that_is_refused_all_the_time_is_not_displaced_by_others() -> None:
    limit = RateLimit[object](1, 1000, max_keys=100, clock=Clock())
    limit.take("greedy")
    for key in range(10_000):
        limit.take(key)
        assert limit.take("greedy") > 0


@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from("ab")), max_size=60), st.integers(1, 5), st.floats(0.1, 3))
def test_never_more_than_the_burst_and_the_rate(steps: list[tuple[float, str]], burst: int, interval_s: float) -> None:
    clock = Clock()
    limit = RateLimit[str](burst, interval_s, clock=clock)
    taken: dict[str, list[float]] = {"a": [], "b": []}
    for pause_s, key in steps:
        clock.now += pause_s
        if limit.take(key) == 0.0:
            taken[key].append(clock.now)
    for times in taken.values():
        for first in range(len(times)):
            for last in range(first, len(times)):
                allowed = burst + (times[last] - times[first]) / interval_s
                assert last - first + 1 <= allowed + 1e-3


def test_retry_after_is_in_whole_seconds_rounded_up() -> None:
    assert [retry_after_s(wait_s) for wait_s in (0.001, 0.5, 1.0, 1.01, 59.2)] == [1, 1, 1, 2, 60]


# ---------------------------------------------------------------------- signing in


def fail(limits: SignInLimits, account: str, address: str, times: int) -> int:
    """Fail up to `times` times and return how many attempts were allowed."""
    for number in range(times):
        if limits.wait_s(account, address):
            return number
        limits.failed(account, address)
    return times


def test_an_account_may_fail_ten_times_from_one_network_and_then_once_a_minute() -> None:
    clock = Clock()
    limits = SignInLimits(clock=clock)
    assert fail(limits, "ann", "192.0.2.1", 20) == 10
    assert limits.wait_s("ann", "192.0.2.1") == 60
    clock.now += 60
    assert fail(limits, "ann", "192.0.2.1", 20) == 1


def test_a_stranger_in_one_place_does_not_lock_the_user_out_in_another() -> None:
    clock = Clock()
    limits = SignInLimits(clock=clock)
    for _ in range(3 * 24 * 60):
        clock.now += 60
        fail(limits, "ann", "192.0.2.1", 20)
    assert limits.wait_s("ann", "192.0.2.1") > 0
    assert limits.wait_s("ann", "198.51.100.1") == 0.0


def test_guessing_from_many_places_is_bounded_and_spares_where_the_user_has_been() -> None:
    limits = SignInLimits(clock=Clock())
    limits.succeeded("ann", "198.51.100.1")
    assert sum(fail(limits, "ann", f"192.0.2.{number}", 20) for number in range(200)) == 100
    assert limits.wait_s("ann", "203.0.113.1") > 0
    assert limits.wait_s("ann", "198.51.100.1") == 0.0
    assert limits.wait_s("bob", "203.0.113.1") == 0.0
    assert fail(limits, "ann", "198.51.100.1", 20) == 10


def test_one_network_may_fail_fifty_times_whatever_accounts_it_tries() -> None:
    clock = Clock()
    limits = SignInLimits(clock=clock)
    assert sum(fail(limits, f"user{number}", "192.0.2.1", 5) for number in range(100)) == 50
    assert limits.wait_s("another", "192.0.2.1") == 12
    assert limits.wait_s("another", "192.0.2.2") == 0.0


def test_a_right_password_clears_the_account_but_not_the_network() -> None:
    limits = SignInLimits(clock=Clock())
    for number in range(5):
        fail(limits, "ann", "192.0.2.1", 9)
        limits.succeeded("ann", "192.0.2.1")
        assert limits.wait_s("ann", "192.0.2.1") == 0.0, number
    fail(limits, "bob", "192.0.2.1", 9)
    assert limits.wait_s("ann", "192.0.2.1") > 0, "one account does not open the way to guess all others"


def test_an_ipv6_caller_counts_as_its_64_network_and_a_mapped_one_as_its_ipv4_address() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9") != network_of("2001:db8:1:3::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of("") == ""


def test_what_is_remembered_of_sign_ins_is_bounded() -> None:
    limits = SignInLimits(max_keys=50, clock=Clock())
    for number in range(5000):
        limits.failed(f"user{number}", f"10.0.{number // 250}.{number % 250}")
        limits.succeeded(f"user{number}", f"10.1.{number // 250}.{number % 250}")
    assert len(limits) <= 4 * 50
