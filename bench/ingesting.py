"""Measuring ingest: a load on a target for a while, and what it cost. Used by more than one scenario."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from bench.contestants import OURS, PEERS, Target
from bench.lab import Lab
from bench.process import BenchError, Tool, cpu_s
from bench.results import Table
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

    def __init__(
        self,
        lab: Lab,
        scope: ExitStack,
        target: Target,
        connections: int,
        *,
        turns: int = 20,
        every_s: float = 0.0,
        recording_host: str = "",
        respond_async: bool = False,
    ) -> None:
        """See `programs/load.py`."""
        self._lab = lab
        self._target = target
        self._program: Tool = lab.program(scope, "load")
        # Long transcripts need fewer different calls to fill the time, and memory for them.
        count = max(100, min(5_000, 100_000 // turns))
        self._program.tell(
            {
                "ports": target.ports, "keys": target.keys, "connections": connections, "turns": turns, "templates": count,
                "every_s": every_s, "recording_host": recording_host, "respond_async": respond_async,
            }
        )  # fmt: skip
        _expect(self._program.hear(), "ready")

    def begin(self, warm_s: float, run_s: float) -> None:
        """Begin to load the target; return when the warm-up is over."""
        self._program.tell({"warm_s": warm_s, "run_s": run_s})
        _expect(self._program.hear(), "begin")

    def seen(self, expected: Collection[str] = ("201",)) -> dict[str, Any]:
        """Return what was answered, once the measured time is over; raises `BenchError` for a status that is not expected."""
        seen: dict[str, Any] = self._program.hear()
        others = {status: count for status, count in seen["statuses"].items() if status not in expected}
        if others or not seen["calls"]:
            raise BenchError(f"{self._target.name} answered {others or 'nothing'}.")
        return seen

    def end(self) -> None:
        """Wait until every call is answered."""
        _expect(self._program.hear(), "idle")

    def measure(self, warm_s: float, run_s: float) -> Ingested:
        """Load the target and return what was measured; raises `BenchError` when anything but 201 was answered."""
        target, mongod = self._target, self._lab.mongod.pid
        self.begin(warm_s, run_s)
        server_s, mongod_s = target.cpu_s(), cpu_s(mongod)
        seen = self.seen()
        server_s, mongod_s = target.cpu_s() - server_s, cpu_s(mongod) - mongod_s
        self.end()
        server_after_s, mongod_after_s = calm(self._lab, target)
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


def sample(lab: Lab, target: Target, scale: Scale, connections: int, *, turns: int = 20, recording_host: str = "") -> Ingested:
    """Measure once, with connections of its own."""
    with lab.scope() as scope:
        load = Load(lab, scope, target, connections, turns=turns, recording_host=recording_host)
        return load.measure(scale.warm_s, scale.run_s)


def server_us(table: Table, *key: str | int) -> float:
    """Return the server's CPU time per call, in µs; what was put off counts in full."""
    return table.get(*key, column="server_µs/call") + table.get(*key, column="server afterwards_µs/call")


def beside_peers(figure: Callable[[str], float], best: Callable[[Iterable[float]], float]) -> float:
    """Return our figure divided by that of the better peer; `figure` takes the name of a server."""
    return figure(OURS) / best(map(figure, PEERS))


def _expect(heard: object, wanted: str) -> None:
    if heard != wanted:
        raise BenchError(f"The load generator said {heard!r} instead of {wanted!r}.")
