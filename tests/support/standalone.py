"""A mongod that is not a replica set."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pymongo import AsyncMongoClient

from tether_rt.mongo.mongod_process import find_binary


@asynccontextmanager
async def standalone_mongod(folder: Path) -> AsyncIterator[str]:
    """Run it in `folder`, whose path must be short enough for a socket's, and yield its address."""
    path = folder / "m.sock"
    async with _running(folder, f"mongodb://{quote(str(path), safe='')}/", "--bind_ip", str(path)) as uri:
        yield uri


@asynccontextmanager
async def tls_mongod(folder: Path, certificate: Path) -> AsyncIterator[str]:
    """Run it on a loopback port where it speaks TLS alone, with a key and certificate for localhost, and yield its address."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    uri = f"mongodb://localhost:{port}/?directConnection=true&tls=true&tlsCAFile={quote(str(certificate), safe='')}"
    tls = ("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(certificate))
    async with _running(folder, uri, "--bind_ip", "127.0.0.1", "--port", str(port), *tls) as uri:
        yield uri


@asynccontextmanager
async def _running(folder: Path, uri: str, *options: str) -> AsyncIterator[str]:
    """Run mongod and yield `uri` once it answers there: it listens before it does."""
    data = folder / "db"
    data.mkdir()
    command = [find_binary(), "--dbpath", str(data), "--nounixsocket", "--quiet", *options]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
    try:
        async with AsyncMongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=60_000) as client:
            await client.admin.command("ping")
        yield uri
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
