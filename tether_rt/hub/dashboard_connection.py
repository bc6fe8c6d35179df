"""One dashboard's connection, from its admission to its end.

It is let in before the upgrade (so that a refusal is an HTTP answer), greeted, sent what it has missed at the pace at which it
reads, and then joins its room's live ones in the very step that finds nothing missing: no gap, no repeat.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from tornado.iostream import IOStream, StreamClosedError

from tether_rt.auth.identity import Session
from tether_rt.hub import wire
from tether_rt.hub.protocol import EXPIRED, Close, Frames, frames_after, hello, resync
from tether_rt.hub.room import STEP_BYTES, FeedReader, Room
from tether_rt.runtime.backoff import Backoff
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics

_REASONS: Final = {
    Close.GOING_AWAY: "the server is shutting down",
    Close.POLICY_VIOLATION: "this stream takes no messages",
    Close.SESSION_ENDED: "the session has ended",
    Close.TOO_SLOW: "too much is waiting to be read; resume from the last seq",
}

_BACKOFF: Final = Backoff()
_logger = logging.getLogger("tether.hub")


class Dashboard:
    """One connection. `admit`, then `start` once the upgrade is done, `detach` at the end, whichever way it comes."""

    def __init__(self, session: Session, room: Room, after: int | None, metrics: Metrics) -> None:
        self.session = session
        self.stream: IOStream | None = None
        self.unanswered = 0
        """Pings sent since the peer was last heard of."""
        self._room = room
        self._after = after
        self._place = 0
        """Until it is live: everything up to this number has been handed to the socket."""
        self._resume_refusal: str | None = None
        self._metrics = metrics
        self._close_socket: Callable[[int, str], None] | None = None
        self._following: asyncio.Task[None] | None = None
        room.members.add(self)

    async def admit(self) -> None:
        """Find out where the stream starts; raises the driver's errors when that cannot be told now."""
        await self._room.open()
        if self._after is not None:
            self._resume_refusal = await self._room.resume_refusal(self._after)

    def start(self, stream: IOStream, hang_up: Callable[[int, str], None], heartbeat_s: float) -> None:
        """Greet the client and begin its stream. `hang_up(code, reason)` closes the WebSocket."""
        self.stream = stream
        self._close_socket = hang_up
        wire.prepare(stream)
        room = self._room
        self._place = room.last if self._after is None or self._resume_refusal is not None else self._after
        self._write(hello(room.organization_id, self._place, room.last, heartbeat_s))
        if self._resume_refusal is not None:
            self._write(resync(self._place, self._resume_refusal))
        missed = frames_after(room.recent, self._place, STEP_BYTES)
        if missed is not None and missed.last == room.last:
            self._count(missed.last - self._place, missed.frames)
            self._write(missed.frames)
            self._place = missed.last
        if not self._join():
            self._following = asyncio.create_task(self._follow())

    def close(self, code: Close) -> None:
        """Leave the room now and say goodbye; a peer that does not answer is cut off after Tornado's 5 s."""
        hang_up = self._close_socket
        if hang_up is not None:
            self._leave_room()
            self._metrics.closes.labels(str(int(code))).inc()
            hang_up(code, _REASONS[code])

    def abort(self) -> None:
        """End the connection without a goodbye: nobody is there to hear it, or there is no more time."""
        self._leave_room()
        if self.stream is not None:
            self._metrics.closes.labels("none").inc()
            self.stream.close()

    async def caught_up(self) -> None:
        """Return once everything that was published before has been handed to the socket, or the connection is over."""
        if self._following is not None:
            await asyncio.wait({self._following})

    def detach(self) -> None:
        """Forget the connection."""
        self._leave_room()
        self._room.members.discard(self)

    @property
    def is_streaming(self) -> bool:
        """Say if it has been greeted and not yet been told goodbye."""
        return self._close_socket is not None

    def _leave_room(self) -> None:
        self._close_socket = None
        if self.stream is not None:
            self._room.live.pop(self.stream, None)
        if self._following is not None:
            self._following.cancel()

    def _join(self) -> bool:
        """Go live if nothing is missing."""
        if self._place != self._room.last:
            return False
        assert self.stream is not None
        self._room.live[self.stream] = self
        return True

    async def _follow(self) -> None:
        """Send what is missing, never more than a step ahead of the reader, until there is nothing to send but what is new."""
        room, stream, pages = self._room, self.stream, self._room.pages()
        failures = 0
        assert stream is not None
        while not self._join():
            try:
                part = await self._next(pages)
                if part is None:
                    self._place, frames = room.last, memoryview(resync(room.last, EXPIRED))
                else:
                    self._count(part.last - self._place, part.frames)
                    self._place, frames = part.last, memoryview(part.frames)
                # Shielded: a cancelled Future in the stream makes Tornado log an error.
                await asyncio.shield(stream.write(frames))
                failures = 0
            except StreamClosedError:
                return  # the client left
            except Exception as error:
                failures += 1
                log(_logger, logging.WARNING, "dashboard_behind", organizationId=room.organization_id, reason=str(error))
                await asyncio.sleep(_BACKOFF.wait_s(failures))

    async def _next(self, pages: FeedReader) -> Frames | None:
        """Return what follows, from memory or else from `feed`; None when it is not to be had."""
        room = self._room
        if self._place > room.last:
            return None  # the room was restarted
        recent = frames_after(room.recent, self._place, STEP_BYTES)
        return recent or frames_after(await pages.read(self._place, room.last), self._place, STEP_BYTES)

    def _write(self, frames: bytes | memoryview) -> None:
        if self.stream is not None:
            wire.send((self.stream,), frames)

    def _count(self, events: int, frames: bytes | memoryview) -> None:
        self._metrics.frames.inc(events)
        self._metrics.frame_bytes.inc(len(frames))
