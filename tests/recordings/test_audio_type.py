from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import audio
from tether_rt.recordings.audio_type import FLAC, M4A, MP3, OGG, WAV, WEBM, AudioType, sniff


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
    ],
    ids=["mp3", "mp3 with id3", "wav", "wav mu-law", "ogg", "m4a", "mp4", "flac", "flac with id3", "webm"],
)
def test_each_audio_type_is_recognized_by_its_content(recording: bytes, expected: AudioType) -> None:
    assert sniff(recording) == expected


def test_an_id3_tag_larger_than_the_head_is_trusted() -> None:
    assert sniff(audio.id3(audio.mp3(), tag_bytes=900_000)[: 64 * 1024]) == MP3


def test_zeros_in_front_of_the_first_frame_do_not_hide_it() -> None:
    assert sniff(bytes(1000) + audio.mp3()) == MP3


def test_every_mpeg_version_and_layer_used_for_calls_is_mp3() -> None:
    # Layer III of MPEG 1 (320 kbit/s, 48 kHz), MPEG 2 (64, 22.05), MPEG 2.5 (8, 8); Layer II of MPEG 1 (192, 48)
    for header, frame_bytes in (("fffbe4c4", 960), ("fff380c4", 208), ("ffe318c4", 72), ("fffda4c4", 576)):
        frame = bytes.fromhex(header).ljust(frame_bytes, b"\x55")
        assert sniff(frame * 3) == MP3, header
        assert sniff(frame + b"\x55" * 400) is None, f"{header} alone"


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
