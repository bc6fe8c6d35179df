"""Measuring ingest: a load on a target for a while, and what it cost. Used by more than one scenario."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

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
    load_busy: float
    """The load generator's share of one core."""


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
        others = {status: count for status, count in seen["statuses"].items() if int(status) not in expected}
        if others or not seen["calls"]:
            raise BenchError(f"{target.name} answered {others or 'nothing'}.")
        calls = seen["calls"]
        return Ingested(
            calls=calls,
            calls_s=calls / seen["seconds"],
            p50_ms=seen["p50_ms"],
            p99_ms=seen["p99_ms"],
            server_us=server_s / calls * 1e6,
            mongod_us=mongod_s / calls * 1e6,
            load_busy=seen["load_busy"],
        )


def sample(lab: Lab, target: Target, scale: Scale, connections: int, *, turns: int = 20) -> Ingested:
    """Measure once, with connections of its own."""
    with lab.scope() as scope:
        return Load(lab, scope, target, connections, turns=turns).measure(scale.warm_s, scale.run_s)


def _expect(heard: object, wanted: str) -> None:
    if heard != wanted:
        raise BenchError(f"The load generator said {heard!r} instead of {wanted!r}.")
