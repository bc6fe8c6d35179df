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

    def __init__(self, key: bytes) -> None:
        """`key` has 32 bytes and no other use."""
        self._key = key

    def seal(self, body: bytes | bytearray | memoryview, place: str) -> Iterator[bytes]:
        """Yield the sealed body in pieces."""
        salt = os.urandom(_SALT_BYTES)
        cipher = self._cipher(salt, place)
        yield _VERSION + salt
        view = memoryview(body)
        for number, start in enumerate(range(0, max(1, len(view)), CHUNK_BYTES)):
            is_last = start + CHUNK_BYTES >= len(view)
            yield cipher.encrypt(_nonce(number, is_last), view[start : start + CHUNK_BYTES], None)

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
        held, number, cipher = bytearray(), 0, None
        sealed_bytes = CHUNK_BYTES + _TAG_BYTES
        for piece in pieces:
            held += piece
            if cipher is None:
                if len(held) < _HEAD_BYTES:
                    continue
                if held[:1] != _VERSION:
                    raise SealBroken(f"sealed with another version than {_VERSION[0]}")
                cipher = self._cipher(bytes(held[1:_HEAD_BYTES]), place)
                del held[:_HEAD_BYTES]
            while len(held) > sealed_bytes:  # the last chunk is known by the end alone
                yield _decrypted(cipher, held[:sealed_bytes], number, is_last=False)
                del held[:sealed_bytes]
                number += 1
        if cipher is None:
            raise SealBroken("shorter than its head")
        yield _decrypted(cipher, held, number, is_last=is_whole)

    def _cipher(self, salt: bytes, place: str) -> AESGCM:
        return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=salt, info=place.encode()).derive(self._key))


def _nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(11) + bytes([is_last])


def _decrypted(cipher: AESGCM, chunk: bytearray, number: int, *, is_last: bool) -> bytes:
    try:
        return cipher.decrypt(_nonce(number, is_last), bytes(chunk), None)
    except InvalidTag as error:
        raise SealBroken("changed, or sealed with another secret or for another place") from error
