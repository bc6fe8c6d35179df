"""What is shown of a body never has a secret in it, has all the rest, and is bounded."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tether_rt.domain.masking import MAX_CHARS, MAX_TEXT_CHARS, is_secret_name, masked, masked_payload, masked_text

SECRET = "Sw0rdfish-Qx7Lm2Vt9"
NAMES = st.sampled_from((
    "password", "Password", "user_password", "apiKey", "api-key", "X-Api-Key", "API_KEY", "token", "accessToken",
    "refresh_token",
    "Authorization", "authorization", "proxyAuthorization", "secret", "clientSecret", "signature", "X-Signature", "cookie",
    "Set-Cookie", "credentials", "private_key", "session_id", "pwd", "passphrase", "auth", "pin", "jwt",
    "AccountSid", "twilioAccountSid",
))  # fmt: skip
PLAIN_NAMES = st.sampled_from(("note", "value", "callerName", "metadata", "orderId", "monkey", "pinned", "keyboard", "author"))
WORDS = st.text(alphabet="abc äß\n", max_size=30)
SECRET_TEXTS = st.sampled_from((
    f"Bearer {SECRET}",
    f"Basic {SECRET}==",
    f"https://user:{SECRET}@host.example/a",
    f"https://host.example/a.mp3?X-Amz-Signature={SECRET}&X-Amz-Expires=60",
    f"https://host.example/a.mp3?{SECRET}",
    f"https://host.example/a#access_token={SECRET}",
    f"ftp://u:p@{SECRET}@host.example",
    f"Authorization: Custom {SECRET} more",
    f"password={SECRET}&user=x",
    f"api_key: {SECRET}",
    f'{{"token": "{SECRET}"}}',
    f'{{"a": {{"password": ["x", "{SECRET}"]}}}}',
    f"tk_live_{SECRET}{'x' * 40}",
    f"tr_live_{SECRET}{'x' * 40}",
    f"sk-{SECRET}{SECRET}",
    f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}",
    f"Cookie: a=b; session={SECRET}",
    f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
))  # fmt: skip
BARE = st.sampled_from((SECRET, f"{SECRET} {SECRET}", f'a "quoted" {SECRET}', f"line\n{SECRET}"))


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    secret_values = st.one_of(BARE, st.lists(BARE, max_size=2), st.dictionaries(PLAIN_NAMES, BARE, max_size=2))
    return st.builds(
        lambda plain, secret, header: {**plain, **secret, **header},
        st.dictionaries(PLAIN_NAMES, inner, max_size=3),
        st.dictionaries(NAMES, secret_values, max_size=2),
        st.one_of(st.just({}), st.builds(lambda name: {"name": name, "value": SECRET}, NAMES)),
    )


BODIES = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.none(), WORDS, st.builds("{} {}".format, WORDS, SECRET_TEXTS)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), objects(inner)),
    max_leaves=12,
)


@given(BODIES)
def test_no_secret_is_shown_of_json(body: Any) -> None:
    assert SECRET not in json.dumps(masked(body))


@given(BODIES, st.integers(1, 30), st.booleans())
def test_no_secret_is_shown_of_text_that_is_no_json(body: Any, cut: int, ascii_only: bool) -> None:
    text = json.dumps(body, ensure_ascii=ascii_only)
    assert SECRET not in masked_text(text[:-cut])


@given(NAMES, st.dictionaries(PLAIN_NAMES, st.text(alphabet="abc", max_size=5), max_size=3))
def test_no_secret_is_shown_of_a_form(name: str, others: dict[str, str]) -> None:
    fields = {**others, name: SECRET}
    assert SECRET not in masked_text("&".join(f"{quote(key)}={quote(value)}" for key, value in fields.items()))


PLAIN = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.none(), st.text(alphabet="abc äß,.;!?\n", max_size=100)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(PLAIN_NAMES, inner, max_size=4)),
    max_leaves=20,
)


@given(PLAIN)
def test_what_is_no_secret_is_shown_as_it_is(body: Any) -> None:
    assert masked(body) == body


@given(st.dictionaries(st.text(max_size=5), PLAIN, max_size=4))
def test_what_is_kept_of_a_payload_can_be_stored(payload: dict[str, Any]) -> None:
    kept = bson.decode(bson.encode(masked_payload(payload)))
    assert kept.keys() == {name.replace("\0", "") for name in payload}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://h.example/a.mp3?sig=x&id=5#t", "https://h.example/a.mp3?sig=***&id=***#***"),
        ("see https://u:p@h.example:8080/a now", "see https://***@h.example:8080/a now"),
        ("A basic understanding of it, and a token of thanks", "A basic understanding of it, and a token of thanks"),
        ("mail a@b.example", "mail a@b.example"),
        ('{"password": "a b", "n": 1', '{"password": "***", "n": 1'),
    ],
)
def test_the_rest_of_a_text_stays(text: str, shown: str) -> None:
    assert masked_text(text) == shown


def test_empty_values_and_flags_are_no_secret() -> None:
    body = {"password": "", "token": None, "hasSecret": True}
    assert masked(body) == body
    assert masked({"totalTokens": 5}) == {"totalTokens": "***"}
    assert is_secret_name("X-API-Key")
    assert not is_secret_name("agentName")


def test_audio_and_long_texts_are_shortened() -> None:
    audio = "SUQzBAAAAAAA" * 100
    assert masked(audio) == f"{audio[:16]}… (1,200 characters)"
    assert masked(f"data:audio/mpeg;base64,{audio}") == f"data:audio/mpeg;base64,{audio[:16]}… (1,223 characters)"
    assert masked("word " * 1000) == ("word " * 1000)[:MAX_TEXT_CHARS] + "… (5,000 characters)"


def test_a_secret_across_the_cut_is_not_shown_in_part() -> None:
    for before in range(MAX_TEXT_CHARS - 40, MAX_TEXT_CHARS):
        text = f"{'a ' * (before // 2)}https://u:{SECRET}@h/?k={SECRET} {'b ' * 2000}"
        assert SECRET[:4] not in masked_text(text)


def test_what_is_shown_is_bounded_and_so_is_its_nesting() -> None:
    assert len(json.dumps(masked(["word " * 300] * 10_000))) < 2 * MAX_CHARS
    assert len(masked([0] * 1_000_000)) < 25_000
    assert len(masked({f"n{number}": 0 for number in range(1_000_000)})) < 25_000
    deep: Any = "bottom"
    for _ in range(900):
        deep = [deep]
    assert "bottom" not in json.dumps(masked(deep))
