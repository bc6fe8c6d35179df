"""A hub with everything real around it: MongoDB, sessions, an HTTP server on loopback, clients.

`World` is one database; each `Process` in it stands for a server process: its own MongoDB client, hub and port. `World.commit`
commits events as ingest does: the counter first, then the segment, in one transaction.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import aiohttp
from motor.motor_asyncio import AsyncIOMotorClientSession
from pymongo import ReturnDocument
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from tests.support.proxy import Proxy, proxy_to_unix
from tests.support.waiting import eventually
from tether_rt.auth.credentials import Keyring
from tether_rt.auth.identity import Identity, Session
from tether_rt.auth.read_tokens import ReadTokens
from tether_rt.domain.events import FeedSegment
from tether_rt.http.context import BodyBudget, HttpContext
from tether_rt.http.routing import RouteTable
from tether_rt.hub.hub import Hub
from tether_rt.hub.websocket_handler import DashboardSocket
from tether_rt.mongo import client as store
from tether_rt.mongo.audit import AuditLog
from tether_rt.mongo.indexes import create_indexes
from tether_rt.mongo.read_tokens import ReadTokenQueries
from tether_rt.mongo.sessions import Sessions
from tether_rt.mongo.sources import Sources
from tether_rt.mongo.users import Users
from tether_rt.runtime.metrics import Metrics
from tether_rt.runtime.supervisor import Supervisor

KEYRING = Keyring("a secret for tests that is long enough to sign with")
FOR_EVER = timedelta(days=1)


@dataclass
class World:
    """One database, and the means to commit and to sign in."""

    client: store.Client
    database: store.Database
    uri: str

    async def session(self, organization_id: str, lifetime: timedelta = FOR_EVER) -> SignedIn:
        """Begin a session of some user of the organization."""
        expires_at = (datetime.now(UTC) + lifetime).replace(microsecond=0)
        claims = Session(store.new_id(), store.new_id(), organization_id, expires_at, "viewer")
        await Sessions(self.database).add(claims.session_id, claims.user_id, claims.organization_id, claims.expires_at)
        return SignedIn(claims, KEYRING.session_token(claims))

    async def commit(self, organization_id: str, events: int = 4, size: int = 100) -> int:
        """Commit one segment and return its last number; `size` is how many bytes of padding each event has."""
        async with await self.client.start_session(causal_consistency=False) as session:
            return await session.with_transaction(lambda s: self._write(s, organization_id, events, size))

    async def _write(self, session: AsyncIOMotorClientSession, organization_id: str, events: int, size: int) -> int:
        counter = await self.database["counters"].find_one_and_update(
            {"_id": organization_id},
            {"$inc": {"seq": events}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        last: int = counter["seq"]
        document = segment(organization_id, last - events + 1, events, size)
        await self.database["feed"].insert_one(dict(document), session=session)
        return last

    async def forget(self, organization_id: str, up_to: int) -> None:
        """Remove what the retention would have removed."""
        await self.database["feed"].delete_many({"organizationId": organization_id, "last": {"$lte": up_to}})

    async def put_back(self, organization_id: str, last: int) -> None:
        """Do what a restore from a backup does: drop the collections and fill them with the events up to `last`."""
        kept = await self.database["feed"].find({"organizationId": organization_id, "last": {"$lte": last}}).to_list(None)
        for name in ("feed", "counters"):
            await self.database[name].drop()
        await create_indexes(self.database, feed_retention_days=7)
        await self.database["counters"].insert_one({"_id": organization_id, "seq": last})
        if kept:
            await self.database["feed"].insert_many(kept)


def event(organization_id: str, seq: int, size: int = 100) -> str:
    """Return an event's text; the same number has the same text, so that tests can compare bytes."""
    call_id = f"{seq:024x}"
    data = {"callId": call_id, "organization": organization_id, "padding": "x" * size}
    at = "2026-05-15T09:12:34.000Z"
    return json.dumps({"event": "call_ended", "seq": seq, "id": f"{call_id}:call_ended", "at": at, "data": data})


def segment(organization_id: str, first: int, events: int = 4, size: int = 100) -> FeedSegment:
    """Return a document of `feed`."""
    return {
        "_id": store.new_id(),
        "organizationId": organization_id,
        "first": first,
        "last": first + events - 1,
        "at": datetime.now(UTC),
        "events": [event(organization_id, first + index, size) for index in range(events)],
    }


@dataclass
class SignedIn:
    """A session and its token."""

    claims: Session
    token: str


@dataclass
class Process:
    """What a server process has of the hub."""

    world: World
    hub: Hub
    metrics: Metrics
    identity: Identity
    web: HttpContext
    http: HTTPServer
    supervisor: Supervisor
    client: store.Client
    port: int
    clients: aiohttp.ClientSession
    tls: bool = False
    opened: list[Dashboard | RawClient] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    async def healthy(self) -> None:
        """Return once the tail follows the feed."""
        await eventually(self.hub.tail.healthy)

    async def empty(self) -> None:
        """Close every client and wait until the hub has noticed."""
        for client in self.opened:
            await client.close()
        self.opened.clear()
        await eventually(lambda: not self.hub.dashboards)

    def metric(self, name: str, **labels: str) -> float:
        """Return a metric's value, 0 when it has none yet."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    async def dashboard(self, who: SignedIn, after: int | str | None = None, **options: Any) -> Dashboard:
        """Open a dashboard and read its hello; `after` is a number or `<epoch>.<number>`."""
        query = "" if after is None else f"?after={after}"
        options.setdefault("headers", {"Authorization": f"Bearer {who.token}"})
        socket = await self.clients.ws_connect(f"{self.origin}/ws{query}", protocols=("tether.v1",), max_msg_size=0, **options)
        dashboard = Dashboard(socket)
        self.opened.append(dashboard)
        dashboard.hello = await dashboard.next()
        assert dashboard.hello["event"] == "hello"
        return dashboard

    async def refusal(self, path: str = "/ws", **headers: str) -> tuple[int, Any, Any]:
        """Ask for an upgrade that is refused; return status, JSON body and headers."""
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        sent = {name: value for name, value in upgrade.items() if value}
        async with self.clients.get(self.origin + path, headers=sent) as response:
            return response.status, await response.json(), response.headers


@dataclass
class Dashboard:
    """A client that reads like a browser."""

    socket: aiohttp.ClientWebSocketResponse
    hello: dict[str, Any] = field(default_factory=dict)

    async def next(self) -> dict[str, Any]:
        """Return the next message; fails when the socket closes instead."""
        message = await self.socket.receive(30)
        assert message.type is aiohttp.WSMsgType.TEXT, f"closed with {self.socket.close_code}: {message}"
        return dict(json.loads(message.data))

    async def numbers(self, up_to: int) -> list[int]:
        """Return the numbers of the events up to and including `up_to`."""
        found: list[int] = []
        while not found or found[-1] < up_to:
            found.append((await self.next())["seq"])
        return found

    async def close(self) -> None:
        """Say goodbye."""
        await self.socket.close()

    async def closed_with(self) -> int | None:
        """Read to the end and return the close code, None when the connection was cut."""
        while True:
            message = await self.socket.receive(30)
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED):
                return self.socket.close_code if self.socket.close_code != 1006 else None


class RawClient:
    """A client that speaks bytes: for exact frames, and for behaving badly."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, process: Process, who: SignedIn, path: str = "/ws", receive_buffer: int | None = None) -> RawClient:
        """Connect and upgrade; a small `receive_buffer` makes a client that stops reading show soon."""
        raw = socket.socket()
        if receive_buffer is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", process.port))
        context = ssl._create_unverified_context() if process.tls else None
        reader, writer = await asyncio.open_connection(
            sock=raw, limit=4096, ssl=context, server_hostname="localhost" if context else None
        )
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{process.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Authorization: Bearer {who.token}\r\n\r\n".encode()
        )
        client = cls(reader, writer)
        process.opened.append(client)
        status = await reader.readuntil(b"\r\n\r\n")
        assert status.startswith(b"HTTP/1.1 101 "), status
        return client

    def send(self, payload: bytes, opcode: int = 1, *, final: bool = True) -> None:
        """Send a masked frame (RFC 6455 section 5.3)."""
        mask = secrets.token_bytes(4)
        size = len(payload)
        header = bytes([opcode | (0x80 if final else 0)])
        if size < 126:
            header += bytes([0x80 | size])
        elif size < 1 << 16:
            header += struct.pack("!BH", 0x80 | 126, size)
        else:
            header += struct.pack("!BQ", 0x80 | 127, size)
        self.writer.write(header + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload)))

    async def frame(self) -> tuple[int, bytes]:
        """Return the next frame's opcode and payload; raises `asyncio.IncompleteReadError` at the end of the connection."""
        first, size = await self.reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
        assert first & 0xF0 == 0x80, "final, and without extension bits"
        return first & 0x0F, await self.reader.readexactly(size)

    async def message(self) -> dict[str, Any]:
        """Return the next message, past any ping; fails when the server says goodbye instead."""
        while True:
            opcode, payload = await self.frame()
            if opcode != 9:
                assert opcode == 1, payload
                return dict(json.loads(payload))

    async def close_code(self) -> int:
        """Read frames up to the close frame and return its code."""
        while True:
            opcode, payload = await self.frame()
            if opcode == 8:
                return int.from_bytes(payload[:2])

    def pause(self) -> None:
        """Stop reading."""
        self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    @property
    def _transport(self) -> asyncio.Transport:
        return cast(asyncio.Transport, self.writer.transport)  # uvloop's has no base class to ask for

    async def close(self) -> None:
        """Cut the connection."""
        self.writer.transport.abort()


@asynccontextmanager
async def process_in(
    world: World,
    *,
    tls: ssl.SSLContext | None = None,
    uri: str | None = None,
    socket_class: type[DashboardSocket] = DashboardSocket,
    **hub_options: Any,
) -> AsyncIterator[Process]:
    """Run a process until the block ends; `uri` is another way to the world's MongoDB, such as a proxy."""
    client = store.connect(uri or world.uri)
    database = store.database(client, world.database.name)
    metrics = Metrics()
    identity = Identity(Users(database), Sources(database), Sessions(database), KEYRING)
    read_tokens = ReadTokens(ReadTokenQueries(database))
    hub = Hub(database, identity, read_tokens, metrics, **hub_options)
    web = HttpContext(
        identity,
        metrics,
        BodyBudget(1 << 20, metrics),
        1 << 20,
        ("https://allowed.example",),
        read_tokens=read_tokens,
        audit=AuditLog(database),
    )
    http = HTTPServer(RouteTable(web, [("/ws", socket_class, {"hub": hub})]), ssl_options=tls)
    sockets = bind_sockets(0, "127.0.0.1")
    http.add_sockets(sockets)
    supervisor = Supervisor()
    supervisor.add("hub", hub.run)
    connector = aiohttp.TCPConnector(limit=0, ssl=False)
    clients = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
    port = sockets[0].getsockname()[1]
    process = Process(world, hub, metrics, identity, web, http, supervisor, client, port, clients, tls is not None)
    try:
        await process.healthy()
        yield process
    finally:
        await process.empty()
        await clients.close()
        http.stop()
        await supervisor.close()
        await hub.close()
        await http.close_all_connections()
        client.close()


@asynccontextmanager
async def proxy_in_front_of(world: World) -> AsyncIterator[tuple[Proxy, str]]:
    """Run a proxy before the world's MongoDB, which listens on a unix socket; yield it and the address through it."""
    async with proxy_to_unix(Path(unquote(urlsplit(world.uri).netloc))) as proxy:
        yield proxy, f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true"


@asynccontextmanager
async def world_on(uri: str) -> AsyncIterator[World]:
    """Make a new database and drop it at the end."""
    client = store.connect(uri)
    database = store.database(client, f"hub{secrets.token_hex(6)}")
    await create_indexes(database, feed_retention_days=7)
    yield World(client, database, uri)
    await client.drop_database(database.name)
    client.close()
