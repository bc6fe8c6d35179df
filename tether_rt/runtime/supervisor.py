"""Long-lived work under one roof: started together, started again when it fails, never left behind."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from tether_rt.runtime.metrics import log

_LOG: Final = logging.getLogger("tether.supervisor")
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
SETTLED_S: Final = 60.0
"""Work that ran for so long did not fail of what it failed of before: its pauses begin anew."""


class Supervisor:
    """Runs `async run()` methods until it is closed; one that raises is logged and begun again after a pause with jitter."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Start `run` and keep it running."""
        task = asyncio.create_task(self._keep(name, run), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.current_task()
        assert task is not None
        pause_s = FIRST_PAUSE_S
        while True:
            began_s = time.monotonic()
            try:
                await run()
                return
            except Exception:
                if task.cancelling():  # it was told to end and failed at that: another run would never be told again
                    raise
                pause_s = FIRST_PAUSE_S if time.monotonic() - began_s > SETTLED_S else pause_s
                _LOG.exception("task_failed", extra={"fields": {"task": name, "againInS": round(pause_s, 2)}})
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    async def close(self) -> None:
        """Cancel everything and wait until it has ended; idempotent."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                log(_LOG, logging.ERROR, "task_ended_badly", reason=repr(outcome))
