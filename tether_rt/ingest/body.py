"""A request's bytes as a checked JSON object, and what JSON allows but MongoDB cannot hold. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from tether_rt.domain import KNOWN_FIELDS
from tether_rt.errors import BadRequest
from tether_rt.ingest.large import LargeText

MAX_DEPTH: Final = 90
"""MongoDB takes 100 levels; a vendor's values lie a few levels down in the call's document."""
MAX_VALUES: Final = 100_000
MAX_JSON_BYTES: Final = 6 * 1024 * 1024
"""Of a body without its recording. orjson holds the interpreter while it reads, and so every other request: 3 ms for a
transcript of 20,000 short turns, 4 ms for 6 MB of text, 8 ms where both come together, and 14 s for the 17 million empty lists
that 48 MB would have room for. What is within both bounds fits into a document of MongoDB's (16 MB)."""

_MIN_INTEGER: Final = -(1 << 63)
_MAX_INTEGER: Final = (1 << 63) - 1
_MIN_SURE: Final = -(2.0**63)
_MAX_SURE: Final = 2.0**63
_LONGEST_INTEGER: Final = 20
"""Digits, with a sign, of an integer that may fit into 64 bits."""


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
    """Say if there may be more values than that: counted without reading, so commas and brackets in text count as well."""
    return len(raw) > limit and raw.count(b",") + raw.count(b"[") + raw.count(b"{") > limit


def fingerprint(body: dict[str, Any], recording: LargeText | None = None) -> str | None:
    """Return a digest that two bodies share when they say the same, whatever their spacing, escapes and order of keys.

    The recording, which lies apart when it is large, is digested on its own: that spares a copy of it. None for a body that is
    too deep to be digested, which is none that could have been stored.
    """
    digest = hashlib.sha256()
    if recording is not None:
        voice = hashlib.sha256()
        for piece in recording.pieces():
            voice.update(piece.encode())
        digest.update(voice.digest())
    elif "recording" in body:
        digest.update(hashlib.sha256(body["recording"].encode()).digest())
    rest = {name: value for name, value in body.items() if name != "recording"}
    try:
        digest.update(orjson.dumps(rest, option=orjson.OPT_SORT_KEYS))
    except orjson.JSONEncodeError:
        return None
    return digest.hexdigest()


def require_storable(body: dict[str, Any], raw: bytes | bytearray) -> None:
    """Raise `BadRequest`, naming the place, for what BSON cannot hold: integers past 64 bits, NUL in keys, too many levels.

    The body has passed the schema, so only numbers and free-form fields can be at fault. orjson reads an integer past 64 bits
    as a float; where there is a number that large, the text is read again, once, by a parser that tells the two apart.
    """
    numbers = [body["duration"], *[turn["timestamp"] for turn in body.get("transcript", ()) if "timestamp" in turn]]
    free = {name: value for name, value in body.items() if name == "metadata" or name not in KNOWN_FIELDS}
    if min(numbers) > _MIN_SURE and max(numbers) < _MAX_SURE and next(_large_numbers(free), None) is None:
        return
    for place, value in _large_numbers(_exact(raw)):
        if isinstance(value, int) and not _MIN_INTEGER <= value <= _MAX_INTEGER:
            raise BadRequest(f"{_path(place)} is an integer past 64 bits: send it as a string")


_Place = tuple[Any, str | int]
"""Where a value lies: (the place of what holds it, its key or index). A path's text is made only when it is needed."""


def _large_numbers(root: dict[str, Any]) -> Iterator[tuple[_Place, float]]:
    """Yield the numbers that may be past 64 bits; raise `BadRequest` for a name with a NUL in it and for too many levels."""
    pending: list[tuple[Any, int, Any]] = [(root, 0, None)]
    while pending:
        holder, depth, place = pending.pop()
        if depth > MAX_DEPTH:
            raise BadRequest(f"{_path(place)} is nested too deeply: {MAX_DEPTH} levels are the limit")
        items: Iterable[tuple[str | int, Any]]
        if isinstance(holder, dict):
            items = holder.items()
            for key in holder:
                if "\0" in key:
                    raise BadRequest(f"{_path((place, key))} has a NUL character in its name, which cannot be stored")
        else:
            items = enumerate(holder)
        for key, value in items:
            kind = type(value)
            if kind is dict or kind is list:
                pending.append((value, depth + 1, (place, key)))
            elif (kind is int or kind is float) and not _MIN_SURE < value < _MAX_SURE:
                yield (place, key), value


def _exact(raw: bytes | bytearray) -> dict[str, Any]:
    """Return the body with its integers as integers, however large; one of too many digits becomes one that is too large."""
    try:
        body = json.loads(raw, parse_int=lambda digits: int(digits) if len(digits) <= _LONGEST_INTEGER else 1 << 64)
    except RecursionError as error:  # a value that a later one of the same name has replaced is read, too
        raise BadRequest(f"The body is nested too deeply: {MAX_DEPTH} levels are the limit") from error
    return dict(body)


def _path(place: Any) -> str:
    parts: list[str] = []
    while place is not None:
        place, key = place
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key[:40]}".replace("\0", ""))
    path = "".join(reversed(parts))[1:] or '""'
    return path if len(path) <= 120 else path[:119] + "…"
