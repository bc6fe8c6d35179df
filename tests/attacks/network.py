"""The network as this process sees it: names and addresses mean what the test says, and every connection is noted.

The system's resolver and `connect` are the boundary: everything above them is the real thing.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

PUBLIC = "93.184.216.34"
"""An address of the internet; a test decides who answers there."""


class Network:
    """`names` are looked up one answer after another, the last one for ever; `routes` lead addresses to a local port."""

    def __init__(self) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.routes: dict[str, int] = {}
        self.looked_up: list[str] = []
        self.connected: list[str] = []
        """Whom somebody in this process tried to reach over TCP, other than the servers of the test."""
        self._own: set[Any] = set()

    def own(self, *ports: int) -> None:
        """Let the test's own clients and servers speak to each other on 127.0.0.1."""
        self._own |= {("127.0.0.1", port) for port in ports}

    def getaddrinfo(self, host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host not in self.names:
            return _getaddrinfo(host, port, *args, **options)
        self.looked_up.append(host)
        answers = self.names[host]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if not answer:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in answer]
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port or 0)) for family, address in zip(families, answer, strict=True)
        ]

    def connect(self, own: socket.socket, address: Any) -> None:
        if own.family in (socket.AF_INET, socket.AF_INET6) and own.type == socket.SOCK_STREAM and address not in self._own:
            self.connected.append(address[0])
            port = self.routes.get(address[0])
            if port is None:
                raise ConnectionRefusedError("nobody is reached from here")
            address = ("127.0.0.1", port)
        _connect(own, address)


_getaddrinfo = socket.getaddrinfo
_connect = socket.socket.connect


@contextmanager
def network() -> Iterator[Network]:
    """Put a network in front of the system's."""
    made = Network()

    def connect(own: socket.socket, address: Any) -> None:
        made.connect(own, address)

    with patch.object(socket, "getaddrinfo", made.getaddrinfo), patch.object(socket.socket, "connect", connect):
        yield made
