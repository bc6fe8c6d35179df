"""Floods of bodies and connections: what is too much is said, what is slow is cut off, and nobody else notices."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import settings_on
from tests.support.service import PASSWORD, SAMPLES, SECRET, ServerProcess, Service, Tenant, missed, running, sample
from tests.support.waiting import eventually
from tether_rt import accounts, server
from tether_rt.mongo import client as store

BODIES_MB = 128
RESIDENT_MB = BODIES_MB * 2 + 192
"""The bound that docs/deployment.md states: twice the budget for bodies, and the program with its libraries."""


@pytest.fixture
async def flooded(mongodb_uri: str, tmp_path: Path) -> AsyncIterator[tuple[ServerProcess, Tenant]]:
    """A server process with a budget of 128 MB for bodies, and a vendor."""
    name = f"t{uuid.uuid4().hex[:12]}"
    process = ServerProcess(tmp_path, MONGODB_URI=mongodb_uri, TETHER_DATABASE=name, TETHER_BODIES_IN_FLIGHT_MB=str(BODIES_MB))
    client = store.connect(mongodb_uri)
    try:
        await process.start()
        person = accounts.Person(uuid.uuid4().hex, f"{uuid.uuid4().hex}@example.com", "Agent Smith", "agent")
        added = await accounts.add_user(store.database(client, name), SECRET, person, PASSWORD)
        async with aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout()
        ) as http:
            yield process, Tenant(process.url, http, added.user_id, added.organization_id, person.email, added.api_key)
    finally:
        client.close()
        assert await process.stop() == 0


def peak_resident_mb(pid: int) -> int:
    """Return the most memory that the process has had (proc(5), VmHWM)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) // 1024


def twenty_megabytes() -> bytes:
    """Return a call with a recording that makes the body 20 MB."""
    audio = (SAMPLES / "appointment.mp3").read_bytes()
    return json.dumps(sample("appointment", recording=base64.b64encode(audio * 120).decode())).encode()


async def test_sixty_bodies_of_20_mb_at_once_stay_within_the_stated_memory(flooded: tuple[ServerProcess, Tenant]) -> None:
    process, tenant = flooded
    body = twenty_megabytes()
    assert len(body) > 20_000_000
    statuses: list[int] = []
    health: list[int] = []
    all_have_asked = asyncio.Barrier(60)

    async def vendor() -> None:
        # Each vendor's call is its own; the placeholder is as long as what replaces it.
        own = body.replace(b'"externalCallId": "', b'"externalCallId": "' + uuid.uuid4().hex.encode(), 1)
        answer = await tenant.post_call(own)
        statuses.append(answer.status)
        await all_have_asked.wait()
        while answer.status == 503:
            # From now on each asks before it sends (Expect: 100-continue): a refusal costs nobody 20 MB.
            await asyncio.sleep(int(answer.headers["Retry-After"]))
            answer = await tenant.post_call(own, expect100=True)
        statuses.append(answer.status)

    async def watch() -> None:
        while True:
            health.append((await tenant.request("GET", "/healthz")).status)
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*[vendor() for _ in range(60)])
    watching.cancel()
    assert 503 in statuses[:60]
    assert set(statuses[:60]) <= {201, 503}
    assert statuses[60:] == [201] * 60
    assert set(health) == {200}
    assert peak_resident_mb(process.process.pid) < RESIDENT_MB


@pytest.mark.parametrize("trickles", [True, False], ids=["trickles", "stops"])
async def test_a_body_that_does_not_come_is_cut_off_and_its_place_given_back(
    mongodb_uri: str, tmp_path: Path, trickles: bool
) -> None:
    async with running(settings_on(mongodb_uri, tmp_path)) as service:
        web = service.server.app.web
        web.pace_window_s = 1
        tenant = await service.tenant()
        reader, writer = await _connect(service)
        head = ["POST /api/calls/ingest HTTP/1.1", "Host: x", f"Authorization: Bearer {tenant.api_key}"]
        writer.write("\r\n".join([*head, "Content-Length: 30000000", "", "{"]).encode())
        answering = asyncio.create_task(reader.read())
        while trickles and not answering.done():
            writer.write(b" ")
            await asyncio.wait({answering}, timeout=0.1)
        answer = await answering
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"success":false' in answer
        writer.close()
        assert web.budget.held_bytes == 0
        assert not web.active
        assert (await tenant.post_call(missed())).status == 201


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost:"], ids=["silent", "half a head"])
async def test_a_connection_that_says_nothing_is_closed(
    mongodb_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(server, "IDLE_S", 1)
    async with running(settings_on(mongodb_uri, tmp_path)) as service:
        reader, writer = await _connect(service)
        writer.write(sent)
        assert await reader.read() == b""
        writer.close()


async def test_connections_past_the_limit_hear_503_and_the_others_go_on(mongodb_uri: str, tmp_path: Path) -> None:
    async with running(settings_on(mongodb_uri, tmp_path, max_connections=20)) as service:
        kept = [await _connect(service) for _ in range(20)]
        reader, writer = await _connect(service)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: " in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["success"] is False
        writer.close()
        for first, second in kept:
            second.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert (await first.read()).startswith(b"HTTP/1.1 200 ")
            second.close()
        assert (await service.http.get(f"{service.base_url}/healthz")).status == 200


async def test_no_descriptor_is_left_behind(flooded: tuple[ServerProcess, Tenant]) -> None:
    process, tenant = flooded
    tenant.token = (await tenant.request("POST", "/api/auth/login", json={"email": tenant.email, "password": PASSWORD})).body[
        "token"
    ]

    async def some_of_everything() -> None:
        await tenant.post_call(sample("delivery"))
        await tenant.post_call(b"{")
        await tenant.request("POST", "/api/calls/ingest", token="wrong", data=b"x" * 1000)
        dashboard = await tenant.dashboard()
        await dashboard.close()

    def open_files() -> int:
        """Those of the server's process, which serves this test alone."""
        return len(os.listdir(f"/proc/{process.process.pid}/fd"))

    for _ in range(3):
        await some_of_everything()
    before = open_files()
    for _ in range(30):
        await some_of_everything()
    await eventually(lambda: open_files() <= before + 10)  # connections that the client keeps


async def _connect(service: Service) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = service.base_url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))
