"""The program that makes a copy which every browser plays: `python -m tether_rt.recordings.copies.convert FILE COPY`.

It runs in a process of its own, with limits on time, memory and what it writes (`confinement`). It prints an `Outcome`, and
ends with status 0.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Final

import av

from tether_rt.recordings.confinement import confine
from tether_rt.recordings.ffmpeg import Audio, Undecodable, opened, resampled

CPU_S: Final = 300
MAX_S: Final = 6 * 3600
"""6 hours. A file may claim to be years long."""
MAX_BYTES: Final = 384 * 1024 * 1024
"""Of a copy: more than 6 hours have."""

_BIT_RATES: Final = {16_000: 32_000, 24_000: 48_000, 48_000: 64_000}
"""Bits a second for each channel, by the sample rate. Not below 16,000 Hz: MPEG 2.5, which that would be, some players lack."""

_FAST: Final = {"compression_level": "7"}
"""Of LAME: twice as fast as its default, and telephones have no more to lose."""


class Outcome(StrEnum):
    """What became of a recording."""

    MADE = "made"
    UNDECODABLE = "undecodable"
    TOO_LONG = "too_long"


class _TooLong(Exception):
    """The recording is longer than `MAX_S`."""


def convert(source: Path, target: Path, max_s: float = MAX_S) -> Outcome:
    """Write the sound of `source` to `target` as MP3 of a constant bit rate, in which browsers can wind exactly."""
    try:
        with opened(source) as audio:
            return Outcome.MADE if _encode(audio, target, max_s) else Outcome.UNDECODABLE
    except Undecodable:
        return Outcome.UNDECODABLE
    except _TooLong:
        return Outcome.TOO_LONG


def _encode(audio: Audio, target: Path, max_s: float) -> bool:
    """Return whether there was any sound; raises `_TooLong`."""
    rate_hz = next((rate for rate in _BIT_RATES if rate >= audio.rate_hz), max(_BIT_RATES))
    channels = min(audio.channels, 2)
    layout = "stereo" if channels == 2 else "mono"
    samples_left = int(max_s * rate_hz)
    has_sound = False
    with av.open(str(target), "w", format="mp3") as container:
        bit_rate = _BIT_RATES[rate_hz] * channels
        stream = container.add_stream("libmp3lame", rate=rate_hz, layout=layout, bit_rate=bit_rate, options=_FAST)
        for frame in resampled(audio.frames, "s16p", layout, rate_hz):
            samples_left -= frame.samples
            if samples_left < 0:
                raise _TooLong
            has_sound = True
            container.mux(stream.encode(frame))
        if has_sound:
            container.mux(stream.encode(None))
    return has_sound


if __name__ == "__main__":
    confine(cpu_s=CPU_S, written_bytes=MAX_BYTES)
    sys.stdout.write(convert(Path(sys.argv[1]), Path(sys.argv[2])))
