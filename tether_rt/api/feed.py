"""`GET /api/feed`: the stream of a dashboard for programs, over plain HTTP.

As lines of JSON it answers with what there is, or waits for the next event (long polling). With `Accept: text/event-stream` it
is a stream of server-sent events (html.spec.whatwg.org/multipage/server-sent-events.html) that lasts as long as the client
reads. Messages and numbers are those of the WebSocket (`docs/protocol.md`).
"""

from __future__ import annotations

from typing import Any, Final

from tornado.web import RequestHandler

from tether_rt.api import query
from tether_rt.http.exchange import Exchange
from tether_rt.http.handlers import SessionHandler
from tether_rt.hub.follower import Follower
from tether_rt.hub.frames import payloads
from tether_rt.hub.hub import Hub
from tether_rt.hub.protocol import parse_after, server_sent

MAX_WAIT_S: Final = 60
"""The longest that a request may wait for the next event."""
MAX_ANSWER_BYTES: Final = 4 << 20
"""An answer of lines ends behind the event that reaches this; the next request goes on there."""
_EVENT_STREAM: Final = "text/event-stream"
_COMMENT: Final = b":\n\n"
"""Sent where there is nothing else for a heartbeat, so that nothing in between takes the connection for dead."""


class FeedHandler(SessionHandler):
    """Events after a position, for as long as the request says."""

    head: Any = RequestHandler.head

    def initialize(self, exchange: Exchange, hub: Hub) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.hub = hub
        self._follower: Follower | None = None

    async def get(self) -> None:
        is_stream = _EVENT_STREAM in self.request.headers.get("Accept", "").lower()
        wait_s = query.whole(self, "wait", 0, 0, MAX_WAIT_S)
        after = self.get_query_argument("after", None, strip=False)
        if is_stream and (last := self.request.headers.get("Last-Event-ID")):
            after = last
        async with self.deadline:
            self._follower = await self.hub.follow(self.reader, parse_after(after))
        try:
            if is_stream:
                await self._answer_stream(self._follower)
            else:
                await self._answer_lines(self._follower, wait_s)
        finally:
            self.hub.remove(self._follower)

    def on_connection_close(self) -> None:
        """End the stream of a client that has left."""
        super().on_connection_close()
        if self._follower is not None:
            self._follower.abort()

    async def _answer_lines(self, follower: Follower, wait_s: float) -> None:
        self.set_header("Content-Type", "application/x-ndjson")
        begin = follower.cursor.begin(self.hub.heartbeat_s)
        frames = await follower.next_frames(wait_s)
        await self.stream(_lines(begin))
        sent_bytes = 0
        while frames:
            await self.stream(_lines(frames))
            sent_bytes += len(frames)
            frames = b"" if sent_bytes >= MAX_ANSWER_BYTES else await follower.next_frames(0)
        self.finish()

    async def _answer_stream(self, follower: Follower) -> None:
        self.set_header("Content-Type", _EVENT_STREAM)
        self.set_header("X-Accel-Buffering", "no")  # nginx would keep events back until its buffer is full
        frames: bytes | memoryview = follower.cursor.begin(self.hub.heartbeat_s)
        while follower.is_streaming:
            epoch = follower.cursor.epoch
            await self.stream(b"".join(server_sent(epoch, text) for text in payloads(frames)) or _COMMENT)
            frames = await follower.next_frames(self.hub.heartbeat_s)
        self.finish()


def _lines(frames: bytes | memoryview) -> bytes:
    return b"".join(b"%b\n" % text for text in payloads(frames))
