"""Who reads with a read token: looked up in MongoDB as API keys are, and watched while streams are open."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Final

from tether_rt.auth import credentials
from tether_rt.auth.identity import LookupCache, Session
from tether_rt.auth.last_seen import LastSeen
from tether_rt.domain.read_token import ReadToken
from tether_rt.mongo.read_tokens import ReadTokenQueries
from tether_rt.runtime.deadlines import Deadline

CACHE_S: Final = 2.0
"""A stream may be opened by a token that was revoked this long ago, and the hub looks every 2 s: together below 5 s."""

Reader = Session | ReadToken
"""Who reads: a person with a session, or a program with a read token."""


class ReadTokens:
    """Finds the token that a text is."""

    def __init__(self, stored: ReadTokenQueries, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` decides how long a look-up is cached."""
        self._stored = stored
        self._found = LookupCache(stored.by_digest, cache_s=CACHE_S, clock=clock)
        self.last_used = LastSeen(stored, clock=clock)

    async def get(self, text: str, deadline: Deadline) -> ReadToken | None:
        """Return the token, None if there is no such token or it was revoked or has expired. Raises as `LookupCache.get`."""
        if not credentials.looks_like_read_token(text):
            return None
        token = await self._found.get(credentials.api_key_digest(text), deadline)
        if token is None or token.expires_at <= datetime.now(UTC):
            return None
        self.last_used.note(token.id)
        return token

    async def revoked(self, token_ids: Collection[str]) -> set[str]:
        """Return those of the tokens, by which streams are open, that were revoked; the others are in use."""
        live = await self._stored.live(token_ids) if token_ids else set()
        for token_id in live:
            self.last_used.note(token_id)
        return set(token_ids) - live

    def forget(self, digest: str) -> None:
        """Have a token looked up again."""
        self._found.forget(digest)
