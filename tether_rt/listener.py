"""The HTTP server with a limit on its connections, and the process' limit on open files made to match."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from typing import Any, Final

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream, StreamClosedError

_OWN_FILES: Final = 256
"""Descriptors that are not connections: MongoDB, R2, files, the interpreter's own."""

_BODY: Final = b'{"success":false,"error":"The server has too many connections; try again shortly."}'
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Type: application/json\r\n"
    b"X-Content-Type-Options: nosniff\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


def allow_open_files(wanted: int) -> int:
    """Raise the process' soft limit on open files towards `wanted` plus our own; return how many connections fit under it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = wanted + _OWN_FILES
    if soft < enough:
        soft = enough if hard == resource.RLIM_INFINITY else min(enough, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(wanted, soft - _OWN_FILES))


class BoundedServer(HTTPServer):
    """Answers 503 at once to connections past the limit, instead of running out of descriptors and then of answers.

    A dashboard's connection counts until its upgrade; from then on the hub has limits of its own.
    """

    max_connections = 1

    @classmethod
    def make(cls, max_connections: int, *args: Any, **options: Any) -> BoundedServer:
        """Return a server; `args` and `options` as for `HTTPServer`, whose own constructor takes no others."""
        server = cls(*args, **options)
        server.max_connections = max_connections
        return server

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """Serve a new connection, or turn it away."""
        if len(self._connections) < self.max_connections:
            super().handle_stream(stream, address)
            return
        self._turned_away = asyncio.ensure_future(_turn_away(stream))


async def _turn_away(stream: IOStream) -> None:
    with contextlib.suppress(StreamClosedError):
        await stream.write(_FULL)
    stream.close()
