"""Processes: two against one, ten organizations with recordings in a store 40 ms away."""

from __future__ import annotations

from functools import partial
from typing import Final

from bench.contestants import ours
from bench.ingesting import COLUMNS, sample
from bench.lab import Lab
from bench.remote import STORE_MS, RecordingStore
from bench.results import Goal, Report, Table
from bench.scale import Scale

_CONNECTIONS: Final = 128
_ORGANIZATIONS: Final = 10


def run(lab: Lab, scale: Scale) -> Report:
    title = f"{_ORGANIZATIONS} organizations, {_CONNECTIONS} connections in all, a store {STORE_MS} ms away"
    table = Table(title, ("processes",), COLUMNS)
    scale = scale.longer()
    with lab.scope() as away:
        store = RecordingStore(lab, away)
        for number, processes in enumerate(scale.rounds((1, 2))):
            with lab.scope() as scope:
                target = ours(
                    lab, scope, database=f"processes-{number}",
                    processes=processes, organizations=_ORGANIZATIONS, settings=store.settings,
                )  # fmt: skip
                table.add(processes, **sample(lab, target, scale, _CONNECTIONS).columns)

    def ratio(column: str) -> float:
        one, two = map(partial(table.get, column=column), (1, 2))
        return two / one

    goals = [
        Goal.at_least("two processes against one, ten organizations, calls/s", 1, ratio("calls/s")),
        Goal.at_most("two processes against one, ten organizations, p99", 1.2, ratio("p99_ms")),
    ]
    return Report("processes", "Two processes", [table], goals)
