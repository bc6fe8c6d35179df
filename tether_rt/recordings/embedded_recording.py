"""A recording of megabytes inside a JSON body, left where it arrived instead of being parsed with the rest.

A JSON parser would copy it into one string, which blocks the interpreter for 42 ms and doubles the memory of a recording of
20 MB. So the recording's text is found by its quotes, a memory scan of 2.6 ms; the rest is parsed with a placeholder in its
place; and the text is unescaped piece by piece when it is decoded.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Final

import orjson

from tether_rt.errors import BadRequest
from tether_rt.recordings.store import PIECE_BYTES

_KEY: Final = b'"recording"'
_BEFORE_STRING: Final = b" \t\r\n:"
_BACKSLASH: Final = 0x5C
_HIGH_SURROGATES: Final = (b"d8", b"d9", b"da", b"db")
_MAX_STRINGS: Final = 100
"""How many strings are compared: a body may hold the key four million times."""
ESCAPE_BYTES: Final = 12
"""The longest escape sequence: a surrogate pair, `\\ud83d\\ude00`."""


class LargeText:
    """The inside of a JSON string as it was sent: `raw[start:end]`, without the quotes."""

    def __init__(self, raw: bytearray, start: int, end: int) -> None:
        self._raw = raw
        self._start = start
        self._end = end

    def __len__(self) -> int:
        """Return the length as sent, in bytes; the unescaped text never has more characters."""
        return self._end - self._start

    def pieces(self, piece_bytes: int = PIECE_BYTES) -> Iterator[str]:
        """Yield the unescaped text in pieces of at most `piece_bytes`; raises `BadRequest` where it is not a JSON string."""
        at = self._start
        while at < self._end:
            end = whole_end(self._raw, at, min(at + piece_bytes, self._end), self._end)
            try:
                yield orjson.loads(b'"' + self._raw[at:end] + b'"')
            except orjson.JSONDecodeError as error:
                said = "The body is not valid JSON, in recording: its text is no JSON string"
                raise BadRequest(said, code="not_json", field="recording") from error
            at = end


def whole_end(raw: bytearray, start: int, end: int, text_end: int) -> int:
    """Return the last place up to `end` that is not inside an escape sequence or a character of several bytes.

    `raw[start:text_end]` is the inside of a JSON string. Where the string goes on behind it, `end` leaves `ESCAPE_BYTES`.
    """
    if end == text_end:
        return end
    backslash = raw.find(b"\\", max(start, end - ESCAPE_BYTES), end)
    if backslash >= 0:
        before = raw[start:backslash]
        # A backslash after an odd number of others is itself escaped.
        place = backslash - (len(before) - len(before.rstrip(b"\\"))) % 2
        while (following := place + _sequence_bytes(raw, place)) <= end:
            place = following
        end = place
    for _ in range(3):
        if raw[end] & 0xC0 == 0x80:
            end -= 1
    return end


def _sequence_bytes(raw: bytearray, at: int) -> int:
    """Return the length of the byte or escape sequence at `at` (RFC 8259 section 7); a surrogate pair is one."""
    if raw[at] != _BACKSLASH:
        return 1
    if raw[at + 1 : at + 2] != b"u":
        return 2
    return 12 if bytes(raw[at + 2 : at + 4]).lower() in _HIGH_SURROGATES and raw[at + 6 : at + 8] == b"\\u" else 6


def recording_place(raw: bytes | bytearray, min_bytes: int) -> tuple[int, int] | None:
    """Return where the text of a body's recording begins and ends, as `lift_recording` finds it."""
    start, end = max(_strings(raw), key=lambda place: place[1] - place[0], default=(0, 0))
    return (start, end) if end - start >= min_bytes and raw[end - 1] != _BACKSLASH else None


def lift_recording(raw: bytearray, min_bytes: int) -> tuple[bytes, str, LargeText] | None:
    """Return the body with a placeholder in place of its recording, the placeholder, and the recording's text.

    Of several strings under that key the longest is taken. Returns None when none has `min_bytes`, or when its end cannot be
    found by its quotes alone: then parse the whole body. The caller checks that the placeholder is the top level's `recording`:
    the key may stand elsewhere, or twice.
    """
    place = recording_place(raw, min_bytes)
    if place is None:
        return None
    start, end = place
    placeholder = secrets.token_hex(16)
    return bytes(raw[:start]) + placeholder.encode() + bytes(raw[end:]), placeholder, LargeText(raw, start, end)


def _strings(raw: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Yield the start and end of the strings that follow the first `_MAX_STRINGS` keys `recording`."""
    end = 0
    for _ in range(_MAX_STRINGS):
        key = raw.find(_KEY, end)
        if key < 0:
            return
        start = end = key + len(_KEY)
        while start < len(raw) and raw[start] in _BEFORE_STRING:
            start += 1
        if raw[start : start + 1] == b'"':
            start += 1
            end = raw.find(b'"', start)
            if end < 0:
                return
            yield start, end
