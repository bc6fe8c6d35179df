"""What all handlers of a process share: who is asked about callers, the limits, and what is in flight right now."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final

from tornado.web import RequestHandler

from tether_rt.auth.identity import Identity
from tether_rt.auth.rate_limits import RateLimit
from tether_rt.errors import TetherError, Unavailable
from tether_rt.http.headers import Headers, Networks, remote_address
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics, labelled

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
    """What handlers need from the composition root; one for the process."""

    identity: Identity
    metrics: Metrics
    budget: BodyBudget
    max_body_bytes: int
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: Networks = ()
    key_rate: RateLimit[str] | None = None
    """How often one API key's user may call."""
    draining: bool = False
    active: set[object] = field(default_factory=set)
    """Requests whose headers were read and whose answer is not out."""
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while draining once `active` is empty."""
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

    def log_request(
        self,
        request_id: str,
        method: str,
        path: str,
        status: int,
        elapsed_s: float,
        *,
        remote: str,
        organization_id: str | None,
    ) -> None:
        """Write an answered request's one log line and its metrics."""
        # A caller may make up any number of methods, and each would be a series for ever.
        known = method if method in RequestHandler.SUPPORTED_METHODS else "other"
        labelled(self.metrics.requests, known, str(status)).inc()
        labelled(self.metrics.request_s, known).observe(elapsed_s)
        log(
            _LOG,
            logging.INFO,
            "request",
            requestId=request_id,
            method=method,
            path=path,
            status=status,
            ms=round(elapsed_s * 1000, 1),
            remote=remote,
            organizationId=organization_id,
        )

    async def drain(self) -> None:
        """Take no more requests and return when those in flight are answered."""
        self.draining = True
        if self.active:
            await self.idle.wait()

    def finish_request(self, request: object) -> None:
        """Note that a request is no longer in flight; idempotent."""
        self.active.discard(request)
        if self.draining and not self.active:
            self.idle.set()
