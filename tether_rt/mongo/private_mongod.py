"""The private MongoDB: a real mongod, a replica set of one, that belongs to a data directory.

Whoever holds the lock in the data directory owns mongod: starts it, starts it again when it dies, stops it. Every other
command on the same directory joins the running one and waits for the lock, so that it takes over when the owner goes away.
The address is a unix socket whose path follows from the data directory alone: it is the same for owners and joiners, before
and after any restart, so a client that is connected finds its way back by itself, and nothing listens on a network.

On Linux mongod is killed by the kernel when the owner dies, however it dies. Elsewhere a killed owner leaves it running, and
the next owner stops it before starting its own. Both are safe: mongod answers a write only once its journal has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from tether_rt.errors import ConfigError
from tether_rt.mongo import mongod_process
from tether_rt.runtime.backoff import Backoff
from tether_rt.runtime.logs import log

_LOOK_S: Final = 0.01  # between looks at something that takes a fraction of a second
_WATCH_S: Final = 0.1  # between looks at a mongod that runs, or at a lock that another process holds
_LOG_CHECK_S: Final = 10.0
_START_DEADLINE_S: Final = 60.0  # recovery after a kill replays the journal, which may be long
_STOP_DEADLINE_S: Final = 10.0
_BACKOFF: Final = Backoff(0.1, 10.0)
_SETTLED_S: Final = 30.0  # a mongod that ran for so long did not die of how it was started
_NOT_YET_INITIALIZED: Final = 94  # MongoDB's error code

_logger = logging.getLogger(__name__)


class PrivateMongod:
    """The mongod of one data directory, owned or joined.

    `start()` before the first client, `run()` for as long as there are clients, `stop()` at the end. `binary` is the program
    (see `mongod_process.find_binary`); it is looked for only by the command that comes to own mongod.
    """

    def __init__(self, data_dir: Path, binary: str | os.PathLike[str] | None = None) -> None:
        self._folder = data_dir.absolute() / "mongod"
        self._binary = binary
        self._data_files = self._folder / "db"
        self._log = self._folder / "mongod.log"
        self._socket = mongod_process.socket_path(self._folder)
        # The descriptor that holds the lock: set exactly while this process is the owner.
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._stopping = False

    @property
    def uri(self) -> str:
        """The address for clients; known before the start and the same for ever.

        Direct, because the driver puts the names that a replica set gives its members in lower case, and paths are not alike
        in both.
        """
        return f"mongodb://{quote(str(self._socket), safe='')}/?directConnection=true"

    @property
    def pid(self) -> int | None:
        """The process id of the mongod that this object owns; None when it has joined another's, or owns none that runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def start(self) -> str:
        """Start mongod, or join the one that runs on the same data directory; return `uri` once it takes writes.

        Raises `ConfigError` with the reason when there is no mongod, when it cannot start, or when it is joined but silent.
        """
        mongod_process.prepare_folder(self._folder)
        deadline = time.monotonic() + _START_DEADLINE_S
        while not self._take_lock():
            if await self._takes_writes():
                log(_logger, logging.INFO, "private MongoDB joined")
                return self.uri
            if time.monotonic() > deadline:
                raise ConfigError(
                    f"The private MongoDB in {self._folder} belongs to another process and does not answer; "
                    "stop that process, or use another TETHER_DATA_DIR."
                )
            await asyncio.sleep(_WATCH_S)
        try:
            await self._launch()
        except BaseException:
            await self.stop()
            raise
        return self.uri

    async def run(self) -> None:
        """Keep mongod running until `stop()`: restart the own one with backoff, take over an orphaned one."""
        failures = 0
        log_checked_at = time.monotonic()
        while not self._stopping:
            now = time.monotonic()
            if self.pid is not None:
                if now - log_checked_at > _LOG_CHECK_S:
                    log_checked_at = now
                    self._bound_log()
                await asyncio.sleep(_WATCH_S)
                continue
            if self._process is not None:
                failures = 0 if now - self._started_at > _SETTLED_S else failures
                reason = mongod_process.telling_line(self._log, self._process.returncode)
                log(_logger, logging.ERROR, "private MongoDB died", reason=reason, status=self._process.returncode)
                self._process = None
            elif self._lock is None and not self._take_lock():
                await asyncio.sleep(_WATCH_S)
                continue
            await asyncio.sleep(_BACKOFF.wait_s(failures))
            failures += 1
            try:
                await self._launch()
            except ConfigError as error:
                log(_logger, logging.ERROR, "private MongoDB does not start", reason=str(error))

    async def stop(self) -> None:
        """Stop mongod when it is this process's own (SIGTERM, SIGKILL after 10 s), let go of the lock; idempotent."""
        self._stopping = True
        try:
            await self._end_process(_STOP_DEADLINE_S)
        finally:
            if self._lock is not None:
                with contextlib.suppress(OSError):  # not empty: it is the data directory's; gone: there is none
                    if self._socket.parent != self._folder:
                        self._socket.parent.rmdir()
                os.close(self._lock)
                self._lock = None

    def _bound_log(self) -> None:
        try:
            mongod_process.bound_log(self._log)
        except OSError as error:
            log(_logger, logging.WARNING, "private MongoDB's log cannot be cut", reason=str(error))

    def _take_lock(self) -> bool:
        try:
            self._lock = mongod_process.try_lock(self._folder / "lock")
        except OSError as error:
            raise ConfigError(f"The private MongoDB cannot use {self._folder}: {error.strerror}.") from error
        return self._lock is not None

    async def _launch(self) -> None:
        """Start the process and wait until it takes writes; on failure nothing is left running."""
        deadline = time.monotonic() + _START_DEADLINE_S
        binary = mongod_process.find_binary(self._binary)
        if self._socket.parent != self._folder:
            mongod_process.prepare_folder(self._socket.parent, owner_uid=self._folder.stat().st_uid)
        await self._end_leftover(deadline)
        if self._stopping:
            return
        self._process = mongod_process.spawn(binary, self._data_files, self._socket, self._log)
        self._started_at = time.monotonic()
        try:
            await self._make_primary(deadline)
        except BaseException:
            await self._end_process(0)
            self._process = None
            raise
        log(_logger, logging.INFO, "private MongoDB started", pid=self._process.pid)

    async def _end_leftover(self, deadline: float) -> None:
        """Wait for the mongod of an owner that was killed; where the kernel does not end it, do."""
        deadline = time.monotonic() + 2
        asked = False
        while (pid := mongod_process.leftover_pid(self._data_files)) is not None:
            if time.monotonic() > deadline:
                raise ConfigError(f"The data files in {self._data_files} are in use by another mongod (pid {pid}).")
            if pid and not asked and time.monotonic() > deadline:
                asked = True
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGTERM)
            await asyncio.sleep(_LOOK_S)

    async def _make_primary(self, deadline: float) -> None:
        while not await _accepts(self._socket):
            self._check_alive(deadline)
            await asyncio.sleep(_LOOK_S)
        async with self._client() as client:
            while True:
                try:
                    hello = await client.admin.command("hello")
                    if hello.get("isWritablePrimary"):
                        return
                    if hello.get("isreplicaset"):
                        await self._configure(client)
                except PyMongoError as error:  # between two states; the reason is told if it stays so
                    reason = str(error)
                else:
                    reason = "it does not become primary"
                self._check_alive(deadline, reason)
                await asyncio.sleep(_LOOK_S)

    async def _configure(self, client: AsyncMongoClient[dict[str, Any]]) -> None:
        """Make it a replica set of one, or tell one whose directory was moved where it lives now."""
        member = {"_id": 0, "host": str(self._socket)}
        try:
            config = (await client.admin.command("replSetGetConfig"))["config"]
        except OperationFailure as error:
            if error.code != _NOT_YET_INITIALIZED:
                raise
            await client.admin.command("replSetInitiate", {"_id": mongod_process.REPLICA_SET, "members": [member]})
            return
        if config["members"][0]["host"] != member["host"]:
            moved = {**config, "version": config["version"] + 1, "members": [member]}
            await client.admin.command("replSetReconfig", moved, force=True)

    def _check_alive(self, deadline: float, reason: str | None = None) -> None:
        assert self._process is not None
        status = self._process.poll()
        if status is None and time.monotonic() < deadline:
            return
        if status is not None or reason is None:
            reason = mongod_process.telling_line(self._log, status)
        raise ConfigError(f"The private MongoDB did not start: {reason.rstrip('.')} (its log is {self._log}).")

    async def _takes_writes(self) -> bool:
        if not await _accepts(self._socket):
            return False
        try:
            async with self._client() as client:
                return bool((await client.admin.command("hello")).get("isWritablePrimary"))
        except PyMongoError:
            return False

    def _client(self) -> AsyncMongoClient[dict[str, Any]]:
        # Asked only once the socket accepts: the driver looks at a server that is not there twice a second at best.
        return AsyncMongoClient(self.uri, serverSelectionTimeoutMS=2000, connectTimeoutMS=2000, socketTimeoutMS=5000)

    async def _end_process(self, patience_s: float) -> None:
        process = self._process
        if process is None:
            return
        deadline = time.monotonic() + patience_s
        try:
            if patience_s:
                process.terminate()
            while process.poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110 - a process sets no event
                await asyncio.sleep(_LOOK_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


async def _accepts(socket: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
