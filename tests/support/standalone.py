"""A mongod that is no replica set, as somebody may have it running already."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from tether_rt.mongo.mongod_process import find_binary


@asynccontextmanager
async def standalone_mongod(folder: Path) -> AsyncIterator[str]:
    """Run it in `folder`, whose path must be short enough for a socket's, and yield its address."""
    path = folder / "m.sock"
    async with _running(folder, "--bind_ip", str(path)) as process:
        while not await _accepts(asyncio.open_unix_connection(path)):
            assert process.returncode is None, "mongod did not start"
            await asyncio.sleep(0.02)
        yield f"mongodb://{quote(str(path), safe='')}/"


@asynccontextmanager
async def tls_mongod(folder: Path, certificate: Path) -> AsyncIterator[str]:
    """Run it on a loopback port where it speaks TLS alone, with a key and certificate for localhost, and yield its address."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    tls = ("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(certificate))
    async with _running(folder, "--bind_ip", "127.0.0.1", "--port", str(port), *tls) as process:
        while not await _accepts(asyncio.open_connection("127.0.0.1", port)):
            assert process.returncode is None, "mongod did not start"
            await asyncio.sleep(0.02)
        yield f"mongodb://localhost:{port}/?directConnection=true&tls=true&tlsCAFile={quote(str(certificate), safe='')}"


@asynccontextmanager
async def _running(folder: Path, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    data = folder / "db"
    data.mkdir()
    command = [find_binary(), "--dbpath", str(data), "--nounixsocket", "--quiet", *options]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _accepts(connecting: Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> bool:
    try:
        _, writer = await connecting
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
