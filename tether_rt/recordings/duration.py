"""The duration of a recording. A vendor's file may be broken on purpose, so the work is bounded, and None is an answer."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import BinaryIO, Final, cast

from tinytag import TinyTag, TinyTagException

# tinytag reads a file frame by frame: with 200 MB of zeros after one MP3 frame it would hold the GIL for a minute. An hour of
# Opus takes it 7,200 reads.
_MAX_READS: Final = 20_000
_MAX_READ_BYTES: Final = 16 * 1024 * 1024


def duration_s(source: bytes | Path) -> float | None:
    """Return the recording's duration in seconds, or None if it is unknown (a broken file, or WebM, which seldom has it).

    Blocks for up to about 50 ms: call it in a thread. Raises `OSError` when the file cannot be read.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        size_bytes = file.seek(0, io.SEEK_END)
        file.seek(0)
        head = file.read(12)
        file.seek(0)
        seconds = _wav_s(file, size_bytes) if head[8:] == b"WAVE" else _tinytag_s(file, size_bytes, head)
    return seconds if seconds is not None and math.isfinite(seconds) and seconds > 0 else None


def _tinytag_s(file: BinaryIO, size_bytes: int, head: bytes) -> float | None:
    try:
        # In Ogg the tags must be read: without them tinytag reads every packet of the file, with them only the page headers.
        tag = TinyTag.get(file_obj=cast(BinaryIO, _BoundedFile(file)), tags=head.startswith(b"OggS"), image=False)
    except TinyTagException:
        return None
    if tag.duration is None or not tag.bitrate or tag.mime_type != "audio/mpeg":
        return tag.duration
    # An MP3 cut short still carries the Xing header of the whole. (Elsewhere the bitrate is only nominal.)
    return min(tag.duration, size_bytes * 8 / (tag.bitrate * 1000) * 1.02)


def _wav_s(file: BinaryIO, size_bytes: int) -> float | None:
    """Return the duration of a WAV from its byte rate, which is right for every codec.

    tinytag needs a `fact` chunk for telephony's µ-law, and believes the 4 GB that recorders write when they write to a pipe.
    """
    bytes_s = 0
    at = 12
    for _ in range(1000):
        file.seek(at)
        chunk = file.read(20)
        if len(chunk) < 8:
            return None
        chunk_bytes = int.from_bytes(chunk[4:8], "little")
        if chunk[:4] == b"fmt ":
            bytes_s = int.from_bytes(chunk[16:20], "little")
        elif chunk[:4] == b"data":
            return min(chunk_bytes, size_bytes - at - 8) / bytes_s if bytes_s else None
        at += 8 + chunk_bytes + chunk_bytes % 2
    return None


class _BoundedFile:
    """A file whose `read` fails after too many reads or bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._reads_left = _MAX_READS
        self._bytes_left = _MAX_READ_BYTES
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int = -1) -> bytes:
        self._reads_left -= 1
        if self._reads_left < 0 or not 0 <= size <= self._bytes_left:
            raise OSError("too much to read for the duration")
        data = self._file.read(size)
        self._bytes_left -= len(data)
        return data
