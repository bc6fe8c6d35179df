"""Proofs that a webhook comes from its vendor: signatures of the raw body, and shared secrets in headers. Pure.

    proof = proof("retell", SignedRequest(headers, host, target), secrets, settings, now)
    proof.update(piece)  # for each piece of the raw body
    proof.fault()  # None, "signature", "stale" or "too_large"

Every vendor has a function that says which of the `proof_methods` its headers offer.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import parse_qs

from tether_rt.domain.source import SourceSettings
from tether_rt.ingest.vendors.proof_methods import (
    MAX_FIELDS,
    Buffer,
    Ed25519,
    Fault,
    Form,
    HashedInAddress,
    Mac,
    Method,
    Proven,
    base64_of,
    bytes_of_base64,
    key_of,
    wire,
)

_SIGNATURES: Final = 4
"""How many signatures of one header are looked at: vendors send a second one while a secret is rotated."""
_ED25519_SIGNATURES: Final = 2
_BACK_S: Final = 300.0
_AHEAD_S: Final = 300.0
_ELEVENLABS_BACK_S: Final = 3600.0
"""ElevenLabs' last try comes 45 minutes after the first, perhaps with the first one's time."""

_ELEVENLABS: Final = re.compile(r"(t|v0)=([0-9a-fA-F]{1,64})", re.ASCII)
_RETELL: Final = re.compile(r"v=([0-9]{1,16}),d=([0-9a-fA-F]{64})", re.ASCII)
_QUO: Final = re.compile(r"hmac;1;([0-9]{1,16});([0-9A-Za-z+/=]{1,128})", re.ASCII)
_TIME: Final = re.compile(r"[0-9]{1,16}", re.ASCII)
_TWILIO_DIGESTS: Final = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_URL: Final = re.compile(r"(https?)(://)(\[[^\]]*\]|[^/:]*)(:[0-9]+)?(.*)", re.ASCII | re.DOTALL)


class SignedRequest(NamedTuple):
    """What of a request may be signed beside its body."""

    headers: Mapping[str, str]
    """Without regard to case, text as Tornado has it: each byte of the wire a character."""
    host: str
    """The header `Host`."""
    target: str
    """The raw path and query, without what stands in front of every path."""
    base_path: str = ""
    """What stands in front."""


class Proof:
    """The proof of one request; any of its methods that holds is enough."""

    def __init__(self, methods: Iterable[Method | Fault]) -> None:
        """Methods that the headers have ruled out are given as their fault."""
        offered = list(methods)
        self._methods = [method for method in offered if not isinstance(method, str)]
        self._faults: list[Fault] = [method for method in offered if isinstance(method, str)]

    @property
    def fault_of_headers(self) -> Fault | None:
        """What is wrong by the headers alone, whatever the body will be: it need not be read."""
        return None if self._methods else _worst(self._faults)

    def update(self, piece: Buffer) -> None:
        """Take the next piece of the raw body."""
        for method in self._methods:
            method.update(piece)

    def fault(self) -> Fault | None:
        """Return what is wrong, None if the origin is proven; to be called when the body is complete."""
        found = [method.fault() for method in self._methods]
        return None if None in found else _worst([*self._faults, *(fault for fault in found if fault is not None)])


def _worst(faults: Sequence[Fault]) -> Fault:
    """Return the fault that tells most."""
    return next((fault for fault in ("too_large", "stale") if fault in faults), "signature")


def proof(kind: str, request: SignedRequest, secrets: Sequence[str], settings: SourceSettings, now: datetime) -> Proof:
    """Begin the proof of a request to a source of this kind. `now` is aware. Hostile headers are a fault, never an error."""
    known = [secret for secret in secrets if secret]
    return Proof(_KINDS[kind](_Case(request, known, settings, now.timestamp())))


def proven() -> Proof:
    """Return the proof of a request whose origin its caller has proven by other means."""
    return Proof([Proven()])


class _Case(NamedTuple):
    """What a method of proof is made from."""

    request: SignedRequest
    secrets: Sequence[str]
    """None of them is empty."""
    settings: SourceSettings
    now_s: float

    def header(self, name: str) -> str:
        """Return a header without the spaces around it, empty where there is none."""
        return self.request.headers.get(name, "").strip()

    @property
    def texts(self) -> list[bytes]:
        """The secrets as keys, used as text."""
        return [key_of(secret) for secret in self.secrets]

    def is_stale(self, at_s: float, back_s: float | None = _BACK_S, ahead_s: float | None = _AHEAD_S) -> bool:
        """Say if a time lies outside of the tolerance; None is no limit. The source's setting replaces the way back."""
        if self.settings.tolerance_s is not None:
            back_s = self.settings.tolerance_s
        age_s = self.now_s - at_s
        return (back_s is not None and age_s > back_s) or (ahead_s is not None and -age_s > ahead_s)


def _elevenlabs(case: _Case) -> Iterator[Method | Fault]:
    """`ElevenLabs-Signature: t=<s>,v0=<hex>` over `<t>.<body>`, with the secret as text."""
    found = [_ELEVENLABS.fullmatch(part.strip()) for part in case.header("ElevenLabs-Signature").split(",", 2 * _SIGNATURES)]
    times = [match[2] for match in found if match and match[1] == "t"]
    given = [match[2].lower() for match in found if match and match[1] == "v0"]
    if len(times) != 1 or not _TIME.fullmatch(times[0]):
        yield "signature"
    elif case.is_stale(int(times[0]), _ELEVENLABS_BACK_S):
        yield "stale"
    else:
        yield Mac(case.texts, given[:_SIGNATURES], before=f"{times[0]}.".encode())


def _retell(case: _Case) -> Iterator[Method | Fault]:
    """`X-Retell-Signature: v=<ms>,d=<hex>` over the body directly followed by the milliseconds, with the API key as text."""
    match = _RETELL.fullmatch(case.header("X-Retell-Signature"))
    if match is None:
        yield "signature"
    elif case.is_stale(int(match[1]) / 1000):
        yield "stale"
    else:
        yield Mac(case.texts, [match[2].lower()], after=match[1].encode())


def _vapi(case: _Case) -> Iterator[Method | Fault]:
    """By the setting `proof`: one of two HMACs, a shared secret, or Standard Webhooks."""
    if case.settings.proof == "standard":
        return _standard(case)
    return _vapi_secret(case) if case.settings.proof == "secret" else _vapi_hmac(case)


def _vapi_hmac(case: _Case) -> Iterator[Method | Fault]:
    """`x-signature`, hex over `<x-timestamp>.<body>` (in s or ms); or `x-vapi-signature`, hex over the body alone."""
    stamp = case.header("x-timestamp")
    if not case.header("x-signature") or not _TIME.fullmatch(stamp):
        yield "signature"
    elif case.is_stale(int(stamp) / (1000 if int(stamp) > 1e11 else 1)):
        yield "stale"
    else:
        yield Mac(case.texts, [case.header("x-signature").lower()], before=f"{stamp}.".encode())
    given = case.header("x-vapi-signature").lower()
    yield Mac(case.texts, [given]) if given else "signature"


def _vapi_secret(case: _Case) -> Iterator[Method | Fault]:
    """`X-Vapi-Secret`, or `Authorization: Bearer`."""
    scheme, _, token = case.header("Authorization").partition(" ")
    given = [wire(case.header("X-Vapi-Secret")), wire(token.strip()) if scheme.lower() == "bearer" else b""]
    yield Proven() if any(hmac.compare_digest(key, text) for key in case.texts for text in given) else "signature"


def _bland(case: _Case) -> Iterator[Method | Fault]:
    """`X-Webhook-Signature`, hex over the body."""
    given = case.header("X-Webhook-Signature").lower()
    yield Mac(case.texts, [given]) if given else "signature"


def _twilio(case: _Case) -> Iterator[Method | Fault]:
    """`X-Twilio-Signature`, base64 over the address that Twilio called, followed by the sorted fields of a form.

    A body that is no form has its SHA-256 in the address as `bodySHA256`, and the address alone is signed. The hash is SHA-1,
    or what `X-Twilio-Webhooks-Signature-Settings` says.
    """
    given = case.header("X-Twilio-Signature")
    said = (item.partition("=") for item in case.header("X-Twilio-Webhooks-Signature-Settings").split(",", 16))
    algorithms = [value.strip() for name, _, value in said if name.strip() == "algorithm" and value.strip()]
    digest = _TWILIO_DIGESTS.get(algorithms[0] if algorithms else "HMAC_SHA1")
    if not given or digest is None:
        yield "signature"
        return
    base = case.settings.public_url or f"http://{case.request.host}{case.request.base_path}"
    urls = [wire(url) for url in _with_and_without_port(base.rstrip("/") + case.request.target)]
    expected = _query_value(case.request.target, "bodySHA256")
    if expected is None:
        yield Form(case.texts, urls, given, digest)
    elif any(Mac(case.texts, [given], before=url, encode=base64_of, digest=digest).fault() is None for url in urls):
        yield HashedInAddress(expected)
    else:
        yield "signature"


def _with_and_without_port(url: str) -> list[str]:
    """Return an address as it is and, as Twilio's library tries it, without its port or with the default one."""
    match = _URL.fullmatch(url)
    if match is None:
        return [url]
    scheme, slashes, host, port, rest = match.groups()
    default = ":443" if scheme == "https" else ":80"
    return [url, f"{scheme}{slashes}{host}{'' if port else default}{rest}"]


def _query_value(target: str, name: str) -> str | None:
    try:
        return parse_qs(target.partition("?")[2], max_num_fields=MAX_FIELDS).get(name, [None])[0]
    except ValueError:
        return None


def _telnyx(case: _Case) -> Iterator[Method | Fault]:
    """`telnyx-signature-ed25519`, base64 over `<telnyx-timestamp>|<body>`; the secrets are public keys in base64."""
    stamp = case.header("telnyx-timestamp")
    signature = bytes_of_base64(case.header("telnyx-signature-ed25519"))
    if not signature or not _TIME.fullmatch(stamp):
        yield "signature"
    elif case.is_stale(int(stamp)):
        yield "stale"
    else:
        yield Ed25519((bytes_of_base64(secret) or b"" for secret in case.secrets), [signature], f"{stamp}|".encode())


def _quo(case: _Case) -> Iterator[Method | Fault]:
    """Standard Webhooks; the older kind `openphone-signature: hmac;1;<ms>;<base64>` over `<ms>.<body>`, which has no window."""
    old = case.header("openphone-signature")
    if not old:
        yield from _standard(case)
        return
    for item in old.split(",", _SIGNATURES)[:_SIGNATURES]:
        match = _QUO.fullmatch(item.strip())
        if match is None:
            yield "signature"
        elif case.is_stale(int(match[1]) / 1000, None, None):
            yield "stale"
        else:
            yield Mac(_decoded(case.secrets), [match[2]], before=f"{match[1]}.".encode(), encode=base64_of)


def _standard(case: _Case) -> Iterator[Method | Fault]:
    """Standard Webhooks 1.0.0, with Svix's names as well: a list of `v1,<base64>` (HMAC) and `v1a,<base64>` (Ed25519).

    Signed is `<id>.<timestamp>.<body>`; secrets are `whsec_<base64>`, public keys `whpk_<base64>`.
    """
    family = "webhook" if case.header("webhook-signature") else "svix"
    message_id, stamp, signatures = (case.header(f"{family}-{name}") for name in ("id", "timestamp", "signature"))
    if not message_id or "." in message_id or not _TIME.fullmatch(stamp) or not signatures:
        yield "signature"
        return
    if case.is_stale(int(stamp)):
        yield "stale"
        return
    before = wire(f"{message_id}.{stamp}.")
    given = [item.partition(",") for item in signatures.split(maxsplit=2 * _SIGNATURES)]
    macs = [signature for version, _, signature in given if version == "v1"][:_SIGNATURES]
    signed = [bytes_of_base64(signature) or b"" for version, _, signature in given if version == "v1a"][:_ED25519_SIGNATURES]
    public = [bytes_of_base64(secret.removeprefix("whpk_")) or b"" for secret in case.secrets if secret.startswith("whpk_")]
    yield Mac(_decoded(case.secrets), macs, before=before, encode=base64_of) if macs else "signature"
    if signed and public:
        yield Ed25519(public, signed, before)


def _decoded(secrets: Iterable[str]) -> list[bytes]:
    """Return the keys in secrets of base64; a public key is never the key of an HMAC, and what is no base64 is text."""
    symmetric = (secret.removeprefix("whsec_") for secret in secrets if not secret.startswith("whpk_"))
    return [bytes_of_base64(secret + "=" * (-len(secret) % 4)) or key_of(secret) for secret in symmetric if secret]


_KINDS: Final[Mapping[str, Callable[[_Case], Iterator[Method | Fault]]]] = {
    "elevenlabs": _elevenlabs,
    "retell": _retell,
    "vapi": _vapi,
    "bland": _bland,
    "twilio": _twilio,
    "telnyx": _telnyx,
    "quo": _quo,
    "standard": _standard,
}
