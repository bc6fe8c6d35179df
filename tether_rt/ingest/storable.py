"""Rules for what JSON allows but MongoDB cannot store. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from tether_rt.domain.call import KNOWN_FIELDS
from tether_rt.domain.contract import MAX_FAULTS
from tether_rt.errors import BadRequest, Fault

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


def require_storable(body: dict[str, Any], raw: bytes | bytearray) -> None:
    """Raise `BadRequest` for what BSON cannot store: integers past 64 bits, NUL in keys, too many levels.

    The body has passed the schema, so only numbers and free-form fields can be wrong.
    """
    numbers = [body.get("duration", 0), *[turn["timestamp"] for turn in body.get("transcript", ()) if "timestamp" in turn]]
    free = {name: value for name, value in body.items() if name == "metadata" or name not in KNOWN_FIELDS}
    if min(numbers) > _MIN_SURE and max(numbers) < _MAX_SURE and next(_doubts(free), None) is None:
        return
    if faults := list(islice(storable_faults(body, raw), MAX_FAULTS)):
        raise BadRequest.of(faults)


def storable_faults(body: dict[str, Any], raw: bytes | bytearray) -> Iterator[Fault]:
    """Yield everything in a JSON object that BSON cannot store, each with its place; `raw` is its text.

    orjson parses an integer past 64 bits as a float, so the text is parsed again by a parser that distinguishes the two.
    """
    if next(_doubts(body), None) is None:
        return
    if _depth(raw) > MAX_DEPTH + 1:
        # `json` recurses into it. A value that a later one of the same name replaces is read as well.
        place = next((each.place for each in _doubts(body) if each.is_too_deep), None)
        path = _path(place) if place is not None else None
        yield Fault("too_deep", path, f"{path or 'The body'} is nested too deeply: {MAX_DEPTH} levels are the limit")
        return
    # One of too many digits, which takes long to read, becomes one that is too large.
    exact = json.loads(raw, parse_int=lambda digits: int(digits) if len(digits) <= _LONGEST_INTEGER else 1 << 64)
    for doubt in _doubts(exact):
        path = _path(doubt.place)
        if doubt.value is None:
            yield Fault("not_storable", path, f"{path} has a NUL character in its name, which cannot be stored")
        elif isinstance(doubt.value, int) and not _MIN_INTEGER <= doubt.value <= _MAX_INTEGER:
            yield Fault("not_storable", path, f"{path} is an integer past 64 bits: send it as a string")


_Place = tuple[Any, str | int]
"""Where a value is: (the place of its container, its key or index). The text of a path is made only when it is needed."""


class _Doubt(NamedTuple):
    """Something that may not be storable: a number that may be past 64 bits, a name with a NUL in it, too many levels."""

    place: Any
    value: float | None = None
    """The number."""
    is_too_deep: bool = False


def _doubts(root: dict[str, Any]) -> Iterator[_Doubt]:
    pending: list[tuple[Any, int, Any]] = [(root, 0, None)]
    while pending:
        holder, depth, place = pending.pop()
        if depth > MAX_DEPTH:
            yield _Doubt(place, is_too_deep=True)
            continue
        items: Iterable[tuple[str | int, Any]]
        if isinstance(holder, dict):
            items = holder.items()
            for key in holder:
                if "\0" in key:
                    yield _Doubt((place, key))
        else:
            items = enumerate(holder)
        for key, value in items:
            kind = type(value)
            if kind is dict or kind is list:
                pending.append((value, depth + 1, (place, key)))
            elif (kind is int or kind is float) and not _MIN_SURE < value < _MAX_SURE:
                yield _Doubt((place, key), value)


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
