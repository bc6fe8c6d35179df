"""Who is calling: API keys and sessions, looked up once and remembered for a few seconds.

The cache is what makes "the old key stops working within 5 s in other processes" true, and what keeps a storm of requests
with one key, or with random ones, from becoming a storm of look-ups: it is bounded, remembers what is not there as well, and
asks the database once for callers that wait for the same thing.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from tether_rt import auth
from tether_rt.auth import Keyring, SessionClaims
from tether_rt.domain import Caller
from tether_rt.store.client import new_id
from tether_rt.store.sessions import Sessions
from tether_rt.store.users import Users

SESSION_LIFETIME: Final = timedelta(days=7)
_REMEMBER_S: Final = 4.0
"""Below the contract's 5 s, so that look-up and clock have room."""
_REMEMBER_ENTRIES: Final = 20_000

Session = SessionClaims
_T = TypeVar("_T")


class _Remembered(Generic[_T]):
    """A bounded cache over one asynchronous look-up, None included; one look-up at a time for a key."""

    def __init__(self, find: Callable[[str], Awaitable[_T | None]], clock: Callable[[], float] = time.monotonic) -> None:
        self._find = find
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, _T | None]] = OrderedDict()
        self._asked: dict[str, asyncio.Task[_T | None]] = {}

    async def get(self, key: str) -> _T | None:
        entry = self._known.get(key)
        if entry is not None and self._clock() < entry[0]:
            return entry[1]
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.create_task(self._ask(key))
            task.add_done_callback(lambda _: self._asked.pop(key, None))
        return await asyncio.shield(task)

    async def _ask(self, key: str) -> _T | None:
        asked_at = self._clock()
        found = await self._find(key)
        self._known[key] = (asked_at + _REMEMBER_S, found)
        self._known.move_to_end(key)
        while len(self._known) > _REMEMBER_ENTRIES:
            self._known.popitem(last=False)
        return found

    def forget(self, key: str) -> None:
        """Drop what is known, and what an answer under way would say."""
        self._known.pop(key, None)
        self._asked.pop(key, None)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The outcome of a right password: the token and the user as the contract shows it."""

    token: str
    claims: SessionClaims
    user: dict[str, Any]


class Identity:
    """Answers who a key or a token belongs to, and makes and ends both."""

    def __init__(self, users: Users, sessions: Sessions, keyring: Keyring) -> None:
        self._users = users
        self._sessions = sessions
        self._keyring = keyring
        self._callers = _Remembered(users.caller_by_key_digest)
        self._live = _Remembered(sessions.find)

    async def caller(self, key: str) -> Caller | None:
        """Return whose API key this is, or None."""
        return await self._callers.get(auth.api_key_digest(key)) if auth.looks_like_api_key(key) else None

    async def session(self, token: str) -> Session | None:
        """Return the session of a token, or None when it is forged, expired or ended."""
        claims = self._keyring.session_claims(token)
        if claims is None or await self._live.get(claims.session_id) is None:
            return None
        return claims

    async def live_sessions(self, session_ids: Iterable[str]) -> set[str]:
        """Return those of the ids that have not been ended; one query, past the cache."""
        return await self._sessions.live(list(session_ids))

    async def sign_in(self, email: str, password: str) -> SignedIn | None:
        """Check a password and begin a session; None when either is wrong, after the same time."""
        user = await self._users.by_email(email)
        hashed = user["passwordHash"] if user else auth.NOBODYS_HASH
        matches = await asyncio.to_thread(auth.password_matches, password, hashed)
        if user is None or not matches:
            return None
        claims = SessionClaims(
            session_id=new_id(),
            user_id=user["_id"],
            organization_id=user["organizationId"],
            expires_at=(datetime.now(UTC) + SESSION_LIFETIME).replace(microsecond=0),
        )
        await self._sessions.add(claims)
        shown = {
            "id": user["_id"],
            "email": user["email"],
            "fullName": user["fullName"],
            "organizationId": user["organizationId"],
            "accessRole": user["accessRole"],
        }
        return SignedIn(self._keyring.session_token(claims), claims, shown)

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
        key = auth.new_api_key()
        old_digest = await self._users.replace_key(user_id, auth.api_key_digest(key), self._keyring.seal(key))
        if old_digest is None:
            return None
        self._callers.forget(old_digest)
        return key
