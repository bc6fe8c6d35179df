"""The HTTP server: accepts connections, limits their number, and answers as JSON where there is no request to answer."""

from __future__ import annotations

import asyncio
import contextlib
import http
import logging
import secrets
import socket
import time
from asyncio import Future
from collections.abc import Awaitable, Iterable
from typing import Any, Final

import orjson
from tornado.http1connection import HTTP1ServerConnection
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerConnectionDelegate
from tornado.iostream import IOStream, UnsatisfiableReadError

from tether_rt.errors import BadRequest, TetherError, TooLarge, Unavailable
from tether_rt.http.headers import NOTHING_MAY_RUN, SECURITY
from tether_rt.http.lingering_close import lingering_close
from tether_rt.http.responses import error_payload
from tether_rt.runtime.logs import log

ACCEPTS_AT_ONCE: Final = 128
"""Connections that are accepted before the event loop does anything else."""
ACCEPT_PAUSE_S: Final = 0.5
"""How long no connection is accepted after the operating system refused one, for want of descriptors for example."""
MAX_LINGERING: Final = 64
"""Refused connections that are kept open until the client has read the answer; others are closed at once."""
_ARRIVED_S: Final = 1.0
"""The longest time for reading what had arrived when the server stops accepting; it usually takes no time at all."""
_LOG_EVERY_S: Final = 60.0

_CHUNK_LINE_BYTES: Final = 1024
"""The longest line in front of a chunk."""
_BAD_CHUNK: Final = (
    "The body's chunks are broken: each is its length in hexadecimal digits, its bytes, and a line break after both."
)

_TORNADO_BAD_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\n\r\n"
"""What Tornado writes, before it closes the connection, if it cannot read a request."""

_logger = logging.getLogger("tether.http")


def _refusal(status: int, error: TetherError, *headers: str) -> bytes:
    request_id = secrets.token_hex(8)
    body = orjson.dumps(error_payload(error, request_id))
    lines = (
        f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}",
        f"X-Request-Id: {request_id}",
        *headers,
        "Content-Type: application/json",
        *(f"{name}: {value}" for name, value in SECURITY.items()),
        f"Content-Security-Policy: {NOTHING_MAY_RUN}",
        "Cache-Control: no-store",
        "Connection: close",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join([*lines, "", ""]).encode() + body


class ClientStream(IOStream):
    """IOStream that answers Tornado's built-in 400 and 431 as JSON, and says if a request on it is being answered."""

    def __init__(self, connection: socket.socket, server: BoundedServer) -> None:
        super().__init__(connection)
        self._server = server
        self._headers: Future[bytes] | None = None
        """Of the request that is awaited or being answered; None before the first one is awaited and after an upgrade."""
        self._refusal: bytes | None = None
        self._chunk_line: Future[bytes] | None = None
        """The last line that says the length of a chunk of the request's body."""
        self._is_chunked = False
        """Whether a chunk of the request's body has been awaited."""

    @property
    def is_answering(self) -> bool:
        """Whether a request's headers have arrived and its answer is not complete."""
        return self._headers is not None and self._headers.done()

    @property
    def is_changing(self) -> bool:
        """Whether a request is being answered that may change data: GET and HEAD do not (RFC 9110 section 9.2.1)."""
        headers = self._headers
        if headers is None or not headers.done() or headers.cancelled() or headers.exception() is not None:
            return False
        return not headers.result().lstrip().startswith((b"GET ", b"HEAD "))

    @property
    def has_unread_request(self) -> bool:
        """Whether bytes of a request have arrived and have not been read."""
        if self.closed() or self.is_answering:
            return False
        try:
            return self.socket.recv(1, socket.MSG_PEEK) != b""
        except OSError:  # BlockingIOError: nothing has arrived
            return False

    def forget_request(self) -> None:
        """Let go of the last request's headers."""
        self._headers = None

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        """Read as IOStream does; Tornado uses it for a request's headers alone, once the request before it is answered."""
        self._headers = asyncio.ensure_future(super().read_until_regex(regex, max_bytes))
        self._is_chunked = False
        self._server.note_progress()
        return self._headers

    def read_until(self, delimiter: bytes, max_bytes: int | None = None) -> Future[bytes]:
        """Read as IOStream does; Tornado uses it for the lengths of a body's chunks alone."""
        self._is_chunked = True
        self._chunk_line = None
        # A line with an extension may be longer than Tornado's limit, which is for one without.
        self._chunk_line = asyncio.ensure_future(super().read_until(delimiter, _CHUNK_LINE_BYTES))
        return self._chunk_line

    def write(self, data: bytes | memoryview) -> Future[None]:
        """Write as IOStream does, but keep Tornado's 400 back: `close`, which follows, sends ours."""
        if data == _TORNADO_BAD_REQUEST:
            self._refusal = _refusal(400, BadRequest(self._not_understood()))
            data = b""
        return super().write(data)

    def close(self, exc_info: Any = False) -> None:
        """Close as IOStream does; a client that is refused gets its answer first, on a descriptor of its own."""
        if isinstance(exc_info, UnsatisfiableReadError):
            self._refusal = (
                _refusal(431, TooLarge("The headers of the request are too long."))
                if not self._is_chunked
                else _refusal(400, BadRequest(_BAD_CHUNK))
            )
        if self._refusal is not None and not self.closed():
            with contextlib.suppress(OSError):  # there are no more descriptors, or the client has left
                self._server.refuse(IOStream(self.socket.dup()), self._refusal)
        super().close(exc_info)

    def _not_understood(self) -> str:
        line = self._chunk_line
        if not self._is_chunked or line is None or not line.done() or line.cancelled() or line.exception() is not None:
            return "This is not HTTP as the server understands it."
        # They are legal (RFC 9112 section 7.1), but proxies read them differently: a request could hide in them.
        length, semicolon, _ = line.result().strip().partition(b";")
        if semicolon:
            return "The body has a chunk with an extension, which the server does not take: send chunks without `;`."
        if length and not length.strip(b"0"):
            return "The body ends with a trailer, which the server does not take: send its fields as headers, or not at all."
        return _BAD_CHUNK


class BoundedServer(HTTPServer):
    """An HTTP server that answers 503 to connections past a limit, and goes on when the process is out of descriptors.

    A dashboard's connection counts until its upgrade; then the hub's limits apply. Serves plain TCP: a proxy does TLS.
    """

    def initialize(self, application: HTTPServerConnectionDelegate, *, max_connections: int, **options: Any) -> None:  # type: ignore[override]
        """Take the same options as `HTTPServer`."""
        super().initialize(application, **options)
        self.max_connections = max_connections
        self._listening: set[socket.socket] = set()
        self._streams: set[ClientStream] = set()
        self._lingering: set[asyncio.Task[None]] = set()
        self._progress = asyncio.Event()
        self._pause_logged_s = -_LOG_EVERY_S

    # ------------------------------------------------------------------ accepting

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Accept connections on listening sockets, which belong to the server from now on."""
        for one in sockets:
            self._listening.add(one)
            self._resume(one)

    def _resume(self, listening: socket.socket) -> None:
        if listening in self._listening:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> bool:
        """Accept up to `ACCEPTS_AT_ONCE` connections; return whether there may be more."""
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                connection, address = listening.accept()
            except BlockingIOError:
                return False
            except ConnectionAbortedError:
                continue
            except OSError as error:
                self._pause(listening, error)
                return False
            self._take_in(connection, address)
        return True

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        """Stop accepting for a moment: the loop would come back at once, as the connection is still there to be accepted."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(ACCEPT_PAUSE_S, self._resume, listening)
        if time.monotonic() - self._pause_logged_s >= _LOG_EVERY_S:
            self._pause_logged_s = time.monotonic()
            log(_logger, logging.ERROR, "accept_failed", reason=error.strerror or repr(error))

    def _take_in(self, connection: socket.socket, address: tuple[Any, ...]) -> None:
        if len(self._streams) >= self.max_connections:
            busy = Unavailable("The server has too many connections; try again shortly.")
            self.refuse(IOStream(connection), _refusal(503, busy, f"Retry-After: {busy.retry_after_s}"))
            return
        stream = ClientStream(connection, self)
        self._streams.add(stream)
        self.handle_stream(stream, address)

    def refuse(self, stream: IOStream, answer: bytes) -> None:
        """Send the only answer that this connection gets, and close it so that the client can read the answer first."""
        stream.write(answer)
        if len(self._lingering) >= MAX_LINGERING:
            stream.close()
            return
        task = asyncio.create_task(lingering_close(stream))
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)

    def on_close(self, server_conn: object) -> None:
        """Note that a connection is closed, or has become a WebSocket."""
        assert isinstance(server_conn, HTTP1ServerConnection)
        stream = server_conn.stream
        assert isinstance(stream, ClientStream)
        stream.forget_request()
        self._streams.discard(stream)
        self.note_progress()
        super().on_close(server_conn)

    # ------------------------------------------------------------------ stopping

    async def stop_accepting(self) -> None:
        """Accept what the kernel has accepted already, stop listening, and read what has arrived on all connections.

        To close a listening socket resets the connections that were not accepted from it.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ARRIVED_S):
                for one in list(self._listening):
                    while self._accept(one):  # noqa: ASYNC110 - lets the loop serve what was accepted
                        await asyncio.sleep(0)
                self.stop()
                while any(stream.has_unread_request for stream in self._streams):  # noqa: ASYNC110 - lets the loop read
                    await asyncio.sleep(0)
        self.stop()

    def stop(self) -> None:
        """Stop listening; idempotent."""
        while self._listening:
            one = self._listening.pop()
            asyncio.get_running_loop().remove_reader(one)
            one.close()
        super().stop()

    def note_progress(self) -> None:
        """Have `answered` look at the connections again."""
        self._progress.set()

    async def answered(self, *, changes: bool) -> None:
        """Return when no request is being answered that may change data or, if `changes` is false, that only reads."""
        while any(stream.is_answering and stream.is_changing == changes for stream in self._streams):
            self._progress.clear()
            await self._progress.wait()

    async def close(self) -> None:
        """Stop listening and close every connection but those of dashboards, whatever is in flight."""
        self.stop()
        await self.close_all_connections()
        for task in self._lingering:
            task.cancel()
        await asyncio.gather(*self._lingering, return_exceptions=True)
