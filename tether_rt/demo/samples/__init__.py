"""Sample calls: payloads of the ingest contract. The completed ones have a recording of the transcript.

`tests/support/make_samples.py` made them. The `timestamp` of a turn is the second at which it starts in the recording.
"""

from __future__ import annotations

import base64
import json
from importlib import resources
from typing import Any, Final

COMPLETED: Final = ("appointment", "outage", "delivery")
UNANSWERED: Final = ("no-answer", "busy", "failed")


def payload(name: str) -> dict[str, Any]:
    """Return the body of an ingest request, with the recording as base64 if the call has one."""
    body: dict[str, Any] = json.loads((resources.files(__name__) / f"{name}.json").read_text())
    if name in COMPLETED:
        body["recording"] = base64.b64encode(recording(name)).decode()
    return body


def new_call(name: str) -> dict[str, Any]:
    """Return a payload without id and start, so that each time it is posted it is a new call."""
    return {field: value for field, value in payload(name).items() if field not in ("externalCallId", "callStartTime")}


def recording(name: str) -> bytes:
    """Return the MP3 of a completed call."""
    return (resources.files(__name__) / f"{name}.mp3").read_bytes()
