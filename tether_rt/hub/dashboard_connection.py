"""One dashboard's connection, from its admission to its end.

It is admitted before the upgrade, so that a refusal is an HTTP answer. After `hello` it is sent what it has missed, no faster
than it reads. In the step in which nothing is missing it becomes one of its room's live dashboards: no gap and no repeat.
"""

from __future__ import annotations

import asyncio
import logging
from enum import Enum
from typing import Final

from tornado.iostream import IOStream, StreamClosedError

from tether_rt.auth.read_tokens import Reader
from tether_rt.hub import wire
from tether_rt.hub.cursor import Cursor
from tether_rt.hub.frames import FrameReader, Received, close_answer, close_frame, pong_frame
from tether_rt.hub.protocol import Close, Position
from tether_rt.hub.room import Room
from tether_rt.runtime.backoff import Backoff
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics

CLOSING_S: Final = 5.0
"""How long a client has to answer a close frame; then the connection is cut."""
_READ_BYTES: Final = 2048
"""At a time: some 340 of the smallest frames, which take 2 ms of the event loop."""

_REASONS: Final = {
    Close.GOING_AWAY: "the server is shutting down",
    Close.PROTOCOL_ERROR: "that was no WebSocket frame of a client",
    Close.POLICY_VIOLATION: "this stream takes no messages",
    Close.SESSION_ENDED: "the session or the read token has ended",
    Close.ROLE_CHANGED: "your role has changed; resume from the last seq",
    Close.TOO_SLOW: "too much is waiting to be read; resume from the last seq",
}

_BACKOFF: Final = Backoff()
_logger = logging.getLogger("tether.hub")


class State(Enum):
    """The states of a dashboard's connection, in their order; from each it may go to any later one."""

    ADMITTED = "admitted"
    """It has a place in the hub and in its room; the upgrade is not done."""
    CATCHING_UP = "catching up"
    """It is sent what it has missed."""
    LIVE = "live"
    """It is sent what its room publishes."""
    CLOSING = "closing"
    """It was sent a close frame; only the client's own is awaited."""
    CLOSED = "closed"


class Dashboard:
    """One connection: `admit`, `start` once the upgrade is done, `read_client` until it returns, then `detach`."""

    def __init__(self, reader: Reader, room: Room, after: Position | None, metrics: Metrics) -> None:
        self.reader = reader
        self.state = State.ADMITTED
        self.stream: IOStream | None = None
        """The connection, from `start` on."""
        self.unanswered_pings = 0
        """Pings sent since the last pong."""
        self._room = room
        self._cursor = Cursor(room, after, metrics)
        """What it was sent until it is live."""
        self._metrics = metrics
        self._catching_up: asyncio.Task[None] | None = None
        self._cutting_off: asyncio.TimerHandle | None = None
        room.listeners.add(self)

    async def admit(self) -> None:
        """Find out where the stream starts. Raises `Unavailable` and the driver's errors."""
        await self._cursor.admit()

    def start(self, stream: IOStream, heartbeat_s: float) -> None:
        """Send `hello` and begin the stream of events; raises `RuntimeError` in any state but `ADMITTED`."""
        if self.state is not State.ADMITTED:
            raise RuntimeError(f"A dashboard starts from the state {State.ADMITTED.value!r}; this one is {self.state.value!r}.")
        self.stream = stream
        self.state = State.CATCHING_UP
        wire.prepare(stream)
        self._send(self._cursor.begin(heartbeat_s))
        missed = self._cursor.recent_frames()
        if missed is not None:
            self._send(missed)
        if not self._join():
            self._catching_up = asyncio.create_task(self._catch_up())

    async def read_client(self) -> None:
        """Read what the client sends until the connection is over; raises `RuntimeError` before `start`."""
        if self.stream is None:
            raise RuntimeError(f"A dashboard is read after `start`; this one is {self.state.value!r}.")
        frames = FrameReader()
        try:
            while True:
                for received, payload in frames.feed(await self.stream.read_bytes(_READ_BYTES, partial=True)):
                    self._take(received, payload)
                await asyncio.sleep(0)  # a client that sends without a pause must not hold the event loop
        except StreamClosedError:
            pass

    def close(self, code: Close) -> None:
        """Leave the room and send a close frame, if the stream has begun; the client has `CLOSING_S` to answer it."""
        if self.is_streaming:
            self._leave_room(State.CLOSING)
            self._metrics.closes.labels(str(int(code))).inc()
            self._send(close_frame(code, _REASONS[code]))
            assert self.stream is not None
            self._cutting_off = asyncio.get_running_loop().call_later(CLOSING_S, self.stream.close)

    def abort(self) -> None:
        """Cut the connection without a close frame."""
        self._leave_room(State.CLOSED)
        if self.stream is not None:
            self._metrics.closes.labels("none").inc()
            self.stream.close()

    def detach(self) -> None:
        """Forget the room and release everything; idempotent."""
        self._leave_room(State.CLOSED)
        self._room.listeners.discard(self)
        if self._cutting_off is not None:
            self._cutting_off.cancel()

    async def caught_up(self) -> None:
        """Return once everything that was published before has been handed to the socket, or the connection is over."""
        if self._catching_up is not None:
            await asyncio.wait({self._catching_up})

    @property
    def is_streaming(self) -> bool:
        """Whether it was sent `hello` and no close frame."""
        return self.state in (State.CATCHING_UP, State.LIVE)

    def _take(self, received: Received, payload: bytes) -> None:
        if received is Received.PING and self.is_streaming:  # nothing may follow a close frame
            self._send(pong_frame(payload))
        elif received is Received.PONG:
            self.unanswered_pings = 0
        elif received is Received.MESSAGE:
            self.close(Close.POLICY_VIOLATION)
        elif received is Received.INVALID:
            self.close(Close.PROTOCOL_ERROR)
        elif received is Received.CLOSE:
            if self.is_streaming:
                self._leave_room(State.CLOSED)
                self._send(close_answer(payload))
            assert self.stream is not None
            self.stream.close()

    def _leave_room(self, state: State) -> None:
        self.state = state
        if self.stream is not None:
            self._room.live.pop(self.stream, None)
        if self._catching_up is not None:
            self._catching_up.cancel()

    def _join(self) -> bool:
        """Become live if nothing is missing."""
        if not self._cursor.is_current:
            return False
        assert self.stream is not None
        self.state = State.LIVE
        self._room.live[self.stream] = self
        return True

    async def _catch_up(self) -> None:
        """Send what is missing, one step ahead of the reader at most, until nothing is missing."""
        room, stream = self._room, self.stream
        failures = 0
        assert stream is not None
        while not self._join():
            try:
                # Shielded: Tornado logs an error for a future that was cancelled.
                await asyncio.shield(stream.write(memoryview(await self._cursor.next_frames())))
                failures = 0
            except StreamClosedError:
                return
            except Exception as error:
                failures += 1
                log(_logger, logging.WARNING, "dashboard_behind", organizationId=room.organization_id, reason=str(error))
                await asyncio.sleep(_BACKOFF.wait_s(failures))

    def _send(self, frames: bytes | memoryview) -> None:
        if self.stream is not None and wire.send((self.stream,), frames):
            self.close(Close.TOO_SLOW)
