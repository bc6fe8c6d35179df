"""Flooding: a hundred organizations with recordings in a store 40 ms away, and what the calls of one do to the others'."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from bench.contestants import Target, ours
from bench.ingesting import Load, calm
from bench.lab import Lab
from bench.remote import STORE_MS, RecordingStore
from bench.results import Goal, Report, Table
from bench.scale import Scale

_ORGANIZATIONS: Final = 100
_EVERY_S: Final = 2.0
"""How often each of the others sends a call."""
_FLOOD_CONNECTIONS: Final = 128
_PROCESSES: Final = (1, 4)
_QUIET, _FLOODED = "none", f"{_FLOOD_CONNECTIONS} connections"


def run(lab: Lab, scale: Scale) -> Report:
    table = Table(
        f"Calls of {_ORGANIZATIONS - 1} organizations, each one every {_EVERY_S:g} s, a store {STORE_MS} ms away",
        ("processes", "flood"),
        {"calls/s": 0, "p50_ms": 1, "p99_ms": 1, "flood's calls/s": 0, "server_µs/call": 0},
    )
    scale = scale.longer()
    with lab.scope() as away:
        store = RecordingStore(lab, away)
        for processes in scale.rounds(_PROCESSES):
            with lab.scope() as scope:
                target = ours(
                    lab, scope, database=f"flooding-{processes}-{len(table.samples)}",
                    processes=processes, organizations=_ORGANIZATIONS, settings=store.settings,
                )  # fmt: skip
                _measure(lab, scope, scale, table, target)
    report = Report("flooding", "A hundred organizations, one of them flooding", [table])
    for processes in _PROCESSES:
        p99 = [table.get(processes, flood, column="p99_ms") for flood in (_FLOODED, _QUIET)]
        what = f"others' p99 during one organization's flood, {processes} process{'es' if processes > 1 else ''}"
        report.goals.append(Goal.at_most(what, 2, p99[0] / p99[1]))
    times = table.get(1, _FLOODED, column="flood's calls/s") * _EVERY_S
    report.notes.append(f"The flooding organization sends as much as it is answered: {times:,.0f} times as much as each other.")
    return report


def _measure(lab: Lab, scope: ExitStack, scale: Scale, table: Table, target: Target) -> None:
    first, rest = replace(target, keys=target.keys[:1]), replace(target, keys=target.keys[1:])
    others = Load(lab, scope, rest, len(rest.keys), every_s=_EVERY_S)
    flood = Load(lab, scope, first, _FLOOD_CONNECTIONS)
    run_s = scale.run_s + 2 * _EVERY_S  # every organization's few calls make a p99 only together, and in some time
    for what in (_QUIET, _FLOODED):
        flooded = None
        if what == _FLOODED:
            flood.begin(scale.warm_s, run_s + _EVERY_S)
        others.begin(_EVERY_S, run_s)
        cpu_s = target.cpu_s()
        seen = others.seen()
        cpu_s = target.cpu_s() - cpu_s
        others.end()
        if what == _FLOODED:
            flooded = flood.seen()
            flood.end()
        flood_s = flooded["calls"] / flooded["seconds"] if flooded else 0.0
        calls_s = seen["calls"] / seen["seconds"]
        table.add(
            len(target.children),
            what,
            **{
                "calls/s": calls_s,
                "p50_ms": seen["p50_ms"],
                "p99_ms": seen["p99_ms"],
                "flood's calls/s": flood_s,
                "server_µs/call": cpu_s / seen["seconds"] / (calls_s + flood_s) * 1e6,
            },
        )
        calm(lab, target)
