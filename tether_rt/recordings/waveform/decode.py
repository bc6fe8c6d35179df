"""The program that decodes a recording into the peaks of its waveform: `python -m tether_rt.recordings.waveform.decode FILE`.

It runs in a process of its own, with limits on time and memory (`confinement`). It prints `Peaks.to_bytes`, nothing when the
recording cannot be decoded, and ends with status 0 in both cases.
"""

from __future__ import annotations

import os
import struct
import sys
from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final

import miniaudio

from tether_rt.domain.peaks import Peaks
from tether_rt.recordings import ffmpeg
from tether_rt.recordings.audio_type import HEAD_BYTES, riff_chunks
from tether_rt.recordings.confinement import confine

VERSION: Final = 4 if ffmpeg.IS_INSTALLED else 3
"""Of what this program can decode. With a higher one, recordings that could not be decoded are tried once more."""

BUCKETS: Final = 1000
_RATE_HZ: Final = 8_000
_CHUNK_FRAMES: Final = 8_000
_SLICE_FRAMES: Final = 160
"""20 ms: fine enough for the shortest call, and an hour is 180,000 numbers on the way to `BUCKETS`."""
MAX_SLICES: Final = 6 * 3600 * 50
"""6 hours. A file may claim to be years long: a megabyte at one sample a second, or of silence."""

CPU_S: Final = 60
_SAME: Final = 2
"""Two channels that differ by no more, of 255, are one that was recorded twice."""


def peaks_of(path: Path, max_slices: int = MAX_SLICES) -> Peaks | None:
    """Return the peaks of each channel, at most two, as `BUCKETS` numbers of 0 to 255; fewer for a very short recording.

    Decodes MP3, WAV, FLAC and Ogg Vorbis, and with FFmpeg everything else. Returns None for what cannot be decoded, and for
    more than `max_slices` of 20 ms. Takes about 3 ms for a second of audio.
    """
    ways = (_by_miniaudio, _by_ffmpeg) if ffmpeg.IS_INSTALLED else (_by_miniaudio,)
    for samples in ways:
        slices = array("H"), array("H")
        try:
            for chunk in samples(path):
                for channel, values in enumerate(slices):
                    own = chunk[channel::2]
                    for start in range(0, len(own), _SLICE_FRAMES):
                        part = own[start : start + _SLICE_FRAMES]
                        values.append(min(65_535, max(max(part), -min(part), 0)))
                if len(slices[0]) > max_slices:
                    return None
        except (miniaudio.DecodeError, miniaudio.MiniaudioError, ffmpeg.Undecodable):
            continue
        if slices[0]:
            return _reduced(*slices)
    return None


def _by_miniaudio(path: Path) -> Iterator[array[int]]:
    """Yield the samples of two channels in turn, the same ones for a recording of one."""
    options = {
        "output_format": miniaudio.SampleFormat.SIGNED16,
        "nchannels": 2,
        "sample_rate": _RATE_HZ,
        "frames_to_read": _CHUNK_FRAMES,
    }
    with path.open("rb") as file:
        head = _with_size(file.read(HEAD_BYTES), os.fstat(file.fileno()).st_size)
        if head is None:
            yield from miniaudio.stream_file(str(path), **options)
        else:
            yield from miniaudio.stream_any(_Mended(head, file), **options)


def _by_ffmpeg(path: Path) -> Iterator[array[int]]:
    """Yield the same."""
    left = array("h")
    with ffmpeg.opened(path) as audio:
        for frame in ffmpeg.resampled(audio.frames, "s16", "stereo", _RATE_HZ):
            left.frombytes(bytes(frame.planes[0])[: frame.samples * 4])
            whole = len(left) // (2 * _SLICE_FRAMES) * 2 * _SLICE_FRAMES
            yield left[:whole]
            del left[:whole]
    yield left


def _with_size(head: bytes, size_bytes: int) -> bytes | None:
    """Return the head of a WAV whose recorder wrote into a pipe, and 0 for the size of its sound, with the size that it has."""
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    for name, at, chunk_bytes in riff_chunks(head):
        if name == b"data" and chunk_bytes == 0:
            return head[: at - 4] + struct.pack("<I", min(size_bytes - at, 0xFFFF_FFFF)) + head[at:]
    return None


class _Mended(miniaudio.StreamableSource):  # type: ignore[misc]  # miniaudio has no types
    """A file with another beginning."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head = head
        self._file = file
        self._file.seek(0)

    def read(self, num_bytes: int) -> bytes:
        at = self._file.tell()
        data = self._file.read(num_bytes)
        return self._head[at : at + len(data)] + data[max(0, len(self._head) - at) :]

    def seek(self, offset: int, origin: miniaudio.SeekOrigin) -> bool:
        self._file.seek(offset, os.SEEK_SET if origin is miniaudio.SeekOrigin.START else os.SEEK_CUR)
        return True


def _reduced(left: array[int], right: array[int]) -> Peaks:
    buckets = min(BUCKETS, len(left))
    bounds = [index * len(left) // buckets for index in range(buckets + 1)]
    channels = [[max(values[start:end]) for start, end in pairwise(bounds)] for values in (left, right)]
    loudest = max(map(max, channels)) or 1
    first, second = (bytes(peak * 255 // loudest for peak in peaks) for peaks in channels)
    is_one = all(abs(one - other) <= _SAME for one, other in zip(first, second, strict=True))
    return Peaks((first,)) if is_one else Peaks((first, second))


if __name__ == "__main__":
    confine(cpu_s=CPU_S)
    found = peaks_of(Path(sys.argv[1]))
    sys.stdout.buffer.write(found.to_bytes() if found is not None else b"")
