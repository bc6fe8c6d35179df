"""Rate limits by key, with bounded memory and a clock that is an argument.

A `RateLimit` is a token bucket for each key. It is stored as one number, the time at which the bucket is full again (the
generic cell rate algorithm of ITU-T I.371, which decides the same), and a full bucket is not stored at all.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final, Generic, TypeVar

_MAX_KEYS: Final = 20_000
"""About 4 MB for one limit. Above it, the key that was used least recently is forgotten."""
_EPSILON_S: Final = 1e-6
"""Tolerance for rounding when intervals are added in floating point."""

_Key = TypeVar("_Key", bound=Hashable)


class RateLimit(Generic[_Key]):
    """Allows each key `burst` uses at once, and one more every `interval_s` seconds."""

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
        """Return in how many seconds the key may be used next; 0.0 for now. Takes nothing."""
        if key not in self._full_at:
            return 0.0
        self._full_at.move_to_end(key)
        wait_s = self._full_at[key] - self._clock() - self._tolerance_s
        return wait_s if wait_s > _EPSILON_S else 0.0

    def take(self, key: _Key, uses: int = 1) -> float:
        """Use the key and return 0.0, or take nothing and return in how many seconds it may be used.

        Where one use is left, several may be taken; the key is then blocked for longer.
        """
        wait_s = self.wait_s(key)
        if not wait_s:
            now = self._clock()
            self._full_at[key] = max(self._full_at.get(key, now), now) + uses * self._interval_s
            self._forget(now)
        return wait_s

    def reset(self, key: _Key) -> None:
        """Fill the key's bucket."""
        self._full_at.pop(key, None)

    def _forget(self, now: float) -> None:
        """Drop up to two buckets: those that are full again, and the oldest ones above `max_keys`."""
        for _ in range(2):
            oldest, full_at = next(iter(self._full_at.items()))
            if full_at > now and len(self._full_at) <= self._max_keys:
                return
            del self._full_at[oldest]


class SignInLimits:
    """Limits on failed sign-ins. An account that does not exist is limited like any other.

    Three limits make guessing slow, and yet a stranger cannot lock a user out:

    - all accounts, from one network (`network_of` an address);
    - one account, from one network: a stranger elsewhere does not use up the user's attempts;
    - one account, from everywhere: much larger, against guessing from many networks at once. It does not apply to networks from
      which the user has signed in since this process started.
    """

    NETWORK_FAILURES: Final = 50
    ACCOUNT_FAILURES: Final = 10
    ACCOUNT_FAILURES_EVERYWHERE: Final = 100
    NETWORK_INTERVAL_S: Final = 12.0
    ACCOUNT_INTERVAL_S: Final = 60.0

    def __init__(self, *, max_keys: int = _MAX_KEYS, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_keys = max_keys
        self._networks = RateLimit[str](self.NETWORK_FAILURES, self.NETWORK_INTERVAL_S, max_keys=max_keys, clock=clock)
        self._account_networks = RateLimit[tuple[str, str]](
            self.ACCOUNT_FAILURES, self.ACCOUNT_INTERVAL_S, max_keys=max_keys, clock=clock
        )
        self._accounts = RateLimit[str](
            self.ACCOUNT_FAILURES_EVERYWHERE, self.NETWORK_INTERVAL_S, max_keys=max_keys, clock=clock
        )
        self._trusted: OrderedDict[tuple[str, str], None] = OrderedDict()

    def __len__(self) -> int:
        """Return how many entries are stored, over all limits."""
        return len(self._networks) + len(self._account_networks) + len(self._accounts) + len(self._trusted)

    def wait_s(self, account: str, address: str) -> float:
        """Return in how many seconds the next attempt is allowed; 0.0 for now."""
        network = network_of(address)
        pair = (account, network)
        everywhere_s = 0.0 if pair in self._trusted else self._accounts.wait_s(account)
        return max(self._networks.wait_s(network), self._account_networks.wait_s(pair), everywhere_s)

    def failed(self, account: str, address: str) -> None:
        """Count a failure."""
        network = network_of(address)
        self._networks.take(network)
        self._account_networks.take((account, network))
        if (account, network) not in self._trusted:
            self._accounts.take(account)

    def succeeded(self, account: str, address: str) -> None:
        """Clear the account's failures from this network. The network's failures with other accounts still count."""
        pair = (account, network_of(address))
        self._account_networks.reset(pair)
        self._trusted[pair] = None
        self._trusted.move_to_end(pair)
        if len(self._trusted) > self._max_keys:
            self._trusted.popitem(last=False)


def network_of(address: str) -> str:
    """Return what a caller cannot change at will: the IPv4 address, or the /64 of an IPv6 address (RFC 6177 section 2)."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped is not None else str(IPv6Network((int(parsed), 64), strict=False))
    return str(parsed)


def retry_after_s(wait_s: float) -> int:
    """Return a wait as the value of `Retry-After`: whole seconds, rounded up, at least 1 (RFC 9110 section 10.2.3)."""
    return max(1, math.ceil(wait_s))
