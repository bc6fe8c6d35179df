"""What every answer has in common: its headers, JSON, compression, and the one shape of errors."""

from __future__ import annotations

import gzip
import http
import logging
import re
import secrets
import time
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson
from tornado.httputil import format_timestamp
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, MissingArgumentError

from tether_rt.domain.call import iso_ms
from tether_rt.errors import BadRequest, Code, MethodNotAllowed, NotFound, TetherError, TooLarge
from tether_rt.http.headers import NOTHING_MAY_RUN, SECURITY
from tether_rt.mongo.client import unavailable

CLIENT_LEFT: Final = 499
"""Logged and counted, never sent: the client closed the connection before its request was complete (a number of nginx's)."""
NOTHING_HERE: Final = "There is nothing at this address."
NOT_UTF8: Final = "The address holds text that is not valid UTF-8."
GZIP_LEAST_BYTES: Final = 1024
"""Below it, what compressing saves is lost in its headers."""
GZIP_MOST_BYTES: Final = 64 * 1024
"""Compressing that takes 2 ms of the event loop; above it, an answer is sent as it is."""

_LOG: Final = logging.getLogger("tether.http")
_STANDING: Final = {"Content-Type": "application/json", **SECURITY, "Cache-Control": "no-store"}
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PLAIN: Final = {
    400: "The request is not valid HTTP for this address.",
    404: NOTHING_HERE,
    500: "Something went wrong here; the request may be sent again.",
}

_CODES: Final[Mapping[int, Code]] = {kind.status: kind.code for kind in (NotFound, MethodNotAllowed, TooLarge)}
"""Of what Tornado refuses by a status alone."""


class Response(NamedTuple):
    """An answer that is sent in one piece; `headers` are those beside the ones that every answer has."""

    status: int
    content: bytes
    headers: Mapping[str, str] = MappingProxyType({})


def request_id_of(headers: Mapping[str, str]) -> str:
    """Return what a request is called in the log and in its answer: what its caller calls it, if that is a plain word."""
    given = headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def default_headers(policy: str = NOTHING_MAY_RUN) -> dict[str, str]:
    """Return what every answer has beside its request's id; `policy` is its Content-Security-Policy."""
    return {**_STANDING, "Date": _http_date(int(time.time())), "Content-Security-Policy": policy}


@lru_cache(1)
def _http_date(now_s: int) -> str:
    return format_timestamp(now_s)


def public_error_of(status_code: int, raised: BaseException | None) -> TetherError:
    """Return the error that the caller gets for an exception; `status_code` is used if the exception implies none."""
    if isinstance(raised, TetherError):
        return raised
    if isinstance(raised, MissingArgumentError):
        return BadRequest(f"Missing query parameter: {raised.arg_name}", code="missing_field", field=raised.arg_name)
    if raised is not None:
        away = unavailable(raised)
        if away is not None:
            return away
    if status_code == 400 and isinstance(raised, HTTPError):
        return BadRequest(NOT_UTF8, code="not_utf8")
    error = TetherError(
        _PLAIN.get(status_code, f"{http.HTTPStatus(status_code).phrase}."),
        code=_CODES.get(status_code, "bad_request" if 400 <= status_code < 500 else "internal_error"),
    )
    error.status = status_code
    return error


def error_payload(error: TetherError, request_id: str) -> dict[str, Any]:
    """Return an error in the one shape, `{success, error, code, requestId}`; a `BadRequest` adds `field` and `errors`."""
    payload: dict[str, Any] = {"success": False, "error": str(error), "code": error.code, "requestId": request_id}
    if isinstance(error, BadRequest):
        payload["field"] = error.field
        payload["errors"] = [fault._asdict() for fault in error.faults]
    return payload


def error_response(error: TetherError, request_id: str) -> Response:
    """Return the answer to a request that failed."""
    headers = dict(error.headers)
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.status == http.HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(error.status, orjson.dumps(error_payload(error, request_id)), headers)


def to_json(payload: Any) -> bytes:
    """Return a value as JSON, times as `2026-05-15T09:12:34.000Z`."""
    return orjson.dumps(payload, default=_json_value, option=orjson.OPT_PASSTHROUGH_DATETIME)


def _json_value(value: object) -> str:
    if isinstance(value, datetime):
        return iso_ms(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


def gzipped(content: bytes, accept_encoding: str) -> bytes | None:
    """Return `content` compressed; None where the client does not take that or the size is not worth it or takes too long."""
    if "gzip" not in accept_encoding or not GZIP_LEAST_BYTES <= len(content) <= GZIP_MOST_BYTES:
        return None
    return gzip.compress(content, 6, mtime=0)


def log_unexpected(error: BaseException, request_id: str, path: str) -> None:
    """Log what nobody expected, with its trace; a refusal is an outcome and has its request's line."""
    if not isinstance(error, (TetherError, HTTPError, StreamClosedError)) and not unavailable(error):
        _LOG.error("unexpected_error", exc_info=error, extra={"fields": {"requestId": request_id, "path": path}})
