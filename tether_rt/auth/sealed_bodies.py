"""Encryption of request bodies at rest: authenticated, and in chunks, so that a large one is never held twice. No I/O.

A sealed body is a version (1 byte), a salt (16 bytes), and chunks of AES-256-GCM, each with its tag of 16 bytes. The salt gives
each body a key of its own (HKDF, RFC 5869), so that the nonces may be counted: the number of the chunk, and whether it is the
last one. A chunk that is missing, moved or changed is noticed, and so is a body that was moved to another place (the STREAM
construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CHUNK_BYTES: Final = 256 * 1024
_VERSION: Final = b"\1"
_SALT_BYTES: Final = 16
_TAG_BYTES: Final = 16
_HEAD_BYTES: Final = len(_VERSION) + _SALT_BYTES
FIRST_CHUNK_BYTES: Final = _HEAD_BYTES + CHUNK_BYTES + _TAG_BYTES
"""What has to be read of a sealed body for its beginning."""


class SealBroken(ValueError):
    """A sealed body was changed, or was sealed with another secret or for another place."""


def sealed_bytes(size_bytes: int) -> int:
    """Return the size of a body of `size_bytes` once it is sealed."""
    chunks = max(1, -(-size_bytes // CHUNK_BYTES))
    return _HEAD_BYTES + size_bytes + chunks * _TAG_BYTES


class BodySeal:
    """Seals and opens bodies; `place` names what is sealed, and has to be the same for both."""

    def __init__(self, key: bytes, previous: bytes | None = None) -> None:
        """`key` has 32 bytes and no other use. What was sealed with the `previous` key is still opened."""
        self._keys = (key,) if previous is None else (key, previous)

    def seal(self, body: bytes | bytearray | memoryview, place: str) -> Iterator[bytes]:
        """Yield the sealed body in pieces."""
        salt = os.urandom(_SALT_BYTES)
        cipher = _cipher(self._keys[0], salt, place)
        yield _VERSION + salt
        view = memoryview(body)
        for number, start in enumerate(range(0, max(1, len(view)), CHUNK_BYTES)):
            is_last = start + CHUNK_BYTES >= len(view)
            yield cipher.encrypt(_nonce(number, is_last), view[start : start + CHUNK_BYTES], None)

    def is_current(self, beginning: bytes, place: str, *, is_whole: bool) -> bool:
        """Say if a body was sealed with the key, not with the previous one or another; `beginning` as in `opened_beginning`."""
        try:
            BodySeal(self._keys[0]).opened_beginning(beginning, place, is_whole=is_whole)
        except SealBroken:
            return False
        return True

    def opened(self, sealed: bytes | bytearray, place: str) -> bytes:
        """Return the body; raises `SealBroken`."""
        return b"".join(self._chunks([sealed], place, is_whole=True))

    def opened_pieces(self, pieces: Iterable[bytes], place: str) -> Iterator[bytes]:
        """Yield the body of a sealed one that is read in pieces of any size; raises `SealBroken`, perhaps at its end."""
        return self._chunks(pieces, place, is_whole=True)

    def opened_beginning(self, beginning: bytes, place: str, *, is_whole: bool) -> bytes:
        """Return what the first `FIRST_CHUNK_BYTES` hold of a body, or all of a shorter one; raises `SealBroken`."""
        return b"".join(self._chunks([beginning], place, is_whole=is_whole))

    def _chunks(self, pieces: Iterable[bytes | bytearray], place: str, *, is_whole: bool) -> Iterator[bytes]:
        held, number = bytearray(), 0
        ciphers: list[AESGCM] = []
        """Those that may open it: all keys before the first chunk, the right one after it."""
        sealed_bytes = CHUNK_BYTES + _TAG_BYTES
        for piece in pieces:
            held += piece
            if not ciphers:
                if len(held) < _HEAD_BYTES:
                    continue
                if held[:1] != _VERSION:
                    raise SealBroken(f"sealed with another version than {_VERSION[0]}")
                ciphers = [_cipher(key, bytes(held[1:_HEAD_BYTES]), place) for key in self._keys]
                del held[:_HEAD_BYTES]
            while len(held) > sealed_bytes:  # the last chunk is known by the end alone
                yield _decrypted(ciphers, held[:sealed_bytes], number, is_last=False)
                del held[:sealed_bytes]
                number += 1
        if not ciphers:
            raise SealBroken("shorter than its head")
        yield _decrypted(ciphers, held, number, is_last=is_whole)


def _cipher(key: bytes, salt: bytes, place: str) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=salt, info=place.encode()).derive(key))


def _nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(11) + bytes([is_last])


def _decrypted(ciphers: list[AESGCM], chunk: bytearray, number: int, *, is_last: bool) -> bytes:
    """Return a chunk in clear, and leave in `ciphers` the one that opened it."""
    for cipher in tuple(ciphers):
        try:
            opened = cipher.decrypt(_nonce(number, is_last), bytes(chunk), None)
        except InvalidTag:
            continue
        ciphers[:] = [cipher]
        return opened
    raise SealBroken("changed, or sealed with another secret or for another place")
