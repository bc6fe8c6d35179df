"""Dashboards that read as cheaply as can be: one epoll, one buffer, nothing looked at but how many bytes came.

Reads {port, count, kind, token} and answers {"connected": n}; then {"settle": s} is answered with the bytes that came until it
was quiet for so long, and {"until": n} once so many came.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from typing import Any

_AT_ONCE = 50
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455's own example; nothing here is secret


def main() -> None:
    spec = json.loads(sys.stdin.buffer.readline())
    sockets = connect(spec)
    poll = select.epoll()
    for one in sockets:
        one.setblocking(False)
        poll.register(one.fileno(), select.EPOLLIN)
    order = sys.stdin.fileno()
    poll.register(order, select.EPOLLIN)
    say({"connected": len(sockets)})
    obey(poll, order, {one.fileno(): one for one in sockets})


def obey(poll: select.epoll, order: int, sockets: dict[int, socket.socket]) -> None:
    """Read everything that comes, for ever, and answer orders."""
    receive = {descriptor: one.recv_into for descriptor, one in sockets.items()}
    buffer = bytearray(1 << 18)
    seen = 0
    until: int | None = None
    quiet_s: float | None = None
    last_s = time.monotonic()
    while True:
        for descriptor, _ in poll.poll(0.02 if quiet_s is not None else -1, 4096):
            if descriptor == order:
                line = os.read(order, 1 << 16)
                if not line:
                    return
                message: dict[str, Any] = json.loads(line)
                until, quiet_s = message.get("until"), message.get("settle")
                last_s = time.monotonic()
                continue
            got = receive[descriptor](buffer)
            if not got:
                raise SystemExit("A dashboard was closed by the server.")
            seen += got
            last_s = time.monotonic()
        if until is not None and seen >= until:
            seen -= until
            until = None
            say({"over": seen})
        if quiet_s is not None and time.monotonic() - last_s > quiet_s:
            say({"bytes": seen})
            seen, quiet_s = 0, None


def connect(spec: dict[str, Any]) -> list[socket.socket]:
    """Open the dashboards, a few at a time; raises when one is refused."""
    sockets: list[socket.socket] = []
    while len(sockets) < spec["count"]:
        some = [
            socket.create_connection(("127.0.0.1", spec["port"]), timeout=60)
            for _ in range(min(_AT_ONCE, spec["count"] - len(sockets)))
        ]
        if spec["kind"] != "raw":
            for one in some:
                one.sendall(upgrade(spec["kind"], spec["port"], spec.get("token", "")))
            for one in some:
                answered(one)
            if spec["kind"] == "socketio":
                for one in some:
                    one.sendall(socketio_connect(spec.get("token", "")))
        sockets += some
    return sockets


def upgrade(kind: str, port: int, token: str) -> bytes:
    """Return the request that opens a dashboard of this kind."""
    path = {"socketio": "/socket.io/?EIO=4&transport=websocket", "websocket": f"/ws?token={token}"}.get(kind, "/ws")
    bearer = f"Authorization: Bearer {token}\r\n" if kind == "tether" else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {_KEY}\r\nSec-WebSocket-Version: 13\r\n{bearer}\r\n"
    ).encode()


def socketio_connect(token: str) -> bytes:
    """Return socket.io's own greeting, `40` and its `auth`, as a masked frame (with a mask of zeros)."""
    packet = b"40" + (json.dumps({"token": token}).encode() if token else b"")
    return bytes((0x81, 0x80 | len(packet), 0, 0, 0, 0)) + packet


def answered(one: socket.socket) -> bytes:
    """Read the answer's head; return what came behind it."""
    got = b""
    while b"\r\n\r\n" not in got:
        chunk = one.recv(4096)
        if not chunk:
            break
        got += chunk
    head, _, rest = got.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101"):
        raise SystemExit(f"A dashboard was refused: {head[:200]!r}")
    return rest


def say(message: Any) -> None:
    """Tell one line."""
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
