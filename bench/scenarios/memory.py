"""Memory: resident bytes of an idle dashboard, and growth while large recordings arrive, by URL and inline."""

from __future__ import annotations

import base64
import json
import sys
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Final

from bench.contestants import Target, ours
from bench.lab import Lab
from bench.payloads import mp3
from bench.process import BenchError, memory_bytes, reset_peak
from bench.results import Goal, Report, Table
from bench.scale import Scale

INLINE_BYTES: Final = 10_000_000
_AT_ONCE: Final = 4
_MB: Final = 1 << 20


def run(lab: Lab, scale: Scale) -> Report:
    dashboards = Table("Idle dashboards", ("dashboards",), {"KB resident each": 1})
    growth = Table("While recordings arrive", ("what",), {"MB peak growth": 1, "MB kept": 1})
    fetched = f"{scale.fetched_bytes // 1_000_000} MB by URL"
    inline = f"{INLINE_BYTES // 1_000_000} MB inline"
    several = f"{_AT_ONCE} × {inline} at once"
    for _ in range(scale.repeats):
        with lab.scope() as scope:
            target = ours(lab, scope, database=f"memory-{uuid.uuid4().hex[:8]}")
            dashboards.add(scale.idle_dashboards, **{"KB resident each": _idle(lab, target, scale.idle_dashboards) / 1024})
        with lab.scope() as scope:
            vendor = lab.child(scope, "vendor", sys.executable, "-m", "bench.programs.vendor", str(scale.fetched_bytes))
            host = "127.0.0.1:" + vendor.wait_for(r"listening (\d+)")
            _grow(growth, fetched, _start(lab, scope, host), [f"http://{host}/recording.mp3"])
        for what, count in ((inline, 1), (several, _AT_ONCE)):
            with lab.scope() as scope:
                _grow(growth, what, _start(lab, scope), [_recording(number) for number in range(count)])
    goals = [
        Goal.at_most(
            "idle dashboard, resident, kernel aside",
            12,
            dashboards.get(scale.idle_dashboards, column="KB resident each"),
            "KB",
        ),
        Goal.at_most("resident growth while 150 MB are fetched", 24, growth.get(fetched, column="MB peak growth"), "MB"),
    ]
    return Report("memory", "Memory", [dashboards, growth], goals)


def _start(lab: Lab, scope: ExitStack, host: str = "127.0.0.1:9") -> Target:
    """Start a server that has taken a call of each kind before, so that what is loaded on first use is not counted."""
    target = ours(lab, scope, database=f"memory-{uuid.uuid4().hex[:8]}", TETHER_PRIVATE_RECORDING_HOSTS=host)
    for number in range(20):
        _post(target, base64.b64encode(mp3(200_000, f"{number}".encode())).decode())
    return target


def _grow(table: Table, what: str, target: Target, recordings: list[str]) -> None:
    pid = target.children[0].pid
    before = memory_bytes(pid)
    reset_peak(pid)
    with ThreadPoolExecutor(len(recordings)) as threads:
        list(threads.map(lambda recording: _post(target, recording), recordings))
    table.add(
        what,
        **{
            "MB peak growth": (memory_bytes(pid, "VmHWM") - before) / _MB,
            "MB kept": (memory_bytes(pid) - before) / _MB,
        },
    )


def _post(target: Target, recording: str) -> None:
    call: dict[str, Any] = {
        "direction": "inbound", "fromNumber": "+14165550111", "toNumber": "+14165550100", "duration": 60,
        "status": "completed", "transcript": [{"role": "agent", "message": "Hello."}], "summary": "A call.",
        "recording": recording, "externalCallId": uuid.uuid4().hex,
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {target.keys[0]}", "Content-Type": "application/json"}
    url = f"http://127.0.0.1:{target.port}/api/calls/ingest"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(call).encode(), headers), timeout=120) as answer:
        if answer.status != 201:
            raise BenchError(f"A call was answered with {answer.status}.")


def _recording(number: int) -> str:
    return base64.b64encode(mp3(INLINE_BYTES, f"{number}".encode())).decode()


def _idle(lab: Lab, target: Target, count: int) -> float:
    pid = target.children[0].pid
    with lab.scope() as scope:
        receivers = lab.program(scope, "drain")
        order = {"port": target.port, "kind": "tether", "token": target.token}
        # A first few, so that what is loaded on first use is not counted.
        receivers.tell({**order, "count": 100})
        receivers.hear()
        time.sleep(1.0)
        before = memory_bytes(pid)
        more = lab.program(scope, "drain")
        more.tell({**order, "count": count})
        more.hear()
        time.sleep(2.0)  # not until it is quiet: a twentieth of the dashboards is pinged every second
        return (memory_bytes(pid) - before) / count
