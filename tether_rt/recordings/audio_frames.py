"""Frames of MPEG audio and of AAC in ADTS: where the first one is, and how long a stream of them plays. Pure.

A stream has no header for the whole: it may begin anywhere, and its bitrate may change with each frame. So frames are looked
for, and its duration is known once they are counted.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, NamedTuple

JUNK_BYTES: Final = 64 * 1024
"""How much may stand in front of the first frame."""
HEADER_BYTES: Final = 7
"""As much of a frame is looked at."""
LARGEST_FRAME_BYTES: Final = 8191
"""Of ADTS, whose length field has 13 bits. In MPEG audio it is 2,880."""

_MPEG1: Final = 3
_LAYER_2, _LAYER_3 = 2, 1
_KBITS: Final = {
    (True, _LAYER_3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (True, _LAYER_2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (False, _LAYER_3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, _LAYER_2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MPEG_HZ: Final = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_ADTS_HZ: Final = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_TRAILERS: Final = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3")
_AAC_SLACK_BYTES: Final = 8
_SYNC: Final = re.compile(rb"\xff(?=[\xe2-\xff])")
_MAX_SYNCS: Final = 2000
"""How many places are looked at in one search: noise of 64 KB has some 30, a file that was made for it has 64,000."""


class Stream(NamedTuple):
    """What all frames of a stream share."""

    is_aac: bool
    version: int
    """Of MPEG audio (two bits), or the profile of AAC."""
    layer: int
    rate: int
    """The index of the sample rate."""


class Frame(NamedTuple):
    stream: Stream
    size_bytes: int
    seconds: float


def frame_at(data: bytes, at: int) -> Frame | None:
    """Return the frame whose header is at `at`, None if there is none or it is cut off."""
    if len(data) - at < 4 or data[at] != 0xFF:
        return None
    if data[at + 1] & 0xF6 == 0xF0:
        return _adts_frame(data, at)
    # The second lowest bits of the fourth byte are 2 in no frame (emphasis).
    return _MPEG_FRAMES.get((data[at + 1] | 1) << 8 | data[at + 2] & 0xFE) if data[at + 3] & 3 != 2 else None


def next_frame(data: bytes, at: int, stream: Stream) -> tuple[int, Frame] | None:
    """Return the frame of `stream` that follows at `at`, with its place.

    Some encoders of AAC count a frame's length wrongly by a few bytes, which no player minds.
    """
    frame = frame_at(data, at)
    if frame is None and stream.is_aac:
        for place in range(at + 1, at + _AAC_SLACK_BYTES):
            frame = frame_at(data, place)
            if frame is not None and frame.stream == stream:
                return place, frame
        return None
    return (at, frame) if frame is not None and frame.stream == stream else None


def find_frames(data: bytes, start: int = 0) -> int | None:
    """Return where a stream of frames begins in `data`, at or behind `start`; None if it does not.

    At `start` one frame is enough if nothing but zeros or a tag follows it, or a second one. Further behind three have to
    follow each other, or two up to the end: noise has two by chance.
    """
    if _agree(data, start, 2) or _is_single(data, start):
        return start
    for number, sync in enumerate(_SYNC.finditer(data, start)):
        if number >= _MAX_SYNCS:
            return None
        if _agree(data, sync.start(), 3):
            return sync.start()
    return None


class Walk(NamedTuple):
    """Frames that follow each other: how many bytes, how many frames, and how long they play."""

    size_bytes: int
    frames: int
    seconds: float


def walk(data: bytes, left_bytes: int) -> Walk:
    """Follow the frames of one stream from the beginning of `data` on; the last one may reach beyond it, up to `left_bytes`."""
    first = frame_at(data, 0)
    if first is None:
        return Walk(0, 0, 0.0)
    return _walk_aac(data, left_bytes, first) if first.stream.is_aac else _walk_mpeg(data, left_bytes, first)


def _walk_mpeg(data: bytes, left_bytes: int, first: Frame) -> Walk:
    # 200 MB may have nine million frames, so they are not looked up one by one by `frame_at`: the third byte says the length.
    second, sizes = _mpeg_sizes(first.stream)
    at = frames = size = 0
    end = len(data) - 3
    while at < end and data[at] == 0xFF and data[at + 1] | 1 == second and (size := sizes[data[at + 2]]):
        at += size
        frames += 1
    if at > left_bytes:
        at -= size
        frames -= 1
    return Walk(at, frames, frames * first.seconds)


@cache
def _mpeg_sizes(stream: Stream) -> tuple[int, list[int]]:
    """Return the second byte of a stream's frames, with the bit for protection set, and their lengths by the third one."""
    second = 0xE1 | stream.version << 3 | stream.layer << 1
    frames = [_MPEG_FRAMES.get(second << 8 | third & 0xFE) for third in range(256)]
    return second, [frame.size_bytes if frame is not None and frame.stream == stream else 0 for frame in frames]


def _walk_aac(data: bytes, left_bytes: int, first: Frame) -> Walk:
    at = frames = 0
    seconds = 0.0
    found: tuple[int, Frame] | None = (0, first)
    while found is not None and found[0] + found[1].size_bytes <= left_bytes:
        frames += 1
        seconds += found[1].seconds
        at = found[0] + found[1].size_bytes
        found = next_frame(data, at, first.stream)
    return Walk(at, frames, seconds)


def _agree(data: bytes, at: int, enough: int) -> bool:
    """Whether `enough` frames of one stream begin at `at`; where the data ends sooner, two."""
    first = frame_at(data, at)
    if first is None:
        return False
    at += first.size_bytes
    for number in range(1, enough):
        found = next_frame(data, at, first.stream)
        if found is None:
            return number > 1 and len(data) - at < HEADER_BYTES
        at = found[0] + found[1].size_bytes
    return True


def _is_single(data: bytes, at: int) -> bool:
    frame = frame_at(data, at)
    if frame is None:
        return False
    rest = data[at + frame.size_bytes :]
    return rest.startswith(_TRAILERS) or not rest.strip(b"\0")


def _adts_frame(data: bytes, at: int) -> Frame | None:
    """Return the frame from its header (ISO 13818-7 section 6.2)."""
    if len(data) - at < HEADER_BYTES:
        return None
    third, fourth, fifth, sixth, seventh = data[at + 2 : at + 7]
    rate = third >> 2 & 15
    size_bytes = (fourth & 3) << 11 | fifth << 3 | sixth >> 5
    if rate >= len(_ADTS_HZ) or size_bytes <= HEADER_BYTES:
        return None
    return Frame(Stream(True, third >> 6, 0, rate), size_bytes, 1024 * ((seventh & 3) + 1) / _ADTS_HZ[rate])


def _mpeg_frames() -> dict[int, Frame]:
    """Return the frames by the second and third byte of their headers (ISO 11172-3 section 2.4.2.3), with the bits for
    protection set and for private use not.

    Layer I is left out: nobody records calls in it, and its sync word is the byte order mark of UTF-16 text. So is the free
    bitrate, whose frames have no length.
    """
    frames = {}
    for version, rates in _MPEG_HZ.items():
        for layer in (_LAYER_2, _LAYER_3):
            samples = 576 if layer == _LAYER_3 and version != _MPEG1 else 1152
            for rate, sample_hz in enumerate(rates):
                stream = Stream(False, version, layer, rate)
                for bitrate, kbits in enumerate(_KBITS[version == _MPEG1, layer], start=1):
                    for padding in (0, 1):
                        key = (0xE1 | version << 3 | layer << 1) << 8 | bitrate << 4 | rate << 2 | padding << 1
                        size_bytes = samples // 8 * kbits * 1000 // sample_hz + padding
                        frames[key] = Frame(stream, size_bytes, samples / sample_hz)
    return frames


_MPEG_FRAMES: Final = _mpeg_frames()
