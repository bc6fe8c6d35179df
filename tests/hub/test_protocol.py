"""The messages of the feed, and where a stream starts, without a socket."""

from __future__ import annotations

import contextlib
import itertools
import struct
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tether_rt.domain.events import FeedSegment
from tether_rt.errors import BadRequest
from tether_rt.hub import protocol
from tether_rt.hub.frames import text_frame
from tether_rt.hub.protocol import (
    MAX_SEQ,
    SEGMENT_BYTES,
    Position,
    Segment,
    Start,
    frames_after,
    parse_after,
    segments_of,
    start_of_stream,
)

AT = datetime(2026, 5, 15, tzinfo=UTC)
EPOCH = "9f86d081884c4d659a2feaa0c55ad015"


def payloads(frames: bytes | memoryview) -> list[bytes]:
    """Read unmasked text frames back (RFC 6455 section 5.2); fails unless each has the shortest length form."""
    data, found = bytes(frames), []
    while data:
        assert data[0] == 0x81
        size, header = data[1], 2
        if size == 126:
            (size,), header = struct.unpack("!H", data[2:4]), 4
            assert size >= 126
        elif size == 127:
            (size,), header = struct.unpack("!Q", data[2:10]), 10
            assert size >= 1 << 16
        assert len(data) >= header + size
        found.append(data[header : header + size])
        data = data[header + size :]
    return found


def document(first: int, texts: list[str]) -> FeedSegment:
    return {"_id": "d", "organizationId": "o", "first": first, "last": first + len(texts) - 1, "at": AT, "events": texts}


def segment(first: int, texts: list[str]) -> Segment:
    (only,) = segments_of([document(first, texts)])
    return only


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_an_event_of_any_size_is_one_frame(size: int) -> None:
    assert bytes(segment(1, ["x" * size]).frames) == text_frame(b"x" * size)


def test_hello_and_resync_read_as_documented() -> None:
    (hello,) = payloads(protocol.hello("0123456789abcdef01234567", EPOCH, 1041, 1050, 20))
    assert orjson.loads(hello) == {
        "event": "hello",
        "epoch": EPOCH,
        "seq": 1041,
        "organizationId": "0123456789abcdef01234567",
        "heartbeat": 20,
        "head": 1050,
    }
    (resync,) = payloads(protocol.resync(EPOCH, 1041, protocol.EXPIRED))
    assert orjson.loads(resync) == {"event": "resync", "epoch": EPOCH, "seq": 1041, "reason": protocol.EXPIRED}


texts = st.lists(st.text(max_size=200), min_size=1, max_size=5)


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[Segment], list[bytes], int]:
    """Segments that follow each other, the payload of every event in them, and the number before the first."""
    before = draw(st.integers(0, 1000))
    segments: list[Segment] = []
    events: list[bytes] = []
    for group in draw(st.lists(texts, min_size=1, max_size=8)):
        segments.append(segment(before + len(events) + 1, group))
        events += [text.encode() for text in group]
    return segments, events, before


@given(runs())
def test_a_segment_is_sent_from_after_any_number(run: tuple[list[Segment], list[bytes], int]) -> None:
    for part in run[0]:
        whole = payloads(part.frames)
        assert len(whole) == part.last - part.first + 1
        for seq in range(part.first - 1, part.last + 1):
            assert payloads(part.after(seq)) == whole[seq - part.first + 1 :]


@given(st.lists(st.integers(0, 3 * SEGMENT_BYTES // 2), min_size=1, max_size=12))
@settings(max_examples=30)
def test_a_large_document_becomes_pieces_of_bounded_size(sizes: list[int]) -> None:
    texts = ["x" * size for size in sizes]
    pieces = segments_of([document(5, texts)])
    assert [payload for piece in pieces for payload in payloads(piece.frames)] == [text.encode() for text in texts]
    assert (pieces[0].first, pieces[-1].last) == (5, 4 + len(texts))
    for piece, following in itertools.pairwise(pieces):
        assert piece.last + 1 == following.first
    for piece in pieces:
        assert len(piece.frames) < SEGMENT_BYTES + len(payloads(piece.frames)[-1]) + 10
        for seq in range(piece.first - 1, piece.last + 1):
            assert len(payloads(piece.after(seq))) == piece.last - seq


@given(runs(), st.integers(0, 2000), st.integers(0, 4000))
def test_frames_begin_right_after_the_number_and_ends_with_a_segment(
    run: tuple[list[Segment], list[bytes], int], seq: int, limit: int
) -> None:
    segments, events, before = run
    part = frames_after(segments, seq, limit)
    if seq < before or seq >= before + len(events):
        assert part is None
        return
    assert part is not None
    assert payloads(part.frames) == events[seq - before : part.last - before]
    assert part.last in [each.last for each in segments]
    within = [each for each in segments if seq < each.last <= part.last]
    assert len(within) == 1 or len(part.frames) <= limit


@given(runs(), st.data())
def test_frames_taken_step_by_step_have_no_gap_and_no_repeat(
    run: tuple[list[Segment], list[bytes], int], data: st.DataObject
) -> None:
    segments, events, before = run
    start = seq = data.draw(st.integers(before, before + len(events)))
    received: list[bytes] = []
    while part := frames_after(segments, seq, data.draw(st.integers(0, 500))):
        received += payloads(part.frames)
        seq = part.last
    assert seq == before + len(events)
    assert received == events[start - before :]


def test_frames_end_before_a_gap() -> None:
    assert frames_after([segment(5, ["a"]), segment(6, ["b"])], 3, 1000) is None
    assert frames_after([], 0, 1000) is None
    part = frames_after([segment(1, ["a"]), segment(2, ["b"]), segment(4, ["d"])], 0, 1000)
    assert part is not None
    assert (part.last, payloads(part.frames)) == (2, [b"a", b"b"])


@pytest.mark.parametrize(
    ("after", "last", "first_recent", "start"),
    [
        (0, 0, 1, Start.LIVE),
        (10, 10, 5, Start.LIVE),
        (10, 10, 11, Start.LIVE),
        (9, 10, 5, Start.MEMORY),
        (4, 10, 5, Start.MEMORY),
        (3, 10, 5, Start.FEED),
        (9, 10, 11, Start.FEED),
        (11, 10, 5, Start.AHEAD),
        (MAX_SEQ, 10, 5, Start.AHEAD),
    ],
)
def test_where_a_stream_starts(after: int, last: int, first_recent: int, start: Start) -> None:
    assert start_of_stream(after, last, first_recent) is start


@given(st.integers(0, MAX_SEQ))
def test_any_number_up_to_2_53_can_be_asked_for_with_an_epoch_or_without(number: int) -> None:
    assert parse_after(str(number)) == Position(None, number)
    assert parse_after(f"{EPOCH}.{number}") == Position(EPOCH, number)


def test_no_number_means_from_now_on() -> None:
    assert parse_after(None) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "-1", "+1", "1e3", "0x1", " 1", "1 ", "१", "null", str(MAX_SEQ + 1), "9" * 400,
        ".", ".1", f"{EPOCH}.", f"{EPOCH}.-1", f"{EPOCH}.{MAX_SEQ + 1}", f"{EPOCH}a.1", f"{EPOCH[:-1]}A.1", f"{EPOCH}.1.1",
        f"{EPOCH}.1\n",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="after must be a whole number"):
        parse_after(text)


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    with contextlib.suppress(BadRequest):
        parse_after(text)


@pytest.mark.parametrize(
    ("header", "offered", "token"),
    [
        (None, [], None),
        ("", [], None),
        ("tether.v1", ["tether.v1"], None),
        ("tether.v1, bearer.a.b-c_d.e", ["tether.v1", "bearer.a.b-c_d.e"], "a.b-c_d.e"),
        (" bearer.x ,, tether.v1", ["bearer.x", "tether.v1"], "x"),
        ("bearer.", ["bearer."], ""),
        ("Bearer.x", ["Bearer.x"], None),
    ],
)
def test_subprotocols(header: str | None, offered: list[str], token: str | None) -> None:
    assert protocol.offered_subprotocols(header) == offered
    assert protocol.subprotocol_token(offered) == token


def test_every_close_code_may_be_sent() -> None:
    # RFC 6455 section 7.4.1: 1005, 1006 and 1015 never appear in a close frame; 3000 to 4999 are for applications.
    for code in protocol.Close:
        assert code in (1001, 1002, 1008) or 4000 <= code <= 4999


def test_events_keep_every_character() -> None:
    text: Any = orjson.dumps({"summary": "naïve \u2028 \U0001f4de \x00"}).decode()
    assert payloads(segment(1, [text]).frames) == [text.encode()]
