"""What the HTTP side of a process shares: identity, limits, and the requests that are active."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Final

from tether_rt.auth.identity import Identity
from tether_rt.auth.rate_limits import RateLimit
from tether_rt.auth.read_tokens import ReadTokens
from tether_rt.errors import TetherError, Unavailable
from tether_rt.http.headers import Headers, Networks, remote_address
from tether_rt.http.refused_pages import RefusedPages
from tether_rt.mongo.audit import AuditLog
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics
from tether_rt.runtime.round_robin import RoundRobin

WRITE_DEADLINE_S: Final = 30.0
PACE_WINDOW_S: Final = 10.0

_LOG: Final = logging.getLogger("tether.http")


class BodyBudget:
    """The bytes of request bodies that may be in memory at once, over all requests."""

    def __init__(self, limit_bytes: int, metrics: Metrics) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        metrics.bodies_bytes.set_function(lambda: self.held_bytes)

    def reserve(self, size: int) -> None:
        """Take `size` bytes; raises `Unavailable` when that would pass the limit."""
        if self.held_bytes + size > self.limit_bytes:
            raise Unavailable("The server is busy with other requests; send this one again shortly.", 1, limit="bodies")
        self.held_bytes += size

    def release(self, size: int) -> None:
        """Give `size` bytes back."""
        self.held_bytes -= size


@dataclass(slots=True)
class HttpContext:
    """Process-wide context of requests; one for the process, made by the composition root."""

    identity: Identity
    metrics: Metrics
    budget: BodyBudget
    max_body_bytes: int
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: Networks = ()
    key_rate: RateLimit[str] | None = None
    """How often one API key's user may call."""
    read_tokens: ReadTokens = field(kw_only=True)
    """Finds the read tokens of programs."""
    audit: AuditLog = field(kw_only=True)
    """Who did what."""
    base_path: str = field(default="", kw_only=True)
    """What stands in front of every path that is handed out."""
    write_deadline_s: float = WRITE_DEADLINE_S
    """How long the client of a streamed answer may take for 64 KB."""
    pace_window_s: float = PACE_WINDOW_S
    """In how much time a body has to make progress (`request_body`)."""
    leaving: bool = False
    """Set when the server is about to stop: it still serves, but is not ready, so that load balancers send no more."""
    draining: bool = False
    """Set when the server stops: from then on, requests are answered 503."""
    turns: RoundRobin = field(default_factory=RoundRobin)
    """By organization: one that floods does not make the others wait until all its requests are answered."""
    active: set[object] = field(default_factory=set)
    """Requests whose headers were read and whose answer is not out."""
    refused_pages: RefusedPages = field(default_factory=RefusedPages)
    _proxy_noted: bool = False

    def remote_address_of(self, headers: Headers, peer: str) -> str:
        """Return the address that a request of this peer comes from."""
        if not self.trusted_proxies and not self._proxy_noted and "X-Forwarded-For" in headers:
            # Behind a proxy that is not believed, all callers have one address and share the limits of one.
            self._proxy_noted = True
            log(_LOG, logging.WARNING, "proxy_not_trusted", proxy=peer, setting="TETHER_TRUSTED_PROXIES")
        return remote_address(headers, peer, self.trusted_proxies) if self.trusted_proxies else peer

    def count_limit(self, error: TetherError) -> None:
        """Count an error that says that a limit was met."""
        if error.limit is not None:
            self.metrics.limited.labels(error.limit).inc()
