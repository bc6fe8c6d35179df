"""websockets: `broadcast`, as its documentation recommends for one message to many."""

from __future__ import annotations

import uvloop
from fanout import obey
from websockets.asyncio.server import ServerConnection, broadcast, serve

connections: set[ServerConnection] = set()


async def handler(connection: ServerConnection) -> None:
    connections.add(connection)
    try:
        await connection.wait_closed()
    finally:
        connections.remove(connection)


async def main() -> None:
    async with serve(handler, "127.0.0.1", 0, compression=None, ping_interval=None, backlog=4096) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        await obey(port, lambda text: lambda: broadcast(connections, text))


uvloop.run(main())
