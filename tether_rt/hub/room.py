"""One organization's stream of events in this process.

A room knows the last number that it has published and the last one that is known to be committed. While the second is larger
it reads `feed` until the two are equal, and what the change stream delivers meanwhile only raises the second. So there is one
way to be complete, whatever happened: a room that has just opened, a gap after a failover, a client that has read more than
this process, the last events before a shutdown.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from tornado.iostream import IOStream

from tether_rt.domain.events import FeedSegment
from tether_rt.hub import wire
from tether_rt.hub.protocol import (
    EXPIRED,
    FROM_THE_FUTURE,
    RESTORED,
    Close,
    Position,
    Segment,
    Start,
    frames_after,
    resync,
    segments_of,
    start_of_stream,
)
from tether_rt.mongo.feed import Feed
from tether_rt.runtime.backoff import Backoff
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics

MAX_RECENT_BYTES: Final = 2 << 20
"""A room keeps so many bytes of its newest events in memory. Clients that have missed more are sent events from `feed`."""
STEP_BYTES: Final = 1 << 18
"""Clients that catch up are sent so much at a time: far less than the unsent bytes at which a slow client is closed."""
_BURST_BYTES: Final = wire.MAX_UNSENT_BYTES // 2
"""The most that one delivery of the change stream sends at once. The rest goes out in steps, so that it closes no client that
reads."""
_WARM_SEGMENTS: Final = 32
"""Read when a room opens: after a restart all clients come back at once, have missed little, and are served from memory."""
_MAX_PAGE_SEGMENTS: Final = 512
_GAP_TRIES: Final = 5
"""How often `feed` is read for events that should be there, before the room goes on without them."""

_BACKOFF: Final = Backoff()
_logger = logging.getLogger("tether.hub")


class Listener(Protocol):
    """A dashboard as its room sees it."""

    def close(self, code: Close) -> None:
        """Close the WebSocket with `code`."""


class FeedReader:
    """Reads one organization's `feed` in order, about `STEP_BYTES` at a time.

    The size of segments is known only after some were read, so it begins with two and adapts.
    """

    def __init__(self, feed: Feed, organization_id: str) -> None:
        self._feed = feed
        self._organization_id = organization_id
        self._limit = 2

    async def read(self, seq: int, last: int) -> list[Segment]:
        """Return segments in order that hold events after `seq`, none of which begins after `last`.

        Raises the driver's errors.
        """
        documents = await self._feed.between(self._organization_id, seq, last, self._limit)
        segments = segments_of(documents)
        size = sum(len(segment.frames) for segment in segments)
        fitting = len(documents) * STEP_BYTES // max(1, size)
        self._limit = max(1, min(fitting, self._limit * 8, _MAX_PAGE_SEGMENTS))
        return [segment for segment in segments if segment.first <= last]


class Room:
    """The stream of one organization. The hub makes it for the first dashboard and closes it after the last."""

    def __init__(self, organization_id: str, feed: Feed, metrics: Metrics, max_recent_bytes: int = MAX_RECENT_BYTES) -> None:
        self.organization_id = organization_id
        self.listeners: set[Listener] = set()
        """All dashboards of the organization, including those that are being admitted or catch up."""
        self.live: dict[IOStream, Listener] = {}
        """The dashboards that were sent everything up to `last_published`, by their connection: they get what is next."""
        self.followers: set[asyncio.Event] = set()
        """Set whenever something was published, for those who are sent it at their own pace."""
        self.is_open = False
        self.epoch = ""
        """The epoch of the database (`Feed.epoch`) to which the numbers belong; "" until the room is open."""
        self.last_published = 0
        """The number of the last event that was sent to the live dashboards; 0 until the room is open."""
        self.recent: deque[Segment] = deque()
        """The newest segments, without a gap between them; the last one ends with `last_published`."""
        self.recent_bytes = 0
        self._last_committed = 0
        """The largest number that is known to be committed."""
        self._feed = feed
        self._metrics = metrics
        self._max_recent_bytes = max_recent_bytes
        self._opening: asyncio.Task[None] | None = None
        self._catching_up: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Read where the organization stands, once for all that wait for it. Raises `Unavailable` and the driver's errors."""
        if self.is_open:
            return
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        await asyncio.shield(self._opening)

    async def _open(self) -> None:
        try:
            # First: if the database is put back now, the epoch is the old one, and the next comparison finds out.
            self.epoch = await self._feed.epoch()
            documents = await self._feed.newest(self.organization_id, _WARM_SEGMENTS)
            # One transaction writes both, so the counter is ahead only when the retention has removed all segments.
            counted = documents[-1]["last"] if documents else await self._feed.last_number(self.organization_id)
            self.last_published = counted
            for segment in segments_of(documents):
                self._remember(segment)
            self.is_open = True
        finally:
            self._opening = None
        self.note_committed(self._last_committed)

    def close(self) -> None:
        """Cancel what is under way; idempotent."""
        for task in (self._opening, self._catching_up):
            if task is not None:
                task.cancel()

    @property
    def is_behind(self) -> bool:
        """Whether something is known to be committed that was not published."""
        return self.is_open and self.last_published < self._last_committed

    def deliver(self, documents: Sequence[FeedSegment]) -> None:
        """Publish segments from the change stream, with one write to each live dashboard."""
        if self.is_open and self._catching_up is None:
            new = segments_of(document for document in documents if document["last"] > self.last_published)
            if new and new[0].first > self.last_published + 1:
                self._metrics.feed_mends.labels("gap").inc()
            self._publish(new, _BURST_BYTES)
        self.note_committed(documents[-1]["last"])

    def note_committed(self, seq: int) -> None:
        """Take note that everything up to `seq` is committed; what was not published yet is read from `feed`."""
        self._last_committed = max(self._last_committed, seq)
        if self.is_behind and self._catching_up is None:
            self._catching_up = asyncio.create_task(self._catch_up())

    async def caught_up(self) -> None:
        """Return once everything that is known to be committed has been published."""
        while self._catching_up is not None:
            await asyncio.wait({self._catching_up})

    async def resume_refusal(self, after: Position) -> str | None:
        """Return why a client cannot resume after this position, None when it can: then the position is published here.

        Raises the driver's errors.
        """
        if after.epoch not in (None, self.epoch):
            return RESTORED
        if self._start(after.seq) is Start.AHEAD:
            if after.seq > await self._feed.last_number(self.organization_id):
                return FROM_THE_FUTURE
            self.note_committed(after.seq)
            await self.caught_up()
        if self._start(after.seq) is Start.FEED:
            oldest = await self._feed.oldest_number_after(self.organization_id, after.seq)
            if oldest is None or oldest > after.seq + 1:
                return EXPIRED
        return None

    def _start(self, after: int) -> Start:
        first_recent = self.recent[0].first if self.recent else self.last_published + 1
        return start_of_stream(after, self.last_published, first_recent)

    def restart(self, epoch: str, seq: int, reason: str) -> None:
        """Go on from `seq`, whatever was published before, and send `resync` to the live dashboards."""
        log(_logger, logging.WARNING, "room_restarted", organizationId=self.organization_id, reason=reason, seq=seq)
        self.epoch = epoch
        self.last_published = self._last_committed = seq
        self.forget_oldest(0)
        wire.send(self.live, resync(epoch, seq, reason))
        self._wake_followers()

    def forget_oldest(self, keep_bytes: int) -> None:
        """Remove the oldest recent segments until at most `keep_bytes` are left."""
        while self.recent_bytes > keep_bytes:
            self.recent_bytes -= len(self.recent.popleft().frames)

    def reader(self) -> FeedReader:
        """Return a new reader of this organization's `feed`."""
        return FeedReader(self._feed, self.organization_id)

    async def _catch_up(self) -> None:
        """Publish from `feed` until nothing is known to be missing; from then on `deliver` publishes again."""
        reader = self.reader()
        failures = gaps = 0
        try:
            while self.is_behind:
                try:
                    segments = await reader.read(self.last_published, self._last_committed)
                    if segments and segments[0].first <= self.last_published + 1:
                        while self._publish(segments, STEP_BYTES):  # noqa: ASYNC110 - other tasks run between two steps
                            await asyncio.sleep(0)
                        failures = gaps = 0
                    elif (gaps := gaps + 1) == _GAP_TRIES:
                        last_committed = self._last_committed
                        self.restart(self.epoch, segments[0].first - 1 if segments else last_committed, EXPIRED)
                        self._last_committed = last_committed
                    else:
                        await asyncio.sleep(_BACKOFF.wait_s(gaps))  # after a failover a majority read may be late
                except Exception as error:
                    failures += 1
                    log(_logger, logging.WARNING, "room_behind", organizationId=self.organization_id, reason=str(error))
                    await asyncio.sleep(_BACKOFF.wait_s(failures))
        finally:
            self._catching_up = None

    def _publish(self, segments: Sequence[Segment], limit_bytes: int) -> bool:
        """Send at most `limit_bytes` of what follows in `segments`; return False when nothing in them follows."""
        part = frames_after(segments, self.last_published, limit_bytes)
        if part is None:
            return False
        for segment in segments:
            if self.last_published < segment.last <= part.last:
                self._remember(segment)
        self._metrics.frames.inc((part.last - self.last_published) * len(self.live))
        self._metrics.frame_bytes.inc(len(part.frames) * len(self.live))
        self.last_published = part.last
        for stream in wire.send(self.live, part.frames):
            self.live[stream].close(Close.TOO_SLOW)
        self._wake_followers()
        return True

    def _wake_followers(self) -> None:
        for published in self.followers:
            published.set()

    def _remember(self, segment: Segment) -> None:
        if segment.forgets or (self.recent and self.recent[-1].last + 1 != segment.first):
            self.forget_oldest(0)
        self.recent.append(segment)
        self.recent_bytes += len(segment.frames)
        self.forget_oldest(self._max_recent_bytes)
