"""What `hub.wire` expects of Tornado, on real sockets, with and without TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tornado.iostream import IOStream, SSLIOStream, StreamClosedError

from tests.support.certificate import contexts
from tether_rt.hub import wire

Pair = tuple[IOStream, socket.socket]


@pytest.fixture(params=["plain", "tls"])
async def connect(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable[[], asyncio.Future[Pair]]]:
    """Make a connection: the server's stream, and a client's socket that reads only when the test says so."""
    opened: list[Pair] = []
    server_context, client_context = contexts(tmp_path) if request.param == "tls" else (None, None)
    loop = asyncio.get_running_loop()

    async def make() -> Pair:
        listener = socket.create_server(("127.0.0.1", 0))
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        listener.setblocking(False)
        await loop.sock_connect(client, listener.getsockname())
        accepted, _ = await loop.sock_accept(listener)
        listener.close()
        if server_context is None or client_context is None:
            stream = IOStream(accepted)
        else:
            secured = server_context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
            stream = SSLIOStream(secured)
            client = client_context.wrap_socket(client, do_handshake_on_connect=False, server_hostname="localhost")
            client.setblocking(True)
            await asyncio.gather(stream.wait_for_handshake(), asyncio.to_thread(client.do_handshake))
        client.setblocking(True)
        client.settimeout(20)
        wire.prepare(stream)
        opened.append((stream, client))
        return stream, client

    yield lambda: asyncio.ensure_future(make())
    for stream, client in opened:
        stream.close()
        client.close()


def read(client: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = client.recv(size - len(data))
        assert chunk, "the connection ended early"
        data += chunk
    return bytes(data)


def pattern(size: int, start: int = 0) -> bytes:
    """Return bytes in which no four are the same, so that a piece in the wrong place shows."""
    return b"".join(struct.pack("!I", start + index) for index in range(size // 4 + 1))[:size]


Connect = Callable[[], "asyncio.Future[Pair]"]


async def test_frames_arrive_as_they_are(connect: Connect) -> None:
    stream, client = await connect()
    assert wire.send([stream], b"\x81\x02hi") == []
    assert wire.send([stream], memoryview(b"..\x81\x02ho")[2:]) == []
    assert await asyncio.to_thread(read, client, 8) == b"\x81\x02hi\x81\x02ho"
    assert wire.unsent_bytes(stream) == 0


async def test_what_the_kernel_does_not_take_follows_in_order(connect: Connect) -> None:
    stream, client = await connect()
    sent = b""
    while wire.unsent_bytes(stream) < 200_000:  # partly sent, then only queued
        piece = pattern(50_001, len(sent))
        assert wire.send([stream], piece) == []
        sent += piece
    assert stream.writing()
    wire.send([stream], b"small")
    stream.write(b"Tornado's own")
    wire.send([stream], b"last")
    expected = sent + b"smallTornado's ownlast"
    assert await asyncio.to_thread(read, client, len(expected)) == expected
    await stream.write(b"")  # Tornado notices a moment later that the last byte was sent
    assert wire.unsent_bytes(stream) == 0


async def test_a_full_kernel_buffer_sends_nothing_and_keeps_everything(connect: Connect) -> None:
    stream, client = await connect()
    filled = 0
    with contextlib.suppress(BlockingIOError):
        while sent := stream.write_to_fd(memoryview(b"f" * 16_384)):  # TLS says 0 where plain sockets raise
            filled += sent
    assert not stream.writing()
    assert wire.unsent_bytes(stream) == 0
    rest = b"f" * 16_384  # OpenSSL wants the bytes it was refused with to be tried again (SSL_write(3), retry)
    assert wire.send([stream], rest + b"tail") == []
    assert wire.unsent_bytes(stream) == len(rest) + 4
    assert await asyncio.to_thread(read, client, filled + len(rest) + 4) == b"f" * (filled + len(rest)) + b"tail"


async def test_a_stream_with_too_much_unsent_is_returned(connect: Connect) -> None:
    slow, _ = await connect()
    reader, client = await connect()
    chunk = b"x" * 262_144
    reported: list[IOStream] = []
    for _ in range(8):
        reported = wire.send([slow, reader], chunk)
        await asyncio.to_thread(read, client, len(chunk))
        if reported:
            break
    assert reported == [slow]
    assert wire.MAX_UNSENT_BYTES < wire.unsent_bytes(slow) <= wire.MAX_UNSENT_BYTES + len(chunk)


async def test_a_closed_stream_is_skipped(connect: Connect) -> None:
    closed, _ = await connect()
    other, client = await connect()
    closed.close()
    assert wire.send([closed, other], b"frame") == []
    assert await asyncio.to_thread(read, client, 5) == b"frame"
    assert wire.unsent_bytes(closed) == 0
    wire.prepare(closed)


async def test_a_failing_stream_is_closed_and_the_others_get_the_frames(connect: Connect) -> None:
    failing, gone = await connect()
    other, client = await connect()
    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close sends a reset
    gone.close()
    while not failing.closed():  # the kernel takes some before the reset arrives
        wire.send([failing, other], b"frame")
        await asyncio.to_thread(read, client, 5)
    assert isinstance(failing.error, OSError)
    assert wire.send([failing, other], b"frame") == []
    assert await asyncio.to_thread(read, client, 5) == b"frame"


async def test_the_kernels_buffer_is_bounded(connect: Connect) -> None:
    stream, _ = await connect()
    assert stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    assert stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 1 << 19


async def test_unsent_bytes_are_freed_when_the_stream_closes(connect: Connect) -> None:
    stream, _ = await connect()
    while wire.unsent_bytes(stream) == 0:
        wire.send([stream], b"x" * 65_536)
    stream.close()
    assert stream._write_buffer is None
    with pytest.raises(StreamClosedError):
        await stream.write(b"x")
