"""Password checks with bounded concurrency: each takes 64 MB and a tenth of a second or more of a core.

A flood of sign-ins waits in a bounded queue, for threads of its own that run at a low priority. A caller with too many failures
(`rate_limits.SignInLimits`) is refused before it waits and again when its turn has come.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final

from tether_rt.auth import credentials
from tether_rt.auth.password_rules import require_good
from tether_rt.auth.rate_limits import SignInLimits, retry_after_s
from tether_rt.errors import TooManyRequests, Unavailable

MAX_CONCURRENT_CHECKS: Final = max(1, min(4, (os.cpu_count() or 1) // 2))
MAX_WAITING: Final = 500
_NICENESS: Final = 10


class PasswordCheck:
    """Checks passwords, `MAX_CONCURRENT_CHECKS` at a time. A process has one."""

    def __init__(
        self,
        limits: SignInLimits | None = None,
        *,
        max_waiting: int = MAX_WAITING,
        matches: Callable[[str, str], bool] = credentials.password_matches,
        hash_password: Callable[[str], str] = credentials.hash_password,
        decoy_hash: Callable[[], str] = credentials.decoy_hash,
    ) -> None:
        """The functions are those of `credentials` unless a test replaces them."""
        self._limits = SignInLimits() if limits is None else limits
        self._max_waiting = max_waiting
        self._matches = matches
        self._hash_password = hash_password
        self._waiting = 0
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_CHECKS)
        self._threads = ThreadPoolExecutor(
            MAX_CONCURRENT_CHECKS, thread_name_prefix="tether-password", initializer=_lower_priority
        )
        # Made now, so that the first unknown address does not take longer than those after it.
        self._decoy_hash = self._threads.submit(decoy_hash)

    def require_allowed(self, account: str, address: str) -> None:
        """Raise `TooManyRequests` if the account or the address has failed too often."""
        wait_s = self._limits.wait_s(account, address)
        if wait_s:
            raise TooManyRequests("Too many failed attempts to sign in; wait a little.", retry_after_s(wait_s), limit="sign_in")

    async def matches(self, password: str, hashed: str | None, account: str, address: str) -> bool:
        """Say if `hashed` is the hash of `password`. If `hashed` is None, return False after the same time.

        `account` is the name that was tried, `address` the caller's. Raises `TooManyRequests` after too many failures, and
        `Unavailable` if too many callers wait.
        """
        async with self._turn():
            self.require_allowed(account, address)
            loop = asyncio.get_running_loop()
            right = await loop.run_in_executor(self._threads, self._check, password, hashed)
            # Count the attempt before the next one begins, so that attempts made at the same time are counted one by one.
            (self._limits.succeeded if right else self._limits.failed)(account, address)
            return right

    async def hash(self, password: str, email: str, full_name: str, field: str = "password") -> str:
        """Return the hash of a password that a person chooses; raises `BadRequest` for one that is too weak, `Unavailable`."""

        def judged() -> str:
            require_good(password, email, full_name, field)
            return self._hash_password(password)

        async with self._turn():
            return await asyncio.get_running_loop().run_in_executor(self._threads, judged)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= self._max_waiting:
            raise Unavailable("Too many people are signing in at once; try again shortly.", 2, limit="sign_in_line")
        self._waiting += 1
        try:
            async with self._slots:
                yield
        finally:
            self._waiting -= 1

    def _check(self, password: str, hashed: str | None) -> bool:
        return self._matches(password, hashed or self._decoy_hash.result()) and hashed is not None

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False)


def _lower_priority() -> None:
    """Let the event loop's thread run first.

    On Linux each thread has its own niceness, which the threads that argon2 starts inherit (nice(2)). Elsewhere the niceness is
    the process', so it is left alone.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
