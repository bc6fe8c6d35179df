"""An S3 store at a distance: answers each request after so many milliseconds (its argument), and says its port.

It checks no signature and keeps no object, only how many there were: `GET /` tells, at once.
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Final, cast

import uvloop

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_EXPECT: Final = re.compile(rb"\r\nexpect: *100-continue", re.IGNORECASE)
_ANSWERS: Final = {
    b"PUT": b'HTTP/1.1 200 OK\r\nETag: "00000000000000000000000000000000"\r\nContent-Length: 0\r\n\r\n',
    b"HEAD": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"DELETE": b"HTTP/1.1 204 No Content\r\n\r\n",
}
_UNKNOWN: Final = b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n"


class Store:
    """How far away it is, and how many objects were put."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self.objects = 0


class Connection(asyncio.Protocol):
    """One client's connection, kept alive; it sends the next request when it has the answer to the last one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._head = b""
        self._missing = 0
        """Bytes of the body that are still to come."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            self._head, end, body = (self._head + data).partition(b"\r\n\r\n")
            if not end:
                return
            length = _LENGTH.search(self._head)
            self._missing = (int(length[1]) if length else 0) - len(body)
            if self._missing and _EXPECT.search(self._head):
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self._missing:
            self._answer()

    def _answer(self) -> None:
        method, _, rest = self._head.partition(b" ")
        self._head = b""
        if method == b"GET" and rest.startswith(b"/ "):
            told = b"%d" % self._store.objects
            self._send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told))
        else:
            asyncio.get_running_loop().call_later(
                self._store.delay_s, self._send, _ANSWERS.get(method, _UNKNOWN), method == b"PUT"
            )

    def _send(self, answer: bytes, is_put: bool = False) -> None:
        if not self._transport.is_closing():
            self._store.objects += is_put
            self._transport.write(answer)


async def main(delay_s: float) -> None:
    store = Store(delay_s)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(store), "127.0.0.1", 0, backlog=1024)
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1]) / 1000))
