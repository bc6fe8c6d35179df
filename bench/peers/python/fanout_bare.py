"""The limit: a bare loop of `socket.send` of the same frame, nothing else."""

from __future__ import annotations

import asyncio
import socket
import struct

import uvloop
from fanout import obey


async def main() -> None:
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setblocking(False)
    sockets: list[socket.socket] = []

    async def accept() -> None:
        while True:
            accepted, _ = await loop.sock_accept(listener)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sockets.append(accepted)

    def prepare(text: str):
        frame = struct.pack("!BBH", 0x81, 126, len(text)) + text.encode()

        def send() -> None:
            for one in sockets:
                one.send(frame)

        return send

    accepting = asyncio.ensure_future(accept())
    await obey(listener.getsockname()[1], prepare)
    accepting.cancel()


uvloop.run(main())
