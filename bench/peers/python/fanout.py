"""What the fan-out servers in Python share: for each line {rounds, events, bytes} on standard input they broadcast so often,
with the event loop's turn between two rounds."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable


async def obey(port: int, prepare: Callable[[str], Callable[[], None]]) -> None:
    """Say the port, then carry out orders until the input ends; `prepare(text)` returns the function that sends one event."""
    print(json.dumps({"port": port}), flush=True)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        send = prepare("x" * order["bytes"])
        for _ in range(order["rounds"]):
            for _ in range(order["events"]):
                send()
            await asyncio.sleep(0)
        print("{}", flush=True)
