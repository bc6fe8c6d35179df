"""The flood: so many vendors at once, each with one large call of its own, and each again until it is taken.

Reads {port, key, count, bytes} from standard input and answers with the statuses it got and the seconds it took.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import sys
import time
from collections import Counter
from typing import Any

import uvloop

from bench.payloads import mp3
from bench.programs.load import say

_SALT_BYTES = 48
"""Behind the first frame's header, at a whole number of base64's quads, so that each vendor has a recording of its own."""


async def main() -> None:
    spec = json.loads(sys.stdin.readline())
    statuses: Counter[int] = Counter()
    recording = base64.b64encode(mp3(spec["bytes"] // 4 * 3))
    began_s = time.perf_counter()
    await asyncio.gather(*(deliver(spec, recording, statuses) for _ in range(spec["count"])))
    say({"statuses": statuses, "seconds": time.perf_counter() - began_s})


async def deliver(spec: dict[str, Any], recording: bytes, statuses: Counter[int]) -> None:
    """Post one call until the answer is something else than 503."""
    salt = base64.b64encode(secrets.token_bytes(_SALT_BYTES))
    call: dict[str, Any] = {
        "direction": "inbound", "fromNumber": "+14165550111", "toNumber": "+14165550100", "duration": 60,
        "status": "completed", "transcript": [{"role": "agent", "message": "Hello."}], "summary": "A call.",
        "externalCallId": secrets.token_hex(12), "recording": "",
    }  # fmt: skip
    # The text of the recording is the same object in every vendor's request, which would otherwise take gigabytes here.
    before = json.dumps(call).encode()[:-2] + recording[:64] + salt
    pieces = (before, memoryview(recording)[64 + len(salt) :], b'"}')
    status = 503
    while status == 503:
        status, wait_s = await post(spec, pieces)
        statuses[status] += 1
        await asyncio.sleep(wait_s)


async def post(spec: dict[str, Any], pieces: tuple[bytes | memoryview, ...]) -> tuple[int, int]:
    """Post once, on a connection of its own; return the status and the seconds of `Retry-After`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", spec["port"])
    try:
        writer.write(
            f"POST /api/calls/ingest HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {spec['key']}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {sum(map(len, pieces))}\r\n\r\n".encode()
        )
        sending = asyncio.create_task(_send(writer, pieces))
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)  # who is refused has not sent everything
    finally:
        writer.transport.abort()
    wait_s = answer.partition("\r\nretry-after:")[2].partition("\r\n")[0]
    return int(answer.split()[1]), int(wait_s or 0)


async def _send(writer: asyncio.StreamWriter, pieces: tuple[bytes | memoryview, ...]) -> None:
    for piece in pieces:
        for start in range(0, len(piece), 1 << 18):
            writer.write(piece[start : start + (1 << 18)])
            await writer.drain()


if __name__ == "__main__":
    uvloop.run(main())
