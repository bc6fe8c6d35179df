"""Rules for what JSON allows but MongoDB cannot store, and a digest of a body's content. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from tether_rt.domain.call import KNOWN_FIELDS
from tether_rt.errors import BadRequest
from tether_rt.recordings.embedded_recording import LargeText

MAX_DEPTH: Final = 90
"""MongoDB stores 100 levels; a vendor's values lie a few levels down in the call's document."""
_MIN_INTEGER: Final = -(1 << 63)
_MAX_INTEGER: Final = (1 << 63) - 1
_MIN_SURE: Final = -(2.0**63)
_MAX_SURE: Final = 2.0**63
_LONGEST_INTEGER: Final = 20
"""Digits, with a sign, of an integer that may fit into 64 bits."""
_BRACKETS: Final = re.compile(rb'[\[\]{}]|"(?:[^"\\]|\\.)*"', re.DOTALL)
"""A bracket, or a string, whose brackets do not count."""


def fingerprint(body: dict[str, Any], recording: LargeText | None = None) -> str | None:
    """Return a digest of a body's content: the same for two bodies that differ in spacing, escapes and order of keys alone.

    The recording, which is kept apart when it is large, is digested on its own: that saves a copy of it. None for a body
    that is too deep to be digested; such a body cannot be stored either.
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
    """Raise `BadRequest`, naming the place, for what BSON cannot store: integers past 64 bits, NUL in keys, too many levels.

    The body has passed the schema, so only numbers and free-form fields can be wrong. orjson parses an integer past 64 bits
    as a float; if a number is that large, the text is parsed again by a parser that distinguishes the two.
    """
    numbers = [body["duration"], *[turn["timestamp"] for turn in body.get("transcript", ()) if "timestamp" in turn]]
    free = {name: value for name, value in body.items() if name == "metadata" or name not in KNOWN_FIELDS}
    if min(numbers) > _MIN_SURE and max(numbers) < _MAX_SURE and next(_large_numbers(free), None) is None:
        return
    for place, value in _large_numbers(_exact(raw)):
        if isinstance(value, int) and not _MIN_INTEGER <= value <= _MAX_INTEGER:
            raise BadRequest(f"{_path(place)} is an integer past 64 bits: send it as a string")


_Place = tuple[Any, str | int]
"""Where a value is: (the place of its container, its key or index). The text of a path is made only when it is needed."""


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
    # A value that a later one of the same name replaces is read as well, and `json` recurses into it.
    if _depth(raw) > MAX_DEPTH + 1:
        raise BadRequest(f"The body is nested too deeply: {MAX_DEPTH} levels are the limit")
    return dict(json.loads(raw, parse_int=lambda digits: int(digits) if len(digits) <= _LONGEST_INTEGER else 1 << 64))


def _depth(raw: bytes | bytearray) -> int:
    """Return how many lists and objects of a valid JSON text lie in one another at most, the outermost counted."""
    depth = deepest = 0
    for token in _BRACKETS.finditer(raw):
        if token[0] in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in (b"]", b"}"):
            depth -= 1
    return deepest


def _path(place: Any) -> str:
    parts: list[str] = []
    while place is not None:
        place, key = place
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key[:40]}".replace("\0", ""))
    path = "".join(reversed(parts))[1:] or '""'
    return path if len(path) <= 120 else path[:119] + "…"
