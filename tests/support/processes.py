"""Processes of this machine, found by their command line."""

from __future__ import annotations

from pathlib import Path


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
