"""Signs webhooks as their vendors do, written from the vendors' pages and not from our verifying code."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TELNYX_SEED = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
"""The private seed of the key that Telnyx's requests are signed with; see `TELNYX_PUBLIC_KEY`."""
TELNYX_PUBLIC_KEY = "ebVWLo/mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ="
STANDARD_ID = "msg_01J8ZQ4Y7W0000000000000001"


def _hex(key: str, message: bytes) -> str:
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()


def _base64(key: bytes, message: bytes, digest: str = "sha256") -> str:
    return base64.b64encode(hmac.digest(key, message, digest)).decode()


def elevenlabs(secret: str, body: bytes, at_s: float) -> dict[str, str]:
    """Return ElevenLabs' headers."""
    stamp = str(int(at_s))
    return {"ElevenLabs-Signature": f"t={stamp},v0={_hex(secret, f'{stamp}.'.encode() + body)}"}


def retell(secret: str, body: bytes, at_s: float) -> dict[str, str]:
    """Return Retell's headers."""
    stamp = str(round(at_s * 1000))
    return {"X-Retell-Signature": f"v={stamp},d={_hex(secret, body + stamp.encode())}"}


def vapi(secret: str, body: bytes, at_s: float) -> dict[str, str]:
    """Return Vapi's headers with its HMAC as it is preset."""
    stamp = str(int(at_s))
    return {"x-timestamp": stamp, "x-signature": _hex(secret, f"{stamp}.".encode() + body)}


def vapi_body_alone(secret: str, body: bytes, at_s: float) -> dict[str, str]:
    """Return Vapi's headers with an HMAC of the bare body."""
    return {"x-vapi-signature": _hex(secret, body)}


def bland(secret: str, body: bytes, at_s: float) -> dict[str, str]:
    """Return Bland's headers."""
    return {"X-Webhook-Signature": _hex(secret, body)}


def telnyx(secret: str, body: bytes, at_s: float) -> dict[str, str]:
    """Return Telnyx's headers; the secret is a private seed in base64."""
    stamp = str(int(at_s))
    signature = Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret)).sign(f"{stamp}|".encode() + body)
    return {"telnyx-timestamp": stamp, "telnyx-signature-ed25519": base64.b64encode(signature).decode()}


def standard(secret: str, body: bytes, at_s: float, message_id: str = STANDARD_ID) -> dict[str, str]:
    """Return the headers of Standard Webhooks, which Quo has as well."""
    stamp = str(int(at_s))
    signed = f"{message_id}.{stamp}.".encode() + body
    signature = _base64(base64.b64decode(secret.removeprefix("whsec_")), signed)
    return {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}


def old_quo(secret: str, body: bytes, at_s: float) -> dict[str, str]:
    """Return the headers of Quo's older kind."""
    stamp = str(round(at_s * 1000))
    return {"openphone-signature": f"hmac;1;{stamp};{_base64(base64.b64decode(secret), f'{stamp}.'.encode() + body)}"}


def twilio(secret: str, body: bytes, url: str, *, is_form: bool = True, digest: str = "sha1") -> dict[str, str]:
    """Return Twilio's headers for the address that it calls; one of a body that is no form has `bodySHA256`."""
    fields = sorted(set(parse_qsl(body.decode(), keep_blank_values=True))) if is_form else []
    signed = url + "".join(name + value for name, value in fields)
    headers = {"X-Twilio-Signature": _base64(secret.encode(), signed.encode(), digest)}
    if digest == "sha256":
        headers["X-Twilio-Webhooks-Signature-Settings"] = "key=webhooks_sharedkey_01example,algorithm=HMAC_SHA256"
    return headers


SIGNERS: dict[str, Callable[[str, bytes, float], dict[str, str]]] = {
    "elevenlabs": elevenlabs,
    "retell": retell,
    "vapi": vapi,
    "bland": bland,
    "telnyx": telnyx,
    "quo": standard,
    "standard": standard,
}
"""By kind of source, all that sign the body alone: `SIGNERS[kind](secret, body, at_s)`."""
