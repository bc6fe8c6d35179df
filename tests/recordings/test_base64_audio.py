from __future__ import annotations

import base64
import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tether_rt.errors import BadRequest
from tether_rt.recordings.base64_audio import decode_base64, decode_pieces
from tether_rt.recordings.store import PIECE_BYTES

SOUND = bytes(range(256)) * 3 + b"\xfb\xff\xbe"


def standard(data: bytes) -> str:
    return base64.b64encode(data).decode()


def url_safe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def mime(data: bytes) -> str:
    return base64.encodebytes(data).decode()


@given(
    st.binary(max_size=200),
    st.sampled_from([standard, url_safe, mime]),
    st.booleans(),
    st.sampled_from(["", "data:audio/mpeg;base64,", "DATA:Audio/MPEG;Base64,", "data:audio/webm;codecs=opus;base64,"]),
    st.sampled_from(["", "\n", " \t\r\n"]),
)
def test_every_form_of_base64_is_decoded(
    data: bytes, encode: Callable[[bytes], str], padded: bool, prefix: str, space: str
) -> None:
    text = encode(data)
    if not padded:
        text = text.replace("=", "")
    assert decode_base64(space + prefix + space + text + space) == data


@pytest.mark.parametrize("size_bytes", [0, 1, 2, 3, PIECE_BYTES - 1, PIECE_BYTES, 3 * PIECE_BYTES + 1])
@pytest.mark.parametrize("encode", [standard, url_safe, mime])
def test_text_of_any_size_is_decoded_in_small_pieces(size_bytes: int, encode: Callable[[bytes], str]) -> None:
    data = os.urandom(size_bytes)
    pieces = list(decode_pieces(encode(data)))
    assert b"".join(pieces) == data
    assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)


def test_spaces_that_cut_a_piece_anywhere_do_not_matter() -> None:
    text = standard(SOUND * 400)
    for at in range(PIECE_BYTES - 6, PIECE_BYTES + 6):
        assert decode_base64(text[:at] + " \n" + text[at:]) == SOUND * 400


@pytest.mark.parametrize(
    "prefix",
    [
        "data:audio/mpeg;base64,",
        "data:audio/mpeg; codecs=mp3 ; base64,",
        "data:audio/x-m4a;name=\"a.m4a\";charset=utf-8;base64,",
        "  data:audio/ogg;base64,\n",
        "data:application/octet-stream;base64,",
        "data:video/mp4;codecs=\"avc1, mp4a\";name=\"a \\\"b,c\\\" d\";base64,",
        "data:;base64,",
        "data:base64,",
    ],
)  # fmt: skip
def test_data_prefixes_of_every_type_are_accepted(prefix: str) -> None:
    assert decode_base64(prefix + standard(SOUND)) == SOUND


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("AAAA BBBB", "character 5 is a space"),
        ("AA\tAAAA", "character 3 is a space"),
        ("AAAA\nBB BB\nCCCC", "character 8 is a space"),
        ('data:audio/mpeg;name="a;base64,', "without a comma"),
        ("data:audio/mpeg,abcd", "not base64"),
        ("data:audio/mpeg;base64;x=y,abcd", "not base64"),
        ("data:audio/mpeg;base64", "without a comma"),
        ("A", "cut short"),
        ("AAAAA", "cut short"),
        ("AA=", "wrongly padded"),
        ("AAA==", "wrongly padded"),
        ("AAAA=", "wrongly padded"),
        ("A===", "cut short"),
        ("====", "cut short"),
        ("=", "cut short"),
        ("AA==AA==", "is not base64"),
        ("AA=A", "is not base64"),
        ("a+b_", "mixes"),
        ("-/AA", "mixes"),
        ("AAAA!", r"character 5 \('!'\)"),
        ("AA\x00A", r"character 3 \('\\x00'\)"),
        ("AAAä", r"character 4 \('ä'\)"),
        ("AA😀A", "character 3"),
        ("AA%3D%3D", r"character 3 \('%'\)"),
        ("vendor.example/recordings/1.mp3", r"character 7 \('.'\)"),
        ("http:/vendor.example/x", r"character 5 \(':'\)"),
        ("AA\x0bAA", r"character 3 \('\\x0b'\)"),
    ],
)
def test_text_that_is_not_base64_is_refused_with_the_place(text: str, reason: str) -> None:
    with pytest.raises(BadRequest, match=reason) as refusal:
        decode_base64(text)
    assert str(refusal.value).startswith("recording ")


@given(st.binary(min_size=30, max_size=90), st.sampled_from(["\n", "\r\n", " \n", "\n\t ", " \r\n  "]), st.integers(1, 39))
def test_line_breaks_may_have_spaces_around_them(data: bytes, break_: str, width: int) -> None:
    text = standard(data)
    assert decode_base64(break_.join(text[at : at + width] for at in range(0, len(text), width))) == data


@pytest.mark.parametrize("at", [*range(PIECE_BYTES - 3, PIECE_BYTES + 3), 2 * PIECE_BYTES])
def test_a_plus_sign_that_became_a_space_is_refused_wherever_it_was(at: int) -> None:
    text = standard(SOUND * 1000)
    with pytest.raises(BadRequest, match=f"character {at + 1} is a space inside a line; spaces were plus signs"):
        decode_base64(text[:at] + " " + text[at + 1 :])
    with pytest.raises(BadRequest, match="is a space inside a line"):
        decode_base64(text[:at] + "   " + text[at + 3 :])


def test_the_place_is_right_far_into_the_text() -> None:
    text = "A" * 1_000_001 + "*" + "A" * 10
    with pytest.raises(BadRequest, match=r"character 1000002 \('\*'\)"):
        decode_base64(text)
    text = "A" * 1_000_000 + "=A"
    with pytest.raises(BadRequest, match="is not base64"):
        decode_base64(text)


@pytest.mark.parametrize("at", [PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1])
def test_padding_in_the_middle_is_refused_at_every_cut(at: int) -> None:
    with pytest.raises(BadRequest, match="is not base64"):
        decode_base64("A" * at + "==" + "A" * 40)


@given(st.text(max_size=100))
def test_any_text_decodes_or_is_refused(text: str) -> None:
    try:
        decoded = decode_base64(text)
    except BadRequest:
        return
    assert len(decoded) <= len(text)
