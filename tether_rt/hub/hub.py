"""The hub: every dashboard of this process, the room of each organization, and the change stream that feeds the rooms.

`app` makes one and runs `run()`; at the end it calls `drain()` and then `close()`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeVar

from tornado.iostream import IOStream

from tether_rt.auth.identity import Identity, Session
from tether_rt.auth.read_tokens import Reader, ReadTokens
from tether_rt.domain.read_token import ReadToken
from tether_rt.errors import TooManyRequests, Unavailable
from tether_rt.hub import wire
from tether_rt.hub.dashboard_connection import Dashboard
from tether_rt.hub.feed_tail import FeedTail
from tether_rt.hub.follower import Follower
from tether_rt.hub.frames import PING
from tether_rt.hub.protocol import Close, Position
from tether_rt.hub.room import MAX_RECENT_BYTES as MAX_RECENT_BYTES_PER_ROOM
from tether_rt.hub.room import Room
from tether_rt.mongo.client import Database
from tether_rt.mongo.feed import Feed
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics

HEARTBEAT_S: Final = 20
"""Between two pings to one dashboard; it is cut off when it has left two of them unanswered."""
SESSION_CHECK_S: Final = 15.0
"""Between two looks at all sessions."""
ACCESS_CHECK_S: Final = 2.0
"""Between two looks for users whose role, password or sessions were changed through another process."""
ACCESS_WINDOW_S: Final = 60.0
"""How long a change is looked at again: so long MongoDB may be away, and a look-up of a session old."""
ADMISSION_S: Final = 4.0
"""The longest that a request waits for MongoDB before its upgrade."""
FLUSH_S: Final = 10.0
"""The longest that `drain` waits until the last committed events are sent."""
GOODBYE_S: Final = 2.0
"""The longest that `drain` waits for clients to answer the close frame."""
FULL_RETRY_S: Final = 10
"""The `Retry-After` of a hub that is full; a client whose network broke is noticed within a minute."""
MAX_RECENT_BYTES: Final = 64 << 20
"""The most that all rooms together keep of their newest events. Above it each keeps its share of half of this."""
MAX_PINGS_UNANSWERED: Final = 2

_BEATS: Final = 20
"""Per heartbeat: at each of them a twentieth of the dashboards is pinged."""

_Watcher = TypeVar("_Watcher", Dashboard, Follower)
_logger = logging.getLogger("tether.hub")


class Hub:
    """Admits dashboards, keeps them alive, ends them in time, and empties itself at the end."""

    def __init__(
        self,
        database: Database,
        identity: Identity,
        read_tokens: ReadTokens,
        metrics: Metrics,
        *,
        heartbeat_s: float = HEARTBEAT_S,
        session_check_s: float = SESSION_CHECK_S,
        access_check_s: float = ACCESS_CHECK_S,
        max_dashboards: int = sys.maxsize,
        max_dashboards_per_user: int = sys.maxsize,
        max_recent_bytes: int = MAX_RECENT_BYTES,
        max_recent_bytes_per_room: int = MAX_RECENT_BYTES_PER_ROOM,
    ) -> None:
        self.rooms: dict[str, Room] = {}
        self.dashboards: dict[Dashboard | Follower, int] = {}
        """All dashboards, and programs that follow over HTTP, each with the beat at which it is pinged."""
        self._serving: set[asyncio.Task[None]] = set()
        self._feed = Feed(database)
        self.tail = FeedTail(self._feed, self.rooms, metrics)
        self.heartbeat_s = heartbeat_s
        self._session_check_s = session_check_s
        self._max_dashboards = max_dashboards
        self._max_dashboards_per_user = max_dashboards_per_user
        self._max_recent_bytes = max_recent_bytes
        self._max_recent_bytes_per_room = max_recent_bytes_per_room
        self._dashboards_of: Counter[str] = Counter()
        """How many dashboards each user or read token has, by its id."""
        self._identity = identity
        self._read_tokens = read_tokens
        self._metrics = metrics
        self._beats = itertools.cycle(range(_BEATS))
        self._access_check_s = access_check_s
        self._access_changed = asyncio.Event()
        self._closing = False
        self._emptied = asyncio.Event()

    async def check(self) -> None:
        """Return if the change stream is being read; raises `Unavailable` otherwise."""
        if not self.tail.healthy():
            raise Unavailable("The feed is not being followed.")

    async def run(self) -> None:
        """Follow the feed, ping dashboards and check their sessions until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.tail.run())
            tasks.create_task(self._keep_alive())
            tasks.create_task(self._check_sessions())
            tasks.create_task(self._watch_access())

    # ------------------------------------------------------------------ admission and removal

    async def admit(self, reader: Reader, after: Position | None) -> Dashboard:
        """Admit a dashboard that has read everything up to `after` (None: whose stream begins now).

        It is given back with `serve`, or with `remove`. Raises `TooManyRequests` when the user has too many, `Unavailable` when
        the hub is full or closing or MongoDB does not answer in time, and the driver's errors.
        """
        return await self._admit(Dashboard, reader, after)

    async def follow(self, reader: Reader, after: Position | None) -> Follower:
        """Admit a program that follows over HTTP, as `admit` does; it is given back with `remove`."""
        return await self._admit(Follower, reader, after)

    async def _admit(self, kind: type[_Watcher], reader: Reader, after: Position | None) -> _Watcher:
        if len(self.dashboards) >= self._max_dashboards:
            raise Unavailable("There is no room for more dashboards just now.", FULL_RETRY_S, limit="dashboards")
        if self._dashboards_of[reader.owner_id] >= self._max_dashboards_per_user:
            who = "read token" if isinstance(reader, ReadToken) else "user"
            raise TooManyRequests(f"This {who} has too many dashboards open; close one.", FULL_RETRY_S, limit="user_dashboards")
        room = self.rooms.get(reader.organization_id)
        if room is None:
            room = Room(reader.organization_id, self._feed, self._metrics, self._max_recent_bytes_per_room)
            self.rooms[reader.organization_id] = room
        dashboard = kind(reader, room, after, self._metrics)
        self.dashboards[dashboard] = next(self._beats)
        self._dashboards_of[reader.owner_id] += 1
        self._metrics.dashboards.set(len(self.dashboards))
        try:
            async with asyncio.timeout(ADMISSION_S):
                await dashboard.admit()
            if self._closing:
                raise Unavailable("The server is shutting down; connect again.")
        except TimeoutError as error:
            self.remove(dashboard)
            raise Unavailable("The database cannot be reached just now; connect again.") from error
        except BaseException:
            self.remove(dashboard)
            raise
        return dashboard

    def serve(self, dashboard: Dashboard, stream: IOStream) -> None:
        """Begin the stream of an admitted dashboard on its upgraded connection, and remove it when that is over."""
        dashboard.start(stream, self.heartbeat_s)
        serving = asyncio.create_task(dashboard.read_client())
        self._serving.add(serving)
        serving.add_done_callback(partial(self._served, dashboard))

    def _served(self, dashboard: Dashboard, serving: asyncio.Task[None]) -> None:
        self._serving.discard(serving)
        error = None if serving.cancelled() else serving.exception()
        if error is not None:
            _logger.error("unexpected_error", exc_info=error)
            dashboard.abort()
        self.remove(dashboard)

    def remove(self, dashboard: Dashboard | Follower) -> None:
        """Forget a dashboard, and its room when it was the last one there; idempotent."""
        dashboard.detach()
        if self.dashboards.pop(dashboard, None) is not None:
            owner_id = dashboard.reader.owner_id
            self._dashboards_of[owner_id] -= 1
            if not self._dashboards_of[owner_id]:
                del self._dashboards_of[owner_id]
        self._metrics.dashboards.set(len(self.dashboards))
        room = self.rooms.get(dashboard.reader.organization_id)
        if room is not None and not room.listeners:
            room.close()
            del self.rooms[room.organization_id]
        if not self.dashboards:
            self._emptied.set()

    def end_session(self, session_id: str) -> None:
        """Close the dashboards of a session that has ended; other processes find out within `ACCESS_CHECK_S`."""
        self._close_ended(dashboard for dashboard, session in self._of_people() if session.session_id == session_id)

    # ------------------------------------------------------------------ pings, sessions, memory

    async def _keep_alive(self) -> None:
        for beat in itertools.cycle(range(_BEATS)):
            await asyncio.sleep(self.heartbeat_s / _BEATS)
            now = datetime.now(UTC)
            self._close_ended(dashboard for dashboard in self.dashboards if dashboard.reader.expires_at <= now)
            self._ping(beat)
            self._bound_memory()

    def _ping(self, beat: int) -> None:
        due = []
        for dashboard, its_beat in self.dashboards.items():
            if its_beat != beat or dashboard.stream is None or not dashboard.is_streaming:
                continue
            if dashboard.unanswered_pings >= MAX_PINGS_UNANSWERED:
                dashboard.abort()
            else:
                dashboard.unanswered_pings += 1
                due.append(dashboard.stream)
        wire.send(due, PING)

    def _bound_memory(self) -> None:
        held_bytes = sum(room.recent_bytes for room in self.rooms.values())
        if held_bytes > self._max_recent_bytes:
            for room in self.rooms.values():
                room.forget_oldest(self._max_recent_bytes // 2 // len(self.rooms))
            held_bytes = sum(room.recent_bytes for room in self.rooms.values())
        self._metrics.recent_bytes.set(held_bytes)

    def recheck(self) -> None:
        """Look for users and tokens whose access has changed now, not only at the next of the regular looks."""
        self._access_changed.set()

    async def _watch_access(self) -> None:
        """Close the dashboards of users whose sessions ended or whose role is another one, and of tokens that were revoked."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._access_check_s):
                    await self._access_changed.wait()
            self._access_changed.clear()
            try:
                roles = await self._identity.changed_access(ACCESS_WINDOW_S)
                touched = [(dashboard, session) for dashboard, session in self._of_people() if session.user_id in roles]
                live = await self._identity.live_sessions({session.session_id for _, session in touched})
                tokens = {one.reader.id for one in self.dashboards if isinstance(one.reader, ReadToken)}
                revoked = await self._read_tokens.revoked(tokens)
            except Exception as error:
                log(_logger, logging.WARNING, "access_unchecked", reason=str(error))
                continue
            self._close_ended(dashboard for dashboard in self.dashboards if dashboard.reader.owner_id in revoked)
            for dashboard, session in touched:
                if session.session_id not in live:
                    dashboard.close(Close.SESSION_ENDED)
                elif session.role != roles[session.user_id]:
                    self._identity.forget_session(session.session_id)
                    dashboard.close(Close.ROLE_CHANGED)

    async def _check_sessions(self) -> None:
        """Close the dashboards of sessions that have ended, and let rooms that are behind catch up."""
        while True:
            await asyncio.sleep(self._session_check_s)
            try:
                await self.tail.compare()
                asked = {session.session_id for _, session in self._of_people()}
                ended = asked - await self._identity.live_sessions(asked)
            except Exception as error:
                log(_logger, logging.WARNING, "sessions_unchecked", reason=str(error))
                continue
            self._close_ended(dashboard for dashboard, session in self._of_people() if session.session_id in ended)

    def _of_people(self) -> Iterator[tuple[Dashboard | Follower, Session]]:
        """Yield the dashboards that were opened with a session, not with a read token."""
        return ((one, one.reader) for one in self.dashboards if isinstance(one.reader, Session))

    def _close_ended(self, ended: Iterable[Dashboard | Follower]) -> None:
        for dashboard in list(ended):
            dashboard.close(Close.SESSION_ENDED)

    # ------------------------------------------------------------------ shutdown

    async def flush(self) -> None:
        """Return once every event committed before the call has been handed to the sockets of the dashboards here.

        It has no time limit. Raises `Unavailable` and the driver's errors.
        """
        await self.tail.compare()
        for room in list(self.rooms.values()):
            await room.caught_up()
        for dashboard in list(self.dashboards):
            await dashboard.caught_up()

    async def drain(self, within_s: float = FLUSH_S + GOODBYE_S) -> None:
        """Admit no more dashboards, send what was committed before the call, then close all with 1001.

        It takes at most `within_s`, whatever MongoDB and the clients do, and raises nothing.
        """
        self._closing = True
        goodbye_s = min(GOODBYE_S, within_s / 2)
        try:
            async with asyncio.timeout(min(FLUSH_S, within_s - goodbye_s)):
                await self.flush()
        except Exception as error:
            log(_logger, logging.WARNING, "feed_not_flushed", reason=repr(error))
        for dashboard in list(self.dashboards):
            dashboard.close(Close.GOING_AWAY)
        if self.dashboards:
            self._emptied.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), goodbye_s)

    async def close(self) -> None:
        """Cut the connections that are left; idempotent."""
        self._closing = True
        for dashboard in list(self.dashboards):
            dashboard.abort()
        for room in self.rooms.values():
            room.close()
