"""What an answer looks like, whoever writes it: its standing headers, an error as the one JSON shape, a small one as bytes."""

from __future__ import annotations

import http
import logging
import re
import secrets
import time
from collections.abc import Mapping
from functools import lru_cache
from http.client import responses
from types import MappingProxyType
from typing import Final

import orjson
from tornado.httputil import format_timestamp
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, MissingArgumentError

from tether_rt.errors import BadRequest, TetherError
from tether_rt.http.headers import NOTHING_MAY_RUN, SECURITY
from tether_rt.mongo.client import unavailable

CLIENT_LEFT: Final = 499
"""Logged and counted, never sent: the caller closed the connection before the request was complete (a number nginx made up)."""
NOTHING_HERE: Final = "There is nothing at this address."

_LOG: Final = logging.getLogger("tether.http")
_STANDING: Final = {"Content-Type": "application/json", **SECURITY, "Cache-Control": "no-store"}
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PLAIN: Final = {
    400: "The request is not valid HTTP for this address.",
    404: NOTHING_HERE,
    405: "This address does not take that method.",
    500: "Something went wrong here; the request may be sent again.",
}


def request_id_of(headers: Mapping[str, str]) -> str:
    """Return what a request is called in the log and in its answer: what its caller calls it, if that is a plain word."""
    given = headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def default_headers(policy: str = NOTHING_MAY_RUN) -> dict[str, str]:
    """Return what every answer has beside its request's id; `policy` is its Content-Security-Policy."""
    return {**_STANDING, "Date": _http_date(int(time.time())), "Content-Security-Policy": policy}


def plain_answer(
    status: int,
    request_id: str,
    body: bytes,
    *,
    policy: str = NOTHING_MAY_RUN,
    more: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """Return a small answer as it is sent; `more` are headers of its own.

    Tornado formats, encodes and checks each header by itself, and asks about ETags and compression. A header block that is
    encoded already goes the way of a body (`HTTPConnection.write` says so), for a third of the time.
    """
    own = "".join(f"{name}: {value}\r\n" for name, value in more.items())
    head = (
        f"{_beginning(status, policy, int(time.time()))}X-Request-Id: {request_id}\r\n{own}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("latin-1") + body


@lru_cache(8)
def _beginning(status: int, policy: str, now_s: int) -> str:
    lines = [f"HTTP/1.1 {status} {responses[status]}", *map(": ".join, default_headers(policy).items())]
    return "\r\n".join([*lines, ""])


@lru_cache(1)
def _http_date(now_s: int) -> str:
    return format_timestamp(now_s)


def public_error_of(status_code: int, raised: BaseException | None) -> TetherError:
    """Return what the caller is told of whatever was raised; `status_code` is for what has none of its own."""
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


def error_headers(error: TetherError) -> dict[str, str]:
    """Return what an error's answer says beside its sentence."""
    headers = dict(error.headers)
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.status == http.HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def error_body(error: TetherError) -> bytes:
    """Return the one JSON error shape."""
    return orjson.dumps({"success": False, "error": str(error)})


def log_unexpected(error: BaseException, request_id: str, path: str) -> None:
    """Log what nobody expected, with its trace; a refusal is an outcome and has its request's line."""
    if not isinstance(error, (TetherError, HTTPError, StreamClosedError)) and not unavailable(error):
        _LOG.error("unexpected_error", exc_info=error, extra={"fields": {"requestId": request_id, "path": path}})
