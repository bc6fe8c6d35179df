"""Parsing of a request's JSON, within limits that keep the event loop free. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from tether_rt.domain.wording import path_of
from tether_rt.errors import BadRequest

MAX_VALUES: Final = 100_000
MAX_JSON_BYTES: Final = 6 * 1024 * 1024
"""Of a body without its recording. orjson holds the interpreter lock while it parses, and so every other request: 3 ms for a
transcript of 20,000 short turns, 4 ms for 6 MB of text, 8 ms for both together, and 14 s for 17 million empty lists, which fit
into 48 MB. A body within both limits fits into a MongoDB document (16 MB)."""
MAX_HALVES: Final = 4_096
"""Halves of surrogate pairs that are replaced in a body, 1 µs each."""
_MAX_PLACED_CHARS: Final = 8 * 1024
"""A mistake farther into the text is told by line and column alone, as finding its field takes 2 ms for so much text."""
_MAX_STEPS: Final = 8
"""The same for one that is nested more deeply."""

_BOM: Final = b"\xef\xbb\xbf"
_SURROGATE: Final = re.compile(
    rb"""((?:[^\\]++                                                      # text
           |\\[^u]                                                       # a short escape
           |\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}                          # any other character
           |\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}   # both halves of one
         )*+)(\\u[dD][89a-fA-F][0-9a-fA-F]{2})?""",
    re.VERBOSE | re.DOTALL,
)
"""Text up to the next half of a surrogate pair that is without its other half, and that half."""
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{},:]', re.DOTALL)


def parse(raw: bytes | bytearray) -> Any:
    """Return the JSON value (RFC 8259); raises `BadRequest` saying where it stops being JSON or that it holds too much."""
    return read(raw)[0]


def read(raw: bytes | bytearray) -> tuple[Any, bytes | bytearray]:
    """Return the JSON value as `parse` does, and the text that was parsed.

    A byte order mark in front is taken (section 8.1), and half a surrogate pair (section 8.2) becomes U+FFFD.
    """
    text = raw[len(_BOM) :] if raw.startswith(_BOM) else raw
    if not text:
        raise BadRequest("The body is empty: send the call as a JSON object", code="empty_body")
    if len(text) > MAX_JSON_BYTES:
        said = "The call is too large to store beside its recording: shorten its transcript or metadata"
        raise BadRequest(said, code="not_storable")
    if has_more_values(text, MAX_VALUES):
        raise BadRequest(f"The body is too large: it holds more than {MAX_VALUES:,} values", code="too_many_values")
    try:
        return orjson.loads(text), text
    except orjson.JSONDecodeError as error:
        mended = _with_whole_characters(bytes(text))
        try:
            return orjson.loads(mended), mended
        except orjson.JSONDecodeError as second:
            raise _not_json(mended, second) from error


def has_more_values(raw: bytes | bytearray, limit: int) -> bool:
    """Return True if there may be more than `limit` values. Counted without parsing: commas and brackets in text count."""
    return len(raw) > limit and raw.count(b",") + raw.count(b"[") + raw.count(b"{") > limit


def _with_whole_characters(raw: bytes) -> bytes:
    """Return JSON text with U+FFFD for each half of a surrogate pair, written as an escape or in bytes; raises `BadRequest`."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        try:
            text = raw.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise _not_utf8(raw, error.start) from error
        # By way of UTF-16, in which both halves of a character meet.
        raw = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()
    if b"\\u" not in raw:
        return raw
    return _SURROGATE.sub(lambda found: found[1] + (b"\\ufffd" if found[2] else b""), raw, MAX_HALVES)


def _not_utf8(raw: bytes, at: int) -> BadRequest:
    wide = raw[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in raw[:4]
    hint = ", and looks like UTF-16" if wide else f": byte {at + 1:,} begins no character"
    return BadRequest(f"The body must be JSON in UTF-8{hint}", code="not_utf8")


def _not_json(raw: bytes, error: orjson.JSONDecodeError) -> BadRequest:
    if b"\0" in raw[:4]:
        return _not_utf8(raw, 0)
    text, at = error.doc, error.pos
    steps = _place(text[:at]) if at <= _MAX_PLACED_CHARS else []
    place = path_of(steps)
    where = f"at line {error.lineno}, column {error.colno}" + (f", in {place}" if place else "")
    return BadRequest(f"The body is not valid JSON {where}{_hint(text, at)}", code="not_json", field=place or None)


def _hint(text: str, at: int) -> str:
    """Return what to add about the text at which JSON ends."""
    rest = text[at : at + 16]
    before = text[max(0, at - 256) : at].rstrip()
    if not rest.strip():
        return ": the text ends too early"
    if rest[0] == "'":
        return ": strings have double quotes"
    if re.match(r",\s*[}\]]", rest):
        return ": there is a comma too many"
    if re.match(r'["\d{\[]', rest) and before[-1:] not in "[{:,":
        return ": a comma is missing in front of it"
    if re.match(r"-?(NaN|Infinity)", rest):
        return ": JSON has no NaN and no Infinity"
    if re.match(r"None|True|False|undefined", rest):
        return ": write null, true or false"
    if rest[0] < " ":
        return ": a line break or another control character in a string must be escaped, such as \\n"
    if re.match(r"\w+\s*:", rest):
        return ": names have double quotes"
    return ""


def _place(text: str) -> list[str | int]:
    """Return the path to the place at the end of this beginning of a JSON text, as far as it can be told."""
    stack: list[list[Any]] = []
    """The open lists and objects: an index, or a name once it is there."""
    last = ""
    for found in _TOKEN.finditer(text):
        mark = found[0]
        if mark == "[":
            stack.append([0])
        elif mark == "{":
            stack.append([None])
        elif mark in "]}":
            if stack:
                stack.pop()
        elif mark == ":":
            if stack and last.startswith('"'):
                stack[-1][0] = last[1:-1]
        elif mark == "," and stack:
            stack[-1][0] = stack[-1][0] + 1 if isinstance(stack[-1][0], int) else None
        last = mark
    steps: list[str | int] = []
    for (step,) in stack:
        if step is None:
            break
        steps.append(step)
    return steps if len(steps) <= _MAX_STEPS else []
