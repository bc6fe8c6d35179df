"""The server's side of one HTTP request, on Tornado's `HTTPMessageDelegate`.

An endpoint judges a request when its headers are read: an unknown key, a wrong content type or a declared length past the limit
is answered before the body is awaited, and the answer reaches a client that is still sending (`lingering_close`).
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
from collections.abc import Awaitable
from typing import ClassVar, Final

from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine
from tornado.iostream import StreamClosedError

from tether_rt.errors import TetherError, Unavailable
from tether_rt.http.exchange import Exchange
from tether_rt.http.headers import PREFLIGHT, declared_bytes_of, require_plain_json
from tether_rt.http.lingering_close import lingering_close
from tether_rt.http.request_body import PACE_BYTES, TOO_SLOW, Body, RequestBody, too_large
from tether_rt.http.responses import CLIENT_LEFT, Response, public_error_of

SMALL_BODY_BYTES: Final = 64 * 1024


class Endpoint(HTTPMessageDelegate):
    """Takes one request. A subclass says who may send it (`authorize`) and what the answer is (`respond`)."""

    methods: ClassVar[tuple[str, ...]] = ()
    """The methods that it is routed for."""
    is_refused_while_draining = True
    """Whether it is answered 503 once the server stops."""
    takes_json = True
    """Whether a body must be declared as JSON. Where it is False, a body is read and dropped, whatever it is."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.context = exchange.context
        self._refusal: Response | None = None
        self._unread_bytes: int | None = None
        """How much of the body has not arrived; None where that is not known."""

    @property
    def max_body_bytes(self) -> int:
        """The largest body that it takes."""
        return SMALL_BODY_BYTES

    async def authorize(self) -> None:
        """Judge the request's headers; raises a `TetherError`, `Unauthorized` for example, before the body is looked at."""

    async def respond(self) -> Response:
        """Return the answer to a request that is complete; what it raises is answered as an error."""
        raise NotImplementedError

    def end(self, status: int) -> None:
        """Note that the answer is out, or that there will be none; called once or more."""
        self.exchange.end(status)

    def require_media(self, declared_bytes: int | None) -> None:
        """Judge what the headers say of the body's form; raises `UnsupportedMedia`."""
        require_plain_json(self.exchange.request.headers)

    def refused(self, error: TetherError) -> None:
        """Note that the request is answered with this error."""

    def new_body(self, declared_bytes: int) -> Body:
        """Return what takes the body, of which so much was declared (0: not known); raises `Unavailable`."""
        context = self.context
        return RequestBody(context.budget, self.max_body_bytes, declared_bytes, self.cut_off, context.pace_window_s)

    def cut_off(self) -> None:
        """Answer a client that has stopped sending, and close."""
        self._send(self.exchange.error_response(TOO_SLOW), last=True)
        self.exchange.connection.finish()
        self.end(TOO_SLOW.status)

    def take_body(self) -> bytearray:
        """Return the whole body and let go of it. Its size stays in the budget until the end of the answer."""
        return self.exchange.body.take() if self.exchange.body is not None else bytearray()

    # ------------------------------------------------------------------ called by Tornado

    async def headers_received(self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders) -> None:
        """Judge the request by its headers and make room for its body."""
        try:
            self._unread_bytes = declared_bytes_of(self.exchange.request)
            if self.context.draining and self.is_refused_while_draining:
                raise Unavailable("The server is shutting down; send the request again.", retry_after_s=2)
            await self.authorize()
            if self._unread_bytes != 0:
                self._expect_body(self._unread_bytes)
        except Exception as error:
            refusal = self._response_to(error)
            if self._unread_bytes == 0:
                self._refusal = refusal  # sent by `finish`: an answer from here would make Tornado close the connection
            else:
                await self._respond_early(refusal)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Keep a piece of the body, or refuse the rest of it."""
        if self.exchange.body is None:  # answered early; Tornado goes on with what the stream had read before it was closed
            return None
        if self._unread_bytes is not None:
            self._unread_bytes -= len(chunk)
        try:
            working = self.exchange.body.add(chunk)
        except TetherError as error:
            return self._respond_early(self._response_to(error))
        return None if working is None else self._worked_on(working)

    def finish(self) -> None:
        """Begin to answer: the request is complete."""
        if self.exchange.is_over:
            return
        if self.exchange.body is not None:
            self.exchange.body.complete()
        self._answering = asyncio.create_task(self._answer())

    def on_connection_close(self) -> None:
        """Give up: the client left before its request was complete."""
        self.end(CLIENT_LEFT)

    # ------------------------------------------------------------------

    def _expect_body(self, declared_bytes: int | None) -> None:
        if declared_bytes is not None and declared_bytes > self.max_body_bytes:
            raise too_large(self.max_body_bytes)
        if self.takes_json:
            self.require_media(declared_bytes)
        body = self.exchange.body = self.new_body(declared_bytes or 0)
        if body.max_s is not None:
            self.exchange.connection.set_body_timeout(body.max_s)
        elif declared_bytes is not None and declared_bytes <= PACE_BYTES:
            # `RequestBody` gives it two windows. Tornado's own limit could not come first, and costs 23 µs.
            self.exchange.connection.set_body_timeout(None)  # type: ignore[arg-type]  # None is the default
        # Tornado's own limit would be answered with an error that is not JSON; ours is exact.
        self.exchange.connection.set_max_body_size(1 << 62)

    async def _worked_on(self, working: Awaitable[None]) -> None:
        """Wait for the work on a piece, and refuse the rest of the body if it fails."""
        try:
            await working
        except Exception as error:
            if not self.exchange.is_over:
                await self._respond_early(self._response_to(error))

    async def _answer(self) -> None:
        try:
            if self.exchange.organization_id is not None:
                await self.context.turns.turn(self.exchange.organization_id)
            response = self._refusal or await self.respond()
        except Exception as error:
            response = self._response_to(error)
        self._send(response)
        self.exchange.connection.finish()
        self.end(response.status)

    def _response_to(self, error: Exception) -> Response:
        self.exchange.log_unexpected(error)
        public = public_error_of(500, error)
        self.refused(public)
        return self.exchange.error_response(public)

    async def _respond_early(self, response: Response) -> None:
        """Answer before the whole body is here and close, but read on for a while, so that the client sees the answer."""
        with contextlib.suppress(StreamClosedError):
            # Without `finish` of the connection, which would close it at once.
            await self._send(response, last=True)
        self.end(response.status)
        await lingering_close(self.exchange.connection.stream, self._unread_bytes)

    def _send(self, response: Response, *, last: bool = False) -> Awaitable[None]:
        status, content, own = response
        headers = {**self.exchange.response_headers(), **own}
        if status != http.HTTPStatus.NO_CONTENT:
            headers["Content-Length"] = str(len(content))
        if last or self.context.draining:
            headers["Connection"] = "close"
        start_line = ResponseStartLine("HTTP/1.1", status, http.client.responses[status])
        is_bare = self.exchange.request.method == "HEAD"
        return self.exchange.connection.write_headers(start_line, HTTPHeaders(headers), None if is_bare else content)


class Refusal(Endpoint):
    """Answers a request with one error, such as 404, as soon as its headers are read."""

    def __init__(self, exchange: Exchange, error: TetherError) -> None:
        super().__init__(exchange)
        self._error = error

    async def authorize(self) -> None:
        raise self._error


class Redirect(Endpoint):
    """Sends a browser to another address."""

    methods = ("GET", "HEAD")
    takes_json = False

    def __init__(self, exchange: Exchange, address: str) -> None:
        super().__init__(exchange)
        self._address = address

    async def respond(self) -> Response:
        return Response(http.HTTPStatus.PERMANENT_REDIRECT, b"", {"Location": self._address})


class Preflight(Endpoint):
    """Tells a browser what a page of an allowed origin may send (the Fetch standard's CORS preflight)."""

    is_refused_while_draining = False
    """Its page could not read the 503; that of the request which follows it can."""
    takes_json = False

    async def respond(self) -> Response:
        return Response(http.HTTPStatus.NO_CONTENT, b"", PREFLIGHT)
