"""What the log says of requests that were refused because a page of another site sent them.

Mostly that is an operator's mistake: a proxy that changes `Host` makes the server's own pages foreign.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest

from tether_rt.http.headers import Headers
from tether_rt.runtime.logs import log

LOG_EVERY_S: Final = 60.0
_MAX_CHARS: Final = 200
"""Of a header that is logged."""
_HOST_CHANGED: Final = (
    "If this origin is the server's own, its proxy changes the header Host: set `proxy_set_header Host $http_host;` in nginx, "
    "or the like in another proxy."
)
_NOT_ALLOWED: Final = "If pages of this origin are to use the server, name it in TETHER_ALLOWED_ORIGINS."
_LOG: Final = logging.getLogger("tether.http")


class RefusedPages:
    """Logs such refusals, one line a minute at most, with what would mend them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._quiet_until_s = 0.0
        self._refused = 0

    def note(self, request: HTTPServerRequest) -> None:
        """Log a refusal, with how many there were since the last line; or count it."""
        self._refused += 1
        now_s = self._clock()
        if now_s < self._quiet_until_s:
            return
        headers = request.headers
        origin = headers.get("Origin")
        log(
            _LOG,
            logging.WARNING,
            "page_refused",
            origin=origin[:_MAX_CHARS] if origin is not None else None,
            host=headers.get("Host", "")[:_MAX_CHARS],
            refused=self._refused,
            hint=hint(headers),
        )
        self._quiet_until_s = now_s + LOG_EVERY_S
        self._refused = 0


def hint(headers: Headers) -> str:
    """Return the sentence that says what to set if the page was to be let in."""
    return _HOST_CHANGED if _host_was_changed(headers) else _NOT_ALLOWED


def _host_was_changed(headers: Headers) -> bool:
    """Say if a proxy seems to have replaced `Host`, the page's own, by its own name for the server, or cut off the port."""
    origin, host = _name(headers.get("Origin", "")), _name(f"//{headers.get('Host', '')}")
    forwarded = _name(f"//{headers.get('X-Forwarded-Host', '').partition(',')[0].strip()}")
    if origin == "":
        return False
    is_behind_proxy = not _is_internal(origin) or "X-Forwarded-For" in headers
    return origin in (forwarded, host) or (_is_internal(host) and is_behind_proxy)


def _name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:  # such as "http://[", which no browser sends
        return ""


def _is_internal(name: str) -> bool:
    """Say if a host's name is one that only the network behind a proxy knows: a private address, or one word."""
    try:
        return not ip_address(name).is_global
    except ValueError:
        return "." not in name or name.endswith((".internal", ".local", ".localhost"))
