"""One request and its answer: who sent it, what is held for it, and its one line in the log."""

from __future__ import annotations

import logging
import time
from typing import Final, cast

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler

from tether_rt.errors import TetherError
from tether_rt.http import responses
from tether_rt.http.context import HttpContext
from tether_rt.http.headers import NOTHING_MAY_RUN, cross_origin_headers, origin_of
from tether_rt.http.request_body import Body
from tether_rt.runtime.deadlines import Deadline
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import labelled

_LOG: Final = logging.getLogger("tether.http")


class Exchange:
    """One request, from its headers to the end of its answer, whatever class answers it."""

    def __init__(self, context: HttpContext, request: HTTPServerRequest) -> None:
        self.context = context
        self.request = request
        self.started_s = time.perf_counter()
        self.request_id = responses.request_id_of(request.headers)
        self.remote = context.remote_address_of(request.headers, request.remote_ip or "")
        self.deadline = Deadline()
        """How long this request may still wait for MongoDB."""
        self.route = ""
        """The path of the route that takes it, as in the table of routes; empty for none."""
        self.organization_id: str | None = None
        """Whose request it is, once that is known."""
        self.body: Body | None = None
        """What has arrived of its body; None where it has none."""
        self.error: TetherError | None = None
        """Why the request failed, if it did."""
        self.is_over = False
        context.active.add(self)

    @property
    def connection(self) -> HTTP1Connection:
        """The connection that the request came on."""
        return cast(HTTP1Connection, self.request.connection)

    @property
    def server_address(self) -> str:
        """The server's address as the client wrote it, such as `https://calls.example.com/tether`."""
        return origin_of(self.request) + self.context.base_path

    def response_headers(self, policy: str = NOTHING_MAY_RUN) -> dict[str, str]:
        """Return the headers that every answer has; `policy` is its Content-Security-Policy."""
        return {
            **responses.default_headers(policy),
            "X-Request-Id": self.request_id,
            **cross_origin_headers(self.request.headers, self.context.allowed_origins),
        }

    def error_response(self, error: TetherError) -> responses.Response:
        """Return the answer to a request that failed; count it by its code, and by the limit that it met, if any."""
        self.error = error
        labelled(self.context.metrics.errors, error.code).inc()
        self.context.count_limit(error)
        return responses.error_response(error, self.request_id)

    def log_unexpected(self, error: BaseException) -> None:
        """Log an error that is no `TetherError`, with its traceback."""
        responses.log_unexpected(error, self.request_id, self.request.path)

    def end(self, status: int) -> None:
        """Write the request's line in the log and its metrics, and give back what it held. Idempotent."""
        if self.is_over:
            return
        self.is_over = True
        elapsed_s = time.perf_counter() - self.started_s
        method = self.request.method or ""
        # A caller may make up any number of methods, and each would be a time series for ever.
        known = method if method in RequestHandler.SUPPORTED_METHODS else "other"
        labelled(self.context.metrics.requests, known, str(status)).inc()
        labelled(self.context.metrics.request_s, known).observe(elapsed_s)
        log(
            _LOG,
            logging.INFO,
            "request",
            requestId=self.request_id,
            method=method,
            path=self.request.path,
            status=status,
            ms=round(elapsed_s * 1000, 1),
            remote=self.remote,
            organizationId=self.organization_id,
            # Not the sentence: it may propose a number. Deliveries keep it.
            **({"code": self.error.code} if self.error is not None else {}),
        )
        if self.body is not None:
            self.body.release()
            self.body = None
        self.context.active.discard(self)
