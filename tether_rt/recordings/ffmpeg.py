"""Decoding with PyAV, which carries FFmpeg's libraries; it is optional.

Only confined processes import it (`confinement`); the server asks whether it is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tether_rt.recordings.audio_type import HEAD_BYTES, sniff

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream
    from av.container import InputContainer

IS_INSTALLED: Final = find_spec("av") is not None

_DEMUXERS: Final = {
    "mp3": "mp3",
    "wav": "wav",
    "ogg": "ogg",
    "m4a": "mov",
    "flac": "flac",
    "webm": "matroska",
    "aac": "aac",
    "amr": "amr",
    "w64": "w64",
    "au": "au",
    "aiff": "aiff",
    "caf": "caf",
    "wma": "asf",
    "wv": "wv",
    "voc": "voc",
    "sph": "nistsphere",
    "ra": "rm",
    "qcp": "qcp",
    "ilbc": "ilbc",
    "ape": "ape",
    "mpc": "mpc",
}
"""By the extension of an audio type. Named, because among those that FFmpeg would try are some that open what a file names:
addresses, and other files."""
_OPTIONS: Final = {"protocol_whitelist": "none"}
"""Likewise: nothing but the file itself is opened."""


class Undecodable(Exception):
    """The file is no audio that FFmpeg decodes."""


class Audio(NamedTuple):
    """The sound of a file. `frames` are decoded while they are taken; damaged parts are left out."""

    rate_hz: int
    channels: int
    frames: Iterator[AudioFrame]


@contextmanager
def opened(path: Path) -> Iterator[Audio]:
    """Open a recording; raises `Undecodable`."""
    import av

    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        audio = sniff(head)
        demuxer = _DEMUXERS.get(audio.extension) if audio is not None else None
        if demuxer is None:
            raise Undecodable
        if head.startswith(b"MPCK"):
            demuxer = "mpc8"
        file.seek(0)
        try:
            container = av.open(file, "r", format=demuxer, options=_OPTIONS, metadata_errors="ignore")
        except (av.FFmpegError, ValueError) as error:
            raise Undecodable from error
        with container:
            if not container.streams.audio:
                raise Undecodable
            stream = container.streams.audio[0]
            if not stream.rate or not stream.channels:
                raise Undecodable
            yield Audio(stream.rate, stream.channels, _frames(container, stream))


def resampled(frames: Iterator[AudioFrame], sample_format: str, layout: str, rate_hz: int) -> Iterator[AudioFrame]:
    """Yield the frames in one format, whatever theirs are: a damaged file may change them on its way."""
    from av import AudioResampler

    shape = None
    resampler = None
    for frame in frames:
        frame.pts = None  # what came before counts, not what the file says
        if shape != (shape := (frame.format.name, frame.layout.name, frame.sample_rate)):
            if resampler is not None:
                yield from resampler.resample(None)
            resampler = AudioResampler(format=sample_format, layout=layout, rate=rate_hz)
        assert resampler is not None
        yield from resampler.resample(frame)
    if resampler is not None:
        yield from resampler.resample(None)


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError):
            return
        try:
            frames = stream.decode(packet)
        except av.FFmpegError:
            continue
        yield from frames
