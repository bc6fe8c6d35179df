"""systemd hears when the server can be used, and when it stops."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.support.service import ServerProcess
from tests.support.waiting import eventually


@pytest.mark.parametrize("abstract", [False, True])
async def test_systemd_hears_that_it_listens_and_that_it_stops(tmp_path: Path, mongodb_uri: str, abstract: bool) -> None:
    name = f"@tether-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0"))
        manager.settimeout(60)
        process = ServerProcess(tmp_path, MONGODB_URI=mongodb_uri, NOTIFY_SOCKET=name)
        await process.start()
        assert await asyncio.to_thread(manager.recv, 100) == b"READY=1"
        process.process.terminate()
        assert await asyncio.to_thread(manager.recv, 100) == b"STOPPING=1"
        assert await process.stop() == 0


async def test_a_manager_that_does_not_listen_is_logged_and_nothing_else(tmp_path: Path, mongodb_uri: str) -> None:
    process = ServerProcess(tmp_path, MONGODB_URI=mongodb_uri, NOTIFY_SOCKET=str(tmp_path / "nobody"))
    await process.start()
    await eventually(lambda: any(line["event"] == "service_manager_not_told" for line in process.lines()))
    assert await process.stop() == 0
