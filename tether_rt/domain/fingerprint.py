"""A digest of a body's content, by which a repetition of a call is told from another one. Pure."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from typing import Any, Final

import orjson

from tether_rt.domain.fields import CALL_FIELDS

EXTRA: Final = "extra"
"""In a list of fields: all those that the contract does not know."""
_WHOLE_CHARS: Final = 64
"""The first part of a fingerprint: SHA-256 in hex. The second has eight characters for each field."""
_ABSENT: Final = "-" * 8
_FIELDS: Final = (*(name for name in CALL_FIELDS if name != "recording"), "recording", EXTRA)
_KNOWN: Final = frozenset(CALL_FIELDS)


def fingerprint(body: dict[str, Any], recording_pieces: Iterable[str] | None = None) -> str | None:
    """Return a digest of a body's content: the same for two bodies that differ in spacing, escapes and order of keys alone.

    The recording, which is kept apart when it is large, is digested on its own: that saves a copy of it. None for a body
    that is too deep to be digested; such a body cannot be stored either.
    """
    digest = hashlib.sha256()
    voice = hashlib.sha256()
    if recording_pieces is not None:
        for piece in recording_pieces:
            voice.update(piece.encode())
        digest.update(voice.digest())
    elif "recording" in body:
        voice.update(body["recording"].encode())
        digest.update(voice.digest())
    rest = {name: value for name, value in body.items() if name != "recording"}
    try:
        digest.update(_canonical(rest))
    except orjson.JSONEncodeError:
        return None
    # The second part says which fields differ, field by field, for people: 32 bits are enough.
    fields = [_field_digest(rest[name]) if name in rest else _ABSENT for name in _FIELDS[:-2]]
    fields.append(voice.hexdigest()[:8] if "recording" in body else _ABSENT)
    extra = {name: value for name, value in rest.items() if name not in _KNOWN}
    fields.append(_field_digest(extra) if extra else _ABSENT)
    return digest.hexdigest() + "".join(fields)


def same_content(fingerprint: str, other: str) -> bool:
    """Return whether two bodies have the same content by their fingerprints, of which older ones have the first part alone."""
    return fingerprint[:_WHOLE_CHARS] == other[:_WHOLE_CHARS]


def differing_fields(fingerprint: str, other: str) -> list[str] | None:
    """Return the fields that differ by two fingerprints, None where one of them is of an earlier version.

    `EXTRA` in the list stands for all fields that the contract does not know.
    """
    mine, theirs = fingerprint[_WHOLE_CHARS:], other[_WHOLE_CHARS:]
    if not mine or not theirs:
        return None
    places = zip(_FIELDS, range(0, len(mine), 8), strict=True)
    return [name for name, at in places if mine[at : at + 8] != theirs[at : at + 8]]


def _canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _field_digest(value: Any) -> str:
    return f"{zlib.crc32(_canonical(value)):08x}"
