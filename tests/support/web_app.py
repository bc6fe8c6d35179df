"""A small web server of a test's own, on a port of the system's choice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def served(application: web.Application) -> AsyncIterator[int]:
    """Serve an application on 127.0.0.1 until the block ends; yield its port."""
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
