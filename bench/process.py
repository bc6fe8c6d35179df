"""Processes that the benchmarks start: each ended by its id, each with its CPU time and memory as Linux counts them.

CPU time is user plus system time of all threads (proc(5), /proc/<pid>/stat), in steps of 10 ms, so measure for seconds.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_TICKS_S: Final = os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_START_S: Final = 60.0
_STOP_S: Final = 30.0

Stop = Callable[[], object]


class BenchError(Exception):
    """A benchmark cannot go on; the message says why."""


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process and those that it started have taken so far, in seconds."""
    processes = dict(filter(None, map(_stat, Path("/proc").glob("[0-9]*/stat"))))
    family = [pid]
    for member in family:
        family += [child for child, fields in processes.items() if int(fields[1]) == member]
    return sum(int(processes[member][field]) for member in family for field in (11, 12)) / _TICKS_S


def _stat(path: Path) -> tuple[int, list[str]] | None:
    try:
        return int(path.parent.name), path.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None  # it has ended meanwhile


def memory_bytes(pid: int, name: str = "VmRSS") -> int:
    """Return a process' resident memory (`VmRSS`), or the most it ever was (`VmHWM`)."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    if found is None:
        raise BenchError(f"The process {pid} has ended.")
    return int(found[1]) * 1024


def reset_peak(pid: int) -> None:
    """Let `VmHWM` begin anew at what is resident now (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


class Child:
    """A process that lasts until `stop`, its output in a file. It dies with this process, however that ends."""

    def __init__(self, name: str, command: Sequence[str | Path], log: Path, env: Mapping[str, str], cwd: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(env),
                cwd=cwd,
                preexec_fn=_die_with_parent(),
            )
        self.pid = self._process.pid

    def wait_for(self, pattern: str, within_s: float = _START_S) -> str:
        """Return the first group of `pattern` once the output has it; raises `BenchError` when that does not happen."""
        deadline = time.monotonic() + within_s
        while True:
            text = self.log.read_text(errors="replace")
            if found := re.search(pattern, text):
                return found[1]
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"{self.name} does not start:\n{text[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it (SIGTERM, then SIGKILL)."""
        _stop(self._process)


class Tool:
    """A process that is spoken to in lines of JSON, one answer for each question or more."""

    def __init__(self, name: str, command: Sequence[str | Path], env: Mapping[str, str], cwd: Path, errors: Path) -> None:
        self.name = name
        self._errors = errors
        with errors.open("ab") as output:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=dict(env),
                cwd=cwd,
                preexec_fn=_die_with_parent(),
            )
        self.pid = self._process.pid
        self._unread = b""

    def tell(self, message: Any) -> None:
        """Send one line."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._gone() from error

    def hear(self, within_s: float = 120.0) -> Any:
        """Return the next line; raises `BenchError` when none comes."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        deadline = time.monotonic() + within_s
        while b"\n" not in self._unread:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(descriptor, 1 << 16) if ready else b""
            if not chunk:
                raise self._gone()
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)

    def ask(self, message: Any, within_s: float = 120.0) -> Any:
        """Send one line and return the answer."""
        self.tell(message)
        return self.hear(within_s)

    def stop(self) -> None:
        """End it."""
        _stop(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue

    def _gone(self) -> BenchError:
        said = self._errors.read_text(errors="replace")[-2000:]
        return BenchError(f"{self.name} does not answer (exit status {self._process.poll()}):\n{said}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _die_with_parent() -> Callable[[], None]:
    prctl = ctypes.CDLL(None).prctl

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return before_exec
