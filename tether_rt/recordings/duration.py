"""The duration of a recording. A vendor's file may be broken on purpose, so the work is bounded, and None is an answer."""

from __future__ import annotations

import io
import math
import struct
import time
from pathlib import Path
from typing import BinaryIO, Final, cast

from tinytag import TinyTag, TinyTagException

from tether_rt.recordings.audio_frames import HEADER_BYTES, JUNK_BYTES, LARGEST_FRAME_BYTES, find_frames, frame_at, walk
from tether_rt.recordings.audio_type import W64_RIFF, id3_bytes

# tinytag reads a file in small pieces: a file that is made for it would hold the interpreter's lock for a minute. An hour of
# Opus takes it 7,200 reads.
_MAX_READS: Final = 20_000
_MAX_READ_BYTES: Final = 16 * 1024 * 1024

_PIECE_BYTES: Final = 1024 * 1024
MAX_FRAMES: Final = 10_000_000
"""As many frames are counted, in some seconds of a thread: 200 MB have 9 million at most."""
_MAX_GAPS: Final = 1000
"""How often frames are looked for again behind what is none."""
_MAX_CHUNKS: Final = 1000
_AMR_FRAME_S: Final = 0.02
_AMR: Final = (
    (b"#!AMR\n", (13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1)),
    (b"#!AMR-WB\n", (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1)),
)
"""The bytes of a frame by its type (RFC 4867 section 5.3); 0 for types that there are not."""
_AU_BYTES: Final = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}
"""The bytes of a sample by its encoding."""
_NO_SOUND_CHUNKS: Final = frozenset({b"LIST", b"fact", b"cue ", b"bext", b"id3 ", b"ID3 ", b"JUNK", b"PAD ", b"smpl", b"plst"})


def duration_s(source: bytes | Path) -> float | None:
    """Return the recording's duration in seconds; 0.0 if it holds no sound; None if it is unknown (WebM seldom has it).

    Blocks: for a recording of many megabytes call it in a thread. A phone call of an hour takes 30 ms, 200 MB take up to
    some seconds. Raises `OSError` when the file cannot be read.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        size_bytes = file.seek(0, io.SEEK_END)
        head = _read(file, 0, 64)
        seconds = _duration_s(file, size_bytes, head)
    return seconds if seconds is not None and math.isfinite(seconds) and seconds >= 0 else None


def _duration_s(file: BinaryIO, size_bytes: int, head: bytes) -> float | None:
    if head[8:12] == b"WAVE":
        return _wav_s(file, size_bytes)
    if head.startswith(W64_RIFF):
        return _w64_s(file, size_bytes)
    if head.startswith(b".snd"):
        return _au_s(size_bytes, head)
    for magic, frame_bytes in _AMR:
        if head.startswith(magic):
            return _amr_s(file, size_bytes, len(magic), frame_bytes)
    if head.startswith(b"fLaC") and _is_silent_flac(file):
        return 0.0
    start = _behind_tags(file)
    if start >= size_bytes and start > 0:
        return 0.0  # a tag alone
    if start > 0 or _has_frames(file, start):
        return _tinytag_s(file) if _read(file, start, 4) == b"fLaC" else _frames_s(file, size_bytes, start)
    return _tinytag_s(file)


def _read(file: BinaryIO, at: int, size_bytes: int) -> bytes:
    file.seek(at)
    return file.read(size_bytes)


def _tinytag_s(file: BinaryIO) -> float | None:
    start = _read(file, 0, 8)
    is_ogg = start.startswith(b"OggS")
    if (is_ogg and _is_silent_ogg(file)) or (start[4:] == b"ftyp" and _is_silent_mp4(file)):
        return 0.0
    file.seek(0)
    try:
        # In Ogg the tags must be read: without them tinytag reads every packet of the file, with them only the page headers.
        seconds = TinyTag.get(file_obj=cast(BinaryIO, _BoundedFile(file)), tags=is_ogg, image=False).duration
    except TinyTagException:
        return None
    return seconds or None  # 0 is what it says of an MP4 in fragments and of a FLAC that was streamed


def _is_silent_flac(file: BinaryIO) -> bool:
    """Whether nothing follows the last block of metadata (RFC 9639 section 8.1)."""
    at = 4
    for _ in range(_MAX_CHUNKS):
        block = _read(file, at, 4)
        if len(block) < 4:
            return not block and at > 4
        at += 4 + int.from_bytes(block[1:], "big")
        if block[0] & 0x80:
            return not _read(file, at, 1)
    return False


def _is_silent_ogg(file: BinaryIO) -> bool:
    """Whether all pages belong to the headers, whose position in the sound is 0 (RFC 3533 section 6)."""
    at = 0
    for _ in range(_MAX_CHUNKS):
        page = _read(file, at, 27 + 255)
        if not page:
            return True
        if len(page) < 27 or page[:4] != b"OggS" or page[6:14] != bytes(8):
            return False
        at += 27 + page[26] + sum(page[27 : 27 + page[26]])
    return False


def _is_silent_mp4(file: BinaryIO) -> bool:
    """Whether the file ends behind its last box, and none of them has media in it (ISO 14496-12 section 8.1.1)."""
    at = 0
    for _ in range(_MAX_CHUNKS):
        box = _read(file, at, 16)
        if not box:
            return True
        size_bytes = int.from_bytes(box[:4], "big")
        if size_bytes == 1:
            size_bytes = int.from_bytes(box[8:16], "big")
        if size_bytes < 8 or (box[4:8] in (b"mdat", b"moof") and size_bytes > 8):
            return False
        at += size_bytes
    return False


# ---------------------------------------------------------------------- frames


def _behind_tags(file: BinaryIO) -> int:
    """Return where the recording begins behind its ID3 tags."""
    at = 0
    for _ in range(_MAX_CHUNKS):
        tag_bytes = id3_bytes(_read(file, at, 10))
        if tag_bytes is None:
            break
        at += tag_bytes
    return at


def _has_frames(file: BinaryIO, start: int) -> bool:
    return _first_frame(_read(file, start, JUNK_BYTES)) is not None


def _first_frame(data: bytes) -> int | None:
    return find_frames(data, len(data) - len(data.lstrip(b"\0")))


def _frames_s(file: BinaryIO, size_bytes: int, start: int) -> float:
    """Return the duration of a stream of frames, by counting them."""
    data = _read(file, start, JUNK_BYTES)
    first = _first_frame(data)
    if first is None:
        return 0.0
    frame = frame_at(data, first)
    at = start + first
    if frame is not None and _is_index(data[first : first + frame.size_bytes]):
        at += frame.size_bytes
    seconds = 0.0
    frames_left, gaps_left = MAX_FRAMES, _MAX_GAPS
    while at < size_bytes and frames_left > 0 and gaps_left > 0:
        data = _next_piece(file, at, start)
        walked = walk(data, size_bytes - at)
        seconds += walked.seconds
        frames_left -= walked.frames
        if walked.size_bytes > len(data) - HEADER_BYTES and at + len(data) < size_bytes:
            at += walked.size_bytes
            continue
        # Something else is in between, or behind.
        gaps_left -= 1
        found = find_frames(data, walked.size_bytes + 1)
        if found is None and at + len(data) >= size_bytes:
            break
        at += found if found is not None else max(1, len(data) - 3 * LARGEST_FRAME_BYTES)
    return seconds


def _next_piece(file: BinaryIO, at: int, start: int) -> bytes:
    if at >= start + _PIECE_BYTES:
        time.sleep(0)  # in a thread: give the event loop its turn
    return _read(file, at, _PIECE_BYTES)


def _is_index(frame: bytes) -> bool:
    """Whether an MP3's first frame is silent, for it holds the index of the file: Xing, Info or VBRI."""
    return any(name in frame[4:48] for name in (b"Xing", b"Info", b"VBRI"))


def _amr_s(file: BinaryIO, size_bytes: int, start: int, frame_bytes: tuple[int, ...]) -> float:
    at, frames = start, 0
    while at < size_bytes and frames < MAX_FRAMES:
        data = _next_piece(file, at, start)
        inside = 0
        while inside < len(data) and (length := frame_bytes[data[inside] >> 3 & 15]) and at + inside + length <= size_bytes:
            inside += length
            frames += 1
        at += inside
        if inside < len(data):
            break
    return frames * _AMR_FRAME_S


# ---------------------------------------------------------------------- samples


def _wav_s(file: BinaryIO, size_bytes: int) -> float | None:
    """Return the duration of a WAV from its byte rate, which is right for every codec.

    tinytag needs a `fact` chunk for telephony's µ-law, and believes the sizes that recorders write when they write to a pipe:
    0, or 4 GB.
    """
    bytes_s = 0.0
    at = 12
    for _ in range(_MAX_CHUNKS):
        chunk = _read(file, at, 40)
        if len(chunk) < 8:
            return None
        name, chunk_bytes = struct.unpack_from("<4sI", chunk)
        if name == b"fmt ":
            bytes_s = _bytes_s(chunk[8 : 8 + chunk_bytes])
        elif name == b"data":
            left_bytes = size_bytes - at - 8
            if chunk_bytes == 0 and not _is_chunk(chunk[8:], left_bytes):
                chunk_bytes = left_bytes
            sound_bytes = min(chunk_bytes, left_bytes)
            if not sound_bytes:
                return 0.0
            return sound_bytes / bytes_s if bytes_s else None
        at += 8 + chunk_bytes + chunk_bytes % 2
    return None


def _is_chunk(data: bytes, left_bytes: int) -> bool:
    """Whether another chunk of a WAV begins here, and no sound."""
    return data[:4] in _NO_SOUND_CHUNKS and int.from_bytes(data[4:8], "little") <= left_bytes - 8


def _bytes_s(fmt: bytes) -> float:
    """Return the byte rate that the format of a WAV says, in one way or the other; 0 if it does not."""
    if len(fmt) < 16:
        return 0.0
    codec, channels, sample_hz, bytes_s, block_bytes, bits = struct.unpack_from("<HHIIHH", fmt)
    if bytes_s:
        return float(bytes_s)
    if codec in (0x11, 0x02, 0x31):
        samples = int.from_bytes(fmt[18:20], "little")  # of a block
        return float(block_bytes * sample_hz / samples) if samples else 0.0
    return float(sample_hz * (block_bytes or channels * bits / 8))


def _w64_s(file: BinaryIO, size_bytes: int) -> float | None:
    """Return the duration of a Wave64: a WAV whose chunks have ids of 16 bytes and lengths of 8."""
    bytes_s = 0.0
    at = 40
    for _ in range(_MAX_CHUNKS):
        chunk = _read(file, at, 44)
        if len(chunk) < 24:
            return None
        chunk_bytes = max(24, int.from_bytes(chunk[16:24], "little"))
        if chunk[:4] == b"fmt ":
            bytes_s = _bytes_s(chunk[24:])
        elif chunk[:4] == b"data":
            sound_bytes = size_bytes - at - 24
            if chunk_bytes > 24:
                sound_bytes = min(sound_bytes, chunk_bytes - 24)
            return (sound_bytes / bytes_s if bytes_s else None) if sound_bytes else 0.0
        at += chunk_bytes + -chunk_bytes % 8
    return None


def _au_s(size_bytes: int, head: bytes) -> float | None:
    if len(head) < 24:
        return None
    start, sound_bytes, encoding, sample_hz, channels = struct.unpack_from(">IIIII", head, 4)
    bytes_s = _AU_BYTES.get(encoding, 0) * sample_hz * channels
    left_bytes = max(0, size_bytes - start)
    return (min(sound_bytes or left_bytes, left_bytes) / bytes_s if bytes_s else None) if left_bytes else 0.0


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
