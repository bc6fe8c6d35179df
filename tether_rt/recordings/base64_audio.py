"""Decodes recordings that come inside the request, as base64.

Lenient where vendors' encoders differ (alphabet, padding, line breaks, a data: prefix), and strict in everything else: a space
inside was a plus sign once, before a form decoded it, and to drop it would store another recording. Large text is decoded piece
by piece in a thread, so that the event loop gets its turns.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Final

import pybase64

from tether_rt.errors import BadRequest
from tether_rt.recordings.embedded_recording import LargeText
from tether_rt.recordings.store import PIECE_BYTES

_SPACE: Final = b" \t\r\n"
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="
_STANDARD, _URL_SAFE = 1, 2
PREFIX_CHARS: Final = 512
"""Within how many characters a `data:` prefix ends."""
# RFC 2397, with parameters as in RFC 9110 section 5.6.6: `data:audio/webm;codecs="opus,vorbis";base64,`
_DATA_URL: Final = re.compile(r"""\s*data:(?P<type>(?:[^",]|"(?:[^"\\]|\\.)*+")*+),""", re.IGNORECASE | re.DOTALL)
# White space that is no line break, with text on both sides.
_INNER_SPACE: Final = re.compile(rb"(?<=[^ \t\r\n])[ \t]+(?=[^ \t\r\n])")


def decode_base64(text: str) -> bytes:
    """Return what `text` encodes. For a large text use `decode_pieces`, in a thread; it says what is raised, too."""
    try:
        return pybase64.b64decode(text, validate=True)  # nearly all vendors send plain base64
    except ValueError:
        return b"".join(decode_pieces(text))


def decode_pieces(text: str | LargeText) -> Iterator[bytes]:
    """Yield what `text` encodes, in pieces of up to `PIECE_BYTES`.

    Accepts base64 of RFC 4648 section 4 (standard alphabet) or 5 (URL-safe), padded or not, with line breaks and white space
    around them anywhere, with or without a prefix `data:…;base64,` of any type. Raises `BadRequest` that names `recording` and
    the reason, also after the first pieces.
    """
    decoder = Base64Decoder()
    pieces = (
        text.pieces() if isinstance(text, LargeText) else (text[i : i + PIECE_BYTES] for i in range(0, len(text), PIECE_BYTES))
    )
    for number, piece in enumerate(pieces):
        if number:  # in a thread: give the event loop its turn, for which it would wait 5 ms otherwise
            time.sleep(0)
        if decoded := decoder.feed(piece):
            yield decoded
    if decoded := decoder.finish():
        yield decoded


class Base64Decoder:
    """Decodes a text that comes in pieces; `decode_pieces` says what is accepted, and what is raised."""

    def __init__(self) -> None:
        self._at = 0
        """The index of the next piece's first character."""
        self._left = b""
        self._padding = 0
        self._seen = 0
        self._before = b""

    def feed(self, characters: str) -> bytes:
        """Return what the next piece brings. The first one has `PREFIX_CHARS` characters at least, or is the only one."""
        start = _prefix_chars(characters) if self._at == 0 else 0
        piece, self._before = _without_space(characters[start:], self._at + start, self._before)
        self._at += len(characters)
        stripped = piece.rstrip(b"=")
        if b"=" in stripped or (self._padding and stripped):
            raise BadRequest("recording is not base64: there is text behind the padding")
        self._padding += len(piece) - len(stripped)
        self._seen |= (b"+" in stripped or b"/" in stripped) * _STANDARD | (b"-" in stripped or b"_" in stripped) * _URL_SAFE
        if self._seen == _STANDARD | _URL_SAFE:
            raise BadRequest("recording is not base64: it mixes the standard and the URL-safe alphabet")
        left = self._left + stripped
        whole = len(left) - len(left) % 4
        self._left = left[whole:]
        return _decode(left[:whole], self._seen) if whole else b""

    def finish(self) -> bytes:
        """Return what was left for the end."""
        left, padding = self._left, self._padding
        if len(left) == 1 or padding > 2 or (padding and (len(left) + padding) != 4):
            raise BadRequest("recording is not base64: it is cut short or wrongly padded")
        return _decode(left + b"=" * (4 - len(left)), self._seen) if left else b""


def _prefix_chars(text: str) -> int:
    """Return the length of the text's `data:` prefix, 0 without one; raise `BadRequest` for a prefix of something else."""
    head = text[:PREFIX_CHARS]
    if head.lstrip()[:5].lower() != "data:":
        return 0
    prefix = _DATA_URL.match(head)
    if prefix is None:
        raise BadRequest("recording is a data: URL without a comma")
    if prefix["type"].rpartition(";")[2].strip().lower() != "base64":
        raise BadRequest("recording is a data: URL that is not base64; it must begin with data:audio/…;base64,")
    return prefix.end()


def _without_space(piece: str, start: int, before: bytes) -> tuple[bytes, bytes]:
    """Return a piece of the text without its white space, and its end, which is `before` of the next piece.

    The end is the last character that is no white space, and a line break or a space if one follows. Raises `BadRequest` for
    characters outside the alphabet, and for white space in the middle of a line.
    """
    try:
        raw = piece.encode("ascii")
    except UnicodeEncodeError as error:
        raise _bad_character(piece[error.start], start + error.start) from error
    # Without white space one pass is enough; each takes 0.9 ms.
    others = raw.translate(None, _ALPHABET)
    if not others and not before.endswith(b" "):
        return raw, raw[-1:] or before
    bad = others.translate(None, _SPACE)
    if bad:
        character = chr(bad[0])
        raise _bad_character(character, start + piece.index(character))
    joined = before + raw
    if space := _INNER_SPACE.search(joined):
        raise _inner_space(start + space.start() - len(before))
    text = joined.rstrip(_SPACE)
    behind = joined[len(text) :]
    return raw.translate(None, _SPACE), text[-1:] + (b"\n" if b"\n" in behind or b"\r" in behind else behind[:1] and b" ")


def named(refusal: BadRequest) -> BadRequest:
    """Return the refusal of a recording with the name of its field."""
    return refusal if refusal.field is not None else BadRequest(str(refusal), code="bad_recording", field="recording")


def _inner_space(at: int) -> BadRequest:
    return BadRequest(
        f"recording is not base64: character {at + 1} is a space inside a line; spaces were plus signs (+) if the recording "
        "came through a form: send it in JSON as it was encoded"
    )


def _bad_character(character: str, at: int) -> BadRequest:
    return BadRequest(
        f"recording is neither an http(s) URL nor base64: character {at + 1} ({character!r}) is not in the base64 alphabet"
    )


def _decode(quads: bytes, seen: int) -> bytes:
    return pybase64.b64decode(quads, b"-_" if seen & _URL_SAFE else None, validate=True)
