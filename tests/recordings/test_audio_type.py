from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import audio
from tether_rt.recordings.audio_type import AAC, AMR, AU, FLAC, HEAD_BYTES, M4A, MP3, OGG, W64, WAV, WEBM, AudioType, sniff


@pytest.mark.parametrize(
    ("recording", "expected"),
    [
        (audio.mp3(), MP3),
        (audio.id3(audio.mp3()), MP3),
        (audio.wav(), WAV),
        (audio.wav(codec=7), WAV),
        (audio.ogg(), OGG),
        (audio.m4a(), M4A),
        (audio.m4a(brand=b"mp42"), M4A),
        (audio.flac(), FLAC),
        (audio.id3(audio.flac()), FLAC),
        (audio.webm(), WEBM),
        (audio.mp3_of_two_rates(), MP3),
        (audio.adts(), AAC),
        (audio.adts(wrong_by=1), AAC),
        (audio.id3(audio.adts()), AAC),
        (audio.amr(), AMR),
        (audio.wave64(), W64),
        (audio.au(), AU),
    ],
    ids=[
        "mp3",
        "mp3 with id3",
        "wav",
        "wav mu-law",
        "ogg",
        "m4a",
        "mp4",
        "flac",
        "flac with id3",
        "webm",
        "mp3 of two rates",
        "aac",
        "aac with wrong lengths",
        "aac with id3",
        "amr",
        "wave64",
        "au",
    ],
)
def test_each_audio_type_is_recognized_by_its_content(recording: bytes, expected: AudioType) -> None:
    assert sniff(recording) == expected


def test_an_id3_tag_larger_than_the_head_is_trusted() -> None:
    assert sniff(audio.id3(audio.mp3(), tag_bytes=900_000)[: 64 * 1024]) == MP3


@pytest.mark.parametrize("junk", [bytes(1000), bytes(60_000), b"Recorded by Example Corp\r\n", b"\xff\xfb\x90" * 50])
def test_what_is_in_front_of_the_first_frame_does_not_hide_it(junk: bytes) -> None:
    assert sniff((junk + audio.mp3())[:HEAD_BYTES]) == MP3


@given(st.integers(1, 416))
def test_a_stream_may_begin_in_the_middle_of_a_frame(at: int) -> None:
    assert sniff(audio.mp3()[at:]) == MP3


def test_noise_is_not_taken_for_frames() -> None:
    assert not any(sniff(random.Random(seed).randbytes(HEAD_BYTES)) for seed in range(50))


@pytest.mark.parametrize(
    ("recording", "name"),
    [
        (audio.gsm_in_wav(), "GSM 6.10 in WAV"),
        (audio.wav(codec=0x11), "IMA ADPCM in WAV"),
        (audio.wav(codec=0x2222), "codec 0x2222 in WAV"),
        (audio.wav(codec=0xFFFE, extra=struct.pack("<HHIH14s", 22, 8, 4, 0x31, bytes(14))), "GSM 6.10 in WAV"),
        (audio.amr(), "AMR"),
        (b"#!AMR-WB\n" + bytes(100), "AMR-WB"),
        (audio.adts(), "AAC without a container (ADTS)"),
        (audio.wave64(), "Wave64"),
        (b"FORM" + bytes(4) + b"AIFF" + bytes(100), "AIFF"),
        (b"RIFF" + bytes(4) + b"QLCMfmt " + bytes(100), "QCP"),
        (audio.ogg().replace(b"OpusHead", b"Speex   "), "Speex in OGG"),
        (audio.m4a(brand=b"3gp4") + struct.pack(">I4sIII4s", 32, b"stsd", 0, 1, 16, b"samr"), "AMR in MP4"),
    ],
)
def test_a_format_that_browsers_do_not_play_is_named(recording: bytes, name: str) -> None:
    found = sniff(recording)
    assert found is not None
    assert (found.name, found.is_playable) == (name, False)


@pytest.mark.parametrize("codec", [1, 3, 6, 7])
def test_the_codecs_of_wav_that_browsers_play_are_known(codec: int) -> None:
    assert sniff(audio.wav(codec=codec)) == WAV
    assert sniff(audio.wav(codec=0xFFFE, extra=struct.pack("<HHIH14s", 22, 8, 4, codec, bytes(14)))) == WAV


def test_every_mpeg_version_and_layer_used_for_calls_is_mp3() -> None:
    # Layer III of MPEG 1 (320 kbit/s, 48 kHz), MPEG 2 (64, 22.05), MPEG 2.5 (8, 8); Layer II of MPEG 1 (192, 48)
    for header, frame_bytes in (("fffbe4c4", 960), ("fff380c4", 208), ("ffe318c4", 72), ("fffda4c4", 576)):
        frame = bytes.fromhex(header).ljust(frame_bytes, b"\x55")
        assert sniff(frame * 3) == MP3, header
        assert sniff(frame + b"\x55" * 400) is None, f"{header} alone"
        assert sniff(b"\x55" * 400 + frame * 2 + b"\x55" * 400) is None, f"two of {header}, by chance"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"hello world, this is no sound at all",
        b"<!doctype html><html><body>404</body></html>",
        b"<?xml version='1.0'?><svg/>",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(100),
        b"GIF89a" + bytes(100),
        b"%PDF-1.7\n" + bytes(100),
        b"PK\x03\x04" + bytes(100),
        b"\x7fELF" + bytes(100),
        b"RIFF\x00\x00\x00\x00WEBPVP8 " + bytes(100),
        b"RIFF\x00\x00\x00\x00AVI LIST" + bytes(100),
        audio.webm(b"matroska"),
        audio.m4a(brand=b"heic"),
        audio.m4a(brand=b"avif"),
        struct.pack(">I4s", 8, b"ftyp") + bytes(100),
        "\ufeffhello, this is a text of sixteen bits".encode("utf-16-le"),
        "\ufeffhello".encode("utf-16-be"),
        b"\xff\xf1\x50\x80" + bytes(100),
        b"ID3 is a tag of music files",
        b"ID3",
        audio.id3(b"<script>alert(1)</script>"),
        audio.id3(b"\n\n<!doctype html>"),
        audio.id3(b"%PDF-1.7"),
        bytes(10_000),
    ],
)
def test_other_content_is_not_audio(content: bytes) -> None:
    assert sniff(content) is None


@given(st.binary(max_size=600))
def test_any_bytes_get_an_answer(content: bytes) -> None:
    sniff(content)


@given(st.text(min_size=1, max_size=600))
def test_no_text_is_audio_unless_it_claims_a_container(text: str) -> None:
    if not text.startswith(("ID3", "OggS\0", "RIFF", "RF64", "fLaC")) and text[4:8] != "ftyp":
        assert sniff(text.encode()) is None
