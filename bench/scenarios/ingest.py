"""Ingest: durable calls a second, latency, and CPU per call, at growing numbers of connections, ours beside both peers."""

from __future__ import annotations

import sys
from collections.abc import Callable

from bench.contestants import PEERS, Target, ours
from bench.ingesting import sample
from bench.lab import Lab
from bench.results import Goal, Report, Table
from bench.scale import Scale


def run(lab: Lab, scale: Scale) -> Report:
    table = Table(
        "Durable calls",
        ("connections", "server"),
        {"calls/s": 0, "p50_ms": 1, "p99_ms": 1, "server_µs/call": 0, "mongod_µs/call": 0, "load_busy_%": 0},
    )
    with lab.scope() as scope:
        targets = [ours(lab, scope), *(start(lab, scope) for start in PEERS.values())]
        for connections in scale.connections:
            for target in scale.rounds(targets):
                _measure(lab, scale, table, target, connections)
    most = max(scale.connections)
    with lab.scope() as scope:
        child = lab.child(scope, "echo", sys.executable, "-m", "bench.programs.echo")
        echo = Target("echo", (int(child.wait_for(r"listening (\d+)")),), (child,), ("-",), "", "", "")
        ceiling = sample(lab, echo, scale, 128)
    report = Report("ingest", "Ingest", [table], _goals(table))
    report.notes.append(
        f"The load generator reached {ceiling.calls_s:,.0f} calls/s at 128 connections against a server that only answers, "
        f"and was never busier than {_busiest(table):.0f} % of a core in the rows below: it is not what limits them."
    )
    report.notes.append(f"All three servers run all the time and take turns; connections up to {most}.")
    return report


def _measure(lab: Lab, scale: Scale, table: Table, target: Target, connections: int) -> None:
    seen = sample(lab, target, scale, connections)
    table.add(
        connections,
        target.name,
        **{
            "calls/s": seen.calls_s,
            "p50_ms": seen.p50_ms,
            "p99_ms": seen.p99_ms,
            "server_µs/call": seen.server_us,
            "mongod_µs/call": seen.mongod_us,
            "load_busy_%": seen.load_busy * 100,
        },
    )


def _busiest(table: Table) -> float:
    return max(value for row in table.samples.values() for value in row["load_busy_%"])


def _goals(table: Table) -> list[Goal]:
    def ratio(connections: int, column: str, better: Callable[[list[float]], float]) -> float:
        peers = better([table.get(connections, name, column=column) for name in PEERS])
        return table.get(connections, "tether_rt", column=column) / peers

    goals = [
        Goal.at_least(f"ingest at {n} connection{'s' if n > 1 else ''}, calls/s", limit, ratio(n, "calls/s", max))
        for n, limit in ((1, 1.2), (16, 3), (128, 7))
    ]
    goals.append(Goal.at_most("ingest at 128 connections, p99", 0.25, ratio(128, "p99_ms", min)))
    goals.append(Goal.at_most("server CPU per call at 128 connections", 0.25, ratio(128, "server_µs/call", min)))
    return goals
