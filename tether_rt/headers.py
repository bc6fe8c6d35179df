"""What a request's headers say, judged: whose page sent it, who is calling, how long its body is and of what kind. Pure."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest

from tether_rt.errors import BadRequest, UnsupportedMedia

SESSION_COOKIE: Final = "tether_session"


def bearer_token(request: HTTPServerRequest) -> str | None:
    """Return the token of `Authorization: Bearer <token>` (RFC 6750 section 2.1; the scheme's case does not matter)."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def origin_allowed(request: HTTPServerRequest, allowed_origins: tuple[str, ...]) -> bool:
    """Say if the request's `Origin` is the server's own or one of the allowed; a request without one is not from a page."""
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    if origin in allowed_origins:
        return True
    try:
        host = urlsplit(origin).netloc
    except ValueError:  # such as "http://[", which no browser sends
        return False
    return host.lower() == request.headers.get("Host", "").lower() != ""


def arrived_over_tls(request: HTTPServerRequest) -> bool:
    """Say if the caller's side of the connection, before a proxy that ends TLS, was HTTPS."""
    return (
        request.protocol == "https"
        or request.headers.get("X-Forwarded-Proto", "").strip().lower() == "https"
        or request.headers.get("Origin", "").startswith("https://")
    )


def declared_bytes_of(request: HTTPServerRequest) -> int | None:
    """Return the body's length, None when it is chunked; raises `BadRequest` when the headers leave that open."""
    length = request.headers.get("Content-Length")
    coding = request.headers.get("Transfer-Encoding")
    if coding is not None:
        # Two lengths for one message are how a request is smuggled past a proxy (RFC 9112 section 6.3).
        if length is not None or coding.lower() != "chunked":
            raise BadRequest("Send Content-Length or Transfer-Encoding: chunked, and only one of them")
        return None
    if length is None:
        return 0
    if not re.fullmatch(r"[0-9]{1,18}", length, re.ASCII):
        raise BadRequest("Content-Length must be one whole number")
    return int(length)


def require_plain_json(request: HTTPServerRequest) -> None:
    """Raise `UnsupportedMedia` unless the body is declared as JSON, or as nothing, and is not compressed."""
    kind = request.headers.get("Content-Type")
    if kind is not None and kind.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMedia("Content-Type must be application/json")
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise UnsupportedMedia("The body must be sent uncompressed: leave Content-Encoding out")
