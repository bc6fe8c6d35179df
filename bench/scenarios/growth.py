"""Growth: what stored calls, long transcripts, many organizations and a second process do to ingest and to queries."""

from __future__ import annotations

import http.client
import time
from contextlib import ExitStack
from dataclasses import replace
from statistics import median
from typing import Final
from urllib.parse import quote

from bench.contestants import Target, add_organizations, ours
from bench.ingesting import COLUMNS, sample
from bench.lab import Lab
from bench.loader import fill
from bench.process import BenchError
from bench.results import Goal, Report, Table
from bench.scale import Scale
from tether_rt.domain.source import Source

_CONNECTIONS: Final = 128
_QUERY_MS: Final = 10_000
"""A slow query is asked less often."""
_QUERIES: Final = {
    "history page": "/api/calls/history?limit=50",
    "search, a number's end": "/api/calls/history?limit=50&search=1234",
    "search, a frequent word": "/api/calls/history?limit=50&search=" + quote("battery"),
    "statistics": "/api/calls/statistics",
}


def run(lab: Lab, scale: Scale) -> Report:
    report = Report("growth", "Growth")
    report.notes.append(
        "Servers that are compared run all the time and take turns. Each one's change stream makes MongoDB work at every "
        "write of the others, so figures are lower than under Ingest; it does so to all alike."
    )
    with lab.scope() as scope:
        _stored(lab, scope, scale, report)
    scale = replace(scale, repeats=min(2, scale.repeats))
    with lab.scope() as scope:
        _turns(lab, scope, scale, report)
    with lab.scope() as scope:
        _organizations(lab, scope, scale, report)
    with lab.scope() as scope:
        _processes(lab, scope, scale, report)
    return report


def _stored(lab: Lab, scope: ExitStack, scale: Scale, report: Report) -> None:
    queries = Table("Queries, one after another", ("calls stored", "query"), {"p50_ms": 1, "p99_ms": 1})
    ingest = Table(f"Ingest at {_CONNECTIONS} connections", ("calls stored",), COLUMNS)
    targets = {count: filled(lab, scope, count, f"stored-{count}") for count in (0, *scale.stored)}
    for name, path in _QUERIES.items():
        for count in scale.rounds(scale.stored):
            times = _times_ms(targets[count], path, scale.queries)
            queries.add(f"{count:,}", name, p50_ms=median(times), p99_ms=times[int(len(times) * 0.99)])
    for count in scale.rounds(list(targets)):
        ingest.add(f"{count:,}", **sample(lab, targets[count], scale, _CONNECTIONS).columns)
    report.tables += [queries, ingest]
    least, most = scale.stored[0], scale.stored[-1]
    for name in list(_QUERIES)[:3]:
        ratio = queries.get(f"{most:,}", name, column="p50_ms") / queries.get(f"{least:,}", name, column="p50_ms")
        report.goals.append(Goal.at_most(f"{name}, {most:,} calls against {least:,}, p50", 2, ratio))
    ratio = ingest.get(f"{most:,}", column="calls/s") / ingest.get("0", column="calls/s")
    report.goals.append(Goal.at_least(f"ingest with {most:,} calls stored against none, calls/s", 0.9, ratio))


def filled(lab: Lab, scope: ExitStack, count: int, database: str) -> Target:
    """Start a server that has so many calls of one organization."""
    user = add_organizations(lab.mongodb_uri, database, 1)[0]
    if count:
        began_s = time.monotonic()
        fill(lab.mongodb_uri, database, Source(user.user_id, user.organization_id, "Sam Poe"), count)
        print(f"{count:,} calls were loaded in {time.monotonic() - began_s:.0f} s", flush=True)
    return ours(lab, scope, database=database, keys=(user.api_key,))


def _turns(lab: Lab, scope: ExitStack, scale: Scale, report: Report) -> None:
    table = Table(f"Transcripts, {_CONNECTIONS} connections", ("turns",), COLUMNS)
    target = ours(lab, scope, database="turns")
    for turns in scale.rounds(scale.turns):
        table.add(turns, **sample(lab, target, scale, _CONNECTIONS, turns=turns).columns)
    ratio = table.get(200, column="server_µs/call") / table.get(20, column="server_µs/call")
    report.tables.append(table)
    report.goals.append(Goal.at_most("a transcript of 200 turns against 20, server CPU", 2, ratio))


def _organizations(lab: Lab, scope: ExitStack, scale: Scale, report: Report) -> None:
    table = Table(f"Organizations, {_CONNECTIONS} connections", ("organizations",), COLUMNS)
    targets = {n: ours(lab, scope, database=f"organizations-{n}", organizations=n) for n in scale.organizations}
    for count in scale.rounds(scale.organizations):
        table.add(count, **sample(lab, targets[count], scale, _CONNECTIONS).columns)
    report.tables.append(table)


def _processes(lab: Lab, scope: ExitStack, scale: Scale, report: Report) -> None:
    table = Table(f"Server processes, {_CONNECTIONS} connections in all", ("processes", "organizations"), COLUMNS)
    for organizations in (1, 10) if scale.repeats > 1 else (1,):
        targets = {
            count: ours(lab, scope, database=f"processes-{count}-{organizations}", processes=count, organizations=organizations)
            for count in (1, 2)
        }
        for count in scale.rounds(list(targets)):
            table.add(count, organizations, **sample(lab, targets[count], scale, _CONNECTIONS).columns)
    report.tables.append(table)


def _times_ms(target: Target, path: str, count: int) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=120)
    times = []
    for number in range(count + 2):
        began_s = time.perf_counter()
        connection.request("GET", path, headers={"Authorization": f"Bearer {target.token}"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise BenchError(f"{path} was answered with {answer.status}.")
        if number >= 2:
            times.append((time.perf_counter() - began_s) * 1000)
        if sum(times) > _QUERY_MS:
            break
    connection.close()
    return sorted(times)
