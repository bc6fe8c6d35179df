"""The hub: every dashboard of this process, the rooms they are in, and the tail that feeds those.

`app` makes one and runs `run()`; at the end it calls `drain()` once nothing is committed any more, and `close()`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from tether_rt.auth.identity import Identity, Session
from tether_rt.errors import TooManyRequests, Unavailable
from tether_rt.hub import wire
from tether_rt.hub.dashboard_connection import Dashboard
from tether_rt.hub.feed_tail import FeedTail
from tether_rt.hub.protocol import PING, Close
from tether_rt.hub.room import Room
from tether_rt.mongo.client import Database
from tether_rt.mongo.feed import Feed
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics

HEARTBEAT_S: Final = 20
"""Between two pings to one dashboard; one that left two of them unanswered is cut off."""
SESSION_CHECK_S: Final = 15.0
ADMISSION_S: Final = 4.0
FLUSH_S: Final = 10.0
GOODBYE_S: Final = 2.0
FULL_RETRY_S: Final = 10
"""How long a dashboard is told to wait when there is no room; one that left without a word is noticed within a minute."""
MAX_RECENT_BYTES: Final = 64 << 20
"""What all rooms together keep of their newest events."""

_BEATS: Final = 20  # in one heartbeat: at each of them a twentieth of the dashboards is pinged

_logger = logging.getLogger("tether.hub")


class Hub:
    """Admits dashboards, keeps them alive, ends them in time, and empties itself at the end."""

    def __init__(
        self,
        database: Database,
        identity: Identity,
        metrics: Metrics,
        *,
        heartbeat_s: float = HEARTBEAT_S,
        session_check_s: float = SESSION_CHECK_S,
        max_dashboards: int = sys.maxsize,
        max_dashboards_per_user: int = sys.maxsize,
    ) -> None:
        self.rooms: dict[str, Room] = {}
        self.dashboards: dict[Dashboard, int] = {}
        """Each with the beat at which it is pinged."""
        self._feed = Feed(database)
        self.tail = FeedTail(self._feed, self.rooms, metrics)
        self.heartbeat_s = heartbeat_s
        self._session_check_s = session_check_s
        self._max_dashboards = max_dashboards
        self._max_dashboards_per_user = max_dashboards_per_user
        self._of_user: Counter[str] = Counter()
        self._identity = identity
        self._metrics = metrics
        self._beats = itertools.cycle(range(_BEATS))
        self._closing = False
        self._emptied = asyncio.Event()

    async def check(self) -> None:
        """Return when what is committed arrives here; raises `Unavailable` otherwise."""
        if not self.tail.healthy():
            raise Unavailable("The feed is not being followed.")

    async def run(self) -> None:
        """Follow the feed and look after the dashboards until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.tail.run())
            tasks.create_task(self._keep_alive())
            tasks.create_task(self._check_sessions())

    # ------------------------------------------------------------------ coming and going

    async def admit(self, session: Session, after: int | None) -> Dashboard:
        """Let a dashboard in that has seen everything up to `after` (None: nothing); give it back with `discharge`.

        Raises `TooManyRequests` when the user has too many, `Unavailable` when the hub is full or closing or MongoDB does not
        answer in time, and the driver's errors.
        """
        if len(self.dashboards) >= self._max_dashboards:
            raise Unavailable("There is no room for more dashboards just now.", FULL_RETRY_S, limit="dashboards")
        if self._of_user[session.user_id] >= self._max_dashboards_per_user:
            raise TooManyRequests("This user has too many dashboards open; close one.", FULL_RETRY_S, limit="user_dashboards")
        room = self.rooms.get(session.organization_id)
        if room is None:
            room = self.rooms[session.organization_id] = Room(session.organization_id, self._feed, self._metrics)
        dashboard = Dashboard(session, room, after, self._metrics)
        self.dashboards[dashboard] = next(self._beats)
        self._of_user[session.user_id] += 1
        self._metrics.dashboards.set(len(self.dashboards))
        try:
            async with asyncio.timeout(ADMISSION_S):
                await dashboard.admit()
            if self._closing:
                raise Unavailable("The server is shutting down; connect again.")
        except TimeoutError as error:
            self.discharge(dashboard)
            raise Unavailable("The database cannot be reached just now; connect again.") from error
        except BaseException:
            self.discharge(dashboard)
            raise
        return dashboard

    def discharge(self, dashboard: Dashboard) -> None:
        """Forget a dashboard whose connection is over, and its room when it was the last one there."""
        dashboard.detach()
        if self.dashboards.pop(dashboard, None) is not None:
            self._of_user[dashboard.session.user_id] -= 1
            if not self._of_user[dashboard.session.user_id]:
                del self._of_user[dashboard.session.user_id]
        self._metrics.dashboards.set(len(self.dashboards))
        room = self.rooms.get(dashboard.session.organization_id)
        if room is not None and not room.members:
            room.close()
            del self.rooms[room.organization_id]
        if not self.dashboards:
            self._emptied.set()

    def end_session(self, session_id: str) -> None:
        """Close the dashboards of a session that has been ended; in other processes the next check finds out."""
        self._end(dashboard for dashboard in self.dashboards if dashboard.session.session_id == session_id)

    # ------------------------------------------------------------------ while they are there

    async def _keep_alive(self) -> None:
        for beat in itertools.cycle(range(_BEATS)):
            await asyncio.sleep(self.heartbeat_s / _BEATS)
            now = datetime.now(UTC)
            self._end(dashboard for dashboard in self.dashboards if dashboard.session.expires_at <= now)
            self._ping(beat)
            self._trim()

    def _ping(self, beat: int) -> None:
        due = []
        for dashboard, its_beat in self.dashboards.items():
            if its_beat != beat or dashboard.stream is None or not dashboard.is_streaming:
                continue
            if dashboard.unanswered >= 2:
                dashboard.abort()
            else:
                dashboard.unanswered += 1
                due.append(dashboard.stream)
        wire.send(due, PING)

    def _trim(self) -> None:
        if sum(room.recent_bytes for room in self.rooms.values()) > MAX_RECENT_BYTES:
            for room in self.rooms.values():
                room.trim(MAX_RECENT_BYTES // 2 // len(self.rooms))

    async def _check_sessions(self) -> None:
        """Close the dashboards of sessions that were ended elsewhere; by the way, see that no room has fallen behind."""
        while True:
            await asyncio.sleep(self._session_check_s)
            try:
                await self.tail.verify()
                asked = {dashboard.session.session_id for dashboard in self.dashboards}
                ended = asked - await self._identity.live_sessions(asked)
            except Exception as error:
                log(_logger, logging.WARNING, "sessions_unchecked", reason=str(error))
                continue
            self._end(dashboard for dashboard in self.dashboards if dashboard.session.session_id in ended)

    def _end(self, ended: Iterable[Dashboard]) -> None:
        for dashboard in list(ended):
            dashboard.close(Close.SESSION_ENDED)

    # ------------------------------------------------------------------ the end

    async def flush(self) -> None:
        """Return once every event committed before the call has been handed to the sockets of the dashboards here.

        Raises the driver's errors; has no limit of time of its own.
        """
        await self.tail.verify()
        for room in list(self.rooms.values()):
            await room.caught_up()
        for dashboard in list(self.dashboards):
            await dashboard.caught_up()

    async def drain(self) -> None:
        """Admit nobody any more, send what was committed, say goodbye (1001) and wait a moment for the answers."""
        self._closing = True
        try:
            async with asyncio.timeout(FLUSH_S):
                await self.flush()
        except Exception as error:
            log(_logger, logging.WARNING, "feed_not_flushed", reason=repr(error))
        for dashboard in list(self.dashboards):
            dashboard.close(Close.GOING_AWAY)
        if self.dashboards:
            self._emptied.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), GOODBYE_S)

    async def close(self) -> None:
        """Cut off whoever is left; idempotent."""
        self._closing = True
        for dashboard in list(self.dashboards):
            dashboard.abort()
        for room in self.rooms.values():
            room.close()
