"""The contract, a call that it lets in, and what it says of one that it does not."""

from __future__ import annotations

from typing import Any

import pytest

from tether_rt.domain.contract import load_contract
from tether_rt.errors import BadRequest

INGEST = "CallsIngestExternalCallRequest"
CONTRACT = load_contract()

TURN: dict[str, Any] = {"role": "agent", "message": "Hi, this is Alex from Example Corp.", "timestamp": 0.5}
CALL: dict[str, Any] = {
    "direction": "outbound",
    "fromNumber": "+14165550100",
    "toNumber": "+14165550199",
    "duration": 154,
    "status": "completed",
    "transcript": [TURN, {"role": "user", "message": "Hey Alex."}],
    "summary": "Confirmed appointment for Friday at 2pm.",
    "recording": "https://vendor.example/recordings/abc123.mp3",
    "externalCallId": "vendor-call-abc123",
    "agentName": "Alex (Example Agent)",
    "metadata": {"campaign": {"$set": [1, None, True]}},
    "callerName": "Priya Nair",
    "callStartTime": "2026-05-15T09:10:00.000Z",
}


def refusal(body: object, schema: str = INGEST) -> str:
    with pytest.raises(BadRequest) as refused:
        CONTRACT.check(schema, body)
    return str(refused.value)
