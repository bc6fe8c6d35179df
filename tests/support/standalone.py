"""A mongod that is no replica set, as somebody may have it running already."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from tether_rt.store.mongod import find_binary


@asynccontextmanager
async def standalone_mongod(folder: Path) -> AsyncIterator[str]:
    """Run it in `folder`, whose path must be short enough for a socket's, and yield its address."""
    data, socket = folder / "db", folder / "m.sock"
    data.mkdir()
    command = [find_binary(), "--dbpath", str(data), "--bind_ip", str(socket), "--quiet"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert process.returncode is None, "mongod did not start"
            await asyncio.sleep(0.02)
        yield f"mongodb://{quote(str(socket), safe='')}/"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
