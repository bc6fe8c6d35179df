"""Ending parts that must not keep each other from it: each within a time, and a failure of one is only logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from tether_rt.runtime.logs import log

Closers = list[tuple[str, Callable[[], Awaitable[None]]]]
"""Parts, each with what closes it."""
_LOG: Final = logging.getLogger("tether.app")


async def close_all(closers: Closers, within_s: float | None) -> None:
    """Close parts side by side. One that fails or takes longer than `within_s` (None: no limit) is logged as `close_failed`."""

    async def close_one(part: str, close: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(within_s):
                await close()
        except Exception as error:  # whatever it is, the other parts must be closed as well
            log(_LOG, logging.ERROR, "close_failed", part=part, reason=repr(error))

    await asyncio.gather(*(close_one(part, close) for part, close in closers))


async def cut_off(within_s: float, part: str, work: Awaitable[None]) -> None:
    """Wait for the last work of a part; past `within_s` it is cancelled, and logged as `drain_cut_off`."""
    try:
        async with asyncio.timeout(within_s):
            await work
    except TimeoutError:
        log(_LOG, logging.WARNING, "drain_cut_off", part=part, afterS=round(within_s, 1))


async def through_cancellation(work: Awaitable[None]) -> None:
    """Wait for work that must be done although this task is cancelled; the cancellation goes on when it is."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
