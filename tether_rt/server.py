"""The life of a serving process: start, announce, wait for a signal, drain, stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Final

from tether_rt.app import App
from tether_rt.auth.passwords import PasswordCheck
from tether_rt.errors import ConfigError
from tether_rt.http.server import BoundedServer
from tether_rt.http.sockets import bind
from tether_rt.ingest.later_recordings import Schedule
from tether_rt.runtime.logs import configure_logging, log
from tether_rt.runtime.service_manager import notify
from tether_rt.settings import Settings

BACKLOG: Final = 1024
IDLE_S: Final = 75
BODY_S: Final = 120
MAX_HEADER_BYTES: Final = 32 * 1024
_LAST_STEPS_S: Final = 5.0
"""What closing may take after the drain: the private mongod needs its share."""

_ALLOCATIONS_BEFORE_COLLECTION: Final = 20_000
_SWITCH_S: Final = 0.0005

_LOG: Final = logging.getLogger("tether.server")


class Server:
    """An App behind a listening HTTP server."""

    def __init__(
        self,
        settings: Settings,
        *,
        passwords: PasswordCheck | None = None,
        clock: Callable[[], float] = time.monotonic,
        schedule: Schedule = Schedule(),  # noqa: B008 - immutable
    ) -> None:
        """`passwords`, `clock` and `schedule` are those of `App`."""
        self.settings = settings
        self.app = App(settings, passwords=passwords, clock=clock, schedule=schedule)
        self._http: BoundedServer | None = None
        self.url = ""

    async def start(self) -> None:
        """Take the port, start the parts, then listen: until then, connections are refused.

        Raises `ConfigError` if something that is needed is missing or the port is taken.
        """
        settings = self.settings
        sockets = self._bind()
        try:
            await self.app.start()
            self._listen(sockets)
        except BaseException:
            for one in sockets:
                one.close()
            raise
        self._http = BoundedServer(
            self.app.tornado,
            max_connections=self.app.max_connections,
            idle_connection_timeout=IDLE_S,
            body_timeout=BODY_S,
            max_header_size=MAX_HEADER_BYTES,
        )
        self._http.add_sockets(sockets)
        port = sockets[0].getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.url = f"http://{host}:{port}{settings.base_path}"
        log(_LOG, logging.INFO, "listening", url=self.url, host=settings.host, port=port)

    def _bind(self) -> list[socket.socket]:
        try:
            return bind(self.settings.host, self.settings.port)
        except OSError as error:
            raise self._cannot_listen(error) from error

    def _listen(self, sockets: list[socket.socket]) -> None:
        try:
            for one in sockets:
                one.listen(BACKLOG)
        except OSError as error:  # another process that bound the same port was faster
            raise self._cannot_listen(error) from error

    def _cannot_listen(self, error: OSError) -> ConfigError:
        settings, reason = self.settings, error.strerror or "it cannot be used"
        return ConfigError(f"TETHER_HOST {settings.host} with TETHER_PORT {settings.port} cannot be listened on: {reason}.")

    async def leave(self, at_once: asyncio.Event) -> None:
        """Go on serving for `TETHER_DRAIN_DELAY_S`, without being ready, while load balancers take note; or until `at_once`."""
        if self._http is None or not self.settings.drain_delay_s:
            return
        self.app.web.leaving = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(at_once.wait(), self.settings.drain_delay_s)

    async def stop(self) -> None:
        """Stop accepting, finish what is in flight within the deadline, close everything; idempotent."""
        if self._http is not None:
            self.app.web.draining = True
            await self._http.stop_accepting()
            await self.app.drain(self._http)
            await self._http.close()
            self._http = None
        try:
            async with asyncio.timeout(_LAST_STEPS_S):
                await self.app.close()
        except TimeoutError:
            log(_LOG, logging.WARNING, "close_cut_off", afterS=_LAST_STEPS_S)


def _tune_interpreter() -> None:
    """Keep the garbage collector away from the objects of the start, and threads from waiting long for the interpreter.

    More than 90,000 objects are made at the start and last; a full collection, which can begin at any allocation, would hold
    the event loop for 16 ms to look at them all. A request makes hundreds of objects, and hardly ever a cycle.

    A thread that flushes recordings asks for the interpreter after each system call. A busy event loop keeps it for the switch
    interval, 5 ms by default: at 128 connections a tenth of the calls per second.
    """
    sys.setswitchinterval(_SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_BEFORE_COLLECTION)


async def serve(settings: Settings, meanwhile: Callable[[Server], Awaitable[None]] | None = None) -> int:
    """Serve until SIGTERM or SIGINT and return the exit status 0.

    `meanwhile` runs beside the server once it listens (the demo's simulation) and is cancelled before the drain; when it fails,
    the server stops and what it raised is raised. Raises `ConfigError` when the start is refused.
    """
    configure_logging()
    stopping, again = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    server = Server(settings)
    starting = asyncio.ensure_future(server.start())

    def stop() -> None:
        if stopping.is_set():
            again.set()  # whoever asks twice does not want to wait for load balancers
        stopping.set()
        # To build an index or to recover a journal may take minutes. Once it has started, this does nothing.
        starting.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    beside: asyncio.Task[None] | None = None
    try:
        await asyncio.wait({starting})
        if not starting.cancelled():
            starting.result()
            _tune_interpreter()
            notify("READY=1")
        if meanwhile is not None and not stopping.is_set():
            beside = asyncio.ensure_future(meanwhile(server))
            beside.add_done_callback(lambda done: None if done.cancelled() or done.exception() is None else stopping.set())
        await stopping.wait()
        log(_LOG, logging.INFO, "stopping")
        notify("STOPPING=1")
        await server.leave(again)
    finally:
        if beside is not None:
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)
        await server.stop()
    log(_LOG, logging.INFO, "stopped")
    if beside is not None and not beside.cancelled():
        await beside
    return 0
