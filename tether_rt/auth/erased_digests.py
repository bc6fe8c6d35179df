"""Keyed digests of calls that were erased: a repetition is known by its digest, and nobody can read the call's id from it.

The key is random, and encrypted with the server's secret in MongoDB. So the digests stay true when the secret changes
(`TETHER_SECRET_PREVIOUS`, `tether-rt reseal`). With several keys, as after a secret was lost, each is tried.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from typing import Final

from tether_rt.auth.credentials import Keyring
from tether_rt.mongo.digest_keys import DigestKeys
from tether_rt.runtime.logs import log

_LOG: Final = logging.getLogger("tether.auth")


class ErasedDigests:
    """Makes the digests; `load` it first."""

    def __init__(self, keys: DigestKeys, keyring: Keyring) -> None:
        self._keys = keys
        self._keyring = keyring
        self._opened: list[bytes] = []

    async def load(self) -> None:
        """Read the keys, and make the first one. Raises the driver's errors."""
        if not await self._open():
            await self._keys.add(self._keyring.key_id(), self._keyring.seal(secrets.token_hex(32)))
            await self._open()

    async def _open(self) -> bool:
        opened = {one["_id"]: self._keyring.unseal(one["sealed"]) for one in await self._keys.every()}
        lost = [key_id for key_id, text in opened.items() if text is None]
        if lost:
            log(_LOG, logging.WARNING, "digest_keys_lost", count=len(lost))
        self._opened = [bytes.fromhex(text) for text in opened.values() if text is not None]
        return bool(self._opened)

    def digests_of(self, key: tuple[str, str]) -> list[str]:
        """Return the digests of a source's id and an `externalCallId`: one for each key."""
        text = f"{key[0]}\0{key[1]}".encode(errors="surrogatepass")
        return [hmac.digest(opened, text, "sha256").hex() for opened in self._opened]

    def digest_of(self, source_id: str, external_call_id: str) -> str:
        """Return the digest under which an erased call is remembered."""
        return self.digests_of((source_id, external_call_id))[-1]

    async def has(self, source_id: str, external_call_id: str) -> bool:
        """Say if a source's call with this `externalCallId` was erased. Raises the driver's errors."""
        return await self._keys.is_erased(self.digests_of((source_id, external_call_id)))
