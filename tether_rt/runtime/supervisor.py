"""Long-lived work under one roof: started together, started again when it fails, never left behind."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from tether_rt.runtime.backoff import Backoff
from tether_rt.runtime.logs import log

_LOG: Final = logging.getLogger("tether.supervisor")
SETTLED_S: Final = 60.0
"""Work that ran for this long counts as recovered: after its next failure the waits start from the shortest again."""


class Supervisor:
    """Runs `async run()` methods until it is closed; one that raises is logged and started again after a back-off."""

    def __init__(self, backoff: Backoff = Backoff(0.1, 5.0)) -> None:  # noqa: B008 - immutable
        self._backoff = backoff
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Start `run` and keep it running."""
        task = asyncio.create_task(self._keep(name, run), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.current_task()
        assert task is not None
        failures = 0
        while True:
            began_s = time.monotonic()
            try:
                await run()
                return
            except Exception:
                if task.cancelling():  # it was told to end and failed at that: another run would never be told again
                    raise
                failures = 1 if time.monotonic() - began_s > SETTLED_S else failures + 1
                wait_s = self._backoff.wait_s(failures)
                _LOG.exception("task_failed", extra={"fields": {"task": name, "againInS": round(wait_s, 2)}})
            await asyncio.sleep(wait_s)

    async def close(self) -> None:
        """Cancel everything and wait until it has ended; idempotent."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                log(_LOG, logging.ERROR, "task_ended_badly", reason=repr(outcome))
