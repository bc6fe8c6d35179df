"""Fan-out: deliveries a second and CPU per delivery, ours beside libraries and the bare loop of `socket.send`.

Every contestant has real sockets to receivers in another process. A measurement is many rounds of one event (or of one
call's four) to every dashboard, with the event loop's turn between two rounds; after some 10,000 deliveries the sender waits
until all has arrived, so that nobody's figure comes from filling buffers.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench.contestants import NODE, OURS, PYTHON, sign_in
from bench.lab import Lab
from bench.process import BenchError, Tool, cpu_s, memory_bytes
from bench.results import Goal, Report, Table
from bench.scale import Scale

EVENT_BYTES = 350
CALL_EVENTS = 4
_WINDOW = 10_000  # deliveries before the sender waits for the receivers

BARE = "bare socket.send"
SENDERS = (OURS, BARE, "Node ws", "socket.io", "websockets.broadcast", "Tornado write_message")


@dataclass(slots=True)
class Sender:
    """A server with its dashboards connected."""

    name: str
    server: Tool
    receivers: Tool
    dashboards: int
    idle_bytes: float
    """Resident memory of one idle dashboard."""
    round_bytes: dict[int, int] = field(default_factory=dict)
    """What arrives in all for a round of so many events."""

    def measure(self, deliveries: int, events: int) -> tuple[float, float]:
        """Return events delivered a second, and CPU seconds of the server for one."""
        if events not in self.round_bytes:
            self.round_bytes[events] = self._calibrate(events)
        size = self.round_bytes[events]
        rounds = max(1, _WINDOW // (self.dashboards * events))
        windows = max(1, round(deliveries / (rounds * self.dashboards * events)))
        used_s, wall_s = cpu_s(self.server.pid), 0.0
        for _ in range(windows):
            began_s = time.perf_counter()
            self.receivers.tell({"until": size * rounds})
            self.server.tell({"rounds": rounds, "events": events, "bytes": EVENT_BYTES})
            self.server.hear()
            if self.receivers.hear()["over"]:
                raise BenchError(f"{self.name} sent more than was asked for.")
            wall_s += time.perf_counter() - began_s
        delivered = windows * rounds * self.dashboards * events
        return delivered / wall_s, (cpu_s(self.server.pid) - used_s) / delivered

    def _calibrate(self, events: int) -> int:
        self.receivers.ask({"settle": 0.3})
        self.server.ask({"rounds": 1, "events": events, "bytes": EVENT_BYTES})
        size = int(self.receivers.ask({"settle": 0.3})["bytes"])
        if size < self.dashboards * events * EVENT_BYTES:
            raise BenchError(f"{self.name} delivered {size} bytes, less than there were to deliver.")
        return size


def run(lab: Lab, scale: Scale) -> Report:
    one, four = "one event", "a call's four events"
    table = Table(
        f"Events of {EVENT_BYTES} bytes",
        ("dashboards", "what", "server"),
        {"events/s": 0, "µs CPU/event": 2, "× bare": 2},
    )
    idle = Table("Idle dashboards", ("dashboards", "server"), {"KB resident each": 1})
    for dashboards in scale.dashboards:
        with lab.scope() as scope:
            senders = [connect(lab, scope, name, dashboards) for name in SENDERS]
            for sender in senders:
                idle.add(dashboards, sender.name, **{"KB resident each": sender.idle_bytes / 1024})
            for what, events in ((one, 1), (four, CALL_EVENTS)):
                for sender in scale.rounds(senders):
                    rate, each_s = sender.measure(scale.deliveries, events)
                    table.add(dashboards, what, sender.name, **{"events/s": rate, "µs CPU/event": each_s * 1e6})
        for what in (one, four):
            bare = table.get(dashboards, what, BARE, column="µs CPU/event")
            for name in SENDERS:
                table.add(dashboards, what, name, **{"× bare": table.get(dashboards, what, name, column="µs CPU/event") / bare})

    def cpu(what: str, name: str) -> float:
        return table.get(1_000, what, name, column="µs CPU/event")

    goals = [
        Goal.at_most("one event to 1,000 dashboards, CPU against the bare loop", 1.2, cpu(one, OURS) / cpu(one, BARE)),
        Goal.at_most("one event to 1,000 dashboards, CPU against Node ws", 1, cpu(one, OURS) / cpu(one, "Node ws")),
        Goal.at_most("four events at once to 1,000 dashboards, CPU per event", 0.5, cpu(four, OURS) / cpu(four, BARE)),
    ]
    return Report("fanout", "Fan-out", [table, idle], goals)


def connect(lab: Lab, scope: ExitStack, name: str, dashboards: int) -> Sender:
    """Start a server and connect its dashboards."""
    server = _start(lab, scope, name, dashboards)
    ready = server.hear()
    token = sign_in(ready["port"]) if name == OURS else ""
    before = memory_bytes(server.pid)
    receivers = lab.program(scope, "drain")
    kind = {OURS: "tether", BARE: "raw", "socket.io": "socketio"}.get(name, "websocket")
    receivers.tell({"port": ready["port"], "count": dashboards, "kind": kind, "token": token})
    receivers.hear()
    receivers.ask({"settle": 1.0})
    return Sender(name, server, receivers, dashboards, (memory_bytes(server.pid) - before) / dashboards)


def _start(lab: Lab, scope: ExitStack, name: str, dashboards: int) -> Tool:
    if name == OURS:
        folder = lab.new_folder("fanout")
        return lab.program(scope, "fanout_ours", lab.mongodb_uri, f"fanout-{dashboards}", str(folder))
    if name in ("Node ws", "socket.io"):
        return lab.tool(scope, name, "node", NODE / f"fanout_{'ws' if name == 'Node ws' else 'socketio'}.mjs")
    script = {"websockets.broadcast": "websockets", BARE: "bare"}.get(name, "tornado")
    # Tornado is ours, in the version that we use; the others are only the peers'.
    python = sys.executable if script == "tornado" else lab.peers_python
    return lab.tool(scope, name, python, PYTHON / f"fanout_{script}.py")
