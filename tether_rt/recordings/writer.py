"""A program that does one thing: it takes groups of small files on its standard input and makes them durable.

A thread of the server would give the interpreter away at each of the four system calls that a file takes, and wait to have it
back from a busy event loop: for a call, that costs as much as all the rest of it. Another process needs no interpreter but its
own. It ends with its input, so never before what it was given is done, and not after the server.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from tether_rt.recordings.recording_dir import RecordingDir, Small

_HEAD: Final = struct.Struct(">I")


def group_message(files: Sequence[Small]) -> bytes:
    """Return what asks for a group: the length of its head, the head (JSON: each path and size), and the contents."""
    head = json.dumps([(path, len(content)) for path, content in files]).encode()
    return b"".join((_HEAD.pack(len(head)), head, *(content for _, content in files)))


def read_group(source: BinaryIO) -> list[Small]:
    """Return the next group; raises `EOFError` when there is none, or not all of it."""
    (size,) = _HEAD.unpack(_read(source, _HEAD.size))
    return [(path, _read(source, length)) for path, length in json.loads(_read(source, size))]


def _read(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise EOFError
    return data


def outcomes_line(folder: RecordingDir, files: Sequence[Small]) -> bytes:
    """Make a group durable; return its outcomes: for each file, or for all of them, an error's number and text, or null."""
    try:
        outcomes: object = [error and _pair(error) for error in folder.put_together(files)]
    except OSError as error:
        outcomes = {"all": _pair(error)}
    return json.dumps(outcomes).encode() + b"\n"


def _pair(error: OSError) -> tuple[int | None, str | None]:
    return error.errno, error.strerror


def read_outcomes(line: bytes) -> list[OSError | None]:
    """Return what `outcomes_line` says of each file; raises the `OSError` of all."""
    outcomes = json.loads(line)
    if isinstance(outcomes, dict):
        raise OSError(*outcomes["all"])
    return [pair and OSError(*pair) for pair in outcomes]


def main() -> None:
    """Work until the input ends, for the folder that the command line names."""
    # Who stops a server often signals all of its processes, and what it has begun needs its files.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    folder = RecordingDir(Path(sys.argv[1]))
    while True:
        try:
            files = read_group(sys.stdin.buffer)
            os.write(sys.stdout.fileno(), outcomes_line(folder, files))
        except (EOFError, BrokenPipeError):  # the server has ended, or died: before it asked, or before it was answered
            return


if __name__ == "__main__":
    main()
