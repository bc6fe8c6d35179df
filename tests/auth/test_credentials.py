"""API keys, passwords, tokens and links: what is valid, and that nothing made for one use passes for another."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tether_rt.auth import credentials
from tether_rt.auth.credentials import Keyring, SessionClaims

SECRET = "a secret for tests that is long enough"
KEYS = Keyring(SECRET)
RESOURCE = "5" * 24


def claims(lasting: timedelta = timedelta(hours=1)) -> SessionClaims:
    return SessionClaims("a" * 24, "b" * 24, "c" * 24, (datetime.now(UTC) + lasting).replace(microsecond=0))


def forged(header: object, payload: object, signature: bytes = b"") -> str:
    """Return a token with exactly these parts."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, signature))


# ---------------------------------------------------------------------- API keys


def test_a_new_api_key_has_the_form_and_is_unique() -> None:
    keys = {credentials.new_api_key() for _ in range(200)}
    assert len(keys) == 200
    assert all(credentials.looks_like_api_key(key) and key.startswith("tk_live_") and len(key) == 51 for key in keys)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tk_live_",
        "tk_live_" + "x" * 42,
        "tk_live_" + "x" * 44,
        "tk_test_" + "x" * 43,
        "tk_live_" + "x" * 42 + "+",
        " tk_live_" + "x" * 43,
        "tk_live_" + "x" * 43 + "\n",
    ],
)
def test_other_texts_do_not_look_like_an_api_key(text: str) -> None:
    assert not credentials.looks_like_api_key(text)


def test_a_key_is_stored_by_its_sha_256() -> None:
    assert credentials.api_key_digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_sealed_key_is_readable_with_the_same_secret_only() -> None:
    sealed = KEYS.seal("tk_live_key")
    assert "tk_live_key" not in sealed
    assert KEYS.seal("tk_live_key") != sealed
    assert Keyring(SECRET).unseal(sealed) == "tk_live_key"
    assert Keyring("another secret").unseal(sealed) is None
    assert KEYS.unseal(sealed[:-4] + "AAA=") is None


@pytest.mark.parametrize("sealed", ["", "x", "ünlesbar", "gAAAAAB" + "A" * 100])
def test_a_text_that_was_never_sealed_unseals_to_none(sealed: str) -> None:
    assert KEYS.unseal(sealed) is None


# ---------------------------------------------------------------------- passwords


def test_a_password_becomes_an_argon2id_hash_with_its_own_salt() -> None:
    first, second = (credentials.hash_password("pass\u0301word \U0001f600") for _ in range(2))
    assert first.startswith("$argon2id$")
    assert first != second
    assert credentials.password_matches("pass\u0301word \U0001f600", first)
    assert not credentials.password_matches("password", first)
    assert not credentials.password_matches("", first)


@pytest.mark.parametrize("hashed", ["", "plain", "$argon2id$broken", "$2b$12$" + "x" * 53])
def test_a_broken_hash_matches_nothing(hashed: str) -> None:
    assert not credentials.password_matches("password", hashed)


def test_the_decoy_hash_costs_what_every_hash_does_and_matches_nothing() -> None:
    assert credentials.decoy_hash().split("$")[:4] == credentials.hash_password("x").split("$")[:4]
    assert not credentials.password_matches("", credentials.decoy_hash())


# ---------------------------------------------------------------------- sessions


def test_a_session_token_returns_its_claims() -> None:
    said = claims()
    assert Keyring(SECRET).session_claims(KEYS.session_token(said)) == said


def test_a_token_expires() -> None:
    assert KEYS.session_claims(KEYS.session_token(claims(timedelta(seconds=-2)))) is None


def test_a_token_of_another_secret_is_invalid() -> None:
    assert Keyring("another secret").session_claims(KEYS.session_token(claims())) is None


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_token_changed_in_any_part_is_invalid(part: int) -> None:
    parts = KEYS.session_token(claims()).split(".")
    other = KEYS.session_token(SessionClaims("d" * 24, "e" * 24, "f" * 24, datetime.now(UTC) + timedelta(days=9))).split(".")
    parts[part] = other[part] if part else forged({"alg": "HS512", "typ": "JWT"}, {}).split(".")[0]
    assert KEYS.session_claims(".".join(parts)) is None


def test_a_token_without_a_signature_or_with_one_of_another_use_is_invalid() -> None:
    payload = {"sid": "a", "sub": "b", "org": "c", "exp": int(time.time()) + 999}
    assert KEYS.session_claims(forged({"alg": "none", "typ": "JWT"}, payload)) is None
    assert KEYS.session_claims(jwt.encode(payload, SECRET.ljust(64), algorithm="HS256")) is None
    # The secret's other uses have other keys: what signs a link must not sign a session.
    for wrong in (KEYS._link_key, KEYS._session_key[:16] * 2):
        assert KEYS.session_claims(jwt.encode(payload, wrong, algorithm="HS256")) is None
    assert KEYS.session_claims(jwt.encode(payload, KEYS._session_key, algorithm="HS256")) is not None


@pytest.mark.parametrize("missing", ["sid", "sub", "org", "exp"])
def test_a_token_must_have_every_claim(missing: str) -> None:
    payload = {"sid": "a", "sub": "b", "org": "c", "exp": int(time.time()) + 999}
    del payload[missing]
    assert KEYS.session_claims(jwt.encode(payload, KEYS._session_key, algorithm="HS256")) is None


@given(token=st.one_of(st.text(max_size=200), st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*"), st.binary(max_size=60).map(str)))
@example(token=forged(b"[" * 20_000, {}))
@example(token=forged({"alg": "HS256", "kid": 5}, {}))
@example(token=forged({"alg": ["HS256"]}, {}))
@example(token=forged([], {}))
@example(token=forged(b"\xff", b"\xff"))
@example(token=forged({"alg": "HS256", "b64": False, "crit": ["b64"]}, {}))
def test_any_other_text_as_a_token_is_invalid_and_no_error(token: str) -> None:
    assert KEYS.session_claims(token) is None


# ---------------------------------------------------------------------- links


def test_a_link_is_valid_for_its_recording_until_it_expires() -> None:
    signature = KEYS.link_signature(RESOURCE, 1000)
    assert KEYS.link_holds(RESOURCE, 1000, signature, 999.9)
    assert not KEYS.link_holds(RESOURCE, 1000, signature, 1000.0)
    assert not KEYS.link_holds("6" * 24, 1000, signature, 999.9)
    assert not KEYS.link_holds(RESOURCE, 1001, signature, 999.9)
    assert not Keyring("another secret").link_holds(RESOURCE, 1000, signature, 999.9)


@given(signature=st.text(max_size=60))
@example(signature="")
def test_no_other_signature_is_valid(signature: str) -> None:
    assert not KEYS.link_holds(RESOURCE, 1000, signature, 0.0)


def test_two_links_never_share_a_signature_whatever_their_parts() -> None:
    assert KEYS.link_signature("1:" + RESOURCE, 1) != KEYS.link_signature(RESOURCE, 11)
    assert KEYS.link_signature("1" + RESOURCE, 1) != KEYS.link_signature(RESOURCE, 11)
