"""How often one caller may do something. Pure: the clock is given, and what is remembered of callers is bounded.

A `RateLimit` is a token bucket for each key, kept as one number: the moment at which the bucket is full again (the generic
cell rate algorithm of ITU-T I.371, whose outcome is the same). A key whose bucket is full need not be remembered at all.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final, Generic, TypeVar

_MAX_KEYS: Final = 20_000
"""About 4 MB for one limit. Past it, the key that was used the longest ago gets a new bucket."""
_EPSILON_S: Final = 1e-6
"""What adding up intervals in floating point may be off by."""

_Key = TypeVar("_Key", bound=Hashable)


class RateLimit(Generic[_Key]):
    """For each key `burst` at once, and one more whenever `interval_s` has passed."""

    def __init__(
        self, burst: float, interval_s: float, *, max_keys: int = _MAX_KEYS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval_s = interval_s
        self._tolerance_s = (burst - 1) * interval_s
        self._max_keys = max_keys
        self._clock = clock
        self._full_at: OrderedDict[_Key, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def wait_s(self, key: _Key) -> float:
        """Return in how many seconds there is one to take: 0.0 when there is one now."""
        if key not in self._full_at:
            return 0.0
        self._full_at.move_to_end(key)
        wait_s = self._full_at[key] - self._clock() - self._tolerance_s
        return wait_s if wait_s > _EPSILON_S else 0.0

    def take(self, key: _Key) -> float:
        """Take one and return 0.0; when there is none, take nothing and return in how many seconds there will be."""
        wait_s = self.wait_s(key)
        if not wait_s:
            now = self._clock()
            self._full_at[key] = max(self._full_at.get(key, now), now) + self._interval_s
            self._forget(now)
        return wait_s

    def reset(self, key: _Key) -> None:
        """Fill the key's bucket."""
        self._full_at.pop(key, None)

    def _forget(self, now: float) -> None:
        """Drop a few buckets that are full again, and as many as are too many."""
        for _ in range(2):
            oldest, full_at = next(iter(self._full_at.items()))
            if full_at > now and len(self._full_at) <= self._max_keys:
                return
            del self._full_at[oldest]


class SignInLimits:
    """How often somebody may be wrong when signing in. Only failures count, for addresses that no user has as well.

    Three limits, so that guessing is slow and yet a stranger cannot lock a user out:

    - from one place (`place_of` an address), for all accounts;
    - for one account from one place: a stranger elsewhere does not use up what the user has;
    - for one account from everywhere, much larger, against guessing from many places at once. It does not hold for places from
      which the user has signed in since this process started.
    """

    PLACE_FAILURES: Final = 50
    ACCOUNT_FAILURES: Final = 10
    ACCOUNT_FAILURES_EVERYWHERE: Final = 100
    PLACE_INTERVAL_S: Final = 12.0
    ACCOUNT_INTERVAL_S: Final = 60.0

    def __init__(self, *, max_keys: int = _MAX_KEYS, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_keys = max_keys
        self._places = RateLimit[str](self.PLACE_FAILURES, self.PLACE_INTERVAL_S, max_keys=max_keys, clock=clock)
        self._account_places = RateLimit[tuple[str, str]](
            self.ACCOUNT_FAILURES, self.ACCOUNT_INTERVAL_S, max_keys=max_keys, clock=clock
        )
        self._accounts = RateLimit[str](self.ACCOUNT_FAILURES_EVERYWHERE, self.PLACE_INTERVAL_S, max_keys=max_keys, clock=clock)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait_s(self, account: str, address: str) -> float:
        """Return in how many seconds the next attempt may be made: 0.0 for now."""
        place = place_of(address)
        pair = (account, place)
        everywhere_s = 0.0 if pair in self._known else self._accounts.wait_s(account)
        return max(self._places.wait_s(place), self._account_places.wait_s(pair), everywhere_s)

    def failed(self, account: str, address: str) -> None:
        """Count a failure."""
        place = place_of(address)
        self._places.take(place)
        self._account_places.take((account, place))
        if (account, place) not in self._known:
            self._accounts.take(account)

    def succeeded(self, account: str, address: str) -> None:
        """Note that the user was here. What the place has failed with other accounts still counts."""
        pair = (account, place_of(address))
        self._account_places.reset(pair)
        self._known[pair] = None
        self._known.move_to_end(pair)
        if len(self._known) > self._max_keys:
            self._known.popitem(last=False)


def place_of(address: str) -> str:
    """Return what one caller cannot change at will: an IPv4 address, or the /64 of an IPv6 address (RFC 6177 section 2)."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped is not None else str(IPv6Network((int(parsed), 64), strict=False))
    return str(parsed)


def whole_s(wait_s: float) -> int:
    """Return a wait as `Retry-After` says it: whole seconds, rounded up, at least 1 (RFC 9110 section 10.2.3)."""
    return max(1, math.ceil(wait_s))
