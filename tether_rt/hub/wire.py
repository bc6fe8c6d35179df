"""Writes frames to sockets; the one place that uses undocumented names of Tornado.

`WebSocketHandler.write_message` encodes, makes a frame and a task for each recipient: 17 to 31 µs for one of a thousand
dashboards, where a bare `socket.send` of the same bytes takes 5 to 7. So frames are built once and go straight to the socket,
which takes 1.13 times the bare call. Only what the kernel does not take at once goes through `IOStream.write`, which keeps it
in order with everything else that is written to the stream.

It depends on these facts of Tornado 6.5 and 6.6, each held by a test in `tests/hub/test_wire.py`: `IOStream.write_to_fd` sends
without touching the buffer, raises `BlockingIOError` when nothing was sent, and on TLS returns 0 instead; `_write_buffer` is
what has not been sent, `_size` its length, and it is None once the stream is closed. `setup.cfg` allows only tried versions.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Final

from tornado.iostream import IOStream, SSLIOStream

MAX_UNSENT_BYTES: Final = 1 << 20
"""A dashboard with more than this is closed (`Close.TOO_SLOW`); the client can connect again and resume."""

_SEND_BUFFER_BYTES: Final = 1 << 17
"""The kernel's part of it. Its default takes up to 2.8 MB for a client that does not read, before this process notices."""


def prepare(stream: IOStream) -> None:
    """Set up a dashboard's socket: no delay for small messages, a bounded send buffer."""
    if stream.closed():
        return
    stream.set_nodelay(True)
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    if not isinstance(stream, SSLIOStream):
        # The same as `write_to_fd` without one more Python call: a tenth of the time of a delivery.
        stream.write_to_fd = stream.socket.send  # type: ignore[method-assign, assignment]


def unsent_bytes(stream: IOStream) -> int:
    """Return how many bytes the kernel has not taken yet; 0 when the stream is closed."""
    buffer = stream._write_buffer
    return buffer._size if buffer is not None else 0


def send(streams: Iterable[IOStream], frames: bytes | memoryview) -> list[IOStream]:
    """Send whole frames on every open stream without waiting; return the streams with more than `MAX_UNSENT_BYTES` unsent.

    A stream that fails is closed, with the reason in `stream.error`; the others get the frames all the same.
    """
    view = memoryview(frames)
    size = len(view)
    slow = []
    for stream in streams:
        buffer = stream._write_buffer
        if buffer is None:
            continue
        sent = 0
        if not buffer._size:  # `closed()` and `writing()` say the same, in a tenth of the loop's time more
            try:
                sent = stream.write_to_fd(view)
            except BlockingIOError:
                pass  # nothing was sent (send(2), EAGAIN)
            except OSError as error:
                stream.close(exc_info=error)
                continue
        if sent < size:
            stream.write(view[sent:])
            if unsent_bytes(stream) > MAX_UNSENT_BYTES:
                slow.append(stream)
    return slow
