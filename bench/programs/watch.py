"""Vendors and dashboards at once: calls posted at a steady rate, and when their last event is seen.

Reads {port, key, token, kind, dashboards, rate, seconds, warm_s} and answers with the latencies' percentiles in milliseconds.
Calls come by chance (exponential gaps), whether or not earlier ones are answered, and are timed from when they were due: a
server that stalls is charged for it. The arrival is seen on five of the dashboards, evenly spread in the order of connecting;
the others only read.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import secrets
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import uvloop

from bench.payloads import head, tail, templates
from bench.programs.drain import say, socketio_connect, upgrade
from bench.programs.load import at

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CALL_ID = re.compile(rb'"callId": ?"([0-9a-f]{24})"')
_SEEN = 5

Arrived = Callable[[str, float], None]


class Dashboard(asyncio.Protocol):
    """A dashboard's connection; tells of each `fetch_messages` by its call, if it is told whom to tell."""

    def __init__(self, spec: dict[str, Any], arrived: Arrived | None) -> None:
        self._spec = spec
        self._arrived = arrived
        self._unread = b""
        self.open = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(upgrade(self._spec["kind"], self._spec["port"], self._spec["token"]))

    def data_received(self, data: bytes) -> None:
        if not self.open.is_set():
            self._unread += data
            answer, end, self._unread = self._unread.partition(b"\r\n\r\n")
            if not end:
                self._unread = answer
                return
            if b" 101 " not in answer[:16]:
                raise SystemExit(f"A dashboard was refused: {answer!r}")
            if self._spec["kind"] == "socketio":
                self._transport.write(socketio_connect(self._spec["token"]))
            self.open.set()
        elif self._arrived is not None:
            self._unread += data
        if self._arrived is not None:
            self._read(time.perf_counter())

    def _read(self, now_s: float) -> None:
        data, at_byte = self._unread, 0
        while len(data) - at_byte >= 2:
            size, start = data[at_byte + 1], at_byte + 2
            if size == 126:
                size, start = int.from_bytes(data[start : start + 2]), start + 2
            elif size == 127:
                size, start = int.from_bytes(data[start : start + 8]), start + 8
            if len(data) < start + size:
                break
            if data.find(b"fetch_messages", start, start + 64) > 0 and self._arrived is not None:
                found = _CALL_ID.search(data, start, start + size)
                if found is not None:
                    self._arrived(found[1].decode(), now_s)
            at_byte = start + size
        self._unread = data[at_byte:]


class Vendor(asyncio.Protocol):
    """One of the connections over which calls are posted, one after another."""

    def __init__(self, free: list[Vendor]) -> None:
        self._free = free
        self._unread = b""
        self._answer: asyncio.Future[str] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def post(self, request: bytes) -> asyncio.Future[str]:
        """Send a call; the future gives its id."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._unread += data
        end = self._unread.find(b"\r\n\r\n")
        length = _LENGTH.search(self._unread, 0, end) if end > 0 else None
        if length is None or len(self._unread) < end + 4 + int(length[1]) or self._answer is None:
            return
        body, status, self._unread = self._unread[end + 4 :], int(self._unread[9:12]), b""
        if status != 201:
            raise SystemExit(f"A call was answered with {status}: {body!r}")
        self._answer.set_result(json.loads(body)["callId"])
        self._free.append(self)


class Watch:
    """What was posted and what arrived."""

    def __init__(self) -> None:
        self.due_s: dict[str, float] = {}
        self.seen: list[tuple[str, float]] = []
        self.answered: list[float] = []

    def arrived(self, call_id: str, now_s: float) -> None:
        """Note that a call's last event was read on a dashboard."""
        self.seen.append((call_id, now_s))

    async def post(self, vendor: Vendor, request: bytes, due_s: float) -> None:
        """Post a call and note when it was due."""
        call_id = await vendor.post(request)
        self.answered.append(time.perf_counter() - due_s)
        self.due_s[call_id] = due_s


async def main() -> None:
    spec = json.loads(sys.stdin.readline())
    watch = Watch()
    loop = asyncio.get_running_loop()
    every = max(1, spec["dashboards"] // _SEEN)
    for number in range(spec["dashboards"]):
        dashboard = Dashboard(spec, watch.arrived if number % every == every // 2 else None)
        await loop.create_connection(partial(_same, dashboard), "127.0.0.1", spec["port"])
        async with asyncio.timeout(20):
            await dashboard.open.wait()
    await asyncio.sleep(0.5)
    await run(spec, watch, warm=True)
    watch.answered.clear()
    watch.due_s.clear()
    watch.seen.clear()
    await run(spec, watch, warm=False)
    latencies = sorted(now_s - watch.due_s[call_id] for call_id, now_s in watch.seen if call_id in watch.due_s)
    answers = sorted(watch.answered)
    say(
        {
            "calls": len(answers),
            "events": len(latencies),
            "missing": len(watch.due_s) * len(range(every // 2, spec["dashboards"], every)) - len(latencies),
            "p50_ms": at(latencies, 0.50) * 1000,
            "p99_ms": at(latencies, 0.99) * 1000,
            "answer_p50_ms": at(answers, 0.50) * 1000,
            "answer_p99_ms": at(answers, 0.99) * 1000,
        }
    )


def _same(protocol: Any) -> Any:
    return protocol


async def run(spec: dict[str, Any], watch: Watch, *, warm: bool) -> None:
    """Post for a while and wait until everything was answered and seen."""
    loop = asyncio.get_running_loop()
    dice = random.Random(warm)
    tails = [tail(call) for call in templates(500)]
    first = head(spec["port"], spec["key"])
    free: list[Vendor] = []
    posting: set[asyncio.Task[None]] = set()
    due_s = time.perf_counter()
    end_s = due_s + (spec["warm_s"] if warm else spec["seconds"])
    while (due_s := due_s + dice.expovariate(spec["rate"])) < end_s:
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        if not free:
            await loop.create_connection(partial(_same, made := Vendor(free)), "127.0.0.1", spec["port"])
            free.append(made)
        request = first + secrets.token_hex(12).encode().join(dice.choice(tails))
        posting.add(task := asyncio.create_task(watch.post(free.pop(), request, due_s)))
        task.add_done_callback(posting.discard)
    async with asyncio.timeout(60):
        await asyncio.gather(*posting)
        seen = -1
        while seen != len(watch.seen):
            seen = len(watch.seen)
            await asyncio.sleep(0.5)


if __name__ == "__main__":
    uvloop.run(main())
