"""Waiting for what announces itself by nothing: a thread's work, another process'."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable


async def eventually(condition: Callable[[], object | Awaitable[object]]) -> None:
    """Return once the condition, a plain function or a coroutine function, returns something true; fail after a minute.

    A minute is many times as long as anything takes that tests wait for.
    """
    async with asyncio.timeout(60):
        while True:
            result = condition()
            if await result if inspect.isawaitable(result) else result:
                return
            await asyncio.sleep(0.01)
