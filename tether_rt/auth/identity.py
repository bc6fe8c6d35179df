"""Who is calling: API keys and sessions, looked up in MongoDB and cached for a few seconds.

The cache bounds for how long another process still accepts an API key that was replaced: 5 s. It also makes requests without a
valid key cheap: thousands of random keys are looked up with few queries.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from tether_rt.auth import credentials
from tether_rt.auth.credentials import Keyring, SessionClaims
from tether_rt.auth.last_seen import LastSeen
from tether_rt.auth.passwords import PasswordCheck
from tether_rt.auth.refusal_counts import RefusalCounts
from tether_rt.domain.source import Source
from tether_rt.errors import Unavailable
from tether_rt.mongo.account_documents import OrganizationDocument, SourceDocument, UserDocument
from tether_rt.mongo.client import new_id
from tether_rt.mongo.sessions import Sessions
from tether_rt.mongo.sources import Sources, source_of
from tether_rt.mongo.user_changes import Changed
from tether_rt.mongo.users import Users, normal_email
from tether_rt.runtime.batching import Batcher
from tether_rt.runtime.deadlines import Deadline
from tether_rt.runtime.logs import log

SESSION_LIFETIME: Final = timedelta(days=7)
CACHE_S: Final = 4.0
"""Below the contract's 5 s, which leaves time for the query."""
MAX_CACHED: Final = 20_000
MAX_WAITING: Final = 4_096
"""Unknown keys that may wait for their look-up. A key that was found before may wait beyond it."""
_KEYS_PER_QUERY: Final = 1_000

_ID: Final = re.compile(r"[0-9a-f]{24}")
_MAX_SECRET_CHARS: Final = 1_024
_LOG: Final = logging.getLogger("tether.auth")
_T = TypeVar("_T")


class LookupCache(Generic[_T]):
    """A bounded cache of look-ups, which also remembers the keys that do not exist.

    One query runs at a time. Keys that are asked for meanwhile share the next one, those that were found before first. So a
    storm of unknown keys costs one query for hundreds of them, and delays a known key by one query at most. The two kinds are
    cached apart: unknown keys never displace known ones.
    """

    def __init__(
        self,
        find: Callable[[list[str]], Awaitable[Mapping[str, _T]]],
        *,
        cache_s: float = CACHE_S,
        max_cached: int = MAX_CACHED,
        max_waiting: int = MAX_WAITING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`find` takes keys and returns what exists, by key. Each outcome is cached for `cache_s` seconds by `clock`.

        `max_cached` bounds the known keys and the unknown ones alike.
        """
        self._find = find
        self._cache_s = cache_s
        self._max_cached = max_cached
        self._max_waiting = max_waiting
        self._clock = clock
        # key -> (time at which it expires, value). An expired entry still tells that the key existed.
        self._found: OrderedDict[str, tuple[float, _T]] = OrderedDict()
        self._missing: OrderedDict[str, float] = OrderedDict()
        self._pending: dict[str, asyncio.Future[_T | None]] = {}
        self._queried: set[str] = set()  # the keys of the query under way, without those that were forgotten since it began
        self._batcher = Batcher[str, _T | None](
            self._look_up, max_items=_KEYS_PER_QUERY, order=lambda key: key not in self._found
        )

    def __len__(self) -> int:
        """Return how many keys are cached, known or not."""
        return len(self._found) + len(self._missing)

    def cached(self, key: str) -> _T | None:
        """Return the value of `key` if it is cached and has not expired."""
        found = self._found.get(key)
        return found[1] if found is not None and self._clock() < found[0] else None

    async def get(self, key: str, deadline: Deadline) -> _T | None:
        """Return the value of `key`, or None if it does not exist.

        Raises `Unavailable` if too many unknown keys wait or `deadline` is used up, and whatever `find` raises.
        """
        value = self.cached(key)
        if value is not None:
            return value
        is_unknown, now = key not in self._found, self._clock()
        if is_unknown and now < self._missing.get(key, now):
            return None
        answer = self._pending.get(key)
        if answer is None:
            if is_unknown and self._batcher.waiting >= self._max_waiting:
                raise Unavailable("The server is busy with requests of unknown callers; send this one again shortly.", 1,
                                  limit="look_ups")  # fmt: skip
            answer = self._pending[key] = self._batcher.submit(key)
        async with deadline:
            return await asyncio.shield(answer)

    def forget(self, key: str) -> None:
        """Drop `key` from the cache. The answer of a query under way is not cached, nor shared with later callers."""
        self._found.pop(key, None)
        self._missing.pop(key, None)
        if key in self._queried:
            self._queried.remove(key)
            del self._pending[key]

    async def _look_up(self, keys: list[str]) -> list[_T | None]:
        self._queried = set(keys)
        expires_at = self._clock() + self._cache_s
        try:
            found = await self._find(keys)
        except Exception as error:
            # The keys that wait would each find out for themselves that MongoDB is away, one slow query after another.
            self._pending.clear()
            self._queried.clear()
            self._batcher.fail_waiting(error)
            raise
        for key in self._queried:
            del self._pending[key]
            self._remember(key, found.get(key), expires_at)
        self._queried.clear()
        return [found.get(key) for key in keys]

    def _remember(self, key: str, value: _T | None, expires_at: float) -> None:
        self._found.pop(key, None)
        self._missing.pop(key, None)
        if value is None:
            self._missing[key] = expires_at
        else:
            self._found[key] = (expires_at, value)
        for cache in (self._found, self._missing):
            while len(cache) > self._max_cached:
                cache.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Session(SessionClaims):
    """A session that has not ended, and the role of its user."""

    role: str

    @property
    def owner_id(self) -> str:
        """Whose streams are counted together."""
        return self.user_id


@dataclass(frozen=True, slots=True)
class VendorSource:
    """A source of a vendor's kind, and its secrets in clear text."""

    source: Source
    secrets: tuple[str, ...] = field(repr=False)
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The outcome of a sign-in: the session's token and claims, the user as in the contract, and the organization."""

    token: str
    claims: SessionClaims
    user: dict[str, Any]
    organization: OrganizationDocument | None


class Identity:
    """Finds the owner of an API key or a session token, and makes and ends both."""

    def __init__(
        self,
        users: Users,
        sources: Sources,
        sessions: Sessions,
        keyring: Keyring,
        passwords: PasswordCheck | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` decides how long a look-up is cached."""
        self._users = users
        self._sources = sources
        self._sessions = sessions
        self._keyring = keyring
        self.passwords = passwords or PasswordCheck()
        self.last_seen = LastSeen(sources, clock=clock)
        self.people_seen = LastSeen(users, clock=clock)
        self.refusal_counts = RefusalCounts(sources)
        self._callers = LookupCache(self._by_key_digest, clock=clock)
        self._vendors = LookupCache(self._of_vendors, clock=clock)
        self._bearers = LookupCache(self._by_secret_digest, clock=clock)
        self._roles = LookupCache(sessions.roles, clock=clock)
        """By the ids of sessions that have not ended."""

    async def caller(self, key: str, deadline: Deadline) -> Source | None:
        """Return the source that this API key belongs to, or None. Raises as `LookupCache.get`."""
        if not credentials.looks_like_api_key(key):
            return None
        source = await self._callers.get(credentials.api_key_digest(key), deadline)
        if source is not None:
            self.last_seen.note(source.id)
        return source

    async def _by_key_digest(self, digests: list[str]) -> dict[str, Source]:
        users, sources = await asyncio.gather(
            self._users.sources_by_key_digest(digests), self._sources.by_key_digest(digests, datetime.now(UTC))
        )
        return {**users, **sources}

    async def vendor_source(self, kind: str, source_id: str, deadline: Deadline) -> VendorSource | None:
        """Return the source that a vendor's webhooks name, None if it is unknown, disabled or of another kind.

        A request to a disabled one is counted (`refusal_counts`). The caller notes that the source was seen (`last_seen`), once
        the request has proven its origin. Raises as `LookupCache.get`.
        """
        if not _ID.fullmatch(source_id):
            return None
        found = await self._vendors.get(source_id, deadline)
        if found is None or found.source.kind != kind:
            return None
        if not found.enabled:
            self.refusal_counts.note(source_id, "disabled")
            return None
        return found

    async def elevenlabs_source(self, secret: str, deadline: Deadline) -> Source | None:
        """Return the ElevenLabs source that has this secret, None if there is none. Raises as `LookupCache.get`.

        Of several in one organization it is the oldest; a secret that sources of two organizations have is nobody's.
        """
        if not 0 < len(secret) <= _MAX_SECRET_CHARS:
            return None
        for digest in self._keyring.secret_digests(secret):
            if (found := await self._bearers.get(digest, deadline)) is not None:
                break
        if found is None or not any(hmac.compare_digest(secret.encode(), own.encode()) for own in found.secrets):
            return None
        self.last_seen.note(found.source.id)
        return found.source

    async def _of_vendors(self, source_ids: list[str]) -> dict[str, VendorSource]:
        return await self._unsealed(await self._sources.of_vendors(source_ids))

    async def _by_secret_digest(self, digests: list[str]) -> dict[str, VendorSource]:
        return await self._unsealed(await self._sources.by_secret_digest("elevenlabs", digests))

    async def _unsealed(self, documents: Mapping[str, SourceDocument]) -> dict[str, VendorSource]:
        found = {}
        for key, document in documents.items():
            sealed = document.get("secrets", [])
            secrets = [secret for one in sealed if (secret := self._keyring.unseal(one["sealed"])) is not None]
            if len(secrets) < len(sealed):  # sealed with another TETHER_SECRET
                log(_LOG, logging.WARNING, "source_secrets_unreadable", source=document["_id"])
            found[key] = VendorSource(source_of(document), tuple(secrets), document["enabled"])
            await asyncio.sleep(0)  # a secret takes 0.1 ms
        return found

    async def source_by_id(self, organization_id: str, source_id: str) -> Source | None:
        """Return the organization's source with this id, whether its keys hold or not."""
        found = await self._sources.one(organization_id, source_id)
        return source_of(found) if found is not None else await self._users.source(organization_id, source_id)

    def forget(self, key: str) -> None:
        """Have a source looked up again: `key` is its id, the SHA-256 of an API key, or the keyed digest of a secret."""
        for cache in (self._callers, self._vendors, self._bearers):
            cache.forget(key)

    async def session(self, token: str, deadline: Deadline) -> Session | None:
        """Return the session of a token, or None if the token is forged, expired or its session ended. Raises as `caller`."""
        claims = self._keyring.session_claims(token)
        role = await self._roles.get(claims.session_id, deadline) if claims is not None else None
        if claims is None or role is None:
            return None
        self.people_seen.note(claims.user_id)
        return Session(claims.session_id, claims.user_id, claims.organization_id, claims.expires_at, role)

    async def changed_access(self, within_s: float) -> dict[str, str]:
        """Return the users whose role, password or sessions were changed in the last seconds, each with the role."""
        return await self._users.changed_access(within_s)

    async def live_sessions(self, session_ids: Iterable[str]) -> set[str]:
        """Return those of the sessions that have not ended, with one query that bypasses the cache."""
        return await self._sessions.live(list(session_ids))

    async def sign_in(self, email: str, password: str, address: str, deadline: Deadline) -> SignedIn | None:
        """Check a password and begin a session. Return None if the user or the password is wrong, after the same time.

        `address` is the caller's. Raises `TooManyRequests` and `Unavailable` as `PasswordCheck.matches`, and `Unavailable` if
        `deadline` is used up.
        """
        account = normal_email(email)
        self.passwords.require_allowed(account, address)
        async with deadline:
            user = await self._users.by_email(account)
        hashed = user["passwordHash"] or None if user and not user.get("disabledAt") else None
        if not await self.passwords.matches(password, hashed, account, address) or user is None:
            return None
        return await self.begin_session(user, deadline)

    async def begin_session(self, user: UserDocument, deadline: Deadline) -> SignedIn | None:
        """Begin a session of a user who has proven the password; None if it was changed, or the user disabled, meanwhile."""
        claims = SessionClaims(
            session_id=new_id(),
            user_id=user["_id"],
            organization_id=user["organizationId"],
            expires_at=(datetime.now(UTC) + SESSION_LIFETIME).replace(microsecond=0),
        )
        async with deadline:
            await self._sessions.add(claims.session_id, claims.user_id, claims.organization_id, claims.expires_at)
            # What ends all sessions ends this one from here on; what came before it is seen here.
            now, organization = await asyncio.gather(
                self._users.by_id(user["_id"]), self._users.organization(user["organizationId"])
            )
            if now is None or now["passwordHash"] != user["passwordHash"] or now.get("disabledAt"):
                await self._sessions.end(claims.session_id)
                return None
        return SignedIn(self._keyring.session_token(claims), claims, _shown(user), organization)

    async def user(self, user_id: str) -> dict[str, Any] | None:
        """Return a user as in the contract, or None if it no longer exists."""
        user = await self._users.by_id(user_id)
        return _shown(user) if user else None

    async def user_document(self, user_id: str) -> UserDocument | None:
        """Return a user as stored."""
        return await self._users.by_id(user_id)

    async def organization(self, organization_id: str) -> OrganizationDocument | None:
        """Return an organization."""
        return await self._users.organization(organization_id)

    async def sign_out(self, session_id: str) -> None:
        """End a session: in this process at once, in others when their cache has expired."""
        if (user_id := await self._sessions.end(session_id)) is not None:
            await self._users.touch(user_id)
        self._roles.forget(session_id)

    def forget_session(self, session_id: str) -> None:
        """Have a session and the role of its user looked up again."""
        self._roles.forget(session_id)

    def forget_user(self, changed: Changed) -> None:
        """Have a user, whose access has changed, looked up again."""
        self._callers.forget(changed.user["apiKeyDigest"])
        for session_id in changed.session_ids:
            self._roles.forget(session_id)

    async def api_key(self, user_id: str) -> str | None:
        """Return the user's API key, or None if the user no longer exists or the key was sealed with another secret."""
        sealed = await self._users.sealed_key(user_id)
        return self._keyring.unseal(sealed) if sealed else None

    async def regenerate_api_key(self, user_id: str) -> str | None:
        """Replace the user's API key; the old one stops working in this process at once. None if the user no longer exists."""
        key = credentials.new_api_key()
        old_digest = await self._users.replace_key(user_id, credentials.api_key_digest(key), self._keyring.seal(key))
        if old_digest is None:
            return None
        self._callers.forget(old_digest)
        return key


def _shown(user: UserDocument) -> dict[str, Any]:
    return {
        "id": user["_id"],
        "email": user["email"],
        "fullName": user["fullName"],
        "organizationId": user["organizationId"],
        "accessRole": user["accessRole"],
    }
