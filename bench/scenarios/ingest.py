"""Ingest: durable calls a second, latency, and CPU per call, at growing numbers of connections, ours beside both peers."""

from __future__ import annotations

import sys
from collections.abc import Callable

from bench.contestants import ALL, OURS, PEERS, Target
from bench.ingesting import COLUMNS, sample
from bench.lab import Lab
from bench.results import Goal, Report, Table
from bench.scale import Scale


def run(lab: Lab, scale: Scale) -> Report:
    table = Table("Durable calls", ("connections", "server"), COLUMNS)
    for start in scale.rounds(list(ALL.values())):
        with lab.scope() as scope:
            target = start(lab, scope)
            for connections in scale.connections:
                table.add(connections, target.name, **sample(lab, target, scale, connections).columns)
    with lab.scope() as scope:
        child = lab.child(scope, "echo", sys.executable, "-m", "bench.programs.echo")
        echo = Target("echo", (int(child.wait_for(r"listening (\d+)")),), (child,), ("-",), "", "", "")
        ceiling = sample(lab, echo, scale, 128)
    report = Report("ingest", "Ingest", [table], _goals(table))
    report.notes.append(
        f"The load generator reached {ceiling.calls_s:,.0f} calls/s at 128 connections against a server that only answers, "
        f"and was never busier than {_busiest(table):.0f} % of a core in the rows below: it is not what limits them."
    )
    return report


def _busiest(table: Table) -> float:
    return max(value for row in table.samples.values() for value in row["load_busy_%"])


def _goals(table: Table) -> list[Goal]:
    def ratio(connections: int, column: str, better: Callable[[list[float]], float]) -> float:
        peers = better([table.get(connections, name, column=column) for name in PEERS])
        return table.get(connections, OURS, column=column) / peers

    goals = [
        Goal.at_least(f"ingest at {n} connection{'s' if n > 1 else ''}, calls/s", limit, ratio(n, "calls/s", max))
        for n, limit in ((1, 1.2), (16, 3), (128, 7))
    ]
    goals.append(Goal.at_most("ingest at 128 connections, p99", 0.25, ratio(128, "p99_ms", min)))

    def server_us(name: str) -> float:
        # What was put off counts in full.
        return table.get(128, name, column="server_µs/call") + table.get(128, name, column="server afterwards_µs/call")

    cheapest = min(server_us(name) for name in PEERS)
    goals.append(Goal.at_most("server CPU per call at 128 connections", 0.25, server_us(OURS) / cheapest))
    return goals
