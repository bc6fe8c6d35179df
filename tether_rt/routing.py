"""Which handler an address belongs to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from tornado.httputil import HTTPServerRequest
from tornado.web import Application, RequestHandler

Route = tuple[str, type[RequestHandler], dict[str, Any]]
"""A path as OpenAPI writes it, `/api/calls/{callId}`, its handler, and the parts that the handler is made with."""

_FILES: Final = r"((?:css|js|vendor)/.+|[^/]+\.(?:css|js|svg|png|ico|webmanifest))"


class Routed(Application):
    """The application of some routes. A path without variables is found by one look, not by trying each pattern in turn."""

    def __init__(self, routes: Sequence[Route], **settings: Any) -> None:
        super().__init__([(pattern(path), handler, parts) for path, handler, parts in routes], **settings)
        self._exact = {path: (handler, parts) for path, handler, parts in routes if "{" not in path}

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        if exact := self._exact.get(request.path):
            return self.get_handler_delegate(request, *exact)
        return super().find_handler(request, **kwargs)


def pattern(path: str) -> str:
    """Return a route's path as a regular expression: a `{name}` is one segment, `{file}` one of the dashboard's files."""
    parts = re.split(r"(\{\w+\})", path)
    return "".join(_FILES if part == "{file}" else "([^/]+)" if part.startswith("{") else re.escape(part) for part in parts)
