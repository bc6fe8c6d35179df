"""A program that follows the events over plain HTTP: it is sent them as fast as it reads, and no faster."""

from __future__ import annotations

import asyncio

from tornado.iostream import IOStream

from tether_rt.auth.read_tokens import Reader
from tether_rt.hub.cursor import Cursor
from tether_rt.hub.protocol import Close, Position
from tether_rt.hub.room import Room
from tether_rt.runtime.metrics import Metrics


class Follower:
    """One answer to `GET /api/feed`.

    The hub ends it with its session or read token, at a shutdown, and when its client has left.
    """

    def __init__(self, reader: Reader, room: Room, after: Position | None, metrics: Metrics) -> None:
        self.reader = reader
        self.stream: IOStream | None = None
        """None: the answer is Tornado's to write, and has no pings."""
        self.unanswered_pings = 0
        self.is_streaming = True
        """Whether more is to be sent."""
        self.cursor = Cursor(room, after, metrics)
        self._published = asyncio.Event()
        room.listeners.add(self)
        room.followers.add(self._published)

    async def admit(self) -> None:
        """Find out where the stream starts. Raises `Unavailable` and the driver's errors."""
        await self.cursor.admit()

    async def next_frames(self, within_s: float) -> bytes | memoryview:
        """Return the next events as frames, nothing when there are none `within_s`, or when it is over.

        Raises the driver's errors.
        """
        try:
            async with asyncio.timeout(within_s):
                while self.is_streaming and self.cursor.is_current:
                    self._published.clear()
                    await self._published.wait()
        except TimeoutError:
            return b""
        return await self.cursor.next_frames() if self.is_streaming else b""

    def close(self, code: Close) -> None:
        """End the stream: a client that comes back goes on where it ended."""
        self.abort()

    def abort(self) -> None:
        """End the stream."""
        self.is_streaming = False
        self._published.set()

    def detach(self) -> None:
        """Forget the room; idempotent."""
        self.abort()
        self.cursor.room.listeners.discard(self)
        self.cursor.room.followers.discard(self._published)

    async def caught_up(self) -> None:
        """Return at once: what is not sent yet is sent to the next request."""
