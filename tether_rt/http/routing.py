"""Which class answers a request, by its path and its method."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any, Final

from tornado.escape import url_unescape
from tornado.httputil import HTTPMessageDelegate, HTTPServerRequest
from tornado.routing import Router
from tornado.web import Application, RequestHandler

from tether_rt.errors import BadRequest, MethodNotAllowed, NotFound
from tether_rt.http.context import HttpContext
from tether_rt.http.endpoint import Endpoint, Preflight, Redirect, Refusal
from tether_rt.http.exchange import Exchange
from tether_rt.http.handlers import JsonHandler, RequestHandlerEndpoint
from tether_rt.http.headers import is_preflight, origin_form
from tether_rt.http.responses import NOT_UTF8, NOTHING_HERE

Route = tuple[str, type[Endpoint] | type[JsonHandler], dict[str, Any]]
"""A path as OpenAPI writes it, `/api/calls/{callId}`, the class that answers it, and the parts that it is made with."""

_FILES: Final = r"((?:css|js|vendor)/.+|[^/]+\.(?:css|js|svg|png|ico|webmanifest))"


_MOST_COMPARED_CHARS: Final = 64
_LIKENESS: Final = 0.8


class RouteTable(Router):
    """Finds the class that answers a request, and makes one of it with the parameters of the path.

    An `Endpoint` is made with the exchange, the parameters as text, and its parts; a `JsonHandler` gets the parameters as
    arguments of its method, as always in Tornado.
    """

    def __init__(self, context: HttpContext, routes: Sequence[Route]) -> None:
        self._context = context
        self._exact = {path: (path, target, parts) for path, target, parts in routes if "{" not in path}
        self._patterns = [(re.compile(pattern(path)), path, target, parts) for path, target, parts in routes if "{" in path]
        self._handlers = Application(log_function=lambda handler: None)  # a request is logged by its exchange

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate:
        """Return what takes this request; one that no route takes is refused."""
        if not request.path.startswith("/") and (form := origin_form(request.uri or "", request.headers.get("Host", ""))):
            request.uri = form
            request.path = form.partition("?")[0]
        redirect = self._without_base_path(request)
        exchange = Exchange(self._context, request)
        if redirect is not None and request.method in Redirect.methods:
            return Redirect(exchange, redirect)
        if is_preflight(request, self._context.allowed_origins):
            return Preflight(exchange)
        found = self._find(request.path)
        methods = allowed_methods(found[1]) if found is not None else ()
        if request.method not in (methods if found is not None else RequestHandler.SUPPORTED_METHODS):
            taken = f" It takes {', '.join(methods)}." if methods else ""
            return Refusal(exchange, MethodNotAllowed(f"This address does not take that method.{taken}", methods))
        if found is None:
            return Refusal(exchange, NotFound(NOTHING_HERE + self._meant(request.path), code="unknown_path"))
        exchange.route, target, parts, arguments = found
        if issubclass(target, JsonHandler):
            delegate = self._handlers.get_handler_delegate(request, target, {"exchange": exchange, **parts}, arguments)
            return RequestHandlerEndpoint(exchange, target, delegate)
        try:
            return target(exchange, *[argument.decode() for argument in arguments], **parts)
        except UnicodeDecodeError:
            return Refusal(exchange, BadRequest(NOT_UTF8, code="not_utf8"))

    def _without_base_path(self, request: HTTPServerRequest) -> str | None:
        """Take the path off that stands in front of ours; return where to redirect a request for that path alone.

        A request may come without it: a proxy has taken it off, or asks for `/healthz`.
        """
        base = self._context.base_path
        if base and request.path.startswith(f"{base}/"):
            request.path = request.path.removeprefix(base)
            request.uri = (request.uri or "").removeprefix(base)
        elif base and request.path == base:
            return f"{base}/{(request.uri or '').removeprefix(base)}"
        return None

    def _find(self, path: str) -> tuple[str, type[Endpoint] | type[JsonHandler], dict[str, Any], list[bytes]] | None:
        # A path without variables is found by one look, not by trying each pattern in turn.
        if exact := self._exact.get(path):
            return *exact, []
        for regex, route, target, parts in self._patterns:
            if match := regex.fullmatch(path):
                return route, target, parts, [url_unescape(text, encoding=None, plus=False) for text in match.groups()]
        return None

    def _meant(self, path: str) -> str:
        """Return a sentence with the address that was probably meant."""
        if len(path) > _MOST_COMPARED_CHARS:
            return ""
        plain = re.sub("/+", "/", path.lower()).rstrip("/")
        known = [one for one in self._exact if one.startswith("/api/")]
        close = [plain] if plain in known else difflib.get_close_matches(plain, known, 1, _LIKENESS)
        return f" Did you mean {self._context.base_path}{close[0]}?" if close else ""


def allowed_methods(target: type[Endpoint] | type[JsonHandler]) -> tuple[str, ...]:
    """Return the methods that a route's class answers."""
    if issubclass(target, Endpoint):
        return target.methods
    own = [
        name for name in target.SUPPORTED_METHODS if getattr(target, name.lower()) is not getattr(RequestHandler, name.lower())
    ]
    return tuple(name for name in own if name != "HEAD" or "GET" in own)


def pattern(path: str) -> str:
    """Return a route's path as a regular expression: a `{name}` is one segment, `{file}` one of the dashboard's files."""
    parts = re.split(r"(\{\w+\})", path)
    return "".join(_FILES if part == "{file}" else "([^/]+)" if part.startswith("{") else re.escape(part) for part in parts)
