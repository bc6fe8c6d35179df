"""Proofs of origin: the vendors' own vectors, their own libraries, and everything that must not pass."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError
from tornado.httputil import HTTPHeaders
from twilio.request_validator import RequestValidator

from tests.support import signing
from tether_rt.domain.source import SourceSettings
from tether_rt.ingest.vendors.proof_methods import MAX_ED25519_BYTES, MAX_FORM_BYTES
from tether_rt.ingest.vendors.signatures import SignedRequest, proof

VECTORS = json.loads((Path(__file__).parent / "samples" / "signatures.json").read_text())
NOW_S = 1790000000.0
TARGET = "/api/webhook/twilio/src_7Qm2?leg=a%20b"
PUBLIC_URL = "https://calls.example.com"
KINDS = {
    "vapi-hmac-default": "vapi",
    "vapi-hmac-body-only": "vapi",
    "twilio-sharedkey": "twilio",
    "twilio-json": "twilio",
    "standard-webhooks": "standard",
    "quo-legacy": "quo",
}
LATER = {"ultravox", "synthflow", "vonage", "note"}
"""Vendors without an adapter yet."""


def fault(
    kind: str,
    headers: dict[str, str] | HTTPHeaders,
    body: bytes,
    secrets: Sequence[str],
    *,
    settings: SourceSettings | None = None,
    now_s: float = NOW_S,
    target: str = TARGET,
    host: str = "calls.example.com",
    pieces: Sequence[bytes] | None = None,
) -> str | None:
    """Return what the proof of a request says."""
    request = SignedRequest(headers if isinstance(headers, HTTPHeaders) else HTTPHeaders(headers), host, target)
    found = proof(kind, request, secrets, settings or SourceSettings(public_url=PUBLIC_URL), datetime.fromtimestamp(now_s, UTC))
    early = found.fault_of_headers
    for piece in [body] if pieces is None else pieces:
        found.update(piece)
    said = found.fault()
    assert found.fault() == said, "to ask twice gives the same"
    assert early is None or said == early, "what the headers rule out, no body saves"
    return said


def vector(name: str) -> tuple[str, dict[str, str], bytes, str, str]:
    """Return the kind, headers, body, secret and target of a vector."""
    one: dict[str, Any] = VECTORS[name]
    target = urlsplit(one["url"])._replace(scheme="", netloc="").geturl() if "url" in one else TARGET
    return KINDS.get(name, name), one["header"], one["body"].encode(), one.get("secret") or one["public_key"], target


NAMES = sorted(set(VECTORS) - LATER)


@pytest.mark.parametrize("name", NAMES)
def test_every_vector_passes_and_with_another_body_or_secret_does_not(name: str) -> None:
    kind, headers, body, secret, target = vector(name)
    assert fault(kind, headers, body, [secret], target=target) is None
    assert fault(kind, headers, body, ["another", secret], target=target) is None
    assert fault(kind, headers, body + b" ", [secret], target=target) == "signature"
    assert fault(kind, headers, body, [secret[:-6] + "AAAAA="], target=target) == "signature"
    assert fault(kind, headers, body, [], target=target) == "signature"
    assert fault(kind, headers, body, [""], target=target) == "signature"
    assert fault(kind, {}, body, [secret], target=target) == "signature"


def test_the_tests_own_signing_agrees_with_the_vectors() -> None:
    for name, sign in (
        ("elevenlabs", signing.elevenlabs),
        ("retell", signing.retell),
        ("vapi-hmac-default", signing.vapi),
        ("vapi-hmac-body-only", signing.vapi_body_alone),
        ("bland", signing.bland),
        ("standard-webhooks", signing.standard),
        ("quo-legacy", signing.old_quo),
    ):
        _, headers, body, secret, _ = vector(name)
        assert (
            sign(secret, body, (VECTORS[name]["timestamp"] or 0) / (1000 if name in ("retell", "quo-legacy") else 1)) == headers
        )
    _, headers, body, _, _ = vector("telnyx")
    assert signing.telnyx(signing.TELNYX_SEED, body, NOW_S) == headers
    for name, digest in (("twilio", "sha1"), ("twilio-sharedkey", "sha256"), ("twilio-json", "sha1")):
        _, headers, body, secret, _ = vector(name)
        is_form = name != "twilio-json"
        assert signing.twilio(secret, body, VECTORS[name]["url"], is_form=is_form, digest=digest) == headers


# ---------------------------------------------------------------------- whatever the body, the secret and the time

PLAIN = {
    "elevenlabs": (signing.elevenlabs, "elevenlabs"),
    "retell": (signing.retell, "retell"),
    "vapi": (signing.vapi, "vapi"),
    "vapi-body-alone": (signing.vapi_body_alone, "vapi"),
    "bland": (signing.bland, "bland"),
    "standard": (signing.standard, "standard"),
    "quo": (signing.standard, "quo"),
    "old-quo": (signing.old_quo, "quo"),
    "telnyx": (signing.telnyx, "telnyx"),
}
TIMELESS = {"vapi-body-alone", "bland"}
WINDOWS = {"elevenlabs": (3600, 300), "old-quo": (None, None)}
BODIES = st.binary(max_size=200)
KEYS = st.binary(min_size=32, max_size=32).map(lambda key: base64.b64encode(key).decode())


def public_of(name: str, secret: str) -> str:
    """Return what the source is given for what the vendor signs with."""
    if name != "telnyx":
        return secret
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret)).public_key()
    return base64.b64encode(key.public_bytes_raw()).decode()


def flipped(content: bytes, bit: int) -> bytes:
    at, turned = divmod(bit % (8 * len(content)), 8)
    return content[:at] + bytes([content[at] ^ 1 << turned]) + content[at + 1 :]


@pytest.mark.parametrize("name", sorted(PLAIN))
@given(body=BODIES, secret=KEYS, at_s=st.integers(1_500_000_000, 2_000_000_000), cuts=st.lists(st.integers(0, 200), max_size=5))
def test_any_body_in_any_pieces_passes(name: str, body: bytes, secret: str, at_s: int, cuts: list[int]) -> None:
    sign, kind = PLAIN[name]
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    pieces = [body[start:end] for start, end in itertools.pairwise(edges)]
    headers = sign(secret, body, at_s)
    assert fault(kind, headers, body, [public_of(name, secret)], now_s=at_s, pieces=pieces) is None


@pytest.mark.parametrize("name", sorted(PLAIN))
@given(body=st.binary(min_size=1, max_size=200), secret=KEYS, bit=st.integers(0, 8 * 200))
def test_a_flipped_bit_of_the_body_or_the_secret_does_not_pass(name: str, body: bytes, secret: str, bit: int) -> None:
    sign, kind = PLAIN[name]
    headers = sign(secret, body, NOW_S)
    assert fault(kind, headers, flipped(body, bit), [public_of(name, secret)]) == "signature"
    other = base64.b64encode(flipped(base64.b64decode(secret), bit)).decode()
    assert fault(kind, headers, body, [public_of(name, other)]) == "signature"


@pytest.mark.parametrize("name", sorted(set(PLAIN) - TIMELESS))
@given(late_s=st.integers(1, 10_000))
def test_a_changed_time_does_not_pass(name: str, late_s: int) -> None:
    sign, kind = PLAIN[name]
    headers = sign(signing.TELNYX_SEED, b"{}", NOW_S)
    later = sign(signing.TELNYX_SEED, b"{}", NOW_S + late_s)
    for field, value in headers.items():
        for mine, other in zip(re.findall("[0-9]+", value), re.findall("[0-9]+", later[field]), strict=False):
            if mine.startswith("179") and mine != other:
                moved = {**headers, field: value.replace(mine, other)}
                secrets = [public_of(name, signing.TELNYX_SEED)]
                assert fault(kind, moved, b"{}", secrets, now_s=NOW_S + late_s) == "signature"


@pytest.mark.parametrize("name", sorted(PLAIN))
@pytest.mark.parametrize("tolerance_s", [None, 10.0])
def test_a_time_outside_of_the_tolerance_is_stale(name: str, tolerance_s: float | None) -> None:
    sign, kind = PLAIN[name]
    back_s, ahead_s = (None, None) if name in TIMELESS else WINDOWS.get(name, (300, 300))
    if tolerance_s is not None and name not in TIMELESS:
        back_s = 10
    settings = SourceSettings(tolerance_s=tolerance_s)
    headers = sign(signing.TELNYX_SEED, b"{}", NOW_S)

    def said(age_s: float) -> str | None:
        return fault(kind, headers, b"{}", [public_of(name, signing.TELNYX_SEED)], settings=settings, now_s=NOW_S + age_s)

    assert said(0) is None
    assert said(back_s or 1e8) is None
    assert said(-(ahead_s or 1e8)) is None
    assert back_s is None or said(back_s + 1) == "stale"
    assert ahead_s is None or said(-ahead_s - 1) == "stale"


def test_vapis_time_may_be_in_milliseconds() -> None:
    stamp = "1790000000123"
    signature = hmac.new(b"secret", f"{stamp}.{{}}".encode(), "sha256").hexdigest()
    headers = {"x-timestamp": stamp, "x-signature": signature.upper()}
    assert fault("vapi", headers, b"{}", ["secret"]) is None
    assert fault("vapi", headers, b"{}", ["secret"], now_s=NOW_S + 400) == "stale"


# ---------------------------------------------------------------------- headers from nobody knows whom

NAMES_OF_HEADERS = (
    "ElevenLabs-Signature", "X-Retell-Signature", "x-signature", "x-timestamp", "x-vapi-signature", "X-Vapi-Secret",
    "Authorization", "X-Webhook-Signature", "X-Twilio-Signature", "X-Twilio-Webhooks-Signature-Settings", "telnyx-timestamp",
    "telnyx-signature-ed25519", "openphone-signature", "webhook-id", "webhook-timestamp", "webhook-signature", "svix-id",
    "svix-timestamp", "svix-signature",
)  # fmt: skip
GENUINE = [value for one in VECTORS.values() if isinstance(one, dict) for value in one["header"].values()]
HOSTILE = st.one_of(
    st.text(st.characters(max_codepoint=255), max_size=60),
    st.text(max_size=20),
    st.sampled_from(GENUINE),
    st.sampled_from(GENUINE).flatmap(lambda value: st.integers(0, len(value)).map(lambda cut: value[:cut])),
    st.sampled_from(
        ("", " ", ",", "v=1,d=", "t=1,t=2,v0=0", "v1,", "v1a,AA==", "hmac;1;;", "Bearer ", "Bearer é", "١٧٩", "9" * 16)
    ),
    st.sampled_from(("0" * 60_000, "v1,AAAA " * 8_000, "t=1,v0=ab," * 6_000, "hmac;1;1;AA==," * 4_000, "algorithm=," * 5_000)),
)


@pytest.mark.parametrize("kind", ["elevenlabs", "retell", "vapi", "bland", "twilio", "telnyx", "quo", "standard"])
@given(
    st.dictionaries(st.sampled_from(NAMES_OF_HEADERS), HOSTILE),
    st.sampled_from([None, "hmac", "secret", "standard"]),
    st.lists(
        st.one_of(st.text(min_size=1, max_size=20), st.sampled_from(["whsec_", "whpk_", "whpk_AAAA", "whsec_=", "\ud800"]))
    ),
    st.one_of(st.text(max_size=30), st.sampled_from([TARGET, "?bodySHA256=", "/?bodySHA256=é", "?a&" * 2000])),
    st.binary(max_size=50),
)
def test_hostile_headers_are_a_fault_and_never_an_error(
    kind: str, headers: dict[str, str], how: Any, secrets: list[str], target: str, body: bytes
) -> None:
    assume(not any(secret in value for secret in secrets for value in headers.values()))  # some vendors send the secret itself
    request = SignedRequest(LowerCased(headers), target[:5], target)
    for settings in (SourceSettings(proof=how), SourceSettings(proof=how, public_url=target[:9])):
        found = proof(kind, request, secrets, settings, datetime.fromtimestamp(NOW_S, UTC))
        found.update(memoryview(body))
        assert found.fault() in ("signature", "stale")


class LowerCased(dict[str, str]):
    """Headers that may hold what no parser lets through."""

    def get(self, name: str, default: Any = None) -> Any:
        return next((value for known, value in self.items() if known.lower() == name.lower()), default)


def test_a_repeated_header_proves_nothing_by_its_first() -> None:
    for name in ("elevenlabs", "retell", "bland", "telnyx"):
        kind, headers, body, secret, _ = vector(name)
        twice = HTTPHeaders(headers)
        for field, value in headers.items():
            twice.add(field, value)
        assert fault(kind, twice, body, [secret]) == "signature"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "telnyx"])
def test_every_secret_is_compared_in_constant_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[Any] = []
    genuine = hmac.compare_digest

    def noted(one: Any, two: Any) -> bool:
        compared.extend((one, two))
        return genuine(one, two)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    kind, headers, body, secret, target = vector(name)
    signature = headers[list(headers)[-1]]
    assert fault(kind, headers, body, [secret], target=target) is None
    assert re.split("[=,;](?!$)", signature)[-1].encode() in compared
    compared.clear()
    assert fault("vapi", {"X-Vapi-Secret": "b"}, body, ["a"], settings=SourceSettings(proof="secret")) == "signature"
    assert {b"a", b"b"} <= set(compared)


# ---------------------------------------------------------------------- ways of their own


@pytest.mark.parametrize(
    "headers",
    [{"X-Vapi-Secret": "pässword"}, {"Authorization": "Bearer pässword"}, {"authorization": "bearer  pässword "}],
)
def test_vapis_secret_is_enough_where_the_source_says_so(headers: dict[str, str]) -> None:
    on_the_wire = {name: value.encode().decode("latin-1") for name, value in headers.items()}
    settings = SourceSettings(proof="secret")
    assert fault("vapi", on_the_wire, b"{}", ["old", "pässword"], settings=settings) is None
    assert fault("vapi", on_the_wire, b"{}", ["password"], settings=settings) == "signature"
    assert fault("vapi", on_the_wire, b"{}", ["", "x"], settings=settings) == "signature"
    assert fault("vapi", {"X-Vapi-Secret": "", "Authorization": "Bearer "}, b"{}", [""], settings=settings) == "signature"
    assert fault("vapi", on_the_wire, b"{}", ["pässword"]) == "signature", "HMAC is asked for"


def test_vapi_may_sign_as_standard_webhooks_do() -> None:
    _, headers, body, secret, _ = vector("standard-webhooks")
    assert fault("vapi", headers, body, [secret], settings=SourceSettings(proof="standard")) is None
    assert fault("vapi", headers, body, [secret]) == "signature"


def test_standard_webhooks_may_be_signed_by_several_with_either_algorithm_and_svix_names() -> None:
    _, headers, body, secret, _ = vector("standard-webhooks")
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(signing.TELNYX_SEED))
    message = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    v1, v1a = headers["webhook-signature"], f"v1a,{base64.b64encode(private.sign(message)).decode()}"
    public = f"whpk_{signing.TELNYX_PUBLIC_KEY}"
    for given_signatures in (f"v1,AAAA v2,x {v1a} {v1}", f"{v1}  {v1a}", f"garbage {v1a} v1 {v1}"):
        listed = {**headers, "webhook-signature": given_signatures}
        for known in ([secret], [public], ["whsec_AAAA", public], [secret.removeprefix("whsec_")], [secret.rstrip("=")]):
            assert fault("standard", listed, body, known) is None
            assert fault("standard", listed, body + b"x", known) == "signature"
            svix = {name.replace("webhook", "svix"): value for name, value in listed.items()}
            assert fault("quo", svix, body, known) is None
    assert fault("standard", headers, body, [public]) == "signature"
    by_public_key = base64.b64encode(hmac.digest(base64.b64decode(signing.TELNYX_PUBLIC_KEY), message, "sha256")).decode()
    forged = {**headers, "webhook-signature": f"v1,{by_public_key}"}
    assert fault("standard", forged, body, [public]) == "signature", "everybody knows a public key"
    dotted = signing.standard(secret, body, NOW_S, message_id="msg.1")
    assert fault("standard", dotted, body, [secret]) == "signature"


def test_what_needs_the_whole_body_has_a_limit() -> None:
    body = b"x" * (MAX_ED25519_BYTES + 1)
    headers = signing.telnyx(signing.TELNYX_SEED, body, NOW_S)
    assert fault("telnyx", headers, body, [signing.TELNYX_PUBLIC_KEY]) == "too_large"
    headers = signing.telnyx(signing.TELNYX_SEED, body[1:], NOW_S)
    assert fault("telnyx", headers, body[1:], [signing.TELNYX_PUBLIC_KEY], pieces=[body[1:1000], body[1000:]]) is None
    form = b"a=" + b"x" * MAX_FORM_BYTES
    assert fault("twilio", signing.twilio("t", form, PUBLIC_URL + TARGET), form, ["t"]) == "too_large"
    hmac_signed = signing.standard("whsec_AAAA", body, NOW_S)
    assert fault("standard", hmac_signed, body, ["whsec_AAAA"]) is None


# ---------------------------------------------------------------------- the vendors' own libraries

FORMS = st.lists(
    st.tuples(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8), st.text(max_size=8)), max_size=8
)
HOSTS = st.sampled_from(
    ["calls.example.com", "calls.example.com:443", "calls.example.com:80", "calls.example.com:8443", "localhost"]
)
QUERIES = st.sampled_from(["", "?a=b", "?leg=a%20b&x='", "?b=%27&a", "?é"])


class Fields(dict[str, list[str]]):
    """A form as Django has it, which Twilio's library takes."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


@given(FORMS, st.sampled_from(["http", "https"]), HOSTS, HOSTS, QUERIES, st.sampled_from(["HMAC_SHA1", "HMAC_SHA256"]))
def test_twilios_own_library_agrees(
    form: list[tuple[str, str]], scheme: str, called: str, believed: str, query: str, algorithm: str
) -> None:
    target = f"/api/webhook/twilio/5{query}"
    body = urlencode(form).encode()
    fields = Fields()
    for name, value in form:
        fields.setdefault(name, []).append(value)
    validator = RequestValidator("token-1")
    signature = validator.compute_signature(f"{scheme}://{called}{target}", fields, algorithm)
    header = f"key=webhooks_sharedkey_1, algorithm={algorithm}"
    headers = {"X-Twilio-Signature": signature, "X-Twilio-Webhooks-Signature-Settings": header}
    url = f"{scheme}://{believed}"
    theirs = validator.validate(url + target, fields, signature, algorithm)
    wire = target.encode().decode("latin-1")
    ours = fault("twilio", headers, body, ["other", "token-1"], settings=SourceSettings(public_url=url), target=wire)
    assert (ours is None) == theirs
    if scheme == "http":
        assert fault("twilio", headers, body, ["token-1"], settings=SourceSettings(), host=believed, target=wire) == ours


@given(st.binary(max_size=50), st.booleans())
def test_twilios_own_library_agrees_about_bodies_that_are_no_forms(body: bytes, is_changed: bool) -> None:
    target = f"/api/webhook/twilio/5?a=b&bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = RequestValidator("token-1").compute_signature(PUBLIC_URL + target, {})
    sent = body + b"!" if is_changed else body
    ours = fault("twilio", {"X-Twilio-Signature": signature}, sent, ["token-1"], target=target)
    assert ours == ("signature" if is_changed else None)
    with contextlib.suppress(UnicodeDecodeError):
        theirs = RequestValidator("token-1").validate(PUBLIC_URL + target, sent.decode(), signature)
        assert theirs == (ours is None)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50), KEYS, st.booleans())
def test_the_library_of_standard_webhooks_agrees(body: str, secret: str, is_changed: bool) -> None:
    library = Webhook(f"whsec_{secret}")
    moment = datetime.now(UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": library.sign("msg_1", moment, body),
    }
    sent = body + "!" if is_changed else body
    try:
        library.verify(sent, headers, json_parse=False)
        theirs = True
    except WebhookVerificationError:
        theirs = False
    assert (fault("standard", headers, sent.encode(), [f"whsec_{secret}"], now_s=moment.timestamp()) is None) == theirs
