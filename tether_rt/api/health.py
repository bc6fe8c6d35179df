"""Health and metrics, for operators and their load balancers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from tether_rt.errors import TetherError, Unavailable
from tether_rt.http.exchange import Exchange
from tether_rt.http.handlers import JsonHandler
from tether_rt.http.responses import error_payload
from tether_rt.runtime.metrics import Metrics

Check = Callable[[], Awaitable[None]]
"""Returns when a part can do its work, raises when it cannot."""

_CHECK_S: Final = 4.5
"""Longer than a check's own limits, so that its own sentence is shown, and within the 5 s in which everything is answered."""
_REMEMBER_S: Final = 1.0
"""Anybody may ask, and a check writes to MongoDB or to the disk."""


class HealthHandler(JsonHandler):
    """`GET /healthz`: the process is alive and its event loop runs."""

    async def get(self) -> None:
        self.respond({"status": "ok"})


class RememberedCheck:
    """A check whose outcome holds for a second; callers that come while it runs share its outcome."""

    def __init__(self, check: Check, report: Callable[[bool], None], remember_s: float = _REMEMBER_S) -> None:
        """`report` is told each outcome."""
        self._check = check
        self._report = report
        self._remember_s = remember_s
        self._asking: asyncio.Task[str] | None = None
        self._holds_until_s = 0.0

    def ask(self) -> asyncio.Task[str]:
        """Start the check unless one is under way or its outcome holds; return the task that has the outcome."""
        if self._asking is None or (self._asking.done() and time.monotonic() >= self._holds_until_s):
            self._asking = asyncio.create_task(self._ask())
        return self._asking

    async def state(self) -> str:
        """Return `ok`, or what is wrong in one sentence."""
        return await asyncio.shield(self.ask())

    async def _ask(self) -> str:
        state = await self._outcome()
        self._report(state == "ok")
        self._holds_until_s = time.monotonic() + self._remember_s
        return state

    async def _outcome(self) -> str:
        try:
            async with asyncio.timeout(_CHECK_S):
                await self._check()
        except TimeoutError:
            return "no answer in time"
        except TetherError as error:
            return str(error)
        except Exception as error:  # a part that fails in an unknown way is not ready either; only the error's name is shown
            return f"failing ({type(error).__name__})"
        return "ok"


class ReadyHandler(JsonHandler):
    """`GET /readyz`: each part that serving needs, and whether it is there."""

    def initialize(self, exchange: Exchange, checks: Mapping[str, RememberedCheck]) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.checks = checks

    async def get(self) -> None:
        states = await asyncio.gather(*[check.state() for check in self.checks.values()])
        found = dict(zip(self.checks, states, strict=True))
        if self.context.leaving:
            found["process"] = "the server is about to stop"
        missing = [name for name, state in found.items() if state != "ok"]
        if missing:
            self.set_header("Retry-After", "2")
            error = error_payload(Unavailable(f"Not ready: {', '.join(missing)}."), self.exchange.request_id)
            self.respond({**error, "ready": False, "checks": found}, 503)
            return
        self.respond({"success": True, "ready": True, "checks": found})


class MetricsHandler(JsonHandler):
    """`GET /metrics`: Prometheus' text format."""

    def initialize(  # type: ignore[override]
        self, exchange: Exchange, metrics: Metrics, checks: Mapping[str, RememberedCheck]
    ) -> None:
        super().initialize(exchange)
        self.metrics = metrics
        self.checks = checks

    async def get(self) -> None:
        for check in self.checks.values():
            check.ask()  # for the next scrape: this one does not wait for a part that is away
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send(self.metrics.exposition())
