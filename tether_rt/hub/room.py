"""One organization's live stream in this process: how far it has been published, its newest events, who is listening.

There is one way to be complete, whatever went wrong. A room knows the last number it has published and the highest number it
has heard of; while the second is ahead it reads `feed` until they meet, and what the tail delivers meanwhile only raises the
second. A room that has just opened, a gap after a failover, a client that has seen more than this process, the last events
before a shutdown: each of them is "behind, so catch up".
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from tornado.iostream import IOStream

from tether_rt.hub import wire
from tether_rt.hub.protocol import (
    EXPIRED,
    FROM_THE_FUTURE,
    Close,
    Segment,
    Start,
    frames_after,
    resync,
    segments_of,
    start_of_stream,
)
from tether_rt.mongo.client import Document
from tether_rt.mongo.feed import Feed
from tether_rt.runtime.backoff import Backoff
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics

MAX_RECENT_BYTES: Final = 2 << 20
"""A room keeps so many bytes of its newest events; who has missed more is served from `feed`."""
STEP_BYTES: Final = 1 << 18
"""What those who catch up are sent at a time: far below what closes a dashboard for being slow."""
_BURST_BYTES: Final = wire.MAX_UNSENT_BYTES // 2
"""What is sent at most in one write. The rest of a larger burst is caught up with, so that it closes nobody who reads well."""
_WARM_SEGMENTS: Final = 32
"""Read when a room opens: after a restart everybody comes back at once, having missed little, and is served from memory."""
_MAX_PAGE_SEGMENTS: Final = 512
_HOLE_TRIES: Final = 5

_BACKOFF: Final = Backoff()
_logger = logging.getLogger("tether.hub")


class Listener(Protocol):
    """Who is in a room, as the room sees it."""

    def close(self, code: Close) -> None:
        """Say goodbye with `code`."""


class FeedReader:
    """Reads one organization's `feed` in order, about `STEP_BYTES` at a time.

    How large segments are is known only once some were read, so it begins with two and adapts.
    """

    def __init__(self, feed: Feed, organization_id: str) -> None:
        self._feed = feed
        self._organization_id = organization_id
        self._limit = 2

    async def read(self, seq: int, last: int) -> list[Segment]:
        """Return segments, from the one that holds `seq` + 1 at the latest to the one that holds `last` at most.

        A document may reach beyond `last`, where a large one is being published in steps. Raises the driver's errors.
        """
        documents = await self._feed.between(self._organization_id, seq, last, self._limit)
        segments = segments_of(documents)
        size = sum(len(segment.frames) for segment in segments)
        fitting = len(documents) * STEP_BYTES // max(1, size)
        self._limit = max(1, min(fitting, self._limit * 8, _MAX_PAGE_SEGMENTS))
        return [segment for segment in segments if segment.first <= last]


class Room:
    """The stream of one organization, for as long as somebody listens."""

    def __init__(self, organization_id: str, feed: Feed, metrics: Metrics) -> None:
        self.organization_id = organization_id
        self.members: set[Listener] = set()
        """Everybody who needs the room: on the way in, catching up, or live."""
        self.live: dict[IOStream, Listener] = {}
        """Those who were sent exactly what has been published, and get what comes next."""
        self.is_open = False
        self.last = 0
        """The number up to which everything has been published; 0 until the room is open."""
        self.recent: deque[Segment] = deque()
        """The newest segments, without a gap between them; the last one ends with `last`."""
        self.recent_bytes = 0
        self._heard_of = 0
        self._feed = feed
        self._metrics = metrics
        self._opening: asyncio.Task[None] | None = None
        self._catching_up: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Find out where the organization stands, once for everybody who waits for it; raises the driver's errors."""
        if self.is_open:
            return
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        await asyncio.shield(self._opening)

    async def _open(self) -> None:
        try:
            documents = await self._feed.newest(self.organization_id, _WARM_SEGMENTS)
            # The same transaction writes both, so the counter says more only once the retention has emptied `feed`.
            self.last = documents[-1]["last"] if documents else await self._feed.last_number(self.organization_id)
            for segment in segments_of(documents):
                self._remember(segment)
            self.is_open = True
        finally:
            self._opening = None
        self.note_committed(self._heard_of)

    def close(self) -> None:
        """End what is under way."""
        for task in (self._opening, self._catching_up):
            if task is not None:
                task.cancel()

    def offer(self, documents: Sequence[Document]) -> None:
        """Publish what the tail has read for this organization, with one write to each dashboard."""
        if self.is_open and self._catching_up is None:
            self._publish(segments_of(document for document in documents if document["last"] > self.last), _BURST_BYTES)
        self.note_committed(documents[-1]["last"])

    def note_committed(self, seq: int) -> None:
        """Take note that everything up to `seq` is committed; what was not published yet is read from `feed`."""
        self._heard_of = max(self._heard_of, seq)
        if self.is_open and self.last < self._heard_of and self._catching_up is None:
            self._metrics.feed_mends.inc()
            self._catching_up = asyncio.create_task(self._catch_up())

    async def caught_up(self) -> None:
        """Return once everything that the room has heard of has been published."""
        while self._catching_up is not None:
            await asyncio.wait({self._catching_up})

    async def resume_refusal(self, after: int) -> str | None:
        """Say why nobody can resume after `after`; None when it works, and then `after` is not beyond `last`.

        Raises the driver's errors.
        """
        if self._start(after) is Start.AHEAD:
            if after > await self._feed.last_number(self.organization_id):
                return FROM_THE_FUTURE
            self.note_committed(after)
            await self.caught_up()
        if self._start(after) is Start.FEED:
            oldest = await self._feed.oldest_number_after(self.organization_id, after)
            if oldest is None or oldest > after + 1:
                return EXPIRED
        return None

    def _start(self, after: int) -> Start:
        return start_of_stream(after, self.last, self.recent[0].first if self.recent else self.last + 1)

    def restart(self, seq: int, reason: str) -> None:
        """Go on from `seq`, forgetting what came before and any later number; whoever is live is told to fetch by HTTP."""
        log(_logger, logging.WARNING, "room_restarted", organizationId=self.organization_id, reason=reason, seq=seq)
        self.last = self._heard_of = seq
        self.trim(0)
        wire.send(self.live, resync(seq, reason))

    def trim(self, limit_bytes: int) -> None:
        """Forget the oldest events until at most `limit_bytes` are kept."""
        while self.recent_bytes > limit_bytes:
            self.recent_bytes -= len(self.recent.popleft().frames)

    def pages(self) -> FeedReader:
        """Return a reader of this organization's `feed`."""
        return FeedReader(self._feed, self.organization_id)

    async def _catch_up(self) -> None:
        """Publish from `feed` until nothing is known to be missing; in the same step the tail takes over again."""
        pages = self.pages()
        failures = holes = 0
        try:
            while self.last < self._heard_of:
                try:
                    segments = await pages.read(self.last, self._heard_of)
                    if segments and segments[0].first <= self.last + 1:
                        while self._publish(segments, STEP_BYTES):  # noqa: ASYNC110 - waits for nothing: the sockets' turn
                            await asyncio.sleep(0)
                        failures = holes = 0
                    elif (holes := holes + 1) == _HOLE_TRIES:
                        heard_of = self._heard_of
                        self.restart(segments[0].first - 1 if segments else heard_of, EXPIRED)
                        self._heard_of = heard_of
                    else:
                        await asyncio.sleep(_BACKOFF.wait_s(holes))  # just after a failover a majority read may lag behind
                except Exception as error:
                    failures += 1
                    log(_logger, logging.WARNING, "room_behind", organizationId=self.organization_id, reason=str(error))
                    await asyncio.sleep(_BACKOFF.wait_s(failures))
        finally:
            self._catching_up = None

    def _publish(self, segments: Sequence[Segment], limit_bytes: int) -> bool:
        part = frames_after(segments, self.last, limit_bytes)
        if part is None:
            return False
        for segment in segments:
            if self.last < segment.last <= part.last:
                self._remember(segment)
        self._metrics.frames.inc((part.last - self.last) * len(self.live))
        self._metrics.frame_bytes.inc(len(part.frames) * len(self.live))
        self.last = part.last
        for stream in wire.send(self.live, part.frames):
            self.live[stream].close(Close.TOO_SLOW)
        return True

    def _remember(self, segment: Segment) -> None:
        if self.recent and self.recent[-1].last + 1 != segment.first:
            self.trim(0)
        self.recent.append(segment)
        self.recent_bytes += len(segment.frames)
        self.trim(MAX_RECENT_BYTES)
