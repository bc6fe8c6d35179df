"""The top-level fields of a call that a vendor sends, in the contract's order."""

from __future__ import annotations

from typing import Final

CALL_FIELDS: Final = (
    "direction",
    "fromNumber",
    "toNumber",
    "duration",
    "status",
    "transcript",
    "summary",
    "recording",
    "externalCallId",
    "agentName",
    "metadata",
    "callerName",
    "callStartTime",
)
HISTORIC: Final = "historic"
"""Of this project's own: true for a call from the past."""
REQUIRED_WHEN_COMPLETED: Final = ("transcript", "summary", "recording")
