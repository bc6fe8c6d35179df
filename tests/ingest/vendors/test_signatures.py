"""Proofs of origin: the vendors' own vectors, their own libraries, and everything that must not pass."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tornado.httputil import HTTPHeaders

from tests.support import signing
from tether_rt.domain.source import SourceSettings
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
