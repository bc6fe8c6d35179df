"""Recordings to decode."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from tests.support import audio
from tests.support.service import SAMPLES

VOICE: Final = SAMPLES / "appointment.mp3"
UNDECODABLE: Final = (
    b"", b"x", audio.m4a(), audio.webm(), audio.ogg(), audio.mp3()[:10], b"RIFF" + bytes(40), b"fLaC" + bytes(40),
)  # fmt: skip


def wav(rate_hz: int, samples: bytes) -> bytes:
    """8 bits, mono, at any rate."""
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, rate_hz, 1, 8)
    body = b"WAVE" + fmt + struct.pack("<4sI", b"data", len(samples)) + samples
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def file_of(directory: Path, content: bytes) -> Path:
    path = directory / "recording"
    path.write_bytes(content)
    return path
