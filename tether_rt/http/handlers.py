"""What every HTTP handler shares: one JSON error shape, request ids, body limits, security headers, one log line.

Bodies are streamed (`stream_request_body`) for one reason: a request is judged when its headers are read. An unknown key,
a wrong content type or a declared length past the limit is answered before the body is awaited, and the answer reaches a
client that is still sending (`lingering_close`).
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import cached_property, partial
from typing import Any, Final, NoReturn

import orjson
from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders
from tornado.iostream import IOStream, StreamClosedError
from tornado.web import GZipContentEncoding, HTTPError, RequestHandler, stream_request_body

from tether_rt.auth.identity import Session
from tether_rt.domain.call import iso_ms
from tether_rt.errors import Forbidden, NotFound, TetherError, Unauthorized, Unavailable
from tether_rt.http import responses
from tether_rt.http.context import HttpContext
from tether_rt.http.headers import (
    NOTHING_MAY_RUN,
    SESSION_COOKIE,
    bearer_token,
    declared_bytes_of,
    from_foreign_page,
    require_plain_json,
)
from tether_rt.http.lingering_close import lingering_close
from tether_rt.http.request_body import PACE_BYTES, TOO_SLOW, RequestBody, too_large
from tether_rt.runtime.deadlines import Deadline

SMALL_BODY_BYTES: Final = 64 * 1024


@stream_request_body
class JsonHandler(RequestHandler):
    """The base of every handler. A subclass sets `max_body_bytes` and `authorize`, and answers with `respond`."""

    takes_body = False
    answers_in_time = False
    """Whether the whole method waits for MongoDB alone and shares the request's patience with `authorize`; where it does more,
    it says itself what is to be done in time."""
    content_security_policy = NOTHING_MAY_RUN

    def initialize(self, web: HttpContext) -> None:
        self.web = web
        self.started_s = time.perf_counter()
        self.organization_id: str | None = None
        self.remote = web.remote_address_of(self.request.headers, self.request.remote_ip or "")
        self.deadline = Deadline()
        self._body: RequestBody | None = None
        self._headers_judged = self._ended = False
        web.active.add(self)

    def clear(self) -> None:
        """Begin the answer anew, in the place of Tornado's method, which makes and checks its headers at once."""
        if not hasattr(self, "request_id"):  # Tornado clears again for an error; the log has named the id by then
            self.request_id = responses.request_id_of(self.request.headers)
        vars(self).pop("_headers", None)
        self._write_buffer = []
        self.set_status(200)

    @cached_property
    def _headers(self) -> HTTPHeaders:  # type: ignore[override]
        """The answer's headers, made when the first is named: those that every answer has are all that most have.

        Tornado has an attribute here. This is one, too, that can be set and deleted; mypy takes it for a property that cannot.
        """
        return HTTPHeaders({**responses.default_headers(self.content_security_policy), "X-Request-Id": self.request_id})

    def compute_etag(self) -> str | None:
        """Answers with data are never stored (`no-store`), so hashing them for an ETag would be work for nothing."""
        return None

    # ------------------------------------------------------------------ before the body

    async def authorize(self) -> None:
        """Judge the headers; a subclass raises `Unauthorized` here, before anything about the body is said.

        What it waits for MongoDB is to come out of the request's patience.
        """

    async def prepare(self) -> None:
        """Judge the request by its headers alone and make room for its body."""
        self._headers_judged = True
        declared_bytes: int | None = None
        try:
            declared_bytes = declared_bytes_of(self.request)
            if self.web.draining:
                raise Unavailable("The server is shutting down; send the request again.", retry_after_s=2)
            await self.authorize()
            self._expect_body(declared_bytes)
            if self.answers_in_time:
                self._replace_method(partial(self._in_time, self._method()))
        except Exception as error:
            if declared_bytes == 0:
                # Raised in the method's place: an answer from here would make Tornado close the connection.
                self._replace_method(partial(_refuse, error))
            else:
                self.log_exception(type(error), error, error.__traceback__)
                status = error.status_code if isinstance(error, HTTPError) else 500
                await self._answer_early(responses.public_error_of(status, error))

    def _method(self) -> Callable[..., Awaitable[None] | None]:
        found: Callable[..., Awaitable[None] | None] = getattr(self, (self.request.method or "").lower())
        return found

    def _replace_method(self, method: Callable[..., Awaitable[None] | None]) -> None:
        setattr(self, (self.request.method or "").lower(), method)

    async def _in_time(self, method: Callable[..., Awaitable[None] | None], *args: str) -> None:
        async with self.deadline:
            answering = method(*args)
            if answering is not None:
                await answering

    @property
    def max_body_bytes(self) -> int:
        """The largest body this handler takes."""
        return SMALL_BODY_BYTES

    def _expect_body(self, declared_bytes: int | None) -> None:
        if declared_bytes is not None and declared_bytes > self.max_body_bytes:
            raise too_large(self.max_body_bytes)
        if self.takes_body and declared_bytes != 0:
            require_plain_json(self.request.headers)
            self._body = RequestBody(self.web.budget, self.max_body_bytes, declared_bytes or 0, self._cut_off)
            if declared_bytes is not None and declared_bytes <= PACE_BYTES:
                # Two windows are all it has: Tornado's own limit for a body could not come first, and costs 23 µs.
                self.request.connection.set_body_timeout(None)  # type: ignore[union-attr]
        # Tornado's own limit would answer with an error that is not JSON; ours above is exact.
        self.request.connection.set_max_body_size(1 << 62)  # type: ignore[union-attr]

    async def _answer_early(self, error: TetherError) -> None:
        """Answer before the body has been read and close, but read on for a while, so that the answer is not lost."""
        await lingering_close(await self._send_refusal(error))

    async def _send_refusal(self, error: TetherError) -> IOStream:
        stream: IOStream = self.request.connection.stream  # type: ignore[union-attr]
        self._fill_error(error)
        self._transforms = []  # compression would wait for an end that is not written
        self.set_header("Content-Length", str(sum(map(len, self._write_buffer))))
        self.set_header("Connection", "close")
        with contextlib.suppress(StreamClosedError):
            await self.flush()
        self.on_finish()
        return stream

    # ------------------------------------------------------------------ the body

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Keep a piece of the body; a body that nobody wants is read and dropped."""
        try:
            is_others_turn = self._body is None or self._body.add(chunk)
        except TetherError as error:
            return self._answer_early(error)
        return asyncio.sleep(0) if is_others_turn else None

    def _cut_off(self) -> None:
        if not self.request._body_future.done():
            self._cutting_off = asyncio.create_task(self._refuse_and_close())

    async def _refuse_and_close(self) -> None:
        (await self._send_refusal(TOO_SLOW)).close()

    def take_body(self) -> bytearray:
        """Return the whole body; the handler's own reference is let go so that memory is free once the caller is done.

        What it weighs stays in the budget until the answer is made, even for a caller who has left by then.
        """
        return self._body.take() if self._body is not None else bytearray()

    # ------------------------------------------------------------------ the answer

    async def head(self, *args: Any, **kwargs: Any) -> None:
        """Answer as to GET, without the content, which Tornado leaves out (RFC 9110 section 9.3.2)."""
        await self.get(*args, **kwargs)  # type: ignore[misc]

    def respond(self, payload: Any, status: int = 200) -> None:
        """Answer with `payload` as JSON, times as `2026-05-15T09:12:34.000Z`."""
        self.set_status(status)
        self._announce_close()
        body = orjson.dumps(payload, default=_in_json, option=orjson.OPT_PASSTHROUGH_DATETIME)
        if len(body) < GZipContentEncoding.MIN_LENGTH and self._is_plain():
            self._finish_at_once(body)
        else:
            self.finish(body)

    def _is_plain(self) -> bool:
        """Say if there is nothing to ask about the answer: it is the first, its connection stays, and no header is its own."""
        request = self.request
        usual = request.method == "POST" and request.version == "HTTP/1.1" and not self._finished
        stays = request.headers.get("Connection", "keep-alive").lower() == "keep-alive"
        return usual and stays and vars(self).keys().isdisjoint(("_headers", "_new_cookie"))

    def _finish_at_once(self, body: bytes) -> None:
        """Do what `finish` does to a small and plain answer (`plain_answer`)."""
        connection = self.request.connection
        assert isinstance(connection, HTTP1Connection)
        self._headers_written = self._finished = True
        connection.set_close_callback(None)
        connection.write(responses.plain_answer(self.get_status(), self.request_id, body, policy=self.content_security_policy))
        connection.finish()
        self.on_finish()
        self._break_cycles()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Turn whatever was raised into the one JSON error shape: the only place that does."""
        self._fill_error(responses.public_error_of(status_code, kwargs.get("exc_info", (None, None))[1]))
        self.finish()

    def _announce_close(self) -> None:
        # Not judged: Tornado has refused the request by its method or address, and closes.
        if self.web.draining or not self._headers_judged:
            self.set_header("Connection", "close")

    def _fill_error(self, error: TetherError) -> None:
        self.set_status(error.status)
        self._announce_close()
        for name, value in responses.error_headers(error).items():
            self.set_header(name, value)
        self.web.count_limit(error)
        if error.status == http.HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(allowed_methods(type(self))))
        self.set_header("Content-Type", "application/json")
        self._write_buffer = []
        self.write(responses.error_body(error))

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Log what nobody expected, in the place of Tornado's method."""
        if value is not None:
            responses.log_unexpected(value, self.request_id, self.request.path)

    def on_connection_close(self) -> None:
        """The caller left. Whoever has the whole request works on to `on_finish`; one that is not complete ends here."""
        incomplete = not self.request._body_future.done()
        super().on_connection_close()
        if incomplete and not self._ended:
            RequestHandler.on_connection_close(self)  # `WebSocketHandler` does not call it
            self.set_status(responses.CLIENT_LEFT, "Client Closed Request")
            self.on_finish()

    def on_finish(self) -> None:
        """Write the request's one log line and its metrics, and give back what it held."""
        self._ended = True
        self.web.log_request(
            self.request_id,
            self.request.method or "",
            self.request.path,
            self.get_status(),
            time.perf_counter() - self.started_s,
            remote=self.remote,
            organization_id=self.organization_id,
        )
        if self._body is not None:
            self._body.release()
            self._body = None
        self.web.finish_request(self)


class SessionHandler(JsonHandler):
    """A handler for signed-in people: a session token as Bearer, or the session cookie from an allowed origin."""

    answers_in_time = True
    session: Session

    async def authorize(self) -> None:
        """Find the session; raises `Unauthorized` or, for a cookie from another site's page, `Forbidden`."""
        token = bearer_token(self.request.headers)
        if token is None:
            token = self.get_cookie(SESSION_COOKIE)
            if token and from_foreign_page(self.request, self.web.allowed_origins):
                raise Forbidden("Requests from pages of another site are not taken.")
        session = await self.web.identity.session(token, self.deadline) if token else None
        if session is None:
            raise Unauthorized("Sign in first: the session is missing, expired or ended.")
        self.session = session
        self.organization_id = session.organization_id


class NotFoundHandler(JsonHandler):
    """Answers every address that no route has."""

    async def authorize(self) -> None:
        """Refuse at once, whatever the method."""
        raise NotFound(responses.NOTHING_HERE)


def _refuse(error: Exception, *_: Any) -> NoReturn:
    raise error


def allowed_methods(handler: type[RequestHandler]) -> list[str]:
    """Return the methods that a handler answers."""
    own = [
        name
        for name in handler.SUPPORTED_METHODS
        if getattr(handler, name.lower()) is not getattr(RequestHandler, name.lower())
    ]
    return [name for name in own if name != "HEAD" or "GET" in own]


def _in_json(value: object) -> str:
    if isinstance(value, datetime):
        return iso_ms(value)
    raise TypeError(f"{type(value).__name__} is no JSON")
