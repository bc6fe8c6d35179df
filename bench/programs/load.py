"""The load: so many connections, each sending the next call as soon as the last one is answered; every status is checked.

Reads {ports, keys, connections, turns, templates, every_s, recording_host, respond_async} from standard input, answers
"ready"; then for each {warm_s, run_s} says "begin" and, at the end, what it saw. Requests are made beforehand, so what is left
to do is little; how much, it says.

With `every_s` a connection sends a call each so many seconds instead, those of all connections evenly spread. Latency then
counts from when a call was due, so that a server that stalls is charged for it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
import resource
import secrets
import sys
import time
from collections import Counter
from functools import partial
from typing import Any, cast

import uvloop

from bench.payloads import Template, head, tail, templates

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ids = itertools.count()
_RUN = secrets.token_hex(6)


class Tally:
    """What was answered in the measured time."""

    def __init__(self) -> None:
        self.measuring = False
        self.latencies_s: list[float] = []
        self.statuses: Counter[int] = Counter()


class Connection(asyncio.Protocol):
    """One vendor's connection, kept alive."""

    def __init__(
        self, heads: list[bytes], tails: list[Template], tally: Tally, dice: random.Random, every_s: float, first_s: float
    ) -> None:
        """With `every_s`, the first call of a measurement is due after `first_s`."""
        self._heads = heads
        self._tails = tails
        self._tally = tally
        self._dice = dice
        self._every_s = every_s
        self._first_s = first_s
        self._unread = b""
        self._due_s = 0.0
        """When the call under way was due, or was sent."""
        self.sending = False
        self.idle = asyncio.Event()
        self.idle.set()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def start(self) -> None:
        self.sending = True
        if self._every_s:
            self.idle.clear()
            self._due_s = time.perf_counter() + self._first_s
            self._send_when_due()
        elif self.idle.is_set():
            self._send()

    def _send_when_due(self) -> None:
        wait_s = self._due_s - time.perf_counter()
        if not self.sending:
            self.idle.set()
        elif wait_s > 0:
            asyncio.get_running_loop().call_later(wait_s, self._send_when_due)
        else:
            self._send()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _send(self) -> None:
        assert self._transport is not None
        self.idle.clear()
        call_id = f"{_RUN}{next(_ids):012x}".encode()
        call = self._dice.choice(self._heads) + call_id.join(self._dice.choice(self._tails))
        if not self._every_s:
            self._due_s = time.perf_counter()
        self._transport.write(call)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        end = self._unread.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._unread, 0, end)
        if length is None or len(self._unread) < end + 4 + int(length[1]):
            return
        tally = self._tally
        if tally.measuring:
            tally.statuses[int(self._unread[9:12])] += 1
            tally.latencies_s.append(time.perf_counter() - self._due_s)
        self._unread = b""
        if self._every_s:
            self._due_s += self._every_s
            self._send_when_due()
        elif self.sending:
            self._send()
        else:
            self.idle.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._tally.measuring:
            self._tally.statuses[0] += 1
        self.idle.set()


async def main() -> None:
    loop = asyncio.get_running_loop()
    spec = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    calls = templates(spec["templates"], turns=spec["turns"], recording_host=spec["recording_host"])
    tails = [tail(call) for call in calls]
    heads = {port: [head(port, key, respond_async=spec["respond_async"]) for key in spec["keys"]] for port in spec["ports"]}
    tally = Tally()
    connections: list[Connection] = []
    for index, port in zip(range(spec["connections"]), itertools.cycle(spec["ports"])):
        every_s, first_s = spec["every_s"], spec["every_s"] * index / spec["connections"]
        connection = Connection(heads[port], tails, tally, random.Random(index), every_s, first_s)
        await loop.create_connection(partial(_same, connection), "127.0.0.1", port)
        connections.append(connection)
    say("ready")
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        await measure(json.loads(line), connections, tally)
    for connection in connections:
        connection.close()


def _same(connection: Connection) -> Connection:
    return connection


async def measure(order: dict[str, Any], connections: list[Connection], tally: Tally) -> None:
    for connection in connections:
        connection.start()
    await asyncio.sleep(order["warm_s"])
    tally.latencies_s, tally.statuses = [], Counter()
    own_s, began_s = _own_cpu_s(), time.perf_counter()
    tally.measuring = True
    say("begin")
    await asyncio.sleep(order["run_s"])
    tally.measuring = False
    seconds = time.perf_counter() - began_s
    own_s = _own_cpu_s() - own_s
    latencies = sorted(tally.latencies_s)
    say(
        {
            "calls": len(latencies),
            "seconds": seconds,
            "statuses": dict(tally.statuses),
            "p50_ms": at(latencies, 0.50) * 1000,
            "p99_ms": at(latencies, 0.99) * 1000,
            "max_ms": at(latencies, 1) * 1000,
            "load_busy": own_s / seconds,
        }
    )
    for connection in connections:
        connection.sending = False
    await asyncio.gather(*(connection.idle.wait() for connection in connections))
    say("idle")


def at(values: list[float], share: float) -> float:
    """Return the value below which `share` of the sorted values lie; NaN when there are none."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def say(message: Any) -> None:
    """Tell one line."""
    print(json.dumps(message), flush=True)


def _own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    uvloop.run(main())
