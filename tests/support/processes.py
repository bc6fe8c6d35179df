"""Processes: run until a block ends, and found by their command line."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any


@asynccontextmanager
async def running_process(*command: Path | str, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a command, with pipes unless `options` say otherwise; it is ended with the block if it still runs."""
    pipes = {"stdin": PIPE, "stdout": PIPE, "stderr": PIPE}
    process = await asyncio.create_subprocess_exec(*command, **{**pipes, **options})
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


def pids_with(argument: str, parent: int | None = None) -> list[int]:
    """Return the processes that have `argument` in their command line, of `parent` alone if one is given."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            ppid = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            arguments = (path / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if argument.encode() in arguments and parent in (None, ppid):
            found.append(int(path.name))
    return found
