"""How far one client was sent its organization's events, and what it is sent next."""

from __future__ import annotations

from tether_rt.hub.protocol import EXPIRED, RESTORED, Frames, Position, frames_after, hello, resync
from tether_rt.hub.room import STEP_BYTES, FeedReader, Room
from tether_rt.runtime.metrics import Metrics


class Cursor:
    """One client's place in the stream: `admit`, `begin`, then `next_frames` until it `is_current`."""

    __slots__ = ("_after", "_metrics", "_reader", "_refusal", "epoch", "room", "seq")

    def __init__(self, room: Room, after: Position | None, metrics: Metrics) -> None:
        """Take what the client has read; None begins with the next event."""
        self.room = room
        self.epoch = ""
        """The epoch of the database to which `seq` belongs."""
        self.seq = 0
        """The number of the last event that was sent."""
        self._after = after
        self._refusal: str | None = None
        self._reader: FeedReader | None = None
        self._metrics = metrics

    async def admit(self) -> None:
        """Find out where the stream starts. Raises `Unavailable` and the driver's errors."""
        await self.room.open()
        if self._after is not None:
            self._refusal = await self.room.resume_refusal(self._after)

    def begin(self, heartbeat_s: float) -> bytes:
        """Return the frames that begin the stream: `hello`, and `resync` where it cannot go on where the client ended."""
        room = self.room
        self.epoch = room.epoch
        self.seq = room.last_published if self._after is None or self._refusal is not None else self._after.seq
        frames = hello(room.organization_id, room.epoch, self.seq, room.last_published, heartbeat_s)
        return frames if self._refusal is None else frames + resync(room.epoch, self.seq, self._refusal)

    @property
    def is_current(self) -> bool:
        """Whether everything was sent that is published."""
        return self.seq == self.room.last_published and self.epoch == self.room.epoch

    def recent_frames(self) -> bytes | memoryview | None:
        """Return all that is missing as frames, and count it as sent, if it is little and in memory."""
        missed = frames_after(self.room.recent, self.seq, STEP_BYTES)
        return self._taken(missed) if missed is not None and missed.last == self.room.last_published else None

    async def next_frames(self) -> bytes | memoryview:
        """Return the next events, or `resync` where they cannot be had, as frames, and count them as sent.

        Raises the driver's errors; nothing is counted then.
        """
        room = self.room
        step: Frames | None = None
        was_restored = self.epoch != room.epoch
        if not was_restored and self.seq <= room.last_published:  # else the room was restarted
            step = frames_after(room.recent, self.seq, STEP_BYTES)
            if step is None:
                self._reader = self._reader or room.reader()
                step = frames_after(await self._reader.read(self.seq, room.last_published), self.seq, STEP_BYTES)
        if step is not None and self.epoch == room.epoch:
            return self._taken(step)
        self.epoch, self.seq = room.epoch, room.last_published
        return resync(room.epoch, self.seq, RESTORED if was_restored else EXPIRED)

    def _taken(self, step: Frames) -> bytes | memoryview:
        self._metrics.frames.inc(step.last - self.seq)
        self._metrics.frame_bytes.inc(len(step.frames))
        self.seq = step.last
        return step.frames
