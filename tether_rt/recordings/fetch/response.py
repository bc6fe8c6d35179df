"""The answer of a vendor's host, read from its connection with h11, in time and at a pace.

h11 knows HTTP/1.1 as hosts really speak it: chunk extensions, trailers, a status line without a reason. It does no I/O.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import h11
from tornado.iostream import IOStream, StreamClosedError

from tether_rt.errors import TetherError
from tether_rt.recordings.fetch.failures import broke_off, gave_way, not_http, not_in_time, too_slow
from tether_rt.recordings.fetch.limits import Limits
from tether_rt.recordings.fetch.url_policy import Target

_MAX_HINTS: Final = 20
"""How many answers like 103 may come before the one that counts (RFC 9110 section 15.2)."""
_HEAD_PIECE_BYTES: Final = 4096
_BODY_PIECE_BYTES: Final = 64 * 1024
"""Hashing so much takes the event loop 0.1 ms."""
_EVENTS_AT_ONCE: Final = 100
"""Pieces that are read without a turn for the event loop: a host may send chunks of one byte, 10 µs each."""


class HostResponse:
    """One request to a host and its answer.

    Timers close the connection when the host is too slow. Every method raises `FetchFailed` with the reason, and `Unavailable`
    when a slow host has to give way.
    """

    def __init__(self, stream: IOStream, limits: Limits, must_yield: Callable[[], bool] = lambda: False) -> None:
        """`must_yield` says whether a slow host has to give way to others."""
        self._stream = stream
        self._limits = limits
        self._must_yield = must_yield
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=limits.header_bytes)
        self._timer: asyncio.TimerHandle | None = None
        self._share_timer: asyncio.TimerHandle | None = None
        self._first_bytes = b""
        # h11 limits the headers while they are incomplete, so they are read in small pieces.
        self._read_bytes = _HEAD_PIECE_BYTES
        self._has_ended = False
        self._events = 0
        self._body_bytes = 0
        self._early_read: asyncio.Future[bytes] | None = None
        self.is_stale = False
        """Whether the host had closed the connection before the request, or without a byte of an answer to it."""
        self.is_writing = False
        """Whether our own disk is waited for: then a slow pace is not the host's fault."""

    async def head(self, target: Target, *, is_kept: bool = False) -> h11.Response:
        """Ask for `target`; return the status and headers of the answer. `is_kept` says that the connection was used before."""
        request = h11.Request(
            method="GET",
            target=target.path,
            headers=[
                ("Host", target.host_header),
                ("User-Agent", "tether-rt"),
                ("Accept", "audio/*, */*;q=0.5"),
                # A compressed response could be a gigabyte in a megabyte; audio is compressed already.
                ("Accept-Encoding", "identity"),
                *([("Authorization", target.authorization)] if target.authorization is not None else ()),
            ],
        )
        self._timer = asyncio.get_running_loop().call_later(self._limits.headers_s, self._stop, not_in_time())
        self._watch_share()
        sent = (self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b"")
        try:
            if is_kept:
                # Begun before the request is sent: what is there by now is an end, or belongs to no request.
                self._early_read = early = asyncio.ensure_future(self._stream.read_bytes(self._read_bytes, partial=True))
                if early.done():
                    early.exception()
                    self.is_stale = True
                    raise broke_off()
            # Not awaited: a host may answer without reading.
            self._stream.write(sent)
        except StreamClosedError as error:
            self.is_stale = True
            raise self._closed(error) from error
        for _ in range(_MAX_HINTS):
            event = await self._next_event()
            if isinstance(event, h11.Response):
                self._read_bytes = _BODY_PIECE_BYTES
                self._watch_pace(0)
                return event
        raise not_http()

    async def piece(self) -> bytes:
        """Return the next piece of the body; nothing at its end."""
        event = await self._next_event()
        if isinstance(event, h11.Data):
            self._body_bytes += len(event.data)
            return bytes(event.data)
        self._cancel_timers()
        return b""

    def end(self) -> bool:
        """End the exchange; return whether the connection can take another one (RFC 9112 section 9.3).

        What has arrived of a body is passed over. A connection whose answer is not read to its end then is closed.
        """
        self._cancel_timers()
        try:
            while isinstance(self._http.next_event(), h11.Data):
                pass
        except h11.RemoteProtocolError:
            self._stream.close()
        is_reusable = self._http.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE} and not self._http.trailing_data[0]
        if not is_reusable:
            self._stream.close()
        return is_reusable and not self._stream.closed()

    async def _next_event(self) -> object:
        self._events += 1
        if self._events % _EVENTS_AT_ONCE == 0:
            await asyncio.sleep(0)
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                is_http = self._first_bytes.startswith(b"HTTP/"[: len(self._first_bytes)])
                raise (broke_off() if self._has_ended and is_http else not_http()) from error
            if event is not h11.NEED_DATA:
                return event
            self._http.receive_data(await self._read())

    async def _read(self) -> bytes:
        """Return what has arrived; nothing at the end of the connection, if it was closed in an orderly way."""
        try:
            reading, self._early_read = self._early_read or self._stream.read_bytes(self._read_bytes, partial=True), None
            data: bytes = await reading
        except StreamClosedError as error:
            self.is_stale = not self._first_bytes and not isinstance(error.real_error, TetherError)
            # Without a length, the end of the connection is the end of the recording (RFC 9112 section 8). A reset is none,
            # and neither is an end of TLS without `close_notify`, which anybody on the way can make.
            if error.real_error is not None:
                raise self._closed(error) from error
            self._has_ended = True
            return b""
        self._first_bytes = self._first_bytes or data[:5]
        return data

    def _closed(self, error: StreamClosedError) -> TetherError:
        return error.real_error if isinstance(error.real_error, TetherError) else broke_off()

    def _stop(self, failure: TetherError) -> None:
        self._stream.close((type(failure), failure, None))

    def _watch_pace(self, before_bytes: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._limits.window_s, self._judge_pace, before_bytes)

    def _judge_pace(self, before_bytes: int) -> None:
        if not self.is_writing and self._body_bytes - before_bytes < self._limits.window_bytes:
            self._stop(too_slow())
        else:
            self._watch_pace(self._body_bytes)

    def _watch_share(self) -> None:
        self._share_timer = asyncio.get_running_loop().call_later(self._limits.share_s, self._judge_share, self._body_bytes)

    def _judge_share(self, before_bytes: int) -> None:
        if self._must_yield() and not self.is_writing and self._body_bytes - before_bytes < self._limits.share_bytes:
            self._stop(gave_way())
        else:
            self._watch_share()

    def _cancel_timers(self) -> None:
        for timer in (self._timer, self._share_timer):
            if timer is not None:
                timer.cancel()
