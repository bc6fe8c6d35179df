"""Recordings that come inside the request, as base64.

Lenient in what vendors' encoders differ in (alphabet, padding, line breaks, a data: prefix), strict in all else: what decodes
is what was meant. Text of any size is decoded piece by piece, so that in a thread it leaves the event loop free.
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
_PREFIX_CHARS: Final = 512
# RFC 2397, audio only: `data:audio/webm;codecs=opus;base64,`
_DATA_URL: Final = re.compile(r"\s*data:\s*(?P<type>[^;,\s]*)(?P<parameters>[^,]*),", re.IGNORECASE)


def decode_base64(text: str) -> bytes:
    """Return what `text` encodes; see `decode_pieces`, which a large text is better given to, in a thread."""
    try:
        return pybase64.b64decode(text, validate=True)  # as nearly all of it is written
    except ValueError:
        return b"".join(decode_pieces(text))


def decode_pieces(text: str | LargeText) -> Iterator[bytes]:
    """Yield what `text` encodes in pieces of up to `PIECE_BYTES`.

    Takes base64 of RFC 4648 section 4 (standard alphabet) or 5 (URL-safe), padded or not, with spaces and line breaks
    anywhere, with or without `data:audio/…;base64,` in front. Raises `BadRequest` that names `recording` and the reason; it
    may do so after the first pieces.
    """
    left = b""
    padding = 0
    seen = 0
    for at, characters in _pieces(text):
        if at >= PIECE_BYTES:  # large, so this is a thread: it gives the event loop its turn, which otherwise waits 5 ms for it
            time.sleep(0)
        piece = _plain(characters, at)
        stripped = piece.rstrip(b"=")
        if b"=" in stripped or (padding and stripped):
            raise BadRequest("recording is not base64: there is text behind the padding")
        padding += len(piece) - len(stripped)
        seen |= (b"+" in stripped or b"/" in stripped) * _STANDARD | (b"-" in stripped or b"_" in stripped) * _URL_SAFE
        if seen == _STANDARD | _URL_SAFE:
            raise BadRequest("recording is not base64: it mixes the standard and the URL-safe alphabet")
        left += stripped
        whole = len(left) - len(left) % 4
        if whole:
            yield _decode(left[:whole], seen)
            left = left[whole:]
    if len(left) == 1 or padding > 2 or (padding and (len(left) + padding) != 4):
        raise BadRequest("recording is not base64: it is cut short or wrongly padded")
    if left:
        yield _decode(left + b"=" * (4 - len(left)), seen)


def _pieces(text: str | LargeText) -> Iterator[tuple[int, str]]:
    """Yield the text behind its prefix in pieces, each with the place of its first character."""
    pieces = (
        text.pieces() if isinstance(text, LargeText) else (text[i : i + PIECE_BYTES] for i in range(0, len(text), PIECE_BYTES))
    )
    at = 0
    for piece in pieces:
        start = _behind_prefix(piece) if at == 0 else 0
        yield at + start, piece[start:]
        at += len(piece)


def _behind_prefix(text: str) -> int:
    head = text[:_PREFIX_CHARS]
    if head.lstrip()[:5].lower() != "data:":
        return 0
    prefix = _DATA_URL.match(head)
    if prefix is None:
        raise BadRequest("recording is a data: URL without a comma")
    parameters = [parameter.strip().lower() for parameter in prefix["parameters"].split(";")]
    if parameters[-1] != "base64":
        raise BadRequest("recording is a data: URL that is not base64; it must begin with data:audio/…;base64,")
    if not prefix["type"].lower().startswith("audio/"):
        raise BadRequest("recording is a data: URL of something other than audio; it must begin with data:audio/…;base64,")
    return prefix.end()


def _plain(piece: str, start: int) -> bytes:
    """Return one piece of the text without its white space, checked to be of the alphabet."""
    try:
        raw = piece.encode("ascii")
    except UnicodeEncodeError as error:
        raise _foreign(piece[error.start], start + error.start) from error
    # One pass where there is nothing to mend: each costs the interpreter 0.9 ms.
    others = raw.translate(None, _ALPHABET)
    if not others:
        return raw
    foreign = others.translate(None, _SPACE)
    if foreign:
        character = chr(foreign[0])
        raise _foreign(character, start + piece.index(character))
    return raw.translate(None, _SPACE)


def _foreign(character: str, at: int) -> BadRequest:
    return BadRequest(
        f"recording is neither an http(s) URL nor base64: character {at + 1} ({character!r}) is not in the base64 alphabet"
    )


def _decode(quads: bytes, seen: int) -> bytes:
    return pybase64.b64decode(quads, b"-_" if seen & _URL_SAFE else None, validate=True)
