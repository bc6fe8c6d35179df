"""Which handler an address belongs to, and which requests need none."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, HTTPServerRequest, RequestStartLine, ResponseStartLine
from tornado.web import Application, RequestHandler

Route = tuple[str, type[RequestHandler], dict[str, Any]]
"""A path as OpenAPI writes it, `/api/calls/{callId}`, its handler, and the parts that the handler is made with."""

Shortcut = Callable[[RequestStartLine, HTTPHeaders, HTTP1Connection], HTTPMessageDelegate | None]
"""Takes a request whose headers were read, or leaves it to the route's handler (None)."""
Shortcuts = Mapping[tuple[str, str], Shortcut]
"""By method and path."""

_FILES: Final = r"((?:css|js|vendor)/.+|[^/]+\.(?:css|js|svg|png|ico|webmanifest))"


class RoutedApplication(Application):
    """The application of some routes. A path without variables is found by one look, not by trying each pattern in turn."""

    def __init__(self, routes: Sequence[Route], shortcuts: Shortcuts = MappingProxyType({}), **settings: Any) -> None:
        """Take the routes, and shortcuts that are asked before them."""
        super().__init__([(pattern(path), handler, parts) for path, handler, parts in routes], **settings)
        self._exact = {path: (handler, parts) for path, handler, parts in routes if "{" not in path}
        self._shortcuts = shortcuts

    def start_request(self, server_conn: object, request_conn: Any) -> HTTPMessageDelegate:
        return _Incoming(self._shortcuts, partial(super().start_request, server_conn, request_conn), request_conn)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        if exact := self._exact.get(request.path):
            return self.get_handler_delegate(request, *exact)
        return super().find_handler(request, **kwargs)


class _Incoming(HTTPMessageDelegate):
    """A request until its headers are there; from then on its shortcut or, without one, what Tornado has for it."""

    def __init__(self, shortcuts: Shortcuts, usual: Callable[[], HTTPMessageDelegate], connection: HTTP1Connection) -> None:
        self._shortcuts = shortcuts
        self._usual = usual
        self._connection = connection
        self._delegate: HTTPMessageDelegate | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)
        shortcut = self._shortcuts.get((start_line.method, start_line.path))
        taken = shortcut(start_line, headers, self._connection) if shortcut is not None else None
        self._delegate = taken if taken is not None else self._usual()
        return self._delegate.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        assert self._delegate is not None
        return self._delegate.data_received(chunk)

    def finish(self) -> None:
        assert self._delegate is not None
        self._delegate.finish()

    def on_connection_close(self) -> None:
        if self._delegate is not None:
            self._delegate.on_connection_close()


def pattern(path: str) -> str:
    """Return a route's path as a regular expression: a `{name}` is one segment, `{file}` one of the dashboard's files."""
    parts = re.split(r"(\{\w+\})", path)
    return "".join(_FILES if part == "{file}" else "([^/]+)" if part.startswith("{") else re.escape(part) for part in parts)
