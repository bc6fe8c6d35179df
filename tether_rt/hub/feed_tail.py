"""One change stream over `feed` for the whole process, from which every room gets what was committed.

It keeps no resume token. A token may become useless (the oplog has moved on, the collection was restored), and the way to
recover from that would hardly ever be used. So there is one way for every case: a stream that ended is opened anew, the last
numbers of the rooms are read as of its beginning or later, and rooms that are behind read `feed`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Final

from tether_rt.domain.events import FeedSegment
from tether_rt.hub.protocol import RESTORED
from tether_rt.hub.room import Room
from tether_rt.mongo.feed import Feed, FeedStream
from tether_rt.runtime.backoff import Backoff
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics

HEALTHY_S: Final = 10.0
"""MongoDB answers at least twice a second; without an answer for so long the stream counts as down."""

_BACKOFF: Final = Backoff()
_logger = logging.getLogger("tether.hub")


class FeedTail:
    """Reads what any process commits, and delivers it to the rooms."""

    def __init__(self, feed: Feed, rooms: Mapping[str, Room], metrics: Metrics) -> None:
        self._feed = feed
        self._rooms = rooms
        self._metrics = metrics
        self._read_at_s: float | None = None

    def healthy(self) -> bool:
        """Return whether the stream is open and MongoDB has answered within `HEALTHY_S`."""
        return self._read_at_s is not None and time.monotonic() - self._read_at_s < HEALTHY_S

    async def run(self) -> None:
        """Follow the stream until cancelled; open it again whenever it ends."""
        failures = 0
        while True:
            try:
                async with self._feed.stream() as stream:
                    await self._compare_with_opening(stream)
                    failures = 0
                    while True:
                        self._read_at_s = time.monotonic()
                        self._deliver(await stream.batch())
            except Exception as error:
                failures += 1
                log(_logger, logging.WARNING, "feed_ended", reason=str(error), failures=failures)
            finally:
                self._read_at_s = None
            self._metrics.feed_restarts.inc()
            await asyncio.sleep(_BACKOFF.wait_s(failures))

    async def compare(self) -> None:
        """Compare every room with the database, and let those that are behind catch up.

        Raises `Unavailable` and the driver's errors.
        """
        epoch = await self._feed.epoch()
        rooms = dict(self._rooms)
        numbers = await self._feed.last_numbers(rooms)
        for organization_id, room in rooms.items():
            number = numbers.get(organization_id, 0)
            if room.is_open and room.epoch != epoch:
                room.restart(epoch, number, RESTORED)
            else:
                room.note_committed(number)

    async def _compare_with_opening(self, stream: FeedStream) -> None:
        """Let rooms catch up with what was committed before the stream began."""
        epoch = await self._feed.epoch()
        compared: set[str] = set()
        while new := self._rooms.keys() - compared:  # a room may have been made while the numbers were read
            published = {name: self._rooms[name].last_published for name in new}
            numbers = await stream.last_numbers(new)
            compared |= new
            for name, last in published.items():
                room, number = self._rooms.get(name), numbers.get(name, 0)
                if room is None:
                    continue
                # A smaller number: what a majority had committed is gone, which only a restore from a backup does.
                if number < last or (room.is_open and room.epoch != epoch):
                    room.restart(epoch, number, RESTORED)
                    continue
                was_behind = room.is_behind
                room.note_committed(number)
                if room.is_behind and not was_behind:
                    self._metrics.feed_mends.labels("restart").inc()

    def _deliver(self, documents: Sequence[FeedSegment]) -> None:
        now_s = time.time()
        by_room: dict[str, list[FeedSegment]] = {}
        for document in documents:
            self._metrics.feed_lag_s.observe(max(0.0, now_s - document["at"].timestamp()))
            if document["organizationId"] in self._rooms:
                by_room.setdefault(document["organizationId"], []).append(document)
        for organization_id, found in by_room.items():
            self._rooms[organization_id].deliver(found)
