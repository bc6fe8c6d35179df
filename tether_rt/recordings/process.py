"""The server's end of the process that writes small files (`writer`): started, asked, started again when it died."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tether_rt.recordings import writer
from tether_rt.recordings.recording_dir import Small
from tether_rt.runtime.logs import log

_LOG: Final = logging.getLogger("tether.recordings")
_PAUSE_S: Final = 5.0
"""Between two starts: one that cannot start, or dies at once, is not to be tried for every recording."""
_LINE_BYTES: Final = 4 * 1024 * 1024
"""More than the outcomes of the largest group."""


class WriterGone(Exception):
    """There is no such process just now; whether it did something of what it was asked is not known."""


class WriterProcess:
    """One process for one folder, asked for one group at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._process: Process | None = None
        self._not_before_s = 0.0

    async def start(self) -> None:
        """Start the process, without waiting until it works; raises `WriterGone`."""
        if time.monotonic() < self._not_before_s:
            raise WriterGone
        self._not_before_s = time.monotonic() + _PAUSE_S
        # Modules come from where this process has them, and not (-P) from whatever folder it was started in.
        command = (sys.executable, "-P", "-m", writer.__name__, str(self._root))
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, limit=_LINE_BYTES, env=environment
            )
        except OSError as error:
            log(_LOG, logging.WARNING, "recording_writer_does_not_start", reason=str(error))
            raise WriterGone from error

    async def put_together(self, files: Sequence[Small]) -> list[OSError | None]:
        """Do what `RecordingDir.put_together` does; raises what that does, and `WriterGone`."""
        if self._process is None:
            await self.start()
        process = self._process
        assert process is not None
        line = await _ask(process, writer.group_message(files))
        if not line.endswith(b"\n"):
            await self._end()
            log(_LOG, logging.WARNING, "recording_writer_died", status=process.returncode)
            raise WriterGone
        return writer.read_outcomes(line)

    async def close(self) -> None:
        """Let the process end what it does, and end, for good; idempotent."""
        self._not_before_s = math.inf
        await self._end()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()


async def _ask(process: Process, message: bytes) -> bytes:
    """Return the line that answers; not a whole one when the process is gone."""
    assert process.stdin is not None
    assert process.stdout is not None
    if process.stdin.is_closing():  # uvloop has noticed already, and would not let anything be written
        return b""
    process.stdin.write(message)
    try:
        return await process.stdout.readline()
    except ConnectionError:
        return b""
