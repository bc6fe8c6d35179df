"""API keys, read tokens, password hashes, session tokens, signed recording links. No I/O.

The server has one secret (`TETHER_SECRET`). Each use derives its own key from it with HKDF (RFC 5869), so that a token made for
one use never passes for another.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tether_rt.auth.sealed_bodies import BodySeal

API_KEY_PREFIX: Final = "tk_live_"
_API_KEY: Final = re.compile(r"tk_live_[A-Za-z0-9_-]{43}")
_READ_TOKEN: Final = re.compile(r"tr_live_[A-Za-z0-9_-]{43}")
_HASHER: Final = PasswordHasher()
"""argon2id with the library's defaults, which follow RFC 9106's second recommended option."""


def hash_password(password: str) -> str:
    """Return an argon2id hash. Takes 0.1 s or more and 64 MB: call it in a thread."""
    return _HASHER.hash(password)


@functools.cache
def decoy_hash() -> str:
    """Return the hash of a password that nobody knows.

    It is checked when no user has the address, so that the answer takes as long as for a wrong password.
    """
    return hash_password(secrets.token_urlsafe(16))


def password_matches(password: str, hashed: str) -> bool:
    """Say if `hashed` is the hash of `password`, in constant time. Call it in a thread."""
    try:
        return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def new_api_key() -> str:
    """Return a new API key: `tk_live_` and 256 random bits."""
    return API_KEY_PREFIX + secrets.token_urlsafe(32)


def looks_like_api_key(text: str) -> bool:
    """Say if the text has the form of an API key. Any other text needs no look-up."""
    return _API_KEY.fullmatch(text) is not None


def new_read_token() -> str:
    """Return a new read token: `tr_live_` and 256 random bits."""
    return f"tr_live_{secrets.token_urlsafe(32)}"


def looks_like_read_token(text: str) -> bool:
    """Say if the text has the form of a read token."""
    return _READ_TOKEN.fullmatch(text) is not None


def api_key_digest(key: str) -> str:
    """Return the SHA-256 under which an API key or a read token is stored and found.

    Either is 256 random bits, so a fast hash is safe, and how long a look-up of the hash takes tells nothing of it.
    """
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class SessionClaims:
    """The content of a session token; `expires_at` is an aware datetime in UTC."""

    session_id: str
    user_id: str
    organization_id: str
    expires_at: datetime


class Keyring:
    """Signs, verifies, encrypts and decrypts with keys derived from the server's secret.

    What was signed or encrypted with the previous secret, if one is given, still holds; nothing new is made with it.
    """

    def __init__(self, secret: str, previous: str | None = None) -> None:
        accepted = (secret, previous) if previous else (secret,)
        self._session_key, *_ = self._session_keys = [_derive(one, b"session") for one in accepted]
        self._link_key, *_ = self._link_keys = [_derive(one, b"recording-link") for one in accepted]
        self._delivery_keys = [_derive(one, b"delivery") for one in accepted]
        self._same_key = _derive(secret, b"delivery-digest")
        self._source_keys = [_derive(one, b"source-secret") for one in accepted]
        self._box = Fernet(base64.urlsafe_b64encode(_derive(secret, b"api-key")))
        boxes = [Fernet(base64.urlsafe_b64encode(_derive(one, b"api-key"))) for one in accepted]
        self._boxes = MultiFernet(boxes)
        self._key_id = _derive(secret, b"digest-key-id").hex()[:24]

    def key_id(self) -> str:
        """Return an id for a key that is made with this secret, the same in every process."""
        return self._key_id

    def session_token(self, claims: SessionClaims) -> str:
        """Return the claims as a JWT (RFC 7519, HS256)."""
        payload = {
            "sid": claims.session_id,
            "sub": claims.user_id,
            "org": claims.organization_id,
            "iat": datetime.now(UTC),
            "exp": claims.expires_at,
        }
        return jwt.encode(payload, self._session_key, algorithm="HS256")

    def session_claims(self, token: str) -> SessionClaims | None:
        """Return the claims of a token, or None if it was signed with another key, changed, or has expired.

        Only HS256 is accepted, so a token that says `alg: none` or another algorithm is refused (RFC 8725 section 3.1).
        """
        return next((claims for key in self._session_keys if (claims := _claims(token, key)) is not None), None)

    def link_signature(self, resource: str, expires: int) -> str:
        """Return the signature of a link to `resource` (a recording's key) that is valid until `expires` (Unix seconds)."""
        return _link_signature(self._link_key, resource, expires)

    def link_holds(self, resource: str, expires: int, signature: str, now_s: float) -> bool:
        """Say if the signature is right, compared in constant time, and the link has not expired."""
        made = [_link_signature(key, resource, expires).encode() for key in self._link_keys]
        genuine = any(hmac.compare_digest(one, signature.encode()) for one in made)
        return genuine and now_s < expires

    def seal(self, text: str) -> str:
        """Encrypt a text for storage (Fernet: AES-128-CBC with HMAC-SHA256)."""
        return self._box.encrypt(text.encode()).decode()

    def unseal(self, sealed: str) -> str | None:
        """Return the text, or None if it was sealed with another secret."""
        try:
            return self._boxes.decrypt(sealed.encode()).decode()
        except InvalidToken:
            return None

    def secret_digest(self, secret: str) -> str:
        """Return the keyed digest by which a vendor's secret is found: who reads the database cannot try what it is."""
        return self.secret_digests(secret)[0]

    def secret_digests(self, secret: str) -> list[str]:
        """Return the digests by which a vendor's secret may be found: that of the previous secret comes last."""
        return [hmac.digest(key, secret.encode(), "sha256").hex() for key in self._source_keys]

    def is_current(self, sealed: str) -> bool:
        """Say if a text was encrypted with the secret, not with the previous one or another."""
        try:
            self._box.decrypt(sealed.encode())
        except InvalidToken:
            return False
        return True

    def body_seal(self) -> BodySeal:
        """Return what encrypts the bodies of deliveries."""
        return BodySeal(*self._delivery_keys)

    def body_digest(self) -> hmac.HMAC:
        """Return a new keyed digest for the bodies of deliveries: who reads the database cannot try what a body was."""
        return hmac.new(self._same_key, digestmod="sha256")


def _claims(token: str, key: bytes) -> SessionClaims | None:
    try:
        payload = jwt.decode(
            token,
            key,
            algorithms=["HS256"],
            # `iat` decides nothing, and checking it would refuse tokens of a process whose clock is ahead.
            options={"require": ["sid", "sub", "org", "exp"], "verify_iat": False},
        )
    except jwt.InvalidTokenError:
        return None
    return SessionClaims(
        session_id=str(payload["sid"]),
        user_id=str(payload["sub"]),
        organization_id=str(payload["org"]),
        expires_at=datetime.fromtimestamp(payload["exp"], UTC),
    )


def _link_signature(key: bytes, resource: str, expires: int) -> str:
    mac = hmac.digest(key, f"{expires}:{resource}".encode(), "sha256")
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def _derive(secret: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=b"tether_rt", info=purpose).derive(secret.encode())
