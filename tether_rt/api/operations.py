"""What operators and developers look at: health, metrics, and the contract."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from tether_rt.errors import TetherError
from tether_rt.http.context import HttpContext
from tether_rt.http.handlers import JsonHandler
from tether_rt.runtime.metrics import Metrics

Check = Callable[[], Awaitable[None]]
"""Returns when a part can do its work, raises when it cannot."""

_CHECK_S: Final = 4.5
"""Longer than a check's own limits, so that its own words are told, and within the 5 s that everything is answered in."""


class HealthHandler(JsonHandler):
    """`GET /healthz`: the process is alive and its loop turns."""

    async def get(self) -> None:
        self.respond({"status": "ok"})


class ReadyHandler(JsonHandler):
    """`GET /readyz`: each part that serving needs, and whether it is there."""

    def initialize(self, web: HttpContext, checks: Mapping[str, Check]) -> None:  # type: ignore[override]
        super().initialize(web)
        self.checks = checks

    async def get(self) -> None:
        found = dict(zip(self.checks, await asyncio.gather(*map(_judge, self.checks.values())), strict=True))
        missing = [name for name, state in found.items() if state != "ok"]
        if missing:
            self.set_header("Retry-After", "2")
            error = f"Not ready: {', '.join(missing)}."
            self.respond({"success": False, "error": error, "ready": False, "checks": found}, 503)
            return
        self.respond({"success": True, "ready": True, "checks": found})


async def _judge(check: Check) -> str:
    try:
        async with asyncio.timeout(_CHECK_S):
            await check()
    except TimeoutError:
        return "no answer in time"
    except TetherError as error:
        return str(error)
    except Exception as error:  # a part that fails in a way nobody named is not ready either; its name is all that is told
        return f"failing ({type(error).__name__})"
    return "ok"


class MetricsHandler(JsonHandler):
    """`GET /metrics`: Prometheus' text format."""

    def initialize(self, web: HttpContext, metrics: Metrics) -> None:  # type: ignore[override]
        super().initialize(web)
        self.metrics = metrics

    async def get(self) -> None:
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish(self.metrics.exposition())


class DocumentHandler(JsonHandler):
    """`GET /openapi.json` and `/asyncapi.json`: the contract as it is checked."""

    def initialize(self, web: HttpContext, document: bytes) -> None:  # type: ignore[override]
        super().initialize(web)
        self.document = document

    async def get(self) -> None:
        self.set_header("Cache-Control", "no-cache")
        self.set_header("Access-Control-Allow-Origin", "*")
        self.finish(self.document)
