"""The calls that are sent: alike for every contestant, different from one another, made before the clock starts.

A call is kept as the bytes around its id, so that a new one is `id.join(parts)`: the id stands in `externalCallId`, and in the
recording, which so is another one each time, too.
"""

from __future__ import annotations

import base64
import json
import random
from typing import Any, Final

ID_BYTES: Final = 24
"""Hexadecimal digits, so that an id is a piece of base64 as well."""
NUMBERS: Final = 5_000
COMPLETED: Final = 0.7
"""The share of calls that are completed, and so have a recording."""
_INLINE_BYTES: Final = 4_170
_ID: Final = "@" * ID_BYTES
_WORDS: Final = (
    "appointment tomorrow delivery invoice thanks window repair morning address confirm number please moment technician "
    "order cancel weekend warranty account street router payment question monthly contract battery receipt garden"
).split()
_STATUSES: Final = ("no-answer", "busy", "failed")

Template = tuple[bytes, ...]


def templates(count: int, *, turns: int = 20, recording_host: str = "", seed: int = 1) -> list[Template]:
    """Return `count` calls over 5,000 numbers; 70 % are completed and have a recording: inline, or at an address."""
    dice = random.Random(seed)
    return [tuple(_body(dice, turns, recording_host).encode().split(_ID.encode())) for _ in range(count)]


def head(port: int, key: str, *, respond_async: bool = False) -> bytes:
    """Return the first part of every request with this key; a `tail` completes it."""
    preference = "Prefer: respond-async\r\n" if respond_async else ""
    return (
        f"POST /api/calls/ingest HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\n{preference}Content-Length: "
    ).encode()


def tail(call: Template) -> Template:
    """Return the rest of the request for this call, again with places for the id."""
    size = sum(map(len, call)) + ID_BYTES * (len(call) - 1)
    return (b"%d\r\n\r\n" % size + call[0], *call[1:])


def mp3(size_bytes: int, salt: bytes = b"") -> bytes:
    """Return an MP3 of about that size: MPEG 1 Layer III, 128 kbit/s, 44.1 kHz mono, silent; whole frames."""
    frame = b"\xff\xfb\x90\xc4" + bytes(413)  # 144 * 128000 / 44100 = 417 bytes
    first = (frame[:36] + salt).ljust(417, b"\0")
    return first + frame * (max(2, size_bytes // 417) - 1)


def _body(dice: random.Random, turns: int, recording_host: str) -> str:
    number = f"+1416{5_550_000 + dice.randrange(NUMBERS):07d}"
    inbound = dice.random() < 0.6
    completed = dice.random() < COMPLETED
    call: dict[str, Any] = {
        "direction": "inbound" if inbound else "outbound",
        "fromNumber": number if inbound else "+14165550100",
        "toNumber": "+14165550100" if inbound else number,
        "duration": dice.randrange(20, 600) if completed else 0,
        "status": "completed" if completed else dice.choice(_STATUSES),
        "transcript": [
            {
                "role": "agent" if turn % 2 else "user",
                "message": " ".join(dice.choices(_WORDS, k=10)).capitalize() + ".",
                "timestamp": round(turn * 4.3, 1),
            }
            for turn in range(turns)
        ],
        "summary": " ".join(dice.choices(_WORDS, k=20)).capitalize() + ".",
        "agentName": f"Agent {dice.randrange(20)}",
        "metadata": {"campaign": "autumn", "queue": dice.randrange(8), "tags": ["new", "web"]},
        "callStartTime": f"2026-05-{dice.randrange(1, 29):02d}T{dice.randrange(24):02d}:{dice.randrange(60):02d}:00.000Z",
    }
    if dice.random() < 0.3:
        call["callerName"] = f"Caller {number[-4:]}"
    if completed and recording_host:
        call["recording"] = f"http://{recording_host}/{_ID}.mp3"
    elif completed:
        text = base64.b64encode(mp3(_INLINE_BYTES)).decode()
        # Within the first frame, behind its header, at a whole number of base64's quads.
        call["recording"] = text[:64] + _ID + text[64 + ID_BYTES :]
    call["externalCallId"] = _ID
    return json.dumps(call, separators=(",", ":"))
