"""The messages of the feed and where a client's stream starts (`docs/protocol.md`). Pure: no I/O and no clock.

The server sends `hello`, then events whose `seq` grows by exactly one, and `resync` where it cannot: the client then fetches
by HTTP and resumes from the number in `resync`. Events are put into frames once, when they are read from `feed`; every
dashboard of the organization gets the same bytes.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from itertools import islice
from typing import Final, NamedTuple

import orjson

from tether_rt.domain.events import FeedSegment
from tether_rt.errors import BadRequest
from tether_rt.hub.frames import text_frame, text_header

SUBPROTOCOL: Final = "tether.v1"
_BEARER: Final = "bearer."

MAX_SEQ: Final = 2**53
"""JavaScript's numbers are exact up to here."""

SEGMENT_BYTES: Final = 1 << 17
"""A committed segment may be megabytes. It is kept and sent in parts, each of which ends with the event that reaches this."""

EXPIRED: Final = "the events after that number are no longer kept"
FROM_THE_FUTURE: Final = "there is no event with that number yet"
RESTORED: Final = "the database was put back to an earlier state"


class Close(IntEnum):
    """The codes with which the server closes (RFC 6455 section 7.4.1; 4000 and above are for applications)."""

    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    POLICY_VIOLATION = 1008
    SESSION_ENDED = 4401
    ROLE_CHANGED = 4403
    TOO_SLOW = 4408


class Position(NamedTuple):
    """How far a client has read."""

    epoch: str | None
    """The epoch of the database that it read, from `hello` or `resync`; None when the client does not say."""
    seq: int
    """The number of the last event that it has applied."""


def hello(organization_id: str, epoch: str, seq: int, head: int, heartbeat_s: float) -> bytes:
    """Return the frame that begins a stream: the next event has `seq` + 1, and `head` is the last number committed so far."""
    message = {
        "event": "hello",
        "epoch": epoch,
        "seq": seq,
        "head": head,
        "organizationId": organization_id,
        "heartbeat": heartbeat_s,
    }
    return text_frame(orjson.dumps(message))


def resync(epoch: str, seq: int, reason: str) -> bytes:
    """Return the frame that says that events up to `seq` cannot be had; the next event has `seq` + 1."""
    return text_frame(orjson.dumps({"event": "resync", "epoch": epoch, "seq": seq, "reason": reason}))


def server_sent(epoch: str, text: bytes) -> bytes:
    """Return a message as a server-sent event, whose id is the position after it: what a browser sends as `Last-Event-ID`."""
    return b"id: %b.%d\ndata: %b\n\n" % (epoch.encode(), orjson.loads(text)["seq"], text)


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive events of one organization as frames."""

    first: int
    last: int
    frames: bytes
    """The frames of all its events, one after the other."""
    ends: tuple[int, ...]
    """The offset in `frames` at which the frame of each event ends."""
    forgets: bool = False
    """Whether earlier events were erased when it was committed: those that are remembered are out of date."""

    def after(self, seq: int) -> memoryview:
        """Return the frames of the events with numbers above `seq`, without copying them."""
        start = self.ends[seq - self.first] if seq >= self.first else 0
        return memoryview(self.frames)[start:]


def segments_of(documents: Iterable[FeedSegment]) -> list[Segment]:
    """Put the events of documents of `feed` into frames, in segments of about `SEGMENT_BYTES` at most."""
    segments: list[Segment] = []
    for document in documents:
        first = number = document["first"]
        forgets = document.get("forgets", False)
        parts: list[bytes] = []
        ends: list[int] = []
        end = 0
        for number, text in enumerate(document["events"], first):
            payload = text.encode()
            header = text_header(len(payload))
            parts += (header, payload)
            end += len(header) + len(payload)
            ends.append(end)
            if end >= SEGMENT_BYTES:
                segments.append(Segment(first, number, b"".join(parts), tuple(ends), forgets))
                first, parts, ends, end = number + 1, [], [], 0
        if parts:
            segments.append(Segment(first, number, b"".join(parts), tuple(ends), forgets))
    return segments


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of consecutive events."""

    frames: bytes | memoryview
    last: int
    """The number of the last event in `frames`."""


def frames_after(segments: Sequence[Segment], seq: int, limit_bytes: int) -> Frames | None:
    """Return the frames of the events from `seq` + 1 on, up to the first gap; None when `segments` do not have that event.

    `segments` are in order. The frames end with the end of a segment, and are at most `limit_bytes` unless the first segment
    alone is larger.
    """
    start = bisect_right(segments, seq, key=lambda segment: segment.last)
    if start == len(segments) or segments[start].first > seq + 1:
        return None
    parts = [segments[start].after(seq)]
    size, last = len(parts[0]), segments[start].last
    for segment in islice(segments, start + 1, None):
        size += len(segment.frames)
        if size > limit_bytes or segment.first != last + 1:
            break
        parts.append(memoryview(segment.frames))
        last = segment.last
    return Frames(parts[0] if len(parts) == 1 else b"".join(parts), last)


class Start(Enum):
    """Where the events come from that a client has missed."""

    LIVE = "it has missed none"
    MEMORY = "from the recent segments of this process"
    FEED = "from `feed`, unless they are no longer kept"
    AHEAD = "the client has read more than this process has published: another process was faster, or the number is invented"


def start_of_stream(after: int, last: int, first_recent: int) -> Start:
    """Return where the events after the number `after` come from.

    `last` is the last number published here, `first_recent` the first one still in memory (`last` + 1 when there is none).
    """
    if after > last:
        return Start.AHEAD
    if after == last:
        return Start.LIVE
    return Start.MEMORY if after >= first_recent - 1 else Start.FEED


_POSITION: Final = re.compile(r"(?:([0-9a-f]{1,32})\.)?([0-9]{1,16})", re.ASCII)


def parse_after(text: str | None) -> Position | None:
    """Return the position in `?after=`: `<epoch>.<seq>` or `<seq>`; None when there is no such parameter.

    Raises `BadRequest` for anything else.
    """
    if text is None:
        return None
    found = _POSITION.fullmatch(text)
    if found is None or int(found[2]) > MAX_SEQ:
        raise BadRequest("after must be a whole number from 0 to 9007199254740992, or <epoch>.<number>")
    return Position(found[1], int(found[2]))


def offered_subprotocols(header: str | None) -> list[str]:
    """Return the names in a `Sec-WebSocket-Protocol` header (RFC 6455 section 11.3.4), in the client's order."""
    return [name for part in (header or "").split(",") if (name := part.strip())]


def subprotocol_token(offered: Sequence[str]) -> str | None:
    """Return the session token from a subprotocol `bearer.<token>`, None without one: a page can set no other header."""
    return next((name[len(_BEARER) :] for name in offered if name.startswith(_BEARER)), None)
