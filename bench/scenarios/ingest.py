"""Ingest: durable calls a second, latency, and CPU per call, at growing numbers of connections, ours beside both peers."""

from __future__ import annotations

import sys
from functools import partial

from bench.contestants import ALL, Target
from bench.ingesting import COLUMNS, beside_peers, sample, server_us
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
    goals = [
        Goal.at_least(
            f"ingest at {n} connection{'s' if n > 1 else ''}, calls/s",
            limit,
            beside_peers(partial(table.get, n, column="calls/s"), max),
        )
        for n, limit in ((1, 1.2), (16, 3), (128, 7))
    ]
    p99 = beside_peers(partial(table.get, 128, column="p99_ms"), min)
    goals.append(Goal.at_most("ingest at 128 connections, p99", 0.25, p99))
    cpu = beside_peers(partial(server_us, table, 128), min)
    goals.append(Goal.at_most("server CPU per call at 128 connections", 0.25, cpu))
    return goals
