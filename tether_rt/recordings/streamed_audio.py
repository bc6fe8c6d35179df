"""Audio of any length inside a JSON body, decoded into a spool file while the body arrives.

ElevenLabs sends the recording of a call as one string of base64: 77 MB for an hour. So the body is never put together: its
first very long string of base64 goes to the disk piece by piece, and what is kept in memory is the rest.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Final

from tether_rt.errors import BadRequest, TooLarge
from tether_rt.recordings.base64_audio import PREFIX_CHARS, Base64Decoder, named
from tether_rt.recordings.embedded_recording import ESCAPE_BYTES, LargeText, whole_end
from tether_rt.recordings.spool import Spool, SpooledFile, SpoolWriter

LIFT_BYTES: Final = 256 * 1024
"""A string of this length, as sent, is taken for audio if it begins like base64."""
_JUDGED_BYTES: Final = 64 * 1024
"""By so much of it."""
MAX_REST_BYTES: Final = 8 * 1024 * 1024
"""The most that a body may have beside its audio."""
_PIECE_BYTES: Final = 64 * 1024
"""So much is looked through on the event loop, 0.3 ms, and so much is decoded at a time, in a thread."""

# Both stop in front of what is not complete. They go over many short strings at once: one step for each would take 30 ms of a
# piece that is full of them.
_OUTSIDE: Final = re.compile(rb'(?:[^"]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_INSIDE: Final = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
# Base64 inside a JSON string: some encoders escape `/`, `+` and `=`. Spaces only around line breaks: words are no base64.
_BASE64: Final = re.compile(
    rb"(?: |\\[nrt])*+(?:data:[^,]{0,512},)?+"
    rb"(?:[A-Za-z0-9+/=_-]++|\\/|\\u00(?:2[bBfF]|3[dD])|(?: |\\t)*+\\[nr](?: |\\t)*+)*+"
)
_CUT_BYTES: Final = 6
"""The longest part of it that may be cut at the end of what is compared."""
_SPACE: Final = b" \t\r\n"


def largest_body(max_audio_bytes: int) -> int:
    """Return the size of the largest body with so much audio: base64, in lines or with escapes, needs half as much again."""
    return max_audio_bytes * 3 // 2 + MAX_REST_BYTES


@dataclass(frozen=True, slots=True)
class Streamed:
    """A complete body, and the audio that was in it."""

    rest: bytearray
    """The body with `placeholder` in place of the audio."""
    placeholder: str | None
    """None: there was no such string, and `rest` is the whole body."""
    audio: SpooledFile | None
    fault: BadRequest | None
    """Why there is no audio although there was its string; names the place in the string."""
    size_bytes: int
    """Of the body as it was sent."""


class StreamedAudio:
    """Takes the pieces of one body, in order. `close` it, which removes the file.

    The first string that is the value of a key, is `lift_bytes` long and begins like base64 is the audio. How the body is
    cut into pieces makes no difference.
    """

    def __init__(
        self,
        spool: Spool,
        max_audio_bytes: int,
        *,
        max_rest_bytes: int = MAX_REST_BYTES,
        lift_bytes: int = LIFT_BYTES,
        piece_bytes: int = _PIECE_BYTES,
    ) -> None:
        self._spool = spool
        self._max_audio_bytes = max_audio_bytes
        self._max_rest_bytes = max_rest_bytes
        self._lift_bytes = lift_bytes
        self._piece_bytes = max(piece_bytes, PREFIX_CHARS)
        # A string that is complete within one slice is shorter than `lift_bytes`, and never looked at.
        self._slice_bytes = min(piece_bytes, lift_bytes)
        self._rest = bytearray()
        self._size_bytes = 0
        self._backslash = b""
        """The backslash that ended the last slice, if one did: it belongs to the next byte."""
        self._start: int | None = None
        """Where in `rest` the inside of the string begins that has not ended; None outside of strings."""
        self._is_judged = False
        """Whether that string was long enough, and is no audio."""
        self._placeholder: str | None = None
        self._text: bytearray | None = None
        """What of the audio's string is not decoded; None before and after that string."""
        self._decoder = Base64Decoder()
        self._audio_bytes = 0
        self._writer: SpoolWriter | None = None
        """Of the audio's file; None until there is audio."""
        self._audio: SpooledFile | None = None
        self._fault: BadRequest | None = None

    @property
    def held_bytes(self) -> int:
        """How much of the body is in memory."""
        return len(self._rest) + (len(self._text) if self._text is not None else 0)

    async def feed(self, piece: bytes) -> None:
        """Take the next piece.

        Raises `TooLarge` for what is beside the audio, and `Unavailable` when the disk is away or too many are at it.
        """
        self._size_bytes += len(piece)
        for at in range(0, len(piece), self._slice_bytes):
            text = self._scan(self._backslash + piece[at : at + self._slice_bytes])
            if len(self._rest) > self._max_rest_bytes:
                raise TooLarge(f"The body is too large: {self._max_rest_bytes >> 20} MB beside its audio is the limit.")
            if text is None:
                continue
            if self._fault is not None:
                text.clear()
            elif self._text is None or len(text) >= self._piece_bytes + ESCAPE_BYTES:
                assert self._writer is not None, "it comes with the text"
                await self._spool.run(self._decode, self._writer, text, is_end=self._text is None)

    async def finish(self) -> Streamed:
        """Return the complete body. The file of its audio stays until `close`."""
        self._rest += self._backslash
        if self._text is not None:
            self._text = None
            self._fault = self._fault or named(BadRequest("recording is cut short: its string does not end"))
        audio = self._audio if self._fault is None else None
        return Streamed(self._rest, self._placeholder, audio, self._fault, self._size_bytes)

    def close(self) -> None:
        """Remove the file, unless the store has moved it; idempotent, and safe while a piece is being decoded."""
        if self._writer is not None:
            self._spool.discard(self._writer)

    def _scan(self, data: bytes) -> bytearray | None:
        """Sort a slice into `rest` and the audio's text; return that text if some of it was in this slice."""
        self._backslash = b""
        at = 0
        while at < len(data):
            if self._placeholder is not None and self._text is None:
                self._rest += data[at:]
                return None
            if self._start is None:
                at = self._scan_outside(data, at)
                continue
            at = self._scan_inside(data, at)
            if self._text is None and not self._is_judged and len(self._rest) - self._start >= self._lift_bytes:
                self._lift(self._start)
            text = self._text
            if data[at : at + 1] == b'"':
                self._rest += b'"'
                at += 1
                self._start, self._is_judged, self._text = None, False, None
                if text is not None:
                    self._rest += data[at:]
                    return text
            elif at < len(data):
                self._backslash = data[at:]
                break
        return self._text

    def _scan_outside(self, data: bytes, at: int) -> int:
        """Pass over what is complete; return where the inside of a string begins that is not."""
        end = _end(_OUTSIDE, data, at)
        self._rest += data[at : end + 1]
        if end < len(data):
            self._start = len(self._rest)
        return end + 1

    def _scan_inside(self, data: bytes, at: int) -> int:
        end = _end(_INSIDE, data, at)
        into = self._rest if self._text is None else self._text
        into += data[at:end]
        return end

    def _lift(self, start: int) -> None:
        """Judge the string that begins there, and take it out of `rest` if it is the audio."""
        rest = self._rest
        self._is_judged = True
        end = start + min(self._lift_bytes, _JUDGED_BYTES)
        if not rest[: start - 1].rstrip(_SPACE).endswith(b":") or _end(_BASE64, rest, start, end) < end - _CUT_BYTES:
            return
        self._text = rest[start:]
        self._writer = self._spool.new_writer()
        self._placeholder = secrets.token_hex(16)
        self._rest = rest[:start] + self._placeholder.encode()

    def _decode(self, writer: SpoolWriter, text: bytearray, *, is_end: bool) -> None:
        """Decode what is complete of the text into the file, and take it out of `text`. Blocks."""
        end = len(text) if is_end else whole_end(text, 0, len(text) - ESCAPE_BYTES, len(text))
        try:
            for piece in LargeText(text, 0, end).pieces(self._piece_bytes):
                self._write(writer, self._decoder.feed(piece))
            if is_end:
                self._write(writer, self._decoder.finish())
                self._audio = _finished(writer)
        except BadRequest as fault:
            self._fault = named(fault)
            self.close()
        del text[:end]

    def _write(self, writer: SpoolWriter, audio: bytes) -> None:
        self._audio_bytes += len(audio)
        if self._audio_bytes > self._max_audio_bytes:
            sentence = f"recording is larger than {self._max_audio_bytes >> 20} MB"
            raise BadRequest(sentence, code="recording_too_large", field="recording")
        if audio:
            writer.write(audio)


def _finished(writer: SpoolWriter) -> SpooledFile:
    try:
        return writer.finish()
    except ValueError as error:
        raise BadRequest("recording is empty") from error


def _end(pattern: re.Pattern[bytes], data: bytes | bytearray, start: int, end: int | None = None) -> int:
    """Return where the match ends of a pattern that matches everywhere."""
    match = pattern.match(data, start) if end is None else pattern.match(data, start, end)
    assert match is not None, "it may match nothing"
    return match.end()
