"""The private MongoDB: a mongod, as a replica set of one, that belongs to a data directory.

The process that holds the lock in the data directory owns mongod: it starts mongod, starts it again when it dies, and stops it.
Any other process on the same directory joins the running mongod and waits for the lock, so that it takes over when the owner
ends. The address is a unix socket, whose path follows from the data directory alone: it is the same for all processes and after
any restart, so that clients reconnect by themselves, and nothing listens on a network.

On Linux the kernel kills mongod when its owner dies. Elsewhere mongod outlives an owner that was killed, and the next owner
stops it before it starts its own. Both are safe: mongod acknowledges a write only when it is in the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from tether_rt.errors import ConfigError
from tether_rt.mongo import mongod_process
from tether_rt.runtime.backoff import Backoff
from tether_rt.runtime.closing import through_cancellation
from tether_rt.runtime.logs import log

_POLL_S: Final = 0.01
"""Between looks at something that takes a fraction of a second."""
_WATCH_S: Final = 0.1
"""Between looks at a mongod that runs, or at a lock that another process holds."""
_LOG_CHECK_S: Final = 10.0
_START_LIMIT_S: Final = 60.0
"""A start after a kill replays the journal, which may be long."""
_STOP_LIMIT_S: Final = 10.0
_LEFTOVER_S: Final = 2.0
"""How long the kernel may take to end the mongod of an owner that was killed."""
_BACKOFF: Final = Backoff(0.1, 10.0)
_SETTLED_S: Final = 30.0
"""A mongod that ran for so long did not die of how it was started."""
_NOT_YET_INITIALIZED: Final = 94
"""MongoDB's error code."""

_logger = logging.getLogger(__name__)


class PrivateMongod:
    """The mongod of a data directory, owned or joined.

    Call `start()` before the first client, `run()` as long as there are clients, and `stop()` at the end.
    """

    def __init__(self, data_dir: Path, binary: str | os.PathLike[str] | None = None) -> None:
        """`binary` is the program (see `mongod_process.find_binary`); only a process that owns mongod needs it."""
        self._folder = data_dir.absolute() / "mongod"
        self._binary = binary
        self._data_files = self._folder / "db"
        self._log = self._folder / "mongod.log"
        self._socket = mongod_process.socket_path(self._folder)
        self._lock: int | None = None
        """The descriptor that holds the lock, while this process is the owner."""
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at_s = 0.0
        self._is_stopping = False

    @property
    def uri(self) -> str:
        """The address for clients, which never changes.

        For a direct connection, because the driver puts the names of a replica set's members, here a path, in lower case.
        """
        return f"mongodb://{quote(str(self._socket), safe='')}/?directConnection=true"

    @property
    def pid(self) -> int | None:
        """The process id of the running mongod that this object owns, or None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def start(self) -> str:
        """Start mongod, or join the one that runs on the data directory; return `uri` once it takes writes.

        Raises `ConfigError` with the reason when there is no mongod, when it cannot start, or when the joined one is silent.
        """
        mongod_process.prepare_folder(self._folder)
        deadline_s = time.monotonic() + _START_LIMIT_S
        while not self._take_lock():
            if await self._takes_writes():
                log(_logger, logging.INFO, "private MongoDB joined")
                return self.uri
            if time.monotonic() > deadline_s:
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
        """Keep mongod running until `stop()`: start it again when it died, take over when another owner ended."""
        failures = 0
        log_checked_at_s = time.monotonic()
        while not self._is_stopping:
            now_s = time.monotonic()
            if self.pid is not None:
                if now_s - log_checked_at_s > _LOG_CHECK_S:
                    log_checked_at_s = now_s
                    await self._bound_log()
                await asyncio.sleep(_WATCH_S)
                continue
            if self._process is not None:
                failures = 0 if now_s - self._started_at_s > _SETTLED_S else failures
                status = self._process.returncode
                reason = await asyncio.to_thread(mongod_process.telling_line, self._log, status)
                log(_logger, logging.ERROR, "private MongoDB died", reason=reason, status=status)
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
        """Stop mongod if this process owns it (SIGTERM, after 10 s SIGKILL), and release the lock. Idempotent."""
        self._is_stopping = True
        try:
            await self._end_process(_STOP_LIMIT_S)
        finally:
            if self._lock is not None:
                with contextlib.suppress(OSError):  # it may be gone, or in use again
                    if self._socket.parent != self._folder:
                        self._socket.parent.rmdir()
                os.close(self._lock)
                self._lock = None

    async def _bound_log(self) -> None:
        try:
            await asyncio.to_thread(mongod_process.bound_log, self._log)
        except OSError as error:
            log(_logger, logging.WARNING, "private MongoDB's log cannot be cut", reason=str(error))

    def _take_lock(self) -> bool:
        try:
            self._lock = mongod_process.try_lock(self._folder / "lock")
        except OSError as error:
            raise ConfigError(f"The private MongoDB cannot use {self._folder}: {error.strerror}.") from error
        return self._lock is not None

    async def _launch(self) -> None:
        """Start mongod and wait until it takes writes; if that fails, end it."""
        deadline_s = time.monotonic() + _START_LIMIT_S
        binary = mongod_process.find_binary(self._binary)
        if self._socket.parent != self._folder:
            mongod_process.prepare_folder(self._socket.parent, owner_uid=self._folder.stat().st_uid)
        await self._end_leftover(deadline_s)
        if self._is_stopping:
            return
        self._process = mongod_process.spawn(binary, self._data_files, self._socket, self._log)
        self._started_at_s = time.monotonic()
        try:
            await self._make_primary(deadline_s)
        except BaseException:
            await self._end_process(0)
            self._process = None
            raise
        log(_logger, logging.INFO, "private MongoDB started", pid=self._process.pid)

    async def _end_leftover(self, deadline_s: float) -> None:
        """Wait until the mongod of an owner that was killed has ended; stop it if the kernel does not."""
        terminate_at_s = time.monotonic() + _LEFTOVER_S
        while (pid := mongod_process.leftover_pid(self._data_files)) is not None:
            if time.monotonic() > deadline_s:
                raise ConfigError(f"The data files in {self._data_files} are in use by another mongod (pid {pid}).")
            if pid and time.monotonic() > terminate_at_s:
                terminate_at_s = deadline_s
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGTERM)
            await asyncio.sleep(_POLL_S)

    async def _make_primary(self, deadline_s: float) -> None:
        while not await _accepts(self._socket):
            self._check_alive(deadline_s)
            await asyncio.sleep(_POLL_S)
        async with self._client() as client:
            while True:
                try:
                    hello = await client.admin.command("hello")
                    if hello.get("isWritablePrimary"):
                        return
                    if hello.get("isreplicaset"):
                        await self._configure(client)
                except PyMongoError as error:  # passes, as a rule; otherwise it is the reason
                    reason = str(error)
                else:
                    reason = "it does not become primary"
                self._check_alive(deadline_s, reason)
                await asyncio.sleep(_POLL_S)

    async def _configure(self, client: AsyncMongoClient[dict[str, Any]]) -> None:
        """Make mongod a replica set of one, or change the address of its member after the directory was moved."""
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

    def _check_alive(self, deadline_s: float, reason: str | None = None) -> None:
        """Raise `ConfigError` when mongod has ended, or has not become usable until the deadline, for `reason`."""
        assert self._process is not None
        status = self._process.poll()
        if status is None and time.monotonic() < deadline_s:
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

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[AsyncMongoClient[dict[str, Any]]]:
        # Used only once the socket accepts: the driver looks for a server that does not answer only twice a second.
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            self.uri, serverSelectionTimeoutMS=2000, connectTimeoutMS=2000, socketTimeoutMS=5000
        )
        try:
            yield client
        finally:
            # A close that is cancelled leaves the driver's connections and tasks behind.
            await through_cancellation(client.close())

    async def _end_process(self, limit_s: float) -> None:
        """End the process: by SIGTERM if it may take `limit_s` to stop, by SIGKILL past that."""
        process = self._process
        if process is None:
            return
        deadline_s = time.monotonic() + limit_s
        try:
            if limit_s:
                process.terminate()
            while process.poll() is None and time.monotonic() < deadline_s:  # noqa: ASYNC110 - a process sets no event
                await asyncio.sleep(_POLL_S)
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
