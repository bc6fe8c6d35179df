"""A request's bytes as a checked JSON object, and what JSON allows but MongoDB cannot hold. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

import orjson

from tether_rt.domain import KNOWN_FIELDS
from tether_rt.errors import BadRequest

MAX_DEPTH: Final = 90
"""MongoDB takes 100 levels; a vendor's values lie a few levels down in the call's document."""
_MIN_INTEGER: Final = -(1 << 63)
_MAX_INTEGER: Final = (1 << 63) - 1
_MIN_SURE: Final = -(2.0**63)
_MAX_SURE: Final = 2.0**63


def parse(raw: bytes | bytearray) -> Any:
    """Return the JSON value (RFC 8259); raises `BadRequest` saying where it stops being JSON."""
    if not raw:
        raise BadRequest("The body is empty: send the call as a JSON object")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not valid JSON: {error}") from error


def fingerprint(body: dict[str, Any]) -> str | None:
    """Return a digest that two bodies share when they say the same, whatever their spacing and order of keys.

    The recording is digested on its own, which spares a copy of it. None for a body that is too deep to be digested, which is
    none that could have been stored.
    """
    digest = hashlib.sha256()
    recording = body.get("recording")
    if isinstance(recording, str):
        digest.update(hashlib.sha256(recording.encode()).digest())
    rest = {name: value for name, value in body.items() if name != "recording"}
    try:
        digest.update(orjson.dumps(rest, option=orjson.OPT_SORT_KEYS))
    except orjson.JSONEncodeError:
        return None
    return digest.hexdigest()


def require_storable(body: dict[str, Any], raw: bytes | bytearray) -> None:
    """Raise `BadRequest`, naming the place, for what BSON cannot hold: integers past 64 bits, NUL in keys, too many levels.

    The body has passed the schema, so only numbers and free-form fields can be at fault. orjson reads an integer past 64 bits
    as a float; one that large is therefore looked up in the text before it is called an integer.
    """
    _require_number(body["duration"], raw, (None, "duration"))
    for index, turn in enumerate(body.get("transcript", ())):
        if "timestamp" in turn:
            _require_number(turn["timestamp"], raw, (((None, "transcript"), index), "timestamp"))
    free = {name: value for name, value in body.items() if name == "metadata" or name not in KNOWN_FIELDS}
    if free:
        _require_free_values(free, raw)


_Place = tuple[Any, str | int]
"""Where a value lies: (the place of what holds it, its key or index). A path's text is made only when it is needed."""


def _require_free_values(free: dict[str, Any], raw: bytes | bytearray) -> None:
    pending: list[tuple[Any, int, Any]] = [(free, 0, None)]
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
                _require_number(value, raw, (place, key))


def _require_number(value: float, raw: bytes | bytearray, place: _Place) -> None:
    if isinstance(value, int):
        fits = _MIN_INTEGER <= value <= _MAX_INTEGER
    else:
        fits = _MIN_SURE < value < _MAX_SURE or not _has_huge_integer(raw)
    if not fits:
        raise BadRequest(f"{_path(place)} is an integer past 64 bits: send it as a string")


def _path(place: Any) -> str:
    parts: list[str] = []
    while place is not None:
        place, key = place
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key[:40]}".replace("\0", ""))
    path = "".join(reversed(parts)).lstrip(".")
    return path if len(path) <= 120 else path[:119] + "…"


def _has_huge_integer(raw: bytes | bytearray) -> bool:
    huge = False

    def judge(digits: str) -> int:
        nonlocal huge
        huge = huge or len(digits) > 20 or not _MIN_INTEGER <= int(digits) <= _MAX_INTEGER
        return 0

    json.loads(raw, parse_int=judge)
    return huge
