"""What every HTTP handler shares: one JSON error shape, request ids, body limits, security headers, one log line.

Bodies are streamed (`stream_request_body`) for one reason: a request is judged when its headers are read. An unknown key,
a wrong content type or a declared length past the limit is answered before the body is awaited, and the answer reaches a
client that is still sending (`_answer_and_linger`).
"""

from __future__ import annotations

import asyncio
import http
import logging
import re
import secrets
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from tornado.httputil import HTTPServerRequest
from tornado.iostream import IOStream, StreamClosedError
from tornado.web import Finish, HTTPError, MissingArgumentError, RequestHandler, stream_request_body

from tether_rt.errors import (
    BadRequest,
    Forbidden,
    NotFound,
    TetherError,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnsupportedMedia,
)
from tether_rt.identity import Identity, Session
from tether_rt.ops import Metrics, log
from tether_rt.store.client import unavailable

SESSION_COOKIE: Final = "tether_session"
SMALL_BODY_BYTES: Final = 64 * 1024
LINGER_S: Final = 10.0
LINGER_BYTES: Final = 256 * 1024 * 1024
"""How long and how much an early-answered client may go on sending before the connection is cut: closing at once would make
the kernel send a reset, which throws away the answer that the client has not read yet (RFC 9112 section 9.6)."""

_LOG: Final = logging.getLogger("tether.http")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PLAIN: Final = {
    400: "The request is not valid HTTP for this address.",
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
    500: "Something went wrong here; the request may be sent again.",
}


class BodyBudget:
    """The bytes of request bodies that may be in memory at once, over all requests."""

    def __init__(self, limit_bytes: int, metrics: Metrics) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self._gauge = metrics.bodies_bytes

    def reserve(self, size: int) -> None:
        """Take `size` bytes; raises `Unavailable` when that would pass the limit."""
        if self.held_bytes + size > self.limit_bytes:
            raise Unavailable("The server is busy with other requests; send this one again shortly.", retry_after_s=1)
        self.held_bytes += size
        self._gauge.set(self.held_bytes)

    def release(self, size: int) -> None:
        """Give `size` bytes back."""
        self.held_bytes -= size
        self._gauge.set(self.held_bytes)


@dataclass(slots=True)
class Web:
    """What handlers need from the composition root; one for the process."""

    identity: Identity
    metrics: Metrics
    budget: BodyBudget
    max_body_bytes: int
    allowed_origins: tuple[str, ...] = ()
    draining: bool = False
    active: set[RequestHandler] = field(default_factory=set)
    """Requests whose headers were read and whose answer is not out."""
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while draining once `active` is empty."""
    lingering: set[asyncio.Task[None]] = field(default_factory=set)

    async def drain(self) -> None:
        """Take no more requests and return when those in flight are answered."""
        self.draining = True
        if self.active:
            await self.idle.wait()

    def leave(self, handler: RequestHandler) -> None:
        """Note that a request is no longer in flight; idempotent."""
        self.active.discard(handler)
        if self.draining and not self.active:
            self.idle.set()


def origin_allowed(request: HTTPServerRequest, allowed_origins: tuple[str, ...]) -> bool:
    """Say if the request's `Origin` is the server's own or one of the allowed; a request without one is not from a page."""
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    if origin in allowed_origins:
        return True
    return urlsplit(origin).netloc.lower() == request.headers.get("Host", "").lower() != ""


def arrived_over_tls(request: HTTPServerRequest) -> bool:
    """Say if the caller's side of the connection, before a proxy that ends TLS, was HTTPS."""
    return (
        request.protocol == "https"
        or request.headers.get("X-Forwarded-Proto", "").strip().lower() == "https"
        or request.headers.get("Origin", "").startswith("https://")
    )


@stream_request_body
class JsonHandler(RequestHandler):
    """The base of every handler. A subclass sets `max_body_bytes` and `authorize`, and answers with `answer`."""

    takes_body = False
    content_security_policy = "default-src 'none'; frame-ancestors 'none'"

    def initialize(self, web: Web) -> None:
        self.web = web
        self.started_s = time.perf_counter()
        self.organization_id: str | None = None
        self._body: bytearray | None = None
        self._reserved_bytes = 0
        self._overflowed = False
        self._answer_status: int | None = None
        web.active.add(self)

    def set_default_headers(self) -> None:
        given = self.request.headers.get("X-Request-Id", "")
        self.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        self.set_header("X-Request-Id", self.request_id)
        self.set_header("Content-Type", "application/json")
        self.set_header("Content-Security-Policy", self.content_security_policy)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("X-Frame-Options", "DENY")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Cross-Origin-Opener-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")
        self.clear_header("Server")

    def compute_etag(self) -> str | None:
        """Answers with data are never stored (`no-store`), so hashing them for an ETag would be work for nothing."""
        return None

    # ------------------------------------------------------------------ before the body

    async def authorize(self) -> None:
        """Judge the headers; a subclass raises `Unauthorized` here, before anything about the body is said."""

    async def prepare(self) -> None:
        """Judge the request by its headers alone and make room for its body."""
        try:
            if self.web.draining:
                self.set_header("Connection", "close")
                raise Unavailable("The server is shutting down; send the request again.", retry_after_s=2)
            await self.authorize()
            self._expect_body()
        except TetherError as error:
            if not self._has_body():
                raise
            await self._answer_and_linger(error)

    def _has_body(self) -> bool:
        return self._declared_bytes() != 0

    def _declared_bytes(self) -> int | None:
        """Return the body's length, or None when it is chunked."""
        if "Transfer-Encoding" in self.request.headers:
            return None
        try:
            return int(self.request.headers.get("Content-Length", "0"))
        except ValueError as error:
            raise BadRequest("Content-Length must be one whole number") from error

    @property
    def max_body_bytes(self) -> int:
        """The largest body this handler takes."""
        return SMALL_BODY_BYTES

    def _expect_body(self) -> None:
        declared = self._declared_bytes()
        limit = self.max_body_bytes
        if declared is not None and declared > limit:
            raise TooLarge(f"The body is too large: {_megabytes(limit)} is the limit.")
        if self.takes_body and declared != 0:
            self._judge_content_type()
            self.web.budget.reserve(declared or 0)
            self._reserved_bytes = declared or 0
            self._body = bytearray()
        # Tornado's own limit would answer with an error that is not JSON; ours above is exact.
        self.request.connection.set_max_body_size(1 << 62)  # type: ignore[union-attr]

    def _judge_content_type(self) -> None:
        kind = self.request.headers.get("Content-Type")
        if kind is not None and kind.partition(";")[0].strip().lower() != "application/json":
            raise UnsupportedMedia("Content-Type must be application/json")
        coding = self.request.headers.get("Content-Encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise UnsupportedMedia("The body must be sent uncompressed: leave Content-Encoding out")

    async def _answer_and_linger(self, error: TetherError) -> None:
        """Answer now and close, but read what is still being sent for a while, so that the answer is not lost."""
        self._fill_error(error)
        if self.request.headers.get("Expect", "").lower() == "100-continue":
            self.finish()  # nothing is being sent, the client waits for our word (RFC 9110 section 10.1.1)
            return
        body = b"".join(self._write_buffer)
        self.set_header("Content-Length", str(len(body)))
        self.set_header("Connection", "close")
        try:
            await self.flush()
        except StreamClosedError:
            self.on_finish()
            return
        stream = self.detach()
        self.on_finish()
        task = asyncio.create_task(_linger(stream))
        self.web.lingering.add(task)
        task.add_done_callback(self.web.lingering.discard)

    # ------------------------------------------------------------------ the body

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Keep a piece of the body, within the limit; a body that nobody wants is read and dropped."""
        if self._body is None or self._overflowed:
            return None
        needed = len(self._body) + len(chunk)
        try:
            if needed > self.max_body_bytes:
                raise TooLarge(f"The body is too large: {_megabytes(self.max_body_bytes)} is the limit.")
            if needed > self._reserved_bytes:
                self.web.budget.reserve(needed - self._reserved_bytes)
                self._reserved_bytes = needed
        except TetherError as error:
            return self._answer_midway(error)
        self._body += chunk
        return None

    async def _answer_midway(self, error: TetherError) -> None:
        """Answer while a chunked body is still arriving; `body` ends the handler once it has been read to its end."""
        self._overflowed = True
        self._release_body()
        self._fill_error(error)
        self.set_header("Content-Length", str(sum(map(len, self._write_buffer))))
        self.set_header("Connection", "close")
        self.request.connection.set_body_timeout(LINGER_S)  # type: ignore[union-attr]
        await self.flush()

    def take_body(self) -> bytearray:
        """Return the whole body; the handler's own reference is let go so that memory is free once the caller is done."""
        if self._overflowed:
            raise Finish
        body, self._body = self._body, None
        return body if body is not None else bytearray()

    def _release_body(self) -> None:
        self._body = None
        if self._reserved_bytes:
            self.web.budget.release(self._reserved_bytes)
            self._reserved_bytes = 0

    # ------------------------------------------------------------------ the answer

    def answer(self, payload: Any, status: int = 200) -> None:
        """Answer with `payload` as JSON."""
        self.set_status(status)
        self.finish(orjson.dumps(payload, option=orjson.OPT_UTC_Z))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Turn whatever was raised into the one JSON error shape: the only place that does."""
        self._fill_error(_as_tether_error(status_code, kwargs.get("exc_info")))
        self.finish()

    def _fill_error(self, error: TetherError) -> None:
        self.set_status(error.status)
        if error.retry_after_s is not None:
            self.set_header("Retry-After", str(error.retry_after_s))
        if error.status == http.HTTPStatus.UNAUTHORIZED:
            self.set_header("WWW-Authenticate", "Bearer")
        if error.status == http.HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(_methods(type(self))))
        self.set_header("Content-Type", "application/json")
        self._write_buffer = []
        self.write(orjson.dumps({"success": False, "error": str(error)}))

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Log what nobody expected, with its trace; a refusal is an outcome and has its request line."""
        if isinstance(value, (TetherError, HTTPError, StreamClosedError)) or (value and unavailable(value)):
            return
        _LOG.error(
            "unexpected_error",
            exc_info=(typ, value, tb) if value else None,
            extra={"fields": {"requestId": self.request_id, "path": self.request.path}},
        )

    def on_connection_close(self) -> None:
        """The caller left before the answer was out."""
        super().on_connection_close()
        self._done()

    def on_finish(self) -> None:
        """Write the request's one log line and its metrics."""
        elapsed_s = time.perf_counter() - self.started_s
        status = self.get_status()
        self.web.metrics.requests.labels(self.request.method or "", str(status)).inc()
        self.web.metrics.request_s.labels(self.request.method or "").observe(elapsed_s)
        log(
            _LOG,
            logging.INFO,
            "request",
            requestId=self.request_id,
            method=self.request.method,
            path=self.request.path,
            status=status,
            ms=round(elapsed_s * 1000, 1),
            remote=self.request.remote_ip,
            organizationId=self.organization_id,
        )
        self._done()

    def _done(self) -> None:
        self._release_body()
        self.web.leave(self)


class SessionHandler(JsonHandler):
    """A handler for signed-in people: a session token as Bearer, or the session cookie from an allowed origin."""

    session: Session

    async def authorize(self) -> None:
        """Find the session; raises `Unauthorized` or, for a cookie from another site's page, `Forbidden`."""
        token = bearer_token(self.request)
        if token is None:
            token = self.get_cookie(SESSION_COOKIE)
            if token and not origin_allowed(self.request, self.web.allowed_origins):
                raise Forbidden("Requests from pages of another site are not taken.")
        session = await self.web.identity.session(token) if token else None
        if session is None:
            raise Unauthorized("Sign in first: the session is missing, expired or ended.")
        self.session = session
        self.organization_id = session.organization_id


class NotFoundHandler(JsonHandler):
    """Answers every address that no route has."""

    async def authorize(self) -> None:
        """Refuse at once, whatever the method."""
        raise NotFound(_PLAIN[404])


def bearer_token(request: HTTPServerRequest) -> str | None:
    """Return the token of `Authorization: Bearer <token>` (RFC 6750 section 2.1; the scheme's case does not matter)."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _as_tether_error(status_code: int, exc_info: Any) -> TetherError:
    raised = exc_info[1] if exc_info else None
    if isinstance(raised, TetherError):
        return raised
    if isinstance(raised, MissingArgumentError):
        return BadRequest(f"Missing query parameter: {raised.arg_name}")
    if raised is not None:
        away = unavailable(raised)
        if away is not None:
            return away
    if status_code == 400 and isinstance(raised, HTTPError):
        return BadRequest("The address holds text that is not valid UTF-8.")
    error = TetherError(_PLAIN.get(status_code, f"{http.HTTPStatus(status_code).phrase}."))
    error.status = status_code
    return error


def _methods(handler: type[RequestHandler]) -> list[str]:
    return [
        name
        for name in handler.SUPPORTED_METHODS
        if getattr(handler, name.lower()) is not getattr(RequestHandler, name.lower())
    ]


def _megabytes(size: int) -> str:
    return f"{size >> 20} MB" if size >= 1 << 20 else f"{size >> 10} KB"


async def _linger(stream: IOStream) -> None:
    """Read and drop what the client still sends, within `LINGER_S` and `LINGER_BYTES`, then close."""
    dropped = 0
    try:
        async with asyncio.timeout(LINGER_S):
            while dropped < LINGER_BYTES:
                dropped += len(await stream.read_bytes(65536, partial=True))
    except (StreamClosedError, TimeoutError):
        pass  # the client has closed, or had its time: both are the end that was waited for
    finally:
        stream.close()
