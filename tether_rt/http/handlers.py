"""The base classes of Tornado's request handlers, which answer every route but those that are an `Endpoint` of their own."""

from __future__ import annotations

import asyncio
import http
import logging
from collections.abc import Callable, Coroutine, Mapping
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine
from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from tether_rt.auth.identity import Session
from tether_rt.auth.read_tokens import Reader
from tether_rt.domain.audit import Detail, What
from tether_rt.errors import ReaderTooSlow, TetherError
from tether_rt.http import responses
from tether_rt.http.callers import require_reader
from tether_rt.http.endpoint import Endpoint
from tether_rt.http.exchange import Exchange
from tether_rt.http.headers import NOTHING_MAY_RUN
from tether_rt.runtime.logs import log

_LOG: Final = logging.getLogger("tether.http")
_WRITE_BYTES: Final = 64 * 1024
"""What a reader has to take within the write deadline."""
_Handler = TypeVar("_Handler", bound="JsonHandler")
_P = ParamSpec("_P")


class RequestHandlerEndpoint(Endpoint):
    """Reads a request's body within its limits, then has Tornado run the route's `JsonHandler`."""

    def __init__(self, exchange: Exchange, handler: type[JsonHandler], delegate: HTTPMessageDelegate) -> None:
        super().__init__(exchange)
        self.takes_json = exchange.request.method in handler.body_methods
        self._delegate = delegate

    async def headers_received(self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders) -> None:
        if not self.takes_json:
            headers.pop("Content-Type", None)  # of a body that is dropped; Tornado would parse a form
        self._start = start_line, headers
        await super().headers_received(start_line, headers)

    def finish(self) -> None:
        if self._refusal is not None or self.exchange.is_over:
            super().finish()
            return
        body = self.take_body()
        self._delegate.headers_received(*self._start)
        self._delegate.data_received(bytes(body) if self.takes_json else b"")
        self._delegate.finish()


class JsonHandler(RequestHandler):
    """The base of every handler: one error shape, the headers of every answer, one line in the log.

    `prepare` calls `authorize` once the request is complete; a body of one of the `body_methods` is JSON of at most 64 KB in
    `request.body`.
    """

    body_methods: tuple[str, ...] = ()
    content_security_policy = NOTHING_MAY_RUN

    def initialize(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.context = exchange.context
        self.deadline = exchange.deadline
        self._headers_are_out = False
        self.set_default_headers()

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        if exchange := vars(self).get("exchange"):  # Tornado calls this before `initialize` as well
            for name, value in exchange.response_headers(self.content_security_policy).items():
                self.set_header(name, value)

    def compute_etag(self) -> str | None:
        """Return None: an answer that is never stored (`no-store`) needs no ETag, which Tornado would make by hashing it."""
        return None

    async def prepare(self) -> None:
        """Judge who asks, before the method is called."""
        await self.authorize()

    async def authorize(self) -> None:
        """Judge who asks; a subclass raises `Unauthorized` here. It waits for MongoDB within `deadline`."""

    # ------------------------------------------------------------------ the answer

    async def head(self, *args: Any, **kwargs: Any) -> None:
        """Answer as to GET, without the content, which Tornado leaves out (RFC 9110 section 9.3.2)."""
        await self.get(*args, **kwargs)  # type: ignore[misc]

    def respond(self, payload: Any, status: int = 200) -> None:
        """Answer with `payload` as JSON, times as `2026-05-15T09:12:34.000Z`."""
        self.set_status(status)
        self.send(responses.to_json(payload))

    def send(self, content: bytes) -> None:
        """Answer with text, compressed where the client takes that and it does not hold the event loop."""
        self.add_header("Vary", "Accept-Encoding")
        compressed = responses.gzipped(content, self.request.headers.get("Accept-Encoding", ""))
        if compressed is not None:
            self.set_header("Content-Encoding", "gzip")
        self.finish(compressed or content)

    async def stream(self, content: bytes) -> None:
        """Send the next part of a long answer, and wait until the client has taken it, but for what fits into the kernel.

        Raises `ReaderTooSlow` for a client that does not take 64 KB within `context.write_deadline_s`, and `StreamClosedError`
        when the client has left. Either ends the answer; leave both to `send_error`.
        """
        for start in range(0, len(content), _WRITE_BYTES):
            self.write(content[start : start + _WRITE_BYTES])
            try:
                async with asyncio.timeout(self.context.write_deadline_s):
                    await self.flush()
            except TimeoutError as error:
                raise ReaderTooSlow("The client stopped reading the answer.") from error

    def flush(self, include_footers: bool = False) -> asyncio.Future[None]:
        """Send what was written, as Tornado does; the headers go first."""
        if not self._headers_are_out:
            self._headers_are_out = True
            if self.context.draining and self.get_status() != http.HTTPStatus.SWITCHING_PROTOCOLS:
                self.set_header("Connection", "close")
        return super().flush(include_footers)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with the error that was raised, in the one JSON shape."""
        status, content, headers = self.exchange.error_response(_public_error(status_code, **kwargs))
        self.set_status(status)
        for name, value in headers.items():
            self.set_header(name, value)
        self.finish(content)

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Answer with an error; cut the connection where the answer has begun.

        Tornado would end an answer that has begun as if it were whole.
        """
        if not self._headers_are_out:
            super().send_error(status_code, **kwargs)
            return
        error = _public_error(status_code, **kwargs)
        if not isinstance(kwargs.get("exc_info", (None, None))[1], StreamClosedError):
            self.set_status(error.status)
            log(
                _LOG,
                logging.WARNING,
                "response_aborted",
                requestId=self.exchange.request_id,
                path=self.request.path,
                reason=str(error),
            )
        self.exchange.connection.close()
        self.on_finish()

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Log an error that nobody expected, in the place of Tornado's method."""
        if value is not None:
            self.exchange.log_unexpected(value)

    def on_finish(self) -> None:
        """End the exchange."""
        self.exchange.end(self.get_status())


class SessionHandler(JsonHandler):
    """A handler for signed-in people: a session token as Bearer, or the session cookie from an allowed origin.

    Where `permissions.ROUTES` names a scope it is for programs with a read token as well.
    """

    reader: Reader

    async def authorize(self) -> None:
        """Find the session or the read token, which may do this; raises as `require_reader`."""
        self.reader = await require_reader(self.exchange)

    @property
    def session(self) -> Session:
        """The session, on a route that no read token opens."""
        assert isinstance(self.reader, Session), "the route has no scope"
        return self.reader

    async def record(
        self,
        what: What,
        *,
        call_id: str | None = None,
        contact_id: str | None = None,
        details: Mapping[str, Detail] | None = None,
    ) -> None:
        """Write an entry of the audit log; what cannot be recorded is not answered."""
        own = self.reader
        user_id, token_id = (own.user_id, None) if isinstance(own, Session) else (None, own.id)
        await self.context.audit.add(
            own.organization_id,
            what,
            user_id,
            door="page" if token_id is None else "token",
            token_id=token_id,
            call_id=call_id,
            contact_id=contact_id,
            details=details,
        )


def within_deadline(
    method: Callable[Concatenate[_Handler, _P], Coroutine[Any, Any, None]],
) -> Callable[Concatenate[_Handler, _P], Coroutine[Any, Any, None]]:
    """Bound a method that waits for MongoDB alone by what is left of the request's `deadline`; raises `Unavailable`."""

    @wraps(method)
    async def bounded(handler: _Handler, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        async with handler.deadline:
            await method(handler, *args, **kwargs)

    return bounded


def _public_error(status_code: int, **kwargs: Any) -> TetherError:
    return responses.public_error_of(status_code, kwargs.get("exc_info", (None, None))[1])
