"""The program that decodes a recording into the peaks of its waveform: `python -m tether_rt.recordings.waveform.decode FILE`.

The decoders are C and read what a stranger made, so they run in a process of their own, with limits on time and memory: what
crashes, hangs or grows is that process. It writes the peaks to its standard output, nothing when the recording cannot be
decoded, and ends with status 0 in both cases.
"""

from __future__ import annotations

import os
import resource
import struct
import sys
from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final

import miniaudio

from tether_rt.recordings.audio_type import HEAD_BYTES, riff_chunks

VERSION: Final = 2
"""Of what this program can decode. With a higher one, recordings that could not be decoded are tried once more."""

BUCKETS: Final = 1000
_RATE_HZ: Final = 8_000
_CHUNK_FRAMES: Final = 8_000
_SLICE_FRAMES: Final = 160
"""20 ms: fine enough for the shortest call, and an hour is 180,000 numbers on the way to `BUCKETS`."""
MAX_SLICES: Final = 6 * 3600 * 50
"""6 hours. A file may claim to be years long: a megabyte at one sample a second, or of silence."""

CPU_S: Final = 60
_MEMORY_BYTES: Final = 1 << 30
_NICE: Final = 10


def peaks_of(path: Path, max_slices: int = MAX_SLICES) -> bytes | None:
    """Return `BUCKETS` numbers of 0 to 255, the loudest part of the recording being 255; fewer for a very short recording.

    Decodes MP3, WAV, FLAC and Ogg Vorbis. Returns None for other formats, for a file that cannot be decoded, and for more than
    `max_slices` of 20 ms. Takes about 2 ms for a second of audio.
    """
    slices = array("H")
    try:
        for chunk in _samples(path):
            for start in range(0, len(chunk), _SLICE_FRAMES):
                part = chunk[start : start + _SLICE_FRAMES]
                slices.append(min(65_535, max(max(part), -min(part), 0)))
            if len(slices) > max_slices:
                return None
    except (miniaudio.DecodeError, miniaudio.MiniaudioError):
        return None
    return _reduced(slices) if slices else None


def _samples(path: Path) -> Iterator[array[int]]:
    options = {
        "output_format": miniaudio.SampleFormat.SIGNED16,
        "nchannels": 1,
        "sample_rate": _RATE_HZ,
        "frames_to_read": _CHUNK_FRAMES,
    }
    with path.open("rb") as file:
        head = _with_size(file.read(HEAD_BYTES), os.fstat(file.fileno()).st_size)
        if head is None:
            yield from miniaudio.stream_file(str(path), **options)
        else:
            yield from miniaudio.stream_any(_Mended(head, file), **options)


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


def _reduced(slices: array[int]) -> bytes:
    buckets = min(BUCKETS, len(slices))
    bounds = [index * len(slices) // buckets for index in range(buckets + 1)]
    peaks = [max(slices[start:end]) for start, end in pairwise(bounds)]
    loudest = max(peaks) or 1
    return bytes(peak * 255 // loudest for peak in peaks)


def confine() -> None:
    """Take from this process what decoding does not need."""
    for limit, value in (
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_AS, _MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    os.nice(_NICE)


if __name__ == "__main__":
    confine()
    sys.stdout.buffer.write(peaks_of(Path(sys.argv[1])) or b"")
