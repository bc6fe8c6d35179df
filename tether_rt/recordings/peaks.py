"""How loud a recording is from beginning to end, as a waveform is drawn: some thousand numbers, whatever its length."""

from __future__ import annotations

from array import array
from itertools import pairwise
from pathlib import Path
from typing import Final

import miniaudio

BUCKETS: Final = 1000
_RATE_HZ: Final = 8_000
_CHUNK_FRAMES: Final = 8_000
_SLICE_FRAMES: Final = 160
"""20 ms: fine enough for the shortest call, and an hour is 180,000 numbers on the way to `BUCKETS`."""


def peaks_of(path: Path) -> bytes | None:
    """Return `BUCKETS` numbers of 0 to 255, the loudest part of the recording being 255, fewer for a very short one.

    MP3, WAV, FLAC and Ogg Vorbis are understood; None for other formats and for what cannot be decoded. Takes about 2 ms for a
    second of audio, most of it without holding the interpreter: call it in a thread.
    """
    slices = array("H")
    try:
        for chunk in miniaudio.stream_file(
            str(path),
            output_format=miniaudio.SampleFormat.SIGNED16,
            nchannels=1,
            sample_rate=_RATE_HZ,
            frames_to_read=_CHUNK_FRAMES,
        ):
            for start in range(0, len(chunk), _SLICE_FRAMES):
                part = chunk[start : start + _SLICE_FRAMES]
                slices.append(min(65_535, max(max(part), -min(part), 0)))
    except (miniaudio.DecodeError, miniaudio.MiniaudioError):
        return None
    return _reduced(slices) if slices else None


def _reduced(slices: array[int]) -> bytes:
    buckets = min(BUCKETS, len(slices))
    bounds = [index * len(slices) // buckets for index in range(buckets + 1)]
    peaks = [max(slices[start:end]) for start, end in pairwise(bounds)]
    loudest = max(peaks) or 1
    return bytes(peak * 255 // loudest for peak in peaks)
