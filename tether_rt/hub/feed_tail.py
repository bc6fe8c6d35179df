"""The tail: one change stream over `feed` for the whole process, from which every room is told what was committed.

It keeps no resume token. A token may be lost (the oplog has moved on, the collection was restored), and then a second way to
recover is needed that is never used otherwise. So there is one: a stream that ended is opened afresh, the last numbers of the
rooms are read as of its beginning or later, and rooms that are behind read `feed`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Final

from tether_rt.hub.room import Room
from tether_rt.mongo.client import Document
from tether_rt.mongo.feed import Feed, FeedStream
from tether_rt.runtime.backoff import Backoff
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics

HEALTHY_S: Final = 10.0
"""MongoDB answers at least twice a second; past this the tail counts as down."""

RESTORED: Final = "the database was put back to an earlier state"

_BACKOFF: Final = Backoff()
_logger = logging.getLogger("tether.hub")


class FeedTail:
    """Reads what is committed, by whichever process, and offers it to the rooms."""

    def __init__(self, feed: Feed, rooms: Mapping[str, Room], metrics: Metrics) -> None:
        self._feed = feed
        self._rooms = rooms
        self._metrics = metrics
        self._read_at_s: float | None = None

    def healthy(self) -> bool:
        """Say if the stream is open and was read a moment ago."""
        return self._read_at_s is not None and time.monotonic() - self._read_at_s < HEALTHY_S

    async def run(self) -> None:
        """Follow the stream until cancelled, opening it again whenever it ends."""
        failures = 0
        while True:
            try:
                async with self._feed.stream() as stream:
                    await self._fill_in(stream)
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

    async def verify(self) -> None:
        """Compare every room with its organization's counter, and let those that are behind catch up.

        Raises the driver's errors.
        """
        numbers = await self._feed.last_numbers(list(self._rooms))
        for organization_id, number in numbers.items():
            if room := self._rooms.get(organization_id):
                room.note_committed(number)

    async def _fill_in(self, stream: FeedStream) -> None:
        """Let rooms catch up with what was committed before the stream began."""
        compared: set[str] = set()
        while new := self._rooms.keys() - compared:  # a room may have been made while the numbers were read
            published = {name: self._rooms[name].last for name in new}
            numbers = await stream.last_numbers(new)
            compared |= new
            for name, last in published.items():
                room, number = self._rooms.get(name), numbers.get(name, 0)
                if room is None:
                    continue
                if number < last:
                    # What a majority had committed is gone: only a restore from a backup does that.
                    room.restart(number, RESTORED)
                else:
                    room.note_committed(number)

    def _deliver(self, documents: Sequence[Document]) -> None:
        now_s = time.time()
        by_room: dict[str, list[Document]] = {}
        for document in documents:
            self._metrics.feed_lag_s.observe(max(0.0, now_s - document["at"].timestamp()))
            if document["organizationId"] in self._rooms:
                by_room.setdefault(document["organizationId"], []).append(document)
        for organization_id, found in by_room.items():
            self._rooms[organization_id].offer(found)
