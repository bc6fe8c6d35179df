"""Memory: resident bytes of an idle dashboard, growth while large recordings arrive, and a flood of them: memory and health."""

from __future__ import annotations

import base64
import http.client
import json
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
from bench.programs.load import at
from bench.remote import recording_host
from bench.results import Goal, Report, Table
from bench.scale import Scale

INLINE_BYTES: Final = 10_000_000
FLOOD_POSTS: Final = 60
FLOOD_BYTES: Final = 20_000_000
FLOOD_BUDGET_MB: Final = 256
"""`TETHER_BODIES_IN_FLIGHT_MB` as it is without being set."""
FLOOD_BOUND_MB: Final = 2 * FLOOD_BUDGET_MB + 192
"""What docs/reliability.md promises for that budget."""
_AT_ONCE: Final = 4
_HEALTH_EVERY_S: Final = 0.02
_HEALTH_WITHIN_S: Final = 10.0
_MB: Final = 1 << 20


def run(lab: Lab, scale: Scale) -> Report:
    dashboards = Table("Idle dashboards", ("dashboards",), {"KB resident each": 1})
    growth = Table("While recordings arrive", ("what",), {"MB peak growth": 1, "MB kept": 1})
    flood = Table(
        "A flood, until every call is taken",
        ("what",),
        {"s": 1, "503s": 0, "MB peak": 0, "healthz_p50_ms": 1, "healthz_p99_ms": 1, "healthz_max_ms": 1},
    )
    fetched = f"{scale.fetched_bytes // 1_000_000} MB by URL"
    inline = f"{INLINE_BYTES // 1_000_000} MB inline"
    several = f"{_AT_ONCE} × {inline} at once"
    flooding = f"{FLOOD_POSTS} × {FLOOD_BYTES // 1_000_000} MB"
    for _ in range(scale.repeats):
        with lab.scope() as scope:
            target = ours(lab, scope, database=f"memory-{uuid.uuid4().hex[:8]}")
            dashboards.add(scale.idle_dashboards, **{"KB resident each": _idle(lab, target, scale.idle_dashboards) / 1024})
        with lab.scope() as scope:
            host = recording_host(lab, scope, scale.fetched_bytes, delay_ms=0)
            _grow(growth, fetched, _start(lab, scope, host), [f"http://{host}/recording.mp3"])
        for what, count in ((inline, 1), (several, _AT_ONCE)):
            with lab.scope() as scope:
                _grow(growth, what, _start(lab, scope), [_recording(number) for number in range(count)])
        with lab.scope() as scope:
            flood.add(flooding, **_flood(lab, scope, _start(lab, scope)))
    goals = [
        Goal.at_most(
            "idle dashboard, resident, kernel aside",
            12,
            dashboards.get(scale.idle_dashboards, column="KB resident each"),
            "KB",
        ),
        Goal.at_most("resident growth while 150 MB are fetched", 24, growth.get(fetched, column="MB peak growth"), "MB"),
        Goal.at_most(f"/healthz while {flooding} are posted, worst", 250, flood.get(flooding, column="healthz_max_ms"), "ms"),
        Goal.at_most(f"resident while {flooding} are posted", FLOOD_BOUND_MB, flood.get(flooding, column="MB peak"), "MB"),
    ]
    return Report("memory", "Memory", [dashboards, growth, flood], goals)


def _start(lab: Lab, scope: ExitStack, host: str = "127.0.0.1:9") -> Target:
    """Start a server that has taken a call of each kind before, so that what is loaded on first use is not counted."""
    target = ours(
        lab,
        scope,
        database=f"memory-{uuid.uuid4().hex[:8]}",
        settings={"TETHER_PRIVATE_RECORDING_HOSTS": host, "TETHER_BODIES_IN_FLIGHT_MB": str(FLOOD_BUDGET_MB)},
    )
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


def _flood(lab: Lab, scope: ExitStack, target: Target) -> dict[str, float]:
    """Flood the target and ask for its health all the while, as a load balancer does: each time on a new connection."""
    flood = lab.program(scope, "flood")
    pid = target.children[0].pid
    reset_peak(pid)
    flood.tell({"port": target.port, "key": target.keys[0], "count": FLOOD_POSTS, "bytes": FLOOD_BYTES})
    health_ms: list[float] = []
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(flood.hear, 600)
        while not answer.done():
            health_ms.append(_health_s(target.port) * 1000)
            time.sleep(_HEALTH_EVERY_S)
    seen = answer.result()
    if seen["statuses"].keys() - {"503"} != {"201"}:
        raise BenchError(f"The flood was answered with {seen['statuses']}.")
    health_ms.sort()
    return {
        "s": seen["seconds"],
        "503s": seen["statuses"].get("503", 0),
        "MB peak": memory_bytes(pid, "VmHWM") / _MB,
        "healthz_p50_ms": at(health_ms, 0.5),
        "healthz_p99_ms": at(health_ms, 0.99),
        "healthz_max_ms": at(health_ms, 1),
    }


def _health_s(port: int) -> float:
    """Return how long one answer of `/healthz` takes; raises `BenchError` for another answer than 200."""
    began_s = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_HEALTH_WITHIN_S)
    connection.request("GET", "/healthz")
    with connection.getresponse() as answer:
        answer.read()
    took_s = time.perf_counter() - began_s
    connection.close()
    if answer.status != 200:
        raise BenchError(f"/healthz was answered with {answer.status}.")
    return took_s


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
