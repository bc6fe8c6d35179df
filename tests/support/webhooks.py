"""A source of a vendor's kind, and the vendor that sends signed events to it."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from typing import Any

import orjson

from tests.support import signing
from tests.support.adapting import SAMPLES
from tests.support.service import Answer, Tenant

SECRETS = {
    "elevenlabs": "wsec_0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "retell": "key_3f1a77c2d4e64b0f9a5b8c7d6e5f4a3b",
    "vapi": "vapi-hmac-secret-01",
    "bland": "bland-signing-secret-01",
    "twilio": "2f5c1e8b9a7d4036b1c2d3e4f5a60718",
    "telnyx": signing.TELNYX_PUBLIC_KEY,
    "standard": "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
    "quo": "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "twilio": {"publicUrl": "https://calls.example.com"},
    "vapi": {"proof": "hmac"},
}


def body_of(name: str) -> bytes:
    """Return a sample as its vendor sends it."""
    return (SAMPLES / name).read_bytes()


@dataclass
class VendorsDoor:
    """Where a vendor sends its events for one source."""

    tenant: Tenant
    kind: str
    source_id: str
    path: str
    secret: str

    def headers(self, body: bytes, at_s: float | None = None) -> dict[str, str]:
        """Return the headers that prove the origin of a body."""
        at_s = time.time() if at_s is None else at_s
        if self.kind == "twilio":
            return signing.twilio(self.secret, body, f"https://calls.example.com{self.path}")
        if self.kind == "telnyx":
            return signing.telnyx(signing.TELNYX_SEED, body, at_s)
        if self.kind in ("standard", "quo"):
            return signing.standard(self.secret, body, at_s)
        sign = {"elevenlabs": signing.elevenlabs, "retell": signing.retell, "vapi": signing.vapi, "bland": signing.bland}
        return sign[self.kind](self.secret, body, at_s)

    async def send(self, body: Any, **headers: str) -> Answer:
        """Send an event: bytes as they are, the name of a sample, or a payload as JSON."""
        if isinstance(body, str):
            body = body_of(body)
        elif not isinstance(body, bytes):
            body = orjson.dumps(body)
        kind = "application/x-www-form-urlencoded" if self.kind == "twilio" else "application/json"
        sent = {"Content-Type": kind, **self.headers(body), **headers}
        return await self.tenant.request("POST", self.path, data=io.BytesIO(body), headers=sent)

    async def receive(self, body: Any) -> dict[str, Any]:
        """Send an event that is taken, and return its delivery."""
        answer = await self.send(body)
        assert (answer.status, answer.body["received"]) == (200, True), answer.body
        newest = (await self.deliveries())[0]
        assert newest.get("callId") == answer.body.get("callId")
        return newest

    async def deliveries(self) -> list[dict[str, Any]]:
        """Return the source's deliveries, the newest first."""
        listed: list[dict[str, Any]] = (await self.tenant.get(f"/api/deliveries?source={self.source_id}&limit=200")).body[
            "deliveries"
        ]
        return listed

    async def call(self, delivery: dict[str, Any]) -> dict[str, Any]:
        """Return the call of a delivery."""
        call: dict[str, Any] = (await self.tenant.get(f"/api/calls/{delivery['callId']}")).body["call"]
        return call


async def vendors_door(tenant: Tenant, kind: str, secret: str | None = None, **settings: Any) -> VendorsDoor:
    """Add a source of this kind to the tenant's organization."""
    secret = secret or SECRETS[kind]
    body = {
        "name": "The source's name",
        "kind": kind,
        "secrets": [secret],
        "settings": {**SETTINGS.get(kind, {}), **settings},
    }
    answer = await tenant.post("/api/sources", body)
    assert answer.status == 201, answer.body
    return VendorsDoor(tenant, kind, answer.body["source"]["id"], answer.body["webhookPath"], secret)
