"""Starts the process in which a recording is decoded, and ends it when it takes too long. See `peaks`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import Final

from tether_rt.errors import Unavailable
from tether_rt.recordings.waveform import decode
from tether_rt.runtime.logs import log

_PATIENCE_S: Final = 2.0 * decode.CPU_S
_LOG: Final = logging.getLogger("tether.recordings")
# Nothing of ours: the environment holds secrets.
_PASSED_ON: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")


async def peaks_apart(path: Path, patience_s: float = _PATIENCE_S) -> bytes | None:
    """Return what `decode.peaks_of` finds, None as well for a file that crashes its decoder or uses up time or memory.

    Raises `Unavailable` when no process can be started.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", decode.__name__, str(path),
            stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        )  # fmt: skip
    except OSError as error:
        raise Unavailable("The server cannot read the recording just now; ask again shortly.", 5) from error
    reason = ""
    try:
        async with asyncio.timeout(patience_s):
            found, _ = await process.communicate()
    except TimeoutError:
        reason = "out of time"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode or reason:
        log(_LOG, logging.WARNING, "recording_not_decoded", reason=reason or f"ended with {process.returncode}")
        return None
    return found or None
