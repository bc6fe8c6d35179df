from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import audio
from tether_rt.recordings.audio_type import HEAD_BYTES, MP3, sniff
from tether_rt.recordings.duration import duration_s

SAMPLES = Path(__file__).parents[2] / "tether_rt" / "demo" / "samples"


@pytest.mark.parametrize("as_file", [False, True], ids=["bytes", "file"])
@pytest.mark.parametrize(
    "recording",
    [audio.mp3(3), audio.id3(audio.mp3(3)), audio.wav(3), audio.wav(3, codec=7), audio.ogg(3), audio.m4a(3), audio.flac(3)],
    ids=["mp3", "mp3 with id3", "wav", "wav mu-law", "ogg", "m4a", "flac"],
)
def test_three_seconds_are_three_seconds(recording: bytes, as_file: bool, tmp_path: Path) -> None:
    file = tmp_path / "recording"
    file.write_bytes(recording)
    assert duration_s(file if as_file else recording) == pytest.approx(3, abs=0.05)


@pytest.mark.parametrize("name", ["appointment", "delivery", "outage"])
def test_the_spoken_samples_are_as_long_as_they_say(name: str) -> None:
    said = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))["duration"]
    assert duration_s(SAMPLES / f"{name}.mp3") == pytest.approx(said, abs=1)
    assert sniff((SAMPLES / f"{name}.mp3").read_bytes()[:HEAD_BYTES]) == MP3


@pytest.mark.parametrize("content", [b"", b"nothing", audio.webm(), audio.wav(3)[:40], audio.flac(0), b"ID3", b"OggS", b"fLaC"])
def test_an_unknown_duration_is_none(content: bytes) -> None:
    assert duration_s(content) is None


def test_a_wav_that_claims_4_gb_is_as_long_as_its_bytes() -> None:
    recording = audio.wav(3)
    at = recording.index(b"data") + 4
    assert duration_s(recording[:at] + struct.pack("<I", 0xFFFFFFFF) + recording[at + 4 :]) == pytest.approx(3, abs=0.05)


def test_an_mp3_cut_short_is_as_long_as_its_bytes() -> None:
    frames = 10_000
    xing = bytearray(audio.mp3(3))
    xing[21:37] = b"Info" + struct.pack(">III", 3, frames, frames * 417)
    assert duration_s(bytes(xing)) == pytest.approx(3, abs=0.2)


def test_a_file_that_would_take_for_ever_is_given_up(tmp_path: Path) -> None:
    # One frame and 64 MB of zeros: tinytag alone would look at every fourth byte, and answer after many seconds.
    file = tmp_path / "recording"
    file.write_bytes(audio.mp3()[:417])
    with file.open("r+b") as handle:
        handle.truncate(64_000_000)
    assert duration_s(file) is None


@given(st.sampled_from([audio.mp3(), audio.ogg(), audio.m4a(), audio.flac(), audio.wav()]), st.data())
def test_damage_never_raises(recording: bytes, data: st.DataObject) -> None:
    damaged = bytearray(recording[: data.draw(st.integers(0, len(recording)), label="length")])
    for at in data.draw(st.lists(st.integers(0, max(0, len(damaged) - 1)), max_size=20), label="places") if damaged else ():
        damaged[at] = data.draw(st.integers(0, 255))
    seconds = duration_s(bytes(damaged))
    assert seconds is None or seconds > 0
