"""Later: the recordings of `addresses`, with `Prefer: respond-async`: answers at once, and recordings that follow."""

from __future__ import annotations

import time
from typing import Final

from bench.contestants import OURS, Target, ours_anew
from bench.ingesting import Load
from bench.lab import Lab
from bench.process import BenchError, memory_bytes, reset_peak
from bench.remote import RecordingStore, recording_host
from bench.results import Goal, Report, Table
from bench.scale import Scale

_CONNECTIONS: Final = (16, 64)
_STORED_WITHIN_S: Final = 300.0
_LOOK_S: Final = 0.2
_MB: Final = 1 << 20


def run(lab: Lab, scale: Scale) -> Report:
    table = Table(
        "Answered at once, fetched behind",
        ("connections", "server"),
        {
            "answered/s": 0,
            "p50_ms": 1,
            "p99_ms": 1,
            "stored/s meanwhile": 0,
            "stored/s afterwards": 0,
            "waiting at the end": 0,
            "server_µs/call": 0,
            "MB peak growth": 0,
        },
    )
    scale = scale.longer()
    with lab.scope() as away:
        store, host = RecordingStore(lab, away), recording_host(lab, away)
        settings = {**store.settings, "TETHER_PRIVATE_RECORDING_HOSTS": host}
        for _ in range(scale.repeats):
            for connections in _CONNECTIONS:
                with lab.scope() as scope:
                    target = ours_anew(lab, scope, settings)
                    load = Load(lab, scope, target, connections, recording_host=host, respond_async=True)
                    table.add(connections, OURS, **_measure(lab, scale, target, load, store))
    what = "240 KB by address with respond-async at 64 connections"
    goals = [
        Goal.at_least(f"{what}, answered", 500, table.get(64, OURS, column="answered/s"), "calls/s"),
        Goal.at_least(f"{what}, stored meanwhile", 150, table.get(64, OURS, column="stored/s meanwhile"), "a second"),
        Goal.at_most(f"{what}, more resident", 64, table.get(64, OURS, column="MB peak growth"), "MB"),
    ]
    return Report("later", "Recordings by address, later", [table], goals)


def _measure(lab: Lab, scale: Scale, target: Target, load: Load, store: RecordingStore) -> dict[str, float]:
    """Load the target, then wait until every recording is stored. The server's CPU is of both."""
    pid = target.children[0].pid
    load.begin(0.0, scale.warm_s)
    load.seen()
    load.end()
    _wait_until_stored(lab, target)
    resident = memory_bytes(pid)
    reset_peak(pid)
    before, cpu_s = store.objects(), target.cpu_s()
    load.begin(0.0, scale.run_s)
    seen = load.seen()
    meanwhile = store.objects() - before
    load.end()
    waiting = _waiting(lab, target)
    afterwards_s = _wait_until_stored(lab, target)
    return {
        "answered/s": seen["calls"] / seen["seconds"],
        "p50_ms": seen["p50_ms"],
        "p99_ms": seen["p99_ms"],
        "stored/s meanwhile": meanwhile / seen["seconds"],
        "stored/s afterwards": (store.objects() - before - meanwhile) / afterwards_s,
        "waiting at the end": waiting,
        "server_µs/call": (target.cpu_s() - cpu_s) / seen["calls"] * 1e6,
        "MB peak growth": (memory_bytes(pid, "VmHWM") - resident) / _MB,
    }


def _wait_until_stored(lab: Lab, target: Target) -> float:
    """Wait until no recording is to be fetched any more; return how long that took."""
    began_s = time.monotonic()
    while waiting := _waiting(lab, target):
        if time.monotonic() - began_s > _STORED_WITHIN_S:
            raise BenchError(f"{waiting:,} recordings still wait to be fetched.")
        time.sleep(_LOOK_S)
    return time.monotonic() - began_s


def _waiting(lab: Lab, target: Target) -> int:
    with lab.client() as client:
        return client[target.database]["pending_recordings"].estimated_document_count()
