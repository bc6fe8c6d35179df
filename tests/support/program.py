"""The program as an operator runs it: one or more processes on one database, and their users."""

from __future__ import annotations

import asyncio
import uuid
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import aiohttp

from tests.support.audio import mp3
from tests.support.retrying import RetryingVendor
from tests.support.service import PASSWORD, ServerProcess, Tenant, add_user, missed, sample
from tests.support.waiting import eventually
from tether_rt.mongo import client as store
from tether_rt.mongo.private_mongod import PrivateMongod

PATIENCE_S: Final = 240.0
NO_VARIABLES: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass
class Program:
    """Server processes on one database."""

    servers: list[ServerProcess]
    http: aiohttp.ClientSession
    database: store.Database

    @property
    def server(self) -> ServerProcess:
        return self.servers[0]

    @property
    def urls(self) -> list[str]:
        return [server.url for server in self.servers]

    async def tenant(self, organization: str | None = None, role: str = "agent") -> Tenant:
        """Add a user, of a new organization unless one is named, and sign in."""
        email, added = await add_user(self.database, organization, role=role)
        tenant = Tenant(self.server.url, self.http, added.user_id, added.organization_id, email, added.api_key)
        answer = await tenant.request("POST", "/api/auth/login", json={"email": email, "password": PASSWORD})
        assert answer.status == 200, answer.body
        return replace(tenant, token=answer.body["token"])

    def vendor(self, tenant: Tenant) -> RetryingVendor:
        """Return a vendor with the tenant's key who sends to every server."""
        return RetryingVendor(tenant, self.urls)

    async def ready(self) -> None:
        """Return once every process says that it is ready."""
        for url in self.urls:
            await eventually(partial(self._is_ready, url))

    async def _is_ready(self, url: str) -> bool:
        async with self.http.get(f"{url}/readyz") as response:
            return response.status == 200

    async def readiness(self) -> tuple[int, dict[str, str]]:
        """Return the first server's `/readyz`: status, and each part's state."""
        async with self.http.get(f"{self.server.url}/readyz") as response:
            return response.status, (await response.json())["checks"]

    async def metric(self, name: str) -> float:
        """Return one of the first server's metrics by its full name with labels, 0 when it has no value yet."""
        async with self.http.get(f"{self.server.url}/metrics") as response:
            for line in (await response.text()).splitlines():
                label, _, value = line.rpartition(" ")
                if label == name:
                    return float(value)
        return 0.0

    async def last_number(self, tenant: Tenant) -> int:
        """Return the number of the last event in the tenant's organization."""
        counter = await self.database["counters"].find_one({"_id": tenant.organization_id})
        return int(counter["seq"]) if counter else 0

    def resident_mb(self) -> float:
        """Return the first server's resident memory in MB (2^20 bytes)."""
        return self._memory_mb("VmRSS:")

    def peak_mb(self) -> float:
        """Return the peak of the first server's resident memory."""
        return self._memory_mb("VmHWM:")

    def _memory_mb(self, name: str) -> float:
        status = Path(f"/proc/{self.server.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith(name))
        return int(line.split()[1]) / 1024


@asynccontextmanager
async def program(
    folder: Path,
    mongodb_uri: str | None = None,
    *,
    processes: int = 1,
    variables: Mapping[str, str] = NO_VARIABLES,
    patience_s: float = PATIENCE_S,
) -> AsyncIterator[Program]:
    """Run the program until the block ends, and require a clean exit. Without an address it runs its own mongod.

    A block that takes longer than `patience_s` fails: it waits for something that never comes.
    """
    settings = {"TETHER_DATABASE": f"t{uuid.uuid4().hex[:12]}", **variables}
    if mongodb_uri is not None:
        settings["MONGODB_URI"] = mongodb_uri
    servers = [ServerProcess(folder, **settings) for _ in range(processes)]
    client = store.connect(mongodb_uri or PrivateMongod(Path(settings.get("TETHER_DATA_DIR", folder / "var"))).uri)
    started: list[ServerProcess] = []
    try:
        for server in servers:
            await server.start()
            started.append(server)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http:
            async with asyncio.timeout(patience_s):
                yield Program(servers, http, store.database(client, settings["TETHER_DATABASE"]))
    finally:
        client.close()
        statuses = [await server.stop() for server in started]
    assert statuses == [0] * processes, [server.log_path.read_text()[-4000:] for server in servers]
    for server in servers:
        assert [line for line in server.lines() if is_unexpected(line)] == []


def is_unexpected(line: dict[str, Any]) -> bool:
    """Say if a line of the log reports an error that the code does not expect."""
    event: str = line["event"]
    if event == "close_failed" and line["reason"] == "TimeoutError()":
        return False  # a waveform was being computed
    return event in ("unexpected_error", "task_failed", "commit_failed", "close_failed") or event.startswith(
        ("Future ", "Task ")
    )


def missed_calls(count: int, **changes: Any) -> list[dict[str, Any]]:
    """Return missed calls from 20 contacts."""
    return [missed(fromNumber=f"+1416555{number % 20:04d}", **changes) for number in range(count)]


def mixed_calls(count: int, *, voices: int = 4, contacts: int = 20) -> list[dict[str, Any]]:
    """Return calls of two kinds from a few contacts; every `voices`-th has a small recording of its own."""
    calls = []
    for number in range(count):
        who = number % contacts
        changes: dict[str, Any] = {"fromNumber": f"+1416555{who:04d}", "toNumber": "+14165550100", "direction": "inbound"}
        if number % voices == 0:
            recording = mp3(0.5, salt=uuid.uuid4().bytes)
            calls.append(sample(voice=False, callerName=f"Caller {who}", recording=b64encode(recording).decode(), **changes))
        else:
            calls.append(missed(summary=f"Nobody was there, {number}", **changes))
    return calls
