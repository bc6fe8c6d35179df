"""The process in which a recording is decoded: started, waited for, killed when it takes too long. See `decode`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tether_rt.errors import Unavailable
from tether_rt.recordings.waveform import decode
from tether_rt.runtime.logs import log

DECODE_S: Final = 2.0 * decode.CPU_S
"""How long a decoder may run, by the clock. It runs at a low priority, so a busy machine makes it wait."""

_COMMAND: Final = (sys.executable, "-P", "-m", decode.__name__)
_LOG: Final = logging.getLogger("tether.recordings")
# Nothing else: the environment holds secrets.
_PASSED_ON: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")


class DecoderProcess:
    """Decodes recordings, each in a new process."""

    def __init__(self, command: Sequence[str] = _COMMAND, timeout_s: float = DECODE_S) -> None:
        """Take the decoder's command line, to which the file's path is added."""
        self._command = command
        self._timeout_s = timeout_s

    async def peaks(self, path: Path) -> bytes | None:
        """Return what `decode.peaks_of` finds: None for a recording that cannot be decoded.

        Raises `Unavailable` when no process can be started, and when it was killed, crashed or took too long: that says
        nothing certain about the recording, which may be tried again later.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, str(path),
                stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL,
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
                start_new_session=True,  # a Ctrl-C in the terminal is for the server, which ends its decoder itself
            )  # fmt: skip
        except OSError as error:
            raise _failed(f"not started: {error.strerror}") from error
        try:
            async with asyncio.timeout(self._timeout_s):
                output, _ = await process.communicate()
        except TimeoutError as error:
            raise _failed("out of time") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise _failed(f"ended with {process.returncode}")
        return output or None


def _failed(reason: str) -> Unavailable:
    log(_LOG, logging.WARNING, "recording_not_decoded", reason=reason)
    return Unavailable("The waveform could not be made just now; ask again later.", 60)
