"""Our fan-out, real from the room on: a whole server with real sockets, whose room gets segments as from the tail.

The segments come from standard input's orders and not from MongoDB, because the peers' events come from nowhere, too.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from datetime import UTC, datetime

import uvloop

from bench.contestants import EMAIL, PASSWORD, SECRET
from tether_rt import accounts
from tether_rt.domain.events import FeedSegment
from tether_rt.hub.room import Room
from tether_rt.server import Server
from tether_rt.settings import Settings


async def main(mongodb_uri: str, database: str, data_dir: str) -> None:
    logging.disable(logging.INFO)  # the upgrade's log line is not part of a delivery
    values = {
        "mongodb_uri": mongodb_uri,
        "database": database,
        "data_dir": data_dir,
        "secret": SECRET,
        "port": 0,
        "max_dashboards_per_user": 10_000,
    }
    server = Server(Settings.from_values(values))
    await server.start()
    server.app.hub.heartbeat_s = 36_000  # the receivers do not answer pings
    try:
        person = accounts.Person("Fan-out", EMAIL, "Agent", "agent")
        added = await accounts.add_user(server.app.database, SECRET, person, PASSWORD)
        print(json.dumps({"port": int(server.url.rpartition(":")[2])}), flush=True)
        await obey(server, added.organization_id)
    finally:
        await server.stop()


async def obey(server: Server, organization_id: str) -> None:
    """Carry out orders until the input ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        room = server.app.hub.rooms[organization_id]
        for _ in range(order["rounds"]):
            deliver(room, "x" * order["bytes"], order["events"])
            await asyncio.sleep(0)
        print("{}", flush=True)


def deliver(room: Room, text: str, events: int) -> None:
    """Give the room what the tail gives it: the document of one commit."""
    first, last = room.last_published + 1, room.last_published + events
    segment: FeedSegment = {
        "_id": "",
        "organizationId": room.organization_id,
        "first": first,
        "last": last,
        "at": datetime.now(UTC),
        "events": [text] * events,
    }
    room.deliver([segment])


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
