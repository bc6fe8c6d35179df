"""Parsing of a request's JSON, within limits that keep the event loop free. Pure."""

from __future__ import annotations

from typing import Any, Final

import orjson

from tether_rt.errors import BadRequest

MAX_VALUES: Final = 100_000
MAX_JSON_BYTES: Final = 6 * 1024 * 1024
"""Of a body without its recording. orjson holds the interpreter lock while it parses, and so every other request: 3 ms for a
transcript of 20,000 short turns, 4 ms for 6 MB of text, 8 ms for both together, and 14 s for 17 million empty lists, which fit
into 48 MB. A body within both limits fits into a MongoDB document (16 MB)."""


def parse(raw: bytes | bytearray) -> Any:
    """Return the JSON value (RFC 8259); raises `BadRequest` saying where it stops being JSON or that it holds too much."""
    if not raw:
        raise BadRequest("The body is empty: send the call as a JSON object")
    if len(raw) > MAX_JSON_BYTES:
        raise BadRequest("The call is too large to store beside its recording: shorten its transcript or metadata")
    if has_more_values(raw, MAX_VALUES):
        raise BadRequest(f"The body is too large: it holds more than {MAX_VALUES:,} values")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not valid JSON: {error}") from error


def has_more_values(raw: bytes | bytearray, limit: int) -> bool:
    """Return True if there may be more than `limit` values. Counted without parsing: commas and brackets in text count."""
    return len(raw) > limit and raw.count(b",") + raw.count(b"[") + raw.count(b"{") > limit
