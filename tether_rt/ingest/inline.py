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
from tether_rt.recordings.protocol import PIECE_BYTES

_SPACE: Final = b" \t\r\n"
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="
_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_PREFIX_CHARS: Final = 512
# RFC 2397, audio only: `data:audio/webm;codecs=opus;base64,`
_DATA_URL: Final = re.compile(r"\s*data:\s*(?P<type>[^;,\s]*)(?P<parameters>[^,]*),", re.IGNORECASE)


def decode_base64(text: str) -> bytes:
    """Return what `text` encodes; see `decode_pieces`, which a large text is better given to, in a thread."""
    return b"".join(decode_pieces(text))


def decode_pieces(text: str) -> Iterator[bytes]:
    """Yield what `text` encodes in pieces of up to `PIECE_BYTES`.

    Takes base64 of RFC 4648 section 4 (standard alphabet) or 5 (URL-safe), padded or not, with spaces and line breaks
    anywhere, with or without `data:audio/…;base64,` in front. Raises `BadRequest` that names `recording` and the reason; it
    may do so after the first pieces.
    """
    at = _behind_prefix(text)
    left = b""
    padding = 0
    seen = 0
    for start in range(at, len(text), PIECE_BYTES):
        piece = _plain(text, start)
        stripped = piece.rstrip(b"=")
        if b"=" in stripped or (padding and stripped):
            raise BadRequest("recording is not base64: there is text behind the padding")
        padding += len(piece) - len(stripped)
        seen |= (1 if b"+" in stripped or b"/" in stripped else 0) | (2 if b"-" in stripped or b"_" in stripped else 0)
        if seen == 3:
            raise BadRequest("recording is not base64: it mixes the standard and the URL-safe alphabet")
        left += stripped
        whole = len(left) - len(left) % 4
        if whole:
            yield _decode(left[:whole])
            left = left[whole:]
            # Gives the event loop its turn at once: without, it waits for the interpreter's 5 ms switch interval.
            time.sleep(0)
    if len(left) == 1 or padding > 2 or (padding and (len(left) + padding) != 4):
        raise BadRequest("recording is not base64: it is cut short or wrongly padded")
    if left:
        yield _decode(left + b"=" * (4 - len(left)))


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


def _plain(text: str, start: int) -> bytes:
    """Return one piece of the text without its white space, checked to be of the alphabet."""
    piece = text[start : start + PIECE_BYTES]
    try:
        plain = piece.encode("ascii").translate(None, _SPACE)
    except UnicodeEncodeError as error:
        raise _foreign(piece[error.start], start + error.start) from error
    foreign = plain.translate(None, _ALPHABET)
    if foreign:
        character = chr(foreign[0])
        raise _foreign(character, start + piece.index(character))
    return plain


def _foreign(character: str, at: int) -> BadRequest:
    return BadRequest(
        f"recording is neither an http(s) URL nor base64: character {at + 1} ({character!r}) is not in the base64 alphabet"
    )


def _decode(quads: bytes) -> bytes:
    return pybase64.b64decode(quads.translate(_TO_STANDARD), validate=True)
