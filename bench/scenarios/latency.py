"""Latency: from when a POST is due to the last of its events on a dashboard, with fifty dashboards."""

from __future__ import annotations

from typing import Any, Final

from bench.contestants import ALL, OURS, PEERS, Target
from bench.lab import Lab
from bench.process import BenchError
from bench.results import Goal, Report, Table
from bench.scale import Scale

DASHBOARDS: Final = 50


def run(lab: Lab, scale: Scale) -> Report:
    table = Table(
        f"From POST to the last event, {DASHBOARDS} dashboards",
        ("calls/s", "server"),
        {"p50_ms": 1, "p99_ms": 1, "answer p50_ms": 1, "answer p99_ms": 1, "server_µs/call": 0},
    )
    for start in scale.rounds(list(ALL.values())):
        with lab.scope() as scope:
            target = start(lab, scope)
            for rate in scale.rates:
                _measure(lab, scale, table, target, rate)
    rate = 50
    goals = []
    for column, limit in (("p50_ms", 0.6), ("p99_ms", 0.5)):
        peers = min(table.get(rate, name, column=column) for name in PEERS)
        what = f"POST to event, {rate} calls/s, {DASHBOARDS} dashboards, {column[:3]}"
        goals.append(Goal.at_most(what, limit, table.get(rate, OURS, column=column) / peers))
    return Report("latency", "Latency", [table], goals)


def _measure(lab: Lab, scale: Scale, table: Table, target: Target, rate: int) -> None:
    with lab.scope() as scope:
        before_s = target.cpu_s()
        order: dict[str, Any] = {
            "port": target.port, "key": target.keys[0], "token": target.token, "kind": target.dashboards,
            "dashboards": DASHBOARDS, "rate": rate, "seconds": scale.latency_s, "warm_s": scale.warm_s,
        }  # fmt: skip
        seen = lab.program(scope, "watch").ask(order, 240)
        if not seen["calls"] or seen["missing"]:
            raise BenchError(f"{target.name} left out {seen['missing']} events of {seen['calls']} calls.")
        calls = seen["calls"] * (1 + scale.warm_s / scale.latency_s)
        table.add(
            rate,
            target.name,
            **{
                "p50_ms": seen["p50_ms"],
                "p99_ms": seen["p99_ms"],
                "answer p50_ms": seen["answer_p50_ms"],
                "answer p99_ms": seen["answer_p99_ms"],
                "server_µs/call": (target.cpu_s() - before_s) / calls * 1e6,
            },
        )
