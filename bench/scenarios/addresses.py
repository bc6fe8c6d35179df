"""Addresses: recordings of 240 KB fetched from a host that takes 300 ms, within the request, into a store 40 ms away."""

from __future__ import annotations

from functools import partial
from typing import Final

from bench.contestants import ALL, OURS
from bench.ingesting import COLUMNS, beside_peers, sample, server_us
from bench.lab import Lab
from bench.payloads import COMPLETED
from bench.remote import HOST_MS, RECORDING_BYTES, STORE_MS, RecordingStore, recording_host
from bench.results import Goal, Report, Table
from bench.scale import Scale

_CONNECTIONS: Final = (16, 64)


def run(lab: Lab, scale: Scale) -> Report:
    table = Table(
        f"Recordings of {RECORDING_BYTES // 1000} KB by address, the host {HOST_MS} ms away and the store {STORE_MS}",
        ("connections", "server"),
        COLUMNS,
    )
    scale = scale.longer()
    with lab.scope() as away:
        store, host = RecordingStore(lab, away), recording_host(lab, away)
        settings = {**store.settings, "TETHER_PRIVATE_RECORDING_HOSTS": host}
        for start in scale.rounds(list(ALL.values())):
            with lab.scope() as scope:
                target = start(lab, scope, settings)
                for connections in _CONNECTIONS:
                    seen = sample(lab, target, scale, connections, recording_host=host)
                    table.add(connections, target.name, **seen.columns)
    return Report("addresses", "Recordings by address", [table], _goals(table))


def _goals(table: Table) -> list[Goal]:
    what = f"{RECORDING_BYTES // 1000} KB by address at 64 connections"
    return [
        Goal.at_least(what, 150, table.get(64, OURS, column="calls/s"), "calls/s"),
        Goal.at_most(f"{what}, server CPU a recording", 3, server_us(table, 64, OURS) / COMPLETED / 1000, "ms"),
        Goal.at_least(f"{what}, calls/s", 1, beside_peers(partial(table.get, 64, column="calls/s"), max)),
        Goal.at_most(f"{what}, server CPU per call", 1, beside_peers(partial(server_us, table, 64), min)),
    ]
