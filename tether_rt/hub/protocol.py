"""What a dashboard is told and where its stream starts: bytes and numbers only, no I/O and no clock.

Events are framed here once, when they are read from `feed`; every dashboard of the organization gets the same bytes. What is
sent is `hello`, events whose `seq` grows by exactly one from there, and `resync` wherever that cannot be kept: the client then
fetches by HTTP and goes on from the number that `resync` names.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from itertools import islice
from typing import Any, Final

import orjson

from tether_rt.errors import BadRequest

SUBPROTOCOL: Final = "tether.v1"
_BEARER: Final = "bearer."

MAX_SEQ: Final = 2**53
"""Whole numbers up to here are exact in a double, which is all that a JavaScript client has."""

SEGMENT_BYTES: Final = 1 << 17
"""What is committed together may be megabytes; from here on it is kept and sent in pieces that end soon after so many bytes."""

PING: Final = b"\x89\x00"
"""An empty ping frame (RFC 6455 section 5.5.2)."""

EXPIRED: Final = "the events after that number are no longer kept"
FROM_THE_FUTURE: Final = "there is no event with that number yet"


class Close(IntEnum):
    """The codes with which the server closes (RFC 6455 section 7.4.1; 4000 and above are for applications)."""

    GOING_AWAY = 1001
    POLICY_VIOLATION = 1008
    SESSION_ENDED = 4401
    TOO_SLOW = 4408


def frame(payload: bytes) -> bytes:
    """Return `payload` (UTF-8) as one unmasked text frame with the shortest length form (RFC 6455 section 5.2)."""
    return _header(len(payload)) + payload


def _header(size: int) -> bytes:
    if size < 126:
        return bytes((0x81, size))
    if size < 1 << 16:
        return struct.pack("!BBH", 0x81, 126, size)
    return struct.pack("!BBQ", 0x81, 127, size)


def hello(organization_id: str, seq: int, head: int, heartbeat_s: float) -> bytes:
    """Return the first message of every stream: the next event has `seq` + 1; `head` is the last number committed so far."""
    message = {"event": "hello", "seq": seq, "organizationId": organization_id, "heartbeat": heartbeat_s, "head": head}
    return frame(orjson.dumps(message))


def resync(seq: int, reason: str) -> bytes:
    """Return the message that says: what lies before `seq` cannot be had here; the next event has `seq` + 1."""
    return frame(orjson.dumps({"event": "resync", "seq": seq, "reason": reason}))


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive events of one organization, ready to be sent."""

    first: int
    last: int
    frames: bytes
    """The frames of all its events, one after the other."""
    ends: tuple[int, ...]
    """Where in `frames` the frame of each event ends."""

    def after(self, seq: int) -> memoryview:
        """Return the frames of the events numbered above `seq`, without copying them."""
        start = self.ends[seq - self.first] if seq >= self.first else 0
        return memoryview(self.frames)[start:]


def segments_of(documents: Iterable[Mapping[str, Any]]) -> list[Segment]:
    """Frame the events of documents of `feed`: the one time that this happens to an event in this process."""
    segments: list[Segment] = []
    for document in documents:
        first = number = document["first"]
        parts: list[bytes] = []
        ends: list[int] = []
        end = 0
        for number, text in enumerate(document["events"], first):
            payload: bytes = text.encode()
            header = _header(len(payload))
            parts += (header, payload)
            end += len(header) + len(payload)
            ends.append(end)
            if end >= SEGMENT_BYTES:
                segments.append(Segment(first, number, b"".join(parts), tuple(ends)))
                first, parts, ends, end = number + 1, [], [], 0
        if parts:
            segments.append(Segment(first, number, b"".join(parts), tuple(ends)))
    return segments


@dataclass(frozen=True, slots=True)
class Frames:
    """A run of frames that starts right after one number and ends with the event numbered `last`."""

    frames: bytes | memoryview
    last: int


def frames_after(segments: Sequence[Segment], seq: int, limit_bytes: int) -> Frames | None:
    """Return frames from right after `seq`: whole segments up to `limit_bytes`, but one at least, and up to the first gap.

    `segments` are in order. None when nothing in them follows `seq` immediately.
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
    """How a stream begins, given what this process has published."""

    LIVE = "nothing was missed: what comes next is the next event"
    MEMORY = "the missed events are among the recent ones"
    FEED = "the missed events are older: `feed` has them, or they are no longer kept"
    AHEAD = "the client has seen more than this process: it came from a faster one, or its number is from the future"


def start_of_stream(after: int, last: int, first_recent: int) -> Start:
    """Decide where a client that has seen everything up to `after` starts.

    `last` is the last number published here, `first_recent` the first one still in memory (`last` + 1 when none is).
    """
    if after > last:
        return Start.AHEAD
    if after == last:
        return Start.LIVE
    return Start.MEMORY if after >= first_recent - 1 else Start.FEED


def parse_after(text: str | None) -> int | None:
    """Return the number of `?after=`, None when it is absent; raises `BadRequest` for anything but 0 to 2^53."""
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,16}", text) or int(text) > MAX_SEQ:
        raise BadRequest("after must be a whole number from 0 to 9007199254740992")
    return int(text)


def offered_subprotocols(header: str | None) -> list[str]:
    """Return the names in a `Sec-WebSocket-Protocol` header (RFC 6455 section 11.3.4), in the client's order."""
    return [name for part in (header or "").split(",") if (name := part.strip())]


def subprotocol_token(offered: Sequence[str]) -> str | None:
    """Return the session token that came as a subprotocol `bearer.<token>`: a browser's page can set no other header."""
    return next((name[len(_BEARER) :] for name in offered if name.startswith(_BEARER)), None)
