"""Store: small recordings inline, kept in an S3 store 40 ms away, ours beside both peers with the usual SDKs."""

from __future__ import annotations

from functools import partial
from typing import Final

from bench.contestants import ALL, OURS
from bench.ingesting import COLUMNS, beside_peers, sample, server_us
from bench.lab import Lab
from bench.payloads import COMPLETED
from bench.remote import STORE_MS, RecordingStore
from bench.results import Goal, Report, Table
from bench.scale import Scale

_CONNECTIONS: Final = (16, 128)
_ON_DISK: Final = f"{OURS} on disk"


def run(lab: Lab, scale: Scale) -> Report:
    table = Table(f"Recordings of 4 KB inline, a store {STORE_MS} ms away", ("connections", "server"), COLUMNS)
    scale = scale.longer()
    with lab.scope() as away:
        store = RecordingStore(lab, away)
        for name in scale.rounds([*ALL, _ON_DISK]):
            with lab.scope() as scope:
                target = ALL[OURS](lab, scope) if name == _ON_DISK else ALL[name](lab, scope, store.settings)
                for connections in _CONNECTIONS:
                    table.add(connections, name, **sample(lab, target, scale, connections).columns)
    return Report("store", "Small recordings into a store", [table], _goals(table))


def _goals(table: Table) -> list[Goal]:
    what = "4 KB into a store at 128 connections"
    put_us = (server_us(table, 128, OURS) - server_us(table, 128, _ON_DISK)) / COMPLETED
    return [
        Goal.at_least(f"{what}, calls/s", 5, beside_peers(partial(table.get, 128, column="calls/s"), max)),
        Goal.at_most(f"{what}, p99", 0.2, beside_peers(partial(table.get, 128, column="p99_ms"), min)),
        Goal.at_most(f"{what}, server CPU per call", 0.25, beside_peers(partial(server_us, table, 128), min)),
        Goal.at_most(f"{what}, server CPU of a PUT beyond that of a file", 0.4, put_us / 1000, "ms"),
        Goal.at_least("4 KB into a store at 16 connections", 400, table.get(16, OURS, column="calls/s"), "calls/s"),
    ]
