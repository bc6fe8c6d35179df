"""Closing a connection whose client is still sending, so that the answer reaches it.

Closing at once would make the kernel send a reset, which throws away the answer that the client has not read yet (RFC 9112
section 9.6).
"""

from __future__ import annotations

import asyncio
from typing import Final

from tornado.iostream import IOStream, StreamClosedError

LINGER_S: Final = 30.0
LINGER_BYTES: Final = 256 * 1024 * 1024
"""How long and how much the client may go on sending before the connection is cut."""
_PIECE_BYTES: Final = 64 * 1024


async def lingering_close(stream: IOStream) -> None:
    """Read and drop what the client still sends, within `LINGER_S` and `LINGER_BYTES`, then close."""
    dropped = 0
    try:
        async with asyncio.timeout(LINGER_S):
            while dropped < LINGER_BYTES:
                dropped += len(await stream.read_bytes(_PIECE_BYTES, partial=True))
                await asyncio.sleep(0)  # what has arrived is read without waiting: whoever sends fast would have the loop
    except (StreamClosedError, TimeoutError):
        pass  # the client has closed, or had its time: both are the end that was waited for
    finally:
        stream.close()
