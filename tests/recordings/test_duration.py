from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support import audio
from tether_rt.recordings.audio_type import HEAD_BYTES, MP3, sniff
from tether_rt.recordings.duration import duration_s

SAMPLES = Path(__file__).parents[2] / "tether_rt" / "demo" / "samples"


@pytest.mark.parametrize("as_file", [False, True], ids=["bytes", "file"])
@pytest.mark.parametrize(
    "recording",
    [
        audio.mp3(3),
        audio.id3(audio.mp3(3)),
        audio.id3(audio.id3(audio.mp3(3)), tag_bytes=100_000),
        bytes(5000) + audio.mp3(3),
        audio.mp3(3.02)[300:],
        audio.mp3(1) + b"TAG" + bytes(125) + audio.id3(audio.mp3(2)),
        audio.mp3(1) + bytes(2_000_000) + audio.mp3(2),
        audio.wav(3),
        audio.wav(3, codec=7),
        audio.wav(3, said_bytes=0),
        audio.wav(3, said_bytes=0xFFFF_FFFF),
        audio.wav(3, bytes_s=0),
        audio.gsm_in_wav(3),
        audio.ogg(3),
        audio.m4a(3),
        audio.flac(3),
        audio.id3(audio.flac(3)),
        audio.adts(3),
        audio.adts(3, wrong_by=1),
        audio.amr(3),
        audio.wave64(3),
        audio.au(3),
    ],
    ids=[
        "mp3",
        "mp3 with id3",
        "mp3 with two id3",
        "mp3 behind zeros",
        "mp3 from the middle of a frame",
        "joined mp3",
        "mp3 with a hole",
        "wav",
        "wav mu-law",
        "wav into a pipe",
        "wav of 4 GB",
        "wav without byte rate",
        "gsm in wav",
        "ogg",
        "m4a",
        "flac",
        "flac with id3",
        "aac",
        "aac with wrong lengths",
        "amr",
        "wave64",
        "au",
    ],
)
def test_three_seconds_are_three_seconds(recording: bytes, as_file: bool, tmp_path: Path) -> None:
    file = tmp_path / "recording"
    file.write_bytes(recording)
    assert duration_s(file if as_file else recording) == pytest.approx(3, abs=0.13)


def test_frames_are_counted_whatever_their_bitrate() -> None:
    assert duration_s(audio.mp3_of_two_rates()) == pytest.approx(167 * 0.072)


@given(st.integers(1, 300), st.integers(0, 416), st.binary(max_size=300))
def test_the_duration_of_frames_is_exact(frames: int, cut: int, tail: bytes) -> None:
    """Of whole frames alone; what is no frame does not count."""
    assume(b"\xff" not in tail)
    recording = audio.mp3_of(417 * (frames + 3))[cut:] + tail
    assert duration_s(recording) == pytest.approx((frames + 3 - (cut > 0)) * 1152 / 44100)


@pytest.mark.parametrize(
    "recording",
    [
        audio.wav(0),
        audio.wav(0) + b"LIST" + struct.pack("<I", 10) + bytes(10),
        audio.wav(0, said_bytes=0xFFFF_FFFF),
        audio.id3(b""),
        audio.id3(b"Recording failed: disk full\n" * 5),
        audio.id3(bytes(10_000)),
        audio.amr(0),
        audio.wave64(0),
        audio.au(0),
        audio.flac(3)[:-64],
        b"".join(audio.ogg(3).partition(b"OpusTags")[:2]) + bytes(8),
        audio.m4a(3)[: -8 - 64],
        audio.m4a(3)[: -8 - 64] + struct.pack(">I4s", 8, b"mdat"),
    ],
    ids=[
        "wav",
        "wav with a list",
        "wav of 4 GB",
        "id3",
        "id3 and text",
        "id3 and zeros",
        "amr",
        "wave64",
        "au",
        "flac",
        "ogg",
        "m4a",
        "m4a with empty media",
    ],
)
def test_a_recording_without_sound_lasts_0(recording: bytes) -> None:
    assert sniff(recording) is not None
    assert duration_s(recording) == 0


@pytest.mark.parametrize("name", ["appointment", "delivery", "outage"])
def test_the_spoken_samples_are_as_long_as_they_say(name: str) -> None:
    said = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))["duration"]
    assert duration_s(SAMPLES / f"{name}.mp3") == pytest.approx(said, abs=1)
    assert sniff((SAMPLES / f"{name}.mp3").read_bytes()[:HEAD_BYTES]) == MP3


@pytest.mark.parametrize("content", [b"", b"nothing", audio.webm(), audio.wav(3)[:36], audio.flac(0), b"ID3", b"OggS", b"fLaC"])
def test_an_unknown_duration_is_none(content: bytes) -> None:
    assert duration_s(content) is None


def test_an_mp3_cut_short_is_as_long_as_its_bytes() -> None:
    frames = 10_000
    xing = bytearray(audio.mp3(3))
    xing[21:37] = b"Info" + struct.pack(">III", 3, frames, frames * 417)
    assert duration_s(bytes(xing)) == pytest.approx(3, abs=0.05)


def test_the_index_of_an_mp3_is_no_sound() -> None:
    recording = bytearray(audio.mp3(3))
    recording[21:37] = b"Xing" + struct.pack(">III", 3, 115, 115 * 417)
    assert duration_s(bytes(recording)) == pytest.approx(114 * 1152 / 44100)


@given(st.sampled_from([audio.mp3(), audio.ogg(), audio.m4a(), audio.flac(), audio.wav()]), st.data())
def test_damage_never_raises(recording: bytes, data: st.DataObject) -> None:
    damaged = bytearray(recording[: data.draw(st.integers(0, len(recording)), label="length")])
    for at in data.draw(st.lists(st.integers(0, max(0, len(damaged) - 1)), max_size=20), label="places") if damaged else ():
        damaged[at] = data.draw(st.integers(0, 255))
    seconds = duration_s(bytes(damaged))
    assert seconds is None or seconds >= 0
