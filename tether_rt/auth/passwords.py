"""Checking passwords without being starved by it: each check takes 64 MB and a tenth of a second of the processor.

A storm of sign-ins therefore waits in a line of its own, in threads that yield to everything else, and a line that is full says
so. Whoever has failed too often (`limits.SignInLimits`) is told before the work begins, again when the turn comes, and only
failures count.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tether_rt.auth import credentials
from tether_rt.auth.rate_limits import SignInLimits, whole_s
from tether_rt.errors import TooManyRequests, Unavailable

AT_ONCE: Final = max(1, min(4, (os.cpu_count() or 1) // 2))
MAX_WAITING: Final = 500
_NICE: Final = 10


class PasswordCheck:
    """Checks passwords, `AT_ONCE` at a time; one for the process."""

    def __init__(self, limits: SignInLimits | None = None, *, max_waiting: int = MAX_WAITING) -> None:
        self._limits = limits or SignInLimits()
        self._max_waiting = max_waiting
        self._waiting = 0
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="tether-password", initializer=_yield_to_others)

    def require_allowed(self, account: str, address: str) -> None:
        """Return when one more attempt may be made; raises `TooManyRequests` otherwise."""
        wait_s = self._limits.wait_s(account, address)
        if wait_s:
            raise TooManyRequests("Too many failed attempts to sign in; wait a little.", whole_s(wait_s), limit="sign_in")

    async def matches(self, password: str, hashed: str | None, account: str, address: str) -> bool:
        """Say if the password is the hashed one; without a hash it never is, after the same time.

        `account` is the name that was tried, `address` where from. Raises `TooManyRequests` after too many failures, and
        `Unavailable` when too many are waiting.
        """
        if self._waiting >= self._max_waiting:
            raise Unavailable("Too many people are signing in at once; try again shortly.", 2, limit="sign_in_line")
        self._waiting += 1
        try:
            async with self._turn:
                self.require_allowed(account, address)
                loop = asyncio.get_running_loop()
                right = await loop.run_in_executor(
                    self._threads, credentials.password_matches, password, hashed or credentials.NOBODYS_HASH
                )
                right = right and hashed is not None
                # Before the next one's turn comes, so that attempts made all at once are counted one by one.
                (self._limits.succeeded if right else self._limits.failed)(account, address)
                return right
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False)


def _yield_to_others() -> None:
    """Let the event loop's thread go first: on Linux each thread has its niceness, and argon2's own inherit it (nice(2))."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
