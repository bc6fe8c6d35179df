"""What is asked to see whether somebody is let in."""

from __future__ import annotations

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
SIGNED_IN = "/api/auth/verify-token"
