"""Rules about headers: credentials, origins, the caller's address, and the length and type of a body. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeGuard
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest

from tether_rt.errors import BadRequest, UnsupportedMedia

_DEFAULT_PORT: Final = {"http": ":80", "https": ":443"}

SESSION_COOKIE: Final = "tether_session"

SECURITY: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""The security headers of every answer, beside its Content-Security-Policy."""
NOTHING_MAY_RUN: Final = "default-src 'none'; frame-ancestors 'none'"

PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PATCH, PUT, DELETE",
    "Access-Control-Allow-Headers": (
        "Authorization, Cache-Control, Content-Type, If-None-Match, Last-Event-ID, Prefer, Range, X-Request-Id"
    ),
    "Access-Control-Max-Age": "600",
}
"""The answer to a preflight request of an allowed origin (Fetch, "CORS-preflight request").

It is the same for every address: what an address does not take is refused by a 404 or 405, which the page may then read.
"""
_EXPOSED: Final = (
    "Accept-Ranges, Allow, Content-Disposition, Content-Range, Date, ETag, Preference-Applied, Retry-After, WWW-Authenticate, "
    "X-Request-Id"
)
"""What a page of an allowed origin may read of an answer's headers, beside those that every page may (Fetch, "CORS-safelisted
response-header name")."""

Headers = Mapping[str, str]
"""By their names as Tornado writes them, `Content-Type`."""
Networks = tuple[IPv4Network | IPv6Network, ...]


def bearer_token(headers: Headers) -> str | None:
    """Return the token of `Authorization: Bearer <token>` (RFC 6750 section 2.1; the scheme's case does not matter)."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def session_cookie(headers: Headers) -> str | None:
    """Return the session's token in the cookie.

    Of two cookies of that name, of a server at / and of one below a path, browsers send the one of the longer path first
    (RFC 6265 section 5.4).
    """
    for pair in headers.get("Cookie", "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == SESSION_COOKIE:
            return value or None
    return None


_PREFERENCE: Final = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*(?:=\s*(?:""\s*)?)?(?:;|\Z)')
_OUTSIDE_QUOTES: Final = re.compile(r'((?:[^,"]|"(?:[^"\\]|\\.)*"?)+)')


def prefers(headers: Headers, preference: str) -> bool:
    """Say if `Prefer` has a preference that has no value; its parameters are ignored (RFC 7240 section 2)."""
    found = map(_PREFERENCE.match, _OUTSIDE_QUOTES.findall(headers.get("Prefer", "")))
    return any(one is not None and one[1].lower() == preference for one in found)


def origin_allowed(request: HTTPServerRequest, allowed_origins: tuple[str, ...]) -> bool:
    """Return True if the request's `Origin` is the server's own, or one of the allowed, or absent: then no page sent it.

    The server's own origin has the request's host and port. Its scheme is not known behind a proxy that ends TLS without
    `X-Forwarded-Proto`.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    if _is_listed(origin, allowed_origins):
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:  # such as "http://[", which no browser sends
        return False
    schemes = ("https",) if _said_to_be_tls(request) else ("http", "https")
    host = _authority(parts.scheme, request.headers.get("Host", ""))
    return parts.scheme in schemes and _authority(parts.scheme, parts.netloc) == host != ""


def plain_origin(origin: str) -> str:
    """Return an origin without the default port of its scheme, as browsers write it (RFC 6454 section 6.2)."""
    return origin.removesuffix(_DEFAULT_PORT.get(origin.partition("://")[0], ""))


def origin_form(target: str, host: str) -> str | None:
    """Return the path and query of a request target in absolute form (RFC 9112 section 3.2.2), None if it is none.

    It is none of ours either if it names another host than the header `Host`, which no client does that keeps to the RFC.
    """
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or _authority(parts.scheme, parts.netloc) != _authority(parts.scheme, host):
        return None
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _authority(scheme: str, text: str) -> str:
    """Return a host and port in lower case, without the port if it is the scheme's own."""
    return text.lower().removesuffix(_DEFAULT_PORT.get(scheme, ""))


def _is_listed(origin: str | None, allowed_origins: tuple[str, ...]) -> TypeGuard[str]:
    return origin is not None and plain_origin(origin) in allowed_origins


def from_foreign_page(request: HTTPServerRequest, allowed_origins: tuple[str, ...]) -> bool:
    """Return True if the browser says that a page of another site sent this request.

    A GET may come without an `Origin`. Then `Sec-Fetch-Site` decides (W3C Fetch Metadata), also for other sites of the same
    domain, whose requests bring the cookie. An address that was typed, or a link that was followed, counts as no page.
    """
    if not origin_allowed(request, allowed_origins):
        return True
    headers = request.headers
    if "Origin" in headers or headers.get("Sec-Fetch-Mode") == "navigate":
        return False
    return headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")


def cross_origin_headers(headers: Headers, allowed_origins: tuple[str, ...]) -> dict[str, str]:
    """Return the CORS headers that let a page of an allowed origin read the answer; none for other pages."""
    if not allowed_origins:
        return {}
    origin = headers.get("Origin")
    if not _is_listed(origin, allowed_origins):
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": _EXPOSED,
    }


def is_preflight(request: HTTPServerRequest, allowed_origins: tuple[str, ...]) -> bool:
    """Return True for a CORS preflight request of a page of an allowed origin."""
    headers = request.headers
    return (
        request.method == "OPTIONS"
        and _is_listed(headers.get("Origin"), allowed_origins)
        and "Access-Control-Request-Method" in headers
    )


def arrived_over_tls(request: HTTPServerRequest) -> bool:
    """Return True if the client used HTTPS, also if a proxy in front of the server ends TLS."""
    return _said_to_be_tls(request) or request.headers.get("Origin", "").startswith("https://")


def origin_of(request: HTTPServerRequest) -> str:
    """Return the server's origin as the client wrote it, such as `https://calls.example.com`."""
    return f"{'https' if arrived_over_tls(request) else 'http'}://{request.host}"


def _said_to_be_tls(request: HTTPServerRequest) -> bool:
    # Each proxy may append its own; the first is the one that the client spoke to.
    said = request.headers.get("X-Forwarded-Proto", "").partition(",")[0]
    return request.protocol == "https" or said.strip().lower() == "https"


def networks(texts: Iterable[str]) -> Networks:
    """Return addresses and networks as networks; raises `ValueError` for a text that is neither."""
    return tuple(ip_network(text) for text in texts)


def remote_address(headers: Headers, peer: str, proxies: Networks) -> str:
    """Return the client's address: the peer or, if that is a trusted proxy, the first address before it that is not one.

    Each proxy appends its own peer to `X-Forwarded-For`. So the header is read from the right, and only as far as its authors
    are trusted proxies; a client may have made up the rest.
    """
    address = peer
    for heard in reversed(headers.get("X-Forwarded-For", "").split(",")):
        known = _address(address)
        if known is None or not any(known in network for network in proxies):
            break
        said = _address(_without_port(heard.strip()))
        if said is None:
            break
        address = str(said)
    return address


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _without_port(text: str) -> str:
    """Some proxies write 192.0.2.1:4711 and [2001:db8::1]:4711 (RFC 7239 section 6 has the like)."""
    bracketed = re.fullmatch(r"\[(.*)\](:[0-9]+)?", text)
    return bracketed[1] if bracketed else re.sub(r"\A([^:]+):[0-9]+\Z", r"\1", text)


def declared_bytes_of(request: HTTPServerRequest) -> int | None:
    """Return the body's length in bytes, None if it is chunked; raises `BadRequest` if the headers are not clear about it."""
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


def require_plain_json(headers: Headers) -> None:
    """Raise `UnsupportedMedia` unless the body is uncompressed and has the type JSON or none."""
    kind = headers.get("Content-Type")
    if kind is not None and kind.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMedia("Content-Type must be application/json")
    coding = headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise UnsupportedMedia("The body must be sent uncompressed: leave Content-Encoding out")
