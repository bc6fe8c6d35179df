"""Proofs that a webhook comes from its vendor: signatures of the raw body, and shared secrets in headers. Pure.

    proof = proof("retell", SignedRequest(headers, host, target), secrets, settings, now)
    proof.update(piece)  # for each piece of the raw body
    proof.fault()  # None, "signature", "stale" or "too_large"

Almost all hash while the body streams. Ed25519 and Twilio's forms need the whole body, which is small with them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple, Protocol
from urllib.parse import parse_qs, unquote_to_bytes

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tether_rt.domain.source import SourceSettings

Fault = Literal["signature", "stale", "too_large"]
"""Wrong or missing; outside of the tolerance; a body too large for a proof that needs all of it at once."""

Buffer = bytes | bytearray | memoryview

MAX_FORM_BYTES: Final = 32 * 1024
"""Of a form of Twilio's, which is sorted before it is hashed. Twilio's own have a few KiB."""
MAX_ED25519_BYTES: Final = 256 * 1024
"""Of a body that is signed with Ed25519: it is hashed once more for each key and signature."""
_MAX_FIELDS: Final = 1000
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
    """The raw path and query, as they stand in the request line."""


class _Method(Protocol):
    """One way to prove the origin."""

    def update(self, piece: Buffer) -> None: ...

    def fault(self) -> Fault | None: ...


class Proof:
    """The proof of one request; any of its methods that holds is enough."""

    def __init__(self, methods: Iterable[_Method | Fault]) -> None:
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
    return Proof([_Proven()])


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
        return [_key(secret) for secret in self.secrets]

    def is_stale(self, at_s: float, back_s: float | None = _BACK_S, ahead_s: float | None = _AHEAD_S) -> bool:
        """Say if a time lies outside of the tolerance; None is no limit. The source's setting replaces the way back."""
        if self.settings.tolerance_s is not None:
            back_s = self.settings.tolerance_s
        age_s = self.now_s - at_s
        return (back_s is not None and age_s > back_s) or (ahead_s is not None and -age_s > ahead_s)


# ---------------------------------------------------------------------- shapes of proof


class _Mac:
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
        self._given = [_wire(signature) for signature in given]
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


class _WholeBody:
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


class _Ed25519(_WholeBody):
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


class _Form(_WholeBody):
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
        macs = [_Mac(self._keys, [self._given], before=url + fields, encode=_base64, digest=self._digest) for url in self._urls]
        return any(mac.fault() is None for mac in macs)


def _sorted_fields(body: bytes) -> bytes | None:
    """Return the names and values of a form as Twilio signs them, None if there are too many.

    Names are sorted by code point (which is the order of their UTF-8), and so are the values of one name, each of which counts
    once. Blank values count.
    """
    if body.count(b"&") >= _MAX_FIELDS:
        return None
    pairs = {
        (_unquoted(name), _unquoted(value)) for name, _, value in (item.partition(b"=") for item in body.split(b"&") if item)
    }
    return b"".join(name + value for name, value in sorted(pairs))


def _unquoted(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


class _Hashed:
    """A body whose SHA-256 stands in an address that is signed itself."""

    def __init__(self, expected: str) -> None:
        """`expected` is hexadecimal."""
        self._expected = _wire(expected.lower())
        self._sha256 = hashlib.sha256()

    def update(self, piece: Buffer) -> None:
        self._sha256.update(piece)

    def fault(self) -> Fault | None:
        return None if hmac.compare_digest(self._sha256.hexdigest().encode(), self._expected) else "signature"


class _Proven:
    """An origin that the headers prove, whatever the body is."""

    def update(self, piece: Buffer) -> None:
        pass

    def fault(self) -> Fault | None:
        return None


def _key(secret: str) -> bytes:
    return secret.encode("utf-8", "surrogatepass")


def _wire(text: str) -> bytes:
    """Return a header's bytes; what cannot have come in a header matches nothing."""
    return text.encode("latin-1", "backslashreplace")


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode()


def _of_base64(text: str) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return None


# ---------------------------------------------------------------------- vendors


def _elevenlabs(case: _Case) -> Iterator[_Method | Fault]:
    """`ElevenLabs-Signature: t=<s>,v0=<hex>` over `<t>.<body>`, with the secret as text."""
    found = [_ELEVENLABS.fullmatch(part.strip()) for part in case.header("ElevenLabs-Signature").split(",", 2 * _SIGNATURES)]
    times = [match[2] for match in found if match and match[1] == "t"]
    given = [match[2].lower() for match in found if match and match[1] == "v0"]
    if len(times) != 1 or not _TIME.fullmatch(times[0]):
        yield "signature"
    elif case.is_stale(int(times[0]), _ELEVENLABS_BACK_S):
        yield "stale"
    else:
        yield _Mac(case.texts, given[:_SIGNATURES], before=f"{times[0]}.".encode())


def _retell(case: _Case) -> Iterator[_Method | Fault]:
    """`X-Retell-Signature: v=<ms>,d=<hex>` over the body directly followed by the milliseconds, with the API key as text."""
    match = _RETELL.fullmatch(case.header("X-Retell-Signature"))
    if match is None:
        yield "signature"
    elif case.is_stale(int(match[1]) / 1000):
        yield "stale"
    else:
        yield _Mac(case.texts, [match[2].lower()], after=match[1].encode())


def _vapi(case: _Case) -> Iterator[_Method | Fault]:
    """By the setting `proof`: one of two HMACs, a shared secret, or Standard Webhooks."""
    if case.settings.proof == "standard":
        return _standard(case)
    return _vapi_secret(case) if case.settings.proof == "secret" else _vapi_hmac(case)


def _vapi_hmac(case: _Case) -> Iterator[_Method | Fault]:
    """`x-signature`, hex over `<x-timestamp>.<body>` (in s or ms); or `x-vapi-signature`, hex over the body alone."""
    stamp = case.header("x-timestamp")
    if not case.header("x-signature") or not _TIME.fullmatch(stamp):
        yield "signature"
    elif case.is_stale(int(stamp) / (1000 if int(stamp) > 1e11 else 1)):
        yield "stale"
    else:
        yield _Mac(case.texts, [case.header("x-signature").lower()], before=f"{stamp}.".encode())
    given = case.header("x-vapi-signature").lower()
    yield _Mac(case.texts, [given]) if given else "signature"


def _vapi_secret(case: _Case) -> Iterator[_Method | Fault]:
    """`X-Vapi-Secret`, or `Authorization: Bearer`."""
    scheme, _, token = case.header("Authorization").partition(" ")
    given = [_wire(case.header("X-Vapi-Secret")), _wire(token.strip()) if scheme.lower() == "bearer" else b""]
    yield _Proven() if any(hmac.compare_digest(key, text) for key in case.texts for text in given) else "signature"


def _bland(case: _Case) -> Iterator[_Method | Fault]:
    """`X-Webhook-Signature`, hex over the body."""
    given = case.header("X-Webhook-Signature").lower()
    yield _Mac(case.texts, [given]) if given else "signature"


def _twilio(case: _Case) -> Iterator[_Method | Fault]:
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
    base = case.settings.public_url or f"http://{case.request.host}"
    urls = [_wire(url) for url in _with_and_without_port(base.rstrip("/") + case.request.target)]
    expected = _query_value(case.request.target, "bodySHA256")
    if expected is None:
        yield _Form(case.texts, urls, given, digest)
    elif any(_Mac(case.texts, [given], before=url, encode=_base64, digest=digest).fault() is None for url in urls):
        yield _Hashed(expected)
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
        return parse_qs(target.partition("?")[2], max_num_fields=_MAX_FIELDS).get(name, [None])[0]
    except ValueError:
        return None


def _telnyx(case: _Case) -> Iterator[_Method | Fault]:
    """`telnyx-signature-ed25519`, base64 over `<telnyx-timestamp>|<body>`; the secrets are public keys in base64."""
    stamp = case.header("telnyx-timestamp")
    signature = _of_base64(case.header("telnyx-signature-ed25519"))
    if not signature or not _TIME.fullmatch(stamp):
        yield "signature"
    elif case.is_stale(int(stamp)):
        yield "stale"
    else:
        yield _Ed25519((_of_base64(secret) or b"" for secret in case.secrets), [signature], f"{stamp}|".encode())


def _quo(case: _Case) -> Iterator[_Method | Fault]:
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
            yield _Mac(_decoded(case.secrets), [match[2]], before=f"{match[1]}.".encode(), encode=_base64)


def _standard(case: _Case) -> Iterator[_Method | Fault]:
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
    before = _wire(f"{message_id}.{stamp}.")
    given = [item.partition(",") for item in signatures.split(maxsplit=2 * _SIGNATURES)]
    macs = [signature for version, _, signature in given if version == "v1"][:_SIGNATURES]
    signed = [_of_base64(signature) or b"" for version, _, signature in given if version == "v1a"][:_ED25519_SIGNATURES]
    public = [_of_base64(secret.removeprefix("whpk_")) or b"" for secret in case.secrets if secret.startswith("whpk_")]
    yield _Mac(_decoded(case.secrets), macs, before=before, encode=_base64) if macs else "signature"
    if signed and public:
        yield _Ed25519(public, signed, before)


def _decoded(secrets: Iterable[str]) -> list[bytes]:
    """Return the keys in secrets of base64; a public key is never the key of an HMAC, and what is no base64 is text."""
    symmetric = (secret.removeprefix("whsec_") for secret in secrets if not secret.startswith("whpk_"))
    return [_of_base64(secret + "=" * (-len(secret) % 4)) or _key(secret) for secret in symmetric if secret]


_KINDS: Final[Mapping[str, Callable[[_Case], Iterator[_Method | Fault]]]] = {
    "elevenlabs": _elevenlabs,
    "retell": _retell,
    "vapi": _vapi,
    "bland": _bland,
    "twilio": _twilio,
    "telnyx": _telnyx,
    "quo": _quo,
    "standard": _standard,
}
