"""WebSocket frames, without a socket: what the server sends, and what a client's bytes mean however they arrive."""

from __future__ import annotations

import secrets
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tether_rt.hub.frames import FrameReader, Received, accept_key, close_answer, close_frame, pong_frame, text_frame

Found = list[tuple[Received, bytes]]
Sent = tuple[bytes, tuple[Received, bytes]]
"""A client's frame, and what it means."""


def masked(payload: bytes, opcode: int, *, first: int = 0x80) -> bytes:
    """Return a client's frame; `first` has the bits beside the opcode."""
    mask = secrets.token_bytes(4)
    size = len(payload)
    if size < 126:
        length = bytes((0x80 | size,))
    elif size < 1 << 16:
        length = struct.pack("!BH", 0x80 | 126, size)
    else:
        length = struct.pack("!BQ", 0x80 | 127, size)
    return bytes((first | opcode,)) + length + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def read(data: bytes, sizes: list[int]) -> Found:
    """Feed `data` in pieces of these sizes, the last one of whatever is left."""
    reader, found, position = FrameReader(), [], 0
    for size in sizes:
        found += reader.feed(data[position : position + size])
        position += size
    return found + reader.feed(data[position:])


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, "81 00"),
        (125, "81 7d"),
        (126, "81 7e 00 7e"),
        (65_535, "81 7e ff ff"),
        (65_536, "81 7f 00 00 00 00 00 01 00 00"),
    ],
)
def test_a_text_frame_has_the_shortest_form_of_its_length(size: int, header: str) -> None:
    assert text_frame(b"x" * size) == bytes.fromhex(header) + b"x" * size


def test_the_accept_key_is_that_of_the_standard() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 section 1.3


def test_control_frames_of_the_server() -> None:
    assert pong_frame(b"hi") == b"\x8a\x02hi"
    assert close_frame(1001, "bye") == b"\x88\x05\x03\xe9bye"


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        (b"", b""),
        (b"\x03\xe9bye", b"\x03\xe9"),
        (b"\x0f\xa0", b"\x0f\xa0"),
        (b"\x03", b"\x03\xea"),
        (b"\x03\xed", b"\x03\xea"),  # 1005, which stands in no frame
        (b"\x00\x00", b"\x03\xea"),
        (b"\xff\xff", b"\x03\xea"),
    ],
)
def test_a_close_frame_is_answered_with_its_code_or_with_1002(payload: bytes, answer: bytes) -> None:
    assert close_answer(payload) == bytes((0x88, len(answer))) + answer


control = st.tuples(
    st.sampled_from([(Received.CLOSE, 0x8), (Received.PING, 0x9), (Received.PONG, 0xA)]), st.binary(max_size=125)
).map(lambda drawn: (masked(drawn[1], drawn[0][1]), (drawn[0][0], drawn[1])))
data = st.tuples(st.sampled_from([0, 1, 2]), st.integers(0, 300) | st.integers(65_000, 67_000), st.sampled_from([0, 0x80])).map(
    lambda drawn: (masked(bytes(drawn[1]), drawn[0], first=drawn[2]), (Received.MESSAGE, b""))
)


@given(st.lists(control | data, max_size=6), st.lists(st.integers(0, 200), max_size=30))
def test_frames_mean_the_same_however_they_are_cut(frames: list[Sent], sizes: list[int]) -> None:
    assert read(b"".join(sent for sent, _ in frames), sizes) == [meaning for _, meaning in frames]


@pytest.mark.parametrize(
    "nonsense",
    [
        pytest.param(masked(b"", 0x9, first=0xC0), id="a reserved bit"),
        pytest.param(masked(b"", 0x9, first=0), id="a control frame in fragments"),
        pytest.param(masked(b"x" * 126, 0x9), id="a control frame that is too long"),
        pytest.param(masked(b"", 0x3), id="an unknown kind of data"),
        pytest.param(masked(b"", 0xB), id="an unknown kind of control"),
        pytest.param(b"\x89\x02hi", id="a frame without a mask"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="HTTP"),
    ],
)
@given(rest=st.binary(max_size=300))
def test_after_a_frame_that_is_not_allowed_nothing_is_read(nonsense: bytes, rest: bytes) -> None:
    for sizes in ([], [1] * len(nonsense)):
        assert read(masked(b"", 0xA) + nonsense + rest, sizes) == [(Received.PONG, b""), (Received.INVALID, b"")]


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_no_bytes_break_the_reader(pieces: list[bytes]) -> None:
    reader = FrameReader()
    for piece in pieces:
        reader.feed(piece)


def test_a_message_of_any_size_is_not_kept() -> None:
    reader = FrameReader()
    assert reader.feed(b"\x81\xff" + struct.pack("!Q", 1 << 40) + b"mask") == [(Received.MESSAGE, b"")]
    for _ in range(100):
        assert reader.feed(bytes(1 << 16)) == []
