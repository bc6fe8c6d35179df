"""Who is calling: API keys and sessions, looked up once and remembered for a few seconds.

The cache is what makes "the old key stops working within 5 s in other processes" true. It is also why requests without a right
cost little (`LookupCache`): one key, or thousands of random ones, do not become a storm of look-ups.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from tether_rt.auth import credentials
from tether_rt.auth.credentials import Keyring, SessionClaims
from tether_rt.auth.passwords import PasswordCheck
from tether_rt.domain.call import Caller
from tether_rt.errors import Unavailable
from tether_rt.mongo.client import Document, new_id
from tether_rt.mongo.sessions import Sessions
from tether_rt.mongo.users import Users, normal_email
from tether_rt.runtime.deadlines import Deadline

SESSION_LIFETIME: Final = timedelta(days=7)
_REMEMBER_S: Final = 4.0
"""Below the contract's 5 s, so that look-up and clock have room."""
_REMEMBER_ENTRIES: Final = 20_000
MAX_ASKED: Final = 4_096
"""Look-ups that may wait; what was found before is let in beyond it."""
_QUERY_KEYS: Final = 1_000

Session = SessionClaims
_T = TypeVar("_T")


class LookupCache(Generic[_T]):
    """A bounded memory over look-ups, of what is not there as well.

    One query at a time: keys that are asked for meanwhile go into the next one, those that were found before first. So a storm
    of unknown keys costs a query for hundreds of them, drives no known key out of memory, and delays one by a single query.
    """

    def __init__(
        self, find: Callable[[list[str]], Awaitable[Mapping[str, _T]]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._find = find
        self._clock = clock
        # key -> (until when it holds, what was found); one that has run out still tells that the key is no stranger's
        self._found: OrderedDict[str, tuple[float, _T]] = OrderedDict()
        self._missing: OrderedDict[str, float] = OrderedDict()
        self._waiting: dict[str, asyncio.Future[_T | None]] = {}
        self._asked: dict[str, asyncio.Future[_T | None]] = {}
        self._query: asyncio.Task[None] | None = None

    def remembered(self, key: str) -> _T | None:
        """Return what was found under `key`, while it holds."""
        found = self._found.get(key)
        return found[1] if found is not None and self._clock() < found[0] else None

    async def get(self, key: str, deadline: Deadline) -> _T | None:
        """Return what is known of `key`; raises `Unavailable` when too many strangers wait or `deadline`, with which a look-up
        is waited for, is used up, and the driver's errors."""
        known = self.remembered(key)
        if known is not None:
            return known
        is_strange, now = key not in self._found, self._clock()
        if is_strange and now < self._missing.get(key, now):
            return None
        future = self._waiting.get(key) or self._asked.get(key)
        if future is None:
            if is_strange and len(self._waiting) >= MAX_ASKED:
                raise Unavailable("The server is busy with requests of unknown callers; send this one again shortly.", 1,
                                  limit="look_ups")  # fmt: skip
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
            if self._query is None:
                self._query = asyncio.create_task(self._answer())
        async with deadline:
            return await asyncio.shield(future)

    def forget(self, key: str) -> None:
        """Drop what is known, and what an answer under way would say."""
        self._found.pop(key, None)
        self._missing.pop(key, None)
        self._asked.pop(key, None)

    async def _answer(self) -> None:
        try:
            while self._waiting:
                batch = self._next()
                self._asked = dict(batch)
                asked_at = self._clock()
                try:
                    found = await self._find(list(batch))
                except Exception as error:  # told to everybody: who waits need not find out for themselves that it is away
                    for future in (*batch.values(), *self._waiting.values()):
                        future.set_exception(error)
                        future.exception()  # one that nobody waits for any more is no unexpected error
                    self._waiting.clear()
                    continue
                for key, future in batch.items():
                    if key in self._asked:
                        self._remember(key, found.get(key), asked_at + _REMEMBER_S)
                    future.set_result(found.get(key))
        finally:
            self._asked = {}
            self._query = None

    def _next(self) -> dict[str, asyncio.Future[_T | None]]:
        """Take what the next query asks for out of what waits."""
        keys = sorted(self._waiting, key=lambda key: key not in self._found)[:_QUERY_KEYS]
        return {key: self._waiting.pop(key) for key in keys}

    def _remember(self, key: str, found: _T | None, until: float) -> None:
        self._found.pop(key, None)
        self._missing.pop(key, None)
        if found is None:
            self._missing[key] = until
        else:
            self._found[key] = (until, found)
        for memory in (self._found, self._missing):
            while len(memory) > _REMEMBER_ENTRIES:
                memory.popitem(last=False)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The outcome of a right password: the token and the user as the contract shows it."""

    token: str
    claims: SessionClaims
    user: dict[str, Any]


class Identity:
    """Answers who a key or a token belongs to, and makes and ends both."""

    def __init__(self, users: Users, sessions: Sessions, keyring: Keyring, passwords: PasswordCheck | None = None) -> None:
        self._users = users
        self._sessions = sessions
        self._keyring = keyring
        self._passwords = passwords or PasswordCheck()
        self._callers = LookupCache(users.callers_by_key_digest)
        self._live = LookupCache(self._live_by_id)

    def remembered_caller(self, key: str) -> Caller | None:
        """Return whose API key this is, if that was looked up a moment ago."""
        return self._callers.remembered(credentials.api_key_digest(key)) if credentials.looks_like_api_key(key) else None

    async def caller(self, key: str, deadline: Deadline) -> Caller | None:
        """Return whose API key this is, or None; `deadline` is what the request has for MongoDB."""
        return (
            await self._callers.get(credentials.api_key_digest(key), deadline) if credentials.looks_like_api_key(key) else None
        )

    async def session(self, token: str, deadline: Deadline) -> Session | None:
        """Return the session of a token, or None when it is forged, expired or ended; `deadline` as for `caller`."""
        claims = self._keyring.session_claims(token)
        if claims is None or await self._live.get(claims.session_id, deadline) is None:
            return None
        return claims

    async def _live_by_id(self, session_ids: list[str]) -> dict[str, str]:
        return {session_id: session_id for session_id in await self._sessions.live(session_ids)}

    async def live_sessions(self, session_ids: Iterable[str]) -> set[str]:
        """Return those of the ids that have not been ended; one query, past the cache."""
        return await self._sessions.live(list(session_ids))

    async def sign_in(self, email: str, password: str, address: str, deadline: Deadline) -> SignedIn | None:
        """Check a password and begin a session; None when either is wrong, after the same time.

        `address` is where the attempt comes from, `deadline` what the request has for MongoDB. Raises `TooManyRequests` and
        `Unavailable` as `PasswordCheck.matches`.
        """
        account = normal_email(email)
        self._passwords.require_allowed(account, address)
        async with deadline:
            user = await self._users.by_email(account)
        hashed = user["passwordHash"] if user else None
        if not await self._passwords.matches(password, hashed, account, address) or user is None:
            return None
        claims = SessionClaims(
            session_id=new_id(),
            user_id=user["_id"],
            organization_id=user["organizationId"],
            expires_at=(datetime.now(UTC) + SESSION_LIFETIME).replace(microsecond=0),
        )
        async with deadline:
            await self._sessions.add(claims.session_id, claims.user_id, claims.organization_id, claims.expires_at)
        return SignedIn(self._keyring.session_token(claims), claims, _shown(user))

    async def user(self, user_id: str) -> dict[str, Any] | None:
        """Return a user as the contract shows one, or None when there is none any more."""
        user = await self._users.by_id(user_id)
        return _shown(user) if user else None

    async def sign_out(self, session_id: str) -> None:
        """End a session: here at once, in other processes when their few seconds of memory are over."""
        await self._sessions.end(session_id)
        self._live.forget(session_id)

    async def api_key(self, user_id: str) -> str | None:
        """Return the user's API key in clear, or None when the user is gone or the key was sealed with another secret."""
        sealed = await self._users.sealed_key(user_id)
        return self._keyring.unseal(sealed) if sealed else None

    async def regenerate_api_key(self, user_id: str) -> str | None:
        """Give the user a new key; the old one stops working here at once. None when the user is gone."""
        key = credentials.new_api_key()
        old_digest = await self._users.replace_key(user_id, credentials.api_key_digest(key), self._keyring.seal(key))
        if old_digest is None:
            return None
        self._callers.forget(old_digest)
        return key


def _shown(user: Document) -> dict[str, Any]:
    return {
        "id": user["_id"],
        "email": user["email"],
        "fullName": user["fullName"],
        "organizationId": user["organizationId"],
        "accessRole": user["accessRole"],
    }
