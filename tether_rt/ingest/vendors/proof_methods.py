"""The ways in which vendors prove that a body is theirs: each takes it piece by piece, and says at the end what is wrong. Pure.

Almost all hash while the body streams. Ed25519 and Twilio's forms need the whole body, which is small with them.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, Protocol
from urllib.parse import unquote_to_bytes

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Fault = Literal["signature", "stale", "too_large"]
"""Wrong or missing; outside of the tolerance; a body too large for a proof that needs all of it at once."""

Buffer = bytes | bytearray | memoryview

MAX_FORM_BYTES: Final = 32 * 1024
"""Of a form of Twilio's, which is sorted before it is hashed. Twilio's own have a few KiB."""
MAX_ED25519_BYTES: Final = 256 * 1024
"""Of a body that is signed with Ed25519: it is hashed once more for each key and signature."""
MAX_FIELDS: Final = 1000


class Method(Protocol):
    """One way to prove the origin."""

    def update(self, piece: Buffer) -> None: ...

    def fault(self) -> Fault | None: ...


class Mac:
    """HMAC of the body with something before and after it, by any of the keys."""

    def __init__(
        self,
        keys: Iterable[bytes],
        given: Iterable[str],
        *,
        before: bytes = b"",
        after: bytes = b"",
        encode: Callable[[bytes], str] = bytes.hex,
        digest: str = "sha256",
    ) -> None:
        """`given` are the signatures of the request, as `encode` writes them."""
        self._macs = [hmac.new(key, before, digest) for key in keys]
        self._given = [wire(signature) for signature in given]
        self._after = after
        self._encode = encode

    def update(self, piece: Buffer) -> None:
        for mac in self._macs:
            mac.update(piece)

    def fault(self) -> Fault | None:
        for mac in self._macs:
            whole = mac.copy()
            whole.update(self._after)
            made = self._encode(whole.digest()).encode()
            if any(hmac.compare_digest(made, given) for given in self._given):
                return None
        return "signature"


class WholeBody:
    """The body, as far as a proof that needs all of it at once takes it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._body = bytearray()
        self._is_too_large = False

    def update(self, piece: Buffer) -> None:
        self._is_too_large = self._is_too_large or len(self._body) + len(piece) > self._limit
        if not self._is_too_large:
            self._body += piece

    def fault(self) -> Fault | None:
        if self._is_too_large:
            return "too_large"
        return None if self._holds(bytes(self._body)) else "signature"

    def _holds(self, body: bytes) -> bool:
        raise NotImplementedError


class Ed25519(WholeBody):
    """Ed25519 over the body with something before it."""

    def __init__(self, keys: Iterable[bytes], given: Iterable[bytes], before: bytes) -> None:
        super().__init__(MAX_ED25519_BYTES)
        self._keys = [Ed25519PublicKey.from_public_bytes(key) for key in keys if len(key) == 32]
        self._given = list(given)
        self._before = before

    def _holds(self, body: bytes) -> bool:
        message = self._before + body
        return any(_is_signed(key, signature, message) for key in self._keys for signature in self._given)


def _is_signed(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


class Form(WholeBody):
    """Twilio's HMAC over the address and the fields of a form, sorted."""

    def __init__(self, keys: Sequence[bytes], urls: Sequence[bytes], given: str, digest: str) -> None:
        super().__init__(MAX_FORM_BYTES)
        self._keys = keys
        self._urls = urls
        self._given = given
        self._digest = digest

    def _holds(self, body: bytes) -> bool:
        fields = _sorted_fields(body)
        if fields is None:
            return False
        signed = [url + fields for url in self._urls]
        macs = [Mac(self._keys, [self._given], before=text, encode=base64_of, digest=self._digest) for text in signed]
        return any(mac.fault() is None for mac in macs)


def _sorted_fields(body: bytes) -> bytes | None:
    """Return the names and values of a form as Twilio signs them, None if there are too many.

    Names are sorted by code point (which is the order of their UTF-8), and so are the values of one name, each of which counts
    once. Blank values count.
    """
    if body.count(b"&") >= MAX_FIELDS:
        return None
    pairs = {
        (_unquoted(name), _unquoted(value)) for name, _, value in (item.partition(b"=") for item in body.split(b"&") if item)
    }
    return b"".join(name + value for name, value in sorted(pairs))


def _unquoted(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


class HashedInAddress:
    """A body whose SHA-256 stands in an address that is signed itself."""

    def __init__(self, expected: str) -> None:
        """`expected` is hexadecimal."""
        self._expected = wire(expected.lower())
        self._sha256 = hashlib.sha256()

    def update(self, piece: Buffer) -> None:
        self._sha256.update(piece)

    def fault(self) -> Fault | None:
        return None if hmac.compare_digest(self._sha256.hexdigest().encode(), self._expected) else "signature"


class Proven:
    """An origin that the headers prove, whatever the body is."""

    def update(self, piece: Buffer) -> None:
        pass

    def fault(self) -> Fault | None:
        return None


def key_of(secret: str) -> bytes:
    return secret.encode("utf-8", "surrogatepass")


def wire(text: str) -> bytes:
    """Return a header's bytes; what cannot have come in a header matches nothing."""
    return text.encode("latin-1", "backslashreplace")


def base64_of(digest: bytes) -> str:
    return b64encode(digest).decode()


def bytes_of_base64(text: str) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return None
