"""Closing a connection whose client is still sending, so that the answer reaches the client.

To close at once would make the kernel send a reset, which can throw away an answer that the client has not read yet
(RFC 9112 section 9.6).
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from tornado.iostream import IOStream

LINGER_S: Final = 30.0
"""How long a client may go on sending."""
SILENCE_S: Final = 5.0
"""How long a client may send nothing while more is expected."""
LINGER_BYTES: Final = 256 * 1024 * 1024
"""How much a client may go on sending."""
_PIECE_BYTES: Final = 64 * 1024


async def lingering_close(stream: IOStream, remaining_bytes: int | None = None) -> None:
    """Close a connection on which the last answer was written, once the client has sent the rest of its request's body.

    First, the sending side is closed, so that a client that reads to the end has the answer at once. Then, what the client
    sends is read and dropped until `remaining_bytes` have arrived (None: the body's length is not known), the client closes,
    or one of the limits above is reached. Never raises for what the client does.
    """
    left_bytes = LINGER_BYTES if remaining_bytes is None else min(remaining_bytes, LINGER_BYTES)
    try:
        async with asyncio.timeout(LINGER_S):
            async with asyncio.timeout(SILENCE_S):
                # Done when everything that was written before has been sent. Shielded, because Tornado logs an error if a write
                # is cancelled.
                await asyncio.shield(stream.write(b""))
            stream.socket.shutdown(socket.SHUT_WR)
            while left_bytes > 0:
                async with asyncio.timeout(SILENCE_S):
                    left_bytes -= len(await stream.read_bytes(min(_PIECE_BYTES, left_bytes), partial=True))
                # `read_bytes` does not wait for what has arrived: a fast client would keep the event loop to itself.
                await asyncio.sleep(0)
    except OSError:
        pass  # StreamClosedError: the client has closed the connection. TimeoutError: it has used up its time.
    finally:
        stream.close()
