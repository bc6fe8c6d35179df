"""A call that is here as a whole when its headers are read: taken without Tornado's request handler.

Nearly every call is: it is small, and its body comes with its headers. It needs none of the care that the handler takes of
bodies that trickle in, are too large or must be refused unread, and that care is a large part of what HTTP costs a call.
Whatever raises a question goes the handler's way (`handler`), which answers it; refused is here only what the pipeline refuses.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Final

import orjson
from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine

from tether_rt.domain.call import Caller
from tether_rt.errors import Unavailable, UnsupportedMedia
from tether_rt.http import responses
from tether_rt.http.context import HttpContext
from tether_rt.http.headers import Headers, bearer_token, require_plain_json
from tether_rt.http.server import arrived_bytes
from tether_rt.ingest.handler import note_ingest, outcome_response
from tether_rt.ingest.pipeline import Pipeline
from tether_rt.runtime.deadlines import Deadline

_QUESTIONS: Final = frozenset(("Transfer-Encoding", "Content-Encoding", "Expect", "Upgrade"))
_HOST: Final = re.compile(r"[A-Za-z0-9.:_\[\]-]+")
_LENGTH: Final = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)


class WholeCalls:
    """Finds the requests that are whole and raise no question; a `routing.Shortcut`."""

    def __init__(self, web: HttpContext, pipeline: Pipeline) -> None:
        self.web = web
        self.pipeline = pipeline

    def __call__(self, start: RequestStartLine, headers: HTTPHeaders, connection: HTTP1Connection) -> WholeCall | None:
        """Return what takes the request, or None where the handler is to judge it."""
        said = dict(headers)
        if (size_bytes := self._whole_bytes(start, said, connection)) is None:
            return None
        caller = self._caller(said)
        if caller is None:
            return None
        try:
            self.web.budget.reserve(size_bytes)
        except Unavailable:
            return None
        if self.web.key_rate is not None and self.web.key_rate.take(caller.user_id):
            self.web.budget.release(size_bytes)
            return None
        return WholeCall(self, connection, start.path, said, caller, size_bytes)

    def _whole_bytes(self, start: RequestStartLine, said: Headers, connection: HTTP1Connection) -> int | None:
        """Return how long the body is, if all of it is here and nothing else is to be asked about the request."""
        length = said.get("Content-Length", "")
        size_bytes = int(length) if _LENGTH.fullmatch(length) else 0
        is_whole = 0 < size_bytes <= min(arrived_bytes(connection), self.web.max_body_bytes)
        stays = start.version == "HTTP/1.1" and said.get("Connection", "keep-alive").lower() == "keep-alive"
        if not is_whole or not stays or self.web.draining:
            return None
        if not _QUESTIONS.isdisjoint(said) or not _HOST.fullmatch(said.get("Host", "")):
            return None
        try:
            require_plain_json(said)
        except UnsupportedMedia:
            return None
        return size_bytes

    def _caller(self, said: Headers) -> Caller | None:
        key = bearer_token(said)
        return self.web.identity.remembered_caller(key) if key else None


class WholeCall(HTTPMessageDelegate):
    """One such request: from its body to its answer, its line in the log and its metrics."""

    def __init__(
        self, calls: WholeCalls, connection: HTTP1Connection, path: str, said: Headers, caller: Caller, size_bytes: int
    ) -> None:
        self._started_s = time.perf_counter()
        self._web = calls.web
        self._pipeline = calls.pipeline
        self._connection = connection
        self._path = path
        self._request_id = responses.request_id_of(said)
        self._remote = self._web.remote_address_of(said, getattr(connection.context, "remote_ip", None) or "")
        self._caller = caller
        self._size_bytes = size_bytes
        self._body = bytearray()
        self._web.active.add(self)

    def headers_received(self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders) -> None:
        # What is here already is not waited for: Tornado's limit would only cost its timer. None is none, and what it has when
        # nobody sets one (`HTTP1ConnectionParameters`); the method's annotation alone forgot it.
        self._connection.set_body_timeout(None)  # type: ignore[arg-type]
        # Tornado's own limit would answer with an error that is not JSON; ours is known to hold.
        self._connection.set_max_body_size(self._size_bytes)

    def data_received(self, chunk: bytes) -> None:
        self._body += chunk

    def finish(self) -> None:
        self._taking = asyncio.create_task(self._take())

    def on_connection_close(self) -> None:
        self._end(responses.CLIENT_LEFT)

    async def _take(self) -> None:
        body, self._body = self._body, bytearray()
        more: dict[str, str] = {}
        try:
            status, payload = outcome_response(await self._pipeline.take(body, self._caller, Deadline()))
            content = orjson.dumps(payload)
        except Exception as error:
            status, content, more = self._refusal(error)
        if self._web.draining:
            more["Connection"] = "close"
        self._connection.write(responses.plain_answer(status, self._request_id, content, more=more))
        self._connection.finish()
        self._end(status)

    def _refusal(self, error: Exception) -> tuple[int, bytes, dict[str, str]]:
        # Apart, so that the frame in which the error was raised does not hold it: that would be a cycle.
        responses.log_unexpected(error, self._request_id, self._path)
        public_error = responses.public_error_of(500, error)
        self._web.count_limit(public_error)
        return public_error.status, responses.error_body(public_error), responses.error_headers(public_error)

    def _end(self, status: int) -> None:
        elapsed_s = time.perf_counter() - self._started_s
        organization_id = self._caller.organization_id
        self._web.log_request(
            self._request_id, "POST", self._path, status, elapsed_s, remote=self._remote, organization_id=organization_id
        )
        note_ingest(self._web.metrics, status, elapsed_s)
        self._web.budget.release(self._size_bytes)
        self._web.finish_request(self)
