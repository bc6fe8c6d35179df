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
_EVERY_S: Final = 4.0
"""How often each of the others sends a call."""
_TIMES: Final = 1_000
"""How much more the flooding one sends."""
_FLOOD_CONNECTIONS: Final = 128
_PROCESSES: Final = (1, 4)
_EXPECTED: Final = ("201", "503")
_NONE, _FLOOD, _UNLIMITED = "none", f"{_TIMES:,} times as much", "as much as is answered"


def run(lab: Lab, scale: Scale) -> Report:
    table = Table(
        f"Calls of {_ORGANIZATIONS - 1} organizations, each one every {_EVERY_S:g} s, a store {STORE_MS} ms away",
        ("processes", "flood"),
        {"calls/s": 0, "p50_ms": 1, "p99_ms": 1, "503s": 0, "flood's calls/s": 0, "flood's p99_ms": 1, "server_µs/call": 0},
    )
    scale = scale.longer()
    with lab.scope() as away:
        store = RecordingStore(lab, away)
        for number, processes in enumerate(scale.rounds(_PROCESSES)):
            with lab.scope() as scope:
                target = ours(
                    lab, scope, database=f"flooding-{number}",
                    processes=processes, organizations=_ORGANIZATIONS, settings=store.settings,
                )  # fmt: skip
                _measure(lab, scope, scale, table, target)
    goals = []
    for processes in _PROCESSES:
        flooded, quiet = (table.get(processes, flood, column="p99_ms") for flood in (_FLOOD, _NONE))
        what = f"p99 of 99 organizations while one sends {_TIMES:,} times as much, {processes} process"
        goals.append(Goal.at_most(what + ("es" if processes > 1 else ""), 2, flooded / quiet))
    return Report("flooding", "A hundred organizations, one of them flooding", [table], goals)


def _measure(lab: Lab, scope: ExitStack, scale: Scale, table: Table, target: Target) -> None:
    first, rest = replace(target, keys=target.keys[:1]), replace(target, keys=target.keys[1:])
    others = Load(lab, scope, rest, len(rest.keys), every_s=_EVERY_S)
    floods = {
        _NONE: None,
        _FLOOD: Load(lab, scope, first, _FLOOD_CONNECTIONS, every_s=_EVERY_S / _TIMES * _FLOOD_CONNECTIONS),
        _UNLIMITED: Load(lab, scope, first, _FLOOD_CONNECTIONS),
    }
    run_s = scale.run_s + 2 * _EVERY_S  # the others' few calls make a p99 only together, and in some time
    for what, flood in floods.items():
        if flood is not None:
            flood.begin(scale.warm_s, run_s + scale.warm_s)
        others.begin(scale.warm_s, run_s)
        cpu_s = target.cpu_s()
        seen = others.seen(_EXPECTED)
        cpu_s = target.cpu_s() - cpu_s
        flooded = {"calls": 0, "seconds": 1.0, "p99_ms": 0.0} if flood is None else flood.seen(_EXPECTED)
        others.end()
        if flood is not None:
            flood.end()
        calls_s, flood_s = (one["calls"] / one["seconds"] for one in (seen, flooded))
        table.add(
            len(target.children),
            what,
            **{
                "calls/s": calls_s,
                "p50_ms": seen["p50_ms"],
                "p99_ms": seen["p99_ms"],
                "503s": seen["statuses"].get("503", 0),
                "flood's calls/s": flood_s,
                "flood's p99_ms": flooded["p99_ms"],
                "server_µs/call": cpu_s / seen["seconds"] / (calls_s + flood_s) * 1e6,
            },
        )
        calm(lab, target)
