"""The HTTP server with a limit on its connections, and the process' limit on open files made to match.

What is said before there is a request, to a connection too many or to one that does not speak HTTP, has the shape of any error.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import resource
import secrets
import time
from asyncio import Future
from collections.abc import Awaitable
from typing import Any, Final

import orjson
from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError

from tether_rt.http.headers import NOTHING_MAY_RUN, SECURITY

_OWN_FILES: Final = 256
"""Descriptors that are not connections: MongoDB, R2, files, the interpreter's own."""

READ_AHEAD_BYTES: Final = 32 * 1024
"""How much that nobody waits for yet a connection may have and still listen: a call with a long transcript, of which 200 turns
take 25 KB. One more piece comes on top."""

_TORNADOS: Final = b"HTTP/1.1 400 Bad Request\r\n\r\n"
"""What Tornado answers, as it is, to what is not HTTP (`HTTP1Connection._read_message_inner`)."""


def _refusal(status: str, sentence: str, *headers: str) -> bytes:
    body = orjson.dumps({"success": False, "error": sentence})
    lines = (
        f"HTTP/1.1 {status}",
        f"X-Request-Id: {secrets.token_hex(8)}",
        *headers,
        "Content-Type: application/json",
        *(f"{name}: {value}" for name, value in SECURITY.items()),
        f"Content-Security-Policy: {NOTHING_MAY_RUN}",
        "Cache-Control: no-store",
        "Connection: close",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join([*lines, "", ""]).encode() + body


def allow_open_files(wanted: int) -> int:
    """Raise the process' soft limit on open files towards `wanted` plus our own; return how many connections fit under it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = wanted + _OWN_FILES
    if soft < enough:
        soft = enough if hard == resource.RLIM_INFINITY else min(enough, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(wanted, soft - _OWN_FILES))


def arrived_bytes(connection: HTTP1Connection) -> int:
    """Return how much of what follows a request's headers is here already."""
    size_bytes: int = connection.stream._read_buffer_size
    return size_bytes


class _PlainSpokenStream(IOStream):
    """A connection on which Tornado's own refusals are in our words, nothing waits to be sent, and the ear stays open."""

    _is_prompt = False
    _asked_s = 0.0

    @property
    def next_request_awaited_since_s(self) -> float:
        """Since when the headers of a request are waited for, by the monotonic clock; infinity when none are."""
        return self._asked_s if self.reading() and self._read_regex is not None else math.inf

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        self._asked_s = time.monotonic()
        return super().read_until_regex(regex, max_bytes)

    def set_nodelay(self, value: bool) -> None:
        # Tornado turns it on and off for every answer, two system calls each, and writes an answer as a whole anyway.
        if value and not self._is_prompt:
            self._is_prompt = True
            super().set_nodelay(True)

    def _handle_events(self, fd: Any, events: int) -> None:
        # Tornado stops listening whenever a request is complete, and begins again when its handler waits: six system calls for
        # each. A client that goes on sending meanwhile is read ahead a little, and then it does stop.
        if events != IOLoop.READ or self.closed():
            super()._handle_events(fd, events)
            return
        try:
            self._handle_read()
        except Exception as error:
            self.close(exc_info=error)
            if not isinstance(error, UnsatisfiableReadError):
                raise
        if self._read_buffer_size > READ_AHEAD_BYTES:
            super()._handle_events(fd, 0)

    def write(self, data: bytes | memoryview) -> Future[None]:
        if data == _TORNADOS:
            data = _refusal("400 Bad Request", "This is not HTTP as the server understands it.")
        if self.closed() or self.writing():
            return super().write(data)
        # Nearly always the kernel takes all of it. To find that out, Tornado puts it into a buffer and makes two callbacks.
        try:
            sent = self.write_to_fd(memoryview(data))
        except OSError:  # which Tornado will meet as well, and deal with
            sent = 0
        if sent < len(data):
            return super().write(memoryview(data)[sent:])
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def close(self, exc_info: Any = False) -> None:
        if isinstance(exc_info, UnsatisfiableReadError) and not self.closed():
            too_long = _refusal("431 Request Header Fields Too Large", "The headers of the request are too long.")
            with contextlib.suppress(OSError):
                self.write_to_fd(memoryview(too_long))
        super().close(exc_info)


class BoundedServer(HTTPServer):
    """Answers 503 at once to connections past the limit, instead of running out of descriptors and then of answers.

    A dashboard's connection counts until its upgrade; from then on the hub has limits of its own.
    """

    max_connections = 1
    _idle_s = math.inf
    _watch: asyncio.TimerHandle | None = None

    @classmethod
    def make(cls, max_connections: int, *args: Any, idle_s: float = math.inf, **options: Any) -> BoundedServer:
        """Return a server; `args` and `options` as for `HTTPServer`, whose own constructor takes no others.

        A connection whose next request has not come, with all of its headers, after `idle_s` is closed soon after.
        """
        server = cls(*args, **options)
        server.max_connections = max_connections
        # Tornado's own limit takes 15 µs of every request: two futures, a timer, three callbacks.
        server.conn_params.header_timeout = None
        if idle_s < math.inf:
            server._idle_s = idle_s
            server._close_idle()
        return server

    def stop(self) -> None:
        """Accept no more connections."""
        if self._watch is not None:
            self._watch.cancel()
        super().stop()

    def _close_idle(self) -> None:
        since_s = time.monotonic() - self._idle_s
        for connection in list(self._connections):
            stream = connection.stream
            if isinstance(stream, _PlainSpokenStream) and stream.next_request_awaited_since_s < since_s:
                stream.close()
        self._watch = asyncio.get_running_loop().call_later(self._idle_s / 4, self._close_idle)

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """Serve a new connection, or turn it away."""
        if len(self._connections) < self.max_connections:
            if type(stream) is IOStream:
                stream.__class__ = _PlainSpokenStream
            super().handle_stream(stream, address)
            return
        self._turned_away = asyncio.ensure_future(_refuse_connection(stream))


async def _refuse_connection(stream: IOStream) -> None:
    with contextlib.suppress(StreamClosedError):
        await stream.write(
            _refusal("503 Service Unavailable", "The server has too many connections; try again shortly.", "Retry-After: 2")
        )
    stream.close()
