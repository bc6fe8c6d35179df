"""A server with a real MongoDB and a real recording store, and its users, for tests.

`Service` runs in the tests' own process and event loop. `ServerProcess` is the program as an operator starts it: a test may
kill it.
"""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import aiohttp
from argon2 import PasswordHasher

from tests.support.refusals import sentence_of
from tether_rt import accounts
from tether_rt.auth.passwords import PasswordCheck
from tether_rt.ingest.later_recordings import Schedule
from tether_rt.mongo import client as store
from tether_rt.server import Server
from tether_rt.settings import Settings

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tether_rt" / "demo" / "samples"
SECRET = "a secret for tests that is long enough to sign with"
PASSWORD = "correct horse battery staple"
CHEAP_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""argon2id that takes a tenth of a millisecond, not a quarter of a second: nearly every test signs somebody in."""
_unique = itertools.count(1)


def sample(name: str = "appointment", *, voice: bool = True, **changes: Any) -> dict[str, Any]:
    """Return a sample call with an `externalCallId` of its own; `voice` puts the recording in as base64."""
    call = json.loads((SAMPLES / f"{name}.json").read_text())
    call["externalCallId"] = uuid.uuid4().hex
    if voice and (recording := SAMPLES / f"{name}.mp3").exists():
        call["recording"] = base64.b64encode(recording.read_bytes()).decode()
    call.update(changes)
    return {key: value for key, value in call.items() if value is not ...}


def missed(**changes: Any) -> dict[str, Any]:
    """Return a small call that nobody answered, from a number of its own."""
    number = next(_unique)
    call = {
        "direction": "inbound",
        "fromNumber": f"+1416555{1000 + number % 9000}",
        "toNumber": "+14165550100",
        "duration": 0,
        "status": "no-answer",
        "externalCallId": uuid.uuid4().hex,
    }
    call.update(changes)
    return {key: value for key, value in call.items() if value is not ...}


async def add_user(
    database: store.Database, organization: str | None = None, secret: str = SECRET, role: str = "agent"
) -> tuple[str, accounts.NewUser]:
    """Add a user with the password `PASSWORD`, to a new organization unless one is named; return the address and the user."""
    email = f"{uuid.uuid4().hex}@example.com"
    person = accounts.Person(organization or uuid.uuid4().hex, email, "Agent Smith", role)
    return email, await accounts.add_user(database, secret, person, PASSWORD, hash_password=CHEAP_HASHER.hash)


@dataclass
class Answer:
    """A response, read to its end."""

    status: int
    headers: Any
    body: Any


@dataclass
class Tenant:
    """A user of an organization, who calls the server as the vendor and as the agent."""

    base_url: str
    http: aiohttp.ClientSession
    user_id: str
    organization_id: str
    email: str
    api_key: str
    token: str = ""
    sockets: list[aiohttp.ClientWebSocketResponse] = field(default_factory=list)

    async def request(self, method: str, path: str, *, token: str | None = None, **options: Any) -> Answer:
        """Call the server; JSON answers are parsed."""
        headers = dict(options.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        async with self.http.request(method, self.base_url + path, headers=headers, **options) as response:
            raw = await response.read()
            is_json = response.headers.get("Content-Type", "").startswith("application/json")
            answer = Answer(response.status, response.headers, json.loads(raw) if is_json and raw else raw)
        if is_json and raw and answer.status >= 400:
            sentence_of(answer.status, answer.body, answer.headers)
        return answer

    async def post_call(self, call: Any, **options: Any) -> Answer:
        """Post as the vendor; `call` is JSON-encoded unless it is bytes."""
        data = io.BytesIO(call if isinstance(call, bytes) else json.dumps(call).encode())
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        return await self.request("POST", "/api/calls/ingest", token=self.api_key, data=data, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> Answer:
        """Get as the agent."""
        return await self.request("GET", path, token=self.token, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        """Post JSON as the agent."""
        return await self.request("POST", path, token=self.token, json=body, **options)

    async def dashboard(self, after: int | None = None) -> Dashboard:
        """Open a dashboard and read its hello."""
        query = "" if after is None else f"?after={after}"
        socket = await self.http.ws_connect(
            f"{self.base_url}/ws{query}",
            protocols=("tether.v1",),
            headers={"Authorization": f"Bearer {self.token}"},
            max_msg_size=0,
        )
        dashboard = Dashboard(socket)
        dashboard.hello = await dashboard.next()
        assert dashboard.hello["event"] == "hello"
        return dashboard


@dataclass
class Dashboard:
    """An open WebSocket and what it said first."""

    socket: aiohttp.ClientWebSocketResponse
    hello: dict[str, Any] = field(default_factory=dict)

    async def next(self, within_s: float = 20) -> dict[str, Any]:
        """Return the next message; fails when the socket closes instead."""
        message = await self.socket.receive(within_s)
        assert message.type is aiohttp.WSMsgType.TEXT, f"closed with {self.socket.close_code}: {message}"
        return dict(json.loads(message.data))

    async def events(self, count: int) -> list[dict[str, Any]]:
        """Return the next `count` messages."""
        return [await self.next() for _ in range(count)]

    async def close(self) -> None:
        await self.socket.close()


@dataclass
class Service:
    """A running server in this process."""

    server: Server
    http: aiohttp.ClientSession

    @property
    def base_url(self) -> str:
        return self.server.url

    @property
    def database(self) -> store.Database:
        return self.server.app.database

    async def tenant(self, organization: str | None = None, role: str = "agent") -> Tenant:
        """Add a user, of a new organization unless one is named, and sign in."""
        email, added = await add_user(self.database, organization, self.server.settings.resolve_secret(), role)
        tenant = Tenant(self.base_url, self.http, added.user_id, added.organization_id, email, added.api_key)
        answer = await tenant.request("POST", "/api/auth/login", json={"email": email, "password": PASSWORD})
        assert answer.status == 200, answer.body
        tenant.token = answer.body["token"]
        return tenant


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    passwords: PasswordCheck | None = None,
    clock: Callable[[], float] = time.monotonic,
    schedule: Schedule = Schedule(),  # noqa: B008 - immutable
) -> AsyncIterator[Service]:
    """Run a server in this process until the block ends."""
    server = Server(settings, passwords=passwords, clock=clock, schedule=schedule)
    await server.start()
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            yield Service(server, http)
    finally:
        await server.stop()


class ServerProcess:
    """`tether-rt serve` in its own process, with its log in a file."""

    started: ClassVar[list[subprocess.Popen[bytes]]] = []
    """All that were ever started: those that a failed test left running are ended with the session."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.variables = {"TETHER_PORT": "0", "TETHER_SECRET": SECRET, "TETHER_DATA_DIR": str(folder / "var"), **variables}
        self.command = [sys.executable, "-m", "tether_rt", "serve"]
        self.log_path = folder / f"server-{uuid.uuid4().hex[:8]}.log"
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    async def start(self) -> str:
        """Start it and return its address once it listens. Started again, it listens on the same port."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("TETHER_", "R2_", "MONGODB_"))}
        with self.log_path.open("ab") as log:
            seen = log.tell()
            self._process = subprocess.Popen(  # noqa: ASYNC220 - a fork takes a millisecond
                self.command,
                env={**environment, "PYTHONPATH": str(ROOT), **self.variables},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.started.append(self._process)
        while not (url := self._listening(seen)):
            assert self._process.poll() is None, self.log_path.read_text()
            await asyncio.sleep(0.02)
        self.url = url
        self.variables["TETHER_PORT"] = str(urlsplit(url).port)
        return url

    def _listening(self, seen: int) -> str:
        for line in self.log_path.read_bytes()[seen:].splitlines():
            if b'"listening"' in line:
                return str(json.loads(line)["url"])
        return ""

    def lines(self) -> list[dict[str, Any]]:
        """Return the log so far."""
        return [json.loads(line) for line in self.log_path.read_bytes().splitlines()]

    async def stop(self) -> int:
        """End it with SIGTERM and return its exit status; idempotent."""
        if self.process.poll() is None:
            self.process.terminate()
        return await asyncio.to_thread(self.process.wait, 60)

    async def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        await asyncio.to_thread(self.process.wait)
