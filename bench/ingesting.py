"""Measuring ingest: a load on a target for a while, and what it cost. Used by more than one scenario."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from bench.contestants import Target
from bench.lab import Lab
from bench.process import BenchError, Tool, cpu_s
from bench.scale import Scale


@dataclass(frozen=True, slots=True)
class Ingested:
    """One sample. CPU times are per call, in microseconds."""

    calls: int
    calls_s: float
    p50_ms: float
    p99_ms: float
    server_us: float
    mongod_us: float
    server_after_us: float
    mongod_after_us: float
    """What the two went on doing once the load had ended: work put off is work, and is charged as well."""
    load_busy: float
    """The load generator's share of one core."""

    @property
    def columns(self) -> dict[str, float]:
        """The sample by the names of `COLUMNS`."""
        return {
            "calls/s": self.calls_s,
            "p50_ms": self.p50_ms,
            "p99_ms": self.p99_ms,
            "server_µs/call": self.server_us,
            "mongod_µs/call": self.mongod_us,
            "server afterwards_µs/call": self.server_after_us,
            "mongod afterwards_µs/call": self.mongod_after_us,
            "load_busy_%": self.load_busy * 100,
        }


COLUMNS: Final = {
    "calls/s": 0,
    "p50_ms": 1,
    "p99_ms": 1,
    "server_µs/call": 0,
    "mongod_µs/call": 0,
    "server afterwards_µs/call": 0,
    "mongod afterwards_µs/call": 0,
    "load_busy_%": 0,
}
"""A table's columns for what is measured here, with their digits."""

_CALM_CPU_S: Final = 0.03  # of a look's time; an idle server and mongod take less
_LOOK_S: Final = 0.5
_CALM_WITHIN_S: Final = 60.0


class Load:
    """A load generator with its connections to one target."""

    def __init__(self, lab: Lab, scope: ExitStack, target: Target, connections: int, *, turns: int = 20) -> None:
        self._lab = lab
        self._target = target
        self._program: Tool = lab.program(scope, "load")
        # Long transcripts need fewer different calls to fill the time, and memory for them.
        count = max(100, min(5_000, 100_000 // turns))
        self._program.tell(
            {"ports": target.ports, "keys": target.keys, "connections": connections, "turns": turns, "templates": count}
        )
        _expect(self._program.hear(), "ready")

    def measure(self, warm_s: float, run_s: float, expected: Iterable[int] = (201,)) -> Ingested:
        """Load the target and return what was measured; raises `BenchError` when anything but `expected` was answered."""
        program, target, mongod = self._program, self._target, self._lab.mongod.pid
        program.tell({"warm_s": warm_s, "run_s": run_s})
        _expect(program.hear(), "begin")
        server_s, mongod_s = target.cpu_s(), cpu_s(mongod)
        seen = program.hear()
        server_s, mongod_s = target.cpu_s() - server_s, cpu_s(mongod) - mongod_s
        _expect(program.hear(), "idle")
        server_after_s, mongod_after_s = calm(self._lab, target)
        others = {status: count for status, count in seen["statuses"].items() if int(status) not in expected}
        if others or not seen["calls"]:
            raise BenchError(f"{target.name} answered {others or 'nothing'}.")
        calls = seen["calls"]
        all_calls = calls * (1 + warm_s / run_s)  # those of the warm-up are worked off as well
        return Ingested(
            calls=calls,
            calls_s=calls / seen["seconds"],
            p50_ms=seen["p50_ms"],
            p99_ms=seen["p99_ms"],
            server_us=server_s / calls * 1e6,
            mongod_us=mongod_s / calls * 1e6,
            server_after_us=server_after_s / all_calls * 1e6,
            mongod_after_us=mongod_after_s / all_calls * 1e6,
            load_busy=seen["load_busy"],
        )


def calm(lab: Lab, target: Target) -> tuple[float, float]:
    """Wait until target and mongod do nothing any more, and so disturb nothing; return the CPU time that took each."""
    mongod = lab.mongod.pid
    began_s = used_s = target.cpu_s(), cpu_s(mongod)
    deadline = time.monotonic() + _CALM_WITHIN_S
    while time.monotonic() < deadline:
        time.sleep(_LOOK_S)
        before_s, used_s = used_s, (target.cpu_s(), cpu_s(mongod))
        if sum(used_s) - sum(before_s) <= _CALM_CPU_S:
            break
    return used_s[0] - began_s[0], used_s[1] - began_s[1]


def sample(lab: Lab, target: Target, scale: Scale, connections: int, *, turns: int = 20) -> Ingested:
    """Measure once, with connections of its own."""
    with lab.scope() as scope:
        return Load(lab, scope, target, connections, turns=turns).measure(scale.warm_s, scale.run_s)


def _expect(heard: object, wanted: str) -> None:
    if heard != wanted:
        raise BenchError(f"The load generator said {heard!r} instead of {wanted!r}.")
