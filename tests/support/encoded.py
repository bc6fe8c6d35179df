"""Recordings of tones, encoded as recorders and telephone systems do."""

from __future__ import annotations

import io
import math
from array import array
from typing import Final, cast

import av
from av import AudioFrame, AudioStream

_LOUD: Final = 12_000


def encoded(container: str, codec: str, *, rate_hz: int = 8_000, seconds: float = 2.0, channels: int = 1) -> bytes:
    """A tone; of two channels the left one sounds in the first half, the right one in the second."""
    count = int(rate_hz * seconds)
    tone = [int(_LOUD * math.sin(2 * math.pi * 440 * index / rate_hz)) for index in range(count)]
    if channels == 2:
        half = count // 2
        sides = zip([*tone[:half], *[0] * (count - half)], [*[0] * half, *tone[half:]], strict=True)
        samples = array("h", (sample for pair in sides for sample in pair))
    else:
        samples = array("h", tone)
    layout = "stereo" if channels == 2 else "mono"
    frame = AudioFrame(format="s16", layout=layout, samples=count)
    frame.sample_rate = rate_hz
    frame.planes[0].update(samples.tobytes())
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = cast(AudioStream, output.add_stream(codec, rate=rate_hz, layout=layout))
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def opus(seconds: float = 2.0, channels: int = 1) -> bytes:
    """As browsers and modern recorders make it, in Ogg."""
    return encoded("ogg", "libopus", rate_hz=48_000, seconds=seconds, channels=channels)


def m4a(seconds: float = 2.0, channels: int = 1) -> bytes:
    """AAC in MP4, as telephones record."""
    return encoded("ipod", "aac", rate_hz=16_000, seconds=seconds, channels=channels)


def webm(seconds: float = 2.0, channels: int = 1) -> bytes:
    """Opus in WebM, as a browser's recorder makes it."""
    return encoded("webm", "libopus", rate_hz=48_000, seconds=seconds, channels=channels)


def amr(seconds: float = 2.0) -> bytes:
    """As mobile networks record."""
    return encoded("amr", "libopencore_amrnb", seconds=seconds)


def adpcm_in_wav(seconds: float = 2.0) -> bytes:
    """As voice mail systems record."""
    return encoded("wav", "adpcm_ima_wav", seconds=seconds)


def pcm_in_wav(seconds: float = 2.0, channels: int = 1) -> bytes:
    """What every browser plays."""
    return encoded("wav", "pcm_s16le", seconds=seconds, channels=channels)
