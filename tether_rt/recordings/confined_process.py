"""A process that reads what a stranger made: started, waited for, killed when it takes too long. See `confinement`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tether_rt.errors import DecoderFailed
from tether_rt.runtime.logs import log

_LOG: Final = logging.getLogger("tether.recordings")
# Nothing else: the environment holds secrets.
_PASSED_ON: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")


def module_command(module: str) -> Sequence[str]:
    """Return the command line that runs a module of this package."""
    return (sys.executable, "-P", "-m", module)


class ConfinedProcess:
    """Runs a program on files, each time in a new process."""

    def __init__(self, command: Sequence[str], timeout_s: float) -> None:
        """Take the command line, to which the paths are added."""
        self._command = command
        self._timeout_s = timeout_s

    async def output(self, *paths: Path) -> bytes:
        """Return what the program printed.

        Raises `DecoderFailed` when no process can be started, and when it was killed, crashed or took too long: that says
        nothing certain about its files, which may be tried again later.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, *map(str, paths),
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
        return output


def _failed(reason: str) -> DecoderFailed:
    log(_LOG, logging.WARNING, "recording_not_decoded", reason=reason)
    return DecoderFailed("The recording could not be decoded just now; ask again later.", 60)
