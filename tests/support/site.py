"""A server with a handler of each kind, for what all of them promise."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from pymongo.errors import AutoReconnect
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from tests.support.raw import RawAnswer
from tests.support.refusals import sentence_of
from tether_rt.auth.credentials import Keyring
from tether_rt.auth.identity import Identity
from tether_rt.auth.read_tokens import ReadTokens
from tether_rt.errors import Unauthorized
from tether_rt.http.context import BodyBudget, HttpContext
from tether_rt.http.endpoint import Endpoint
from tether_rt.http.exchange import Exchange
from tether_rt.http.handlers import JsonHandler
from tether_rt.http.request_body import Body
from tether_rt.http.responses import Response, to_json
from tether_rt.http.routing import Route, RouteTable
from tether_rt.http.streamed_body import StreamedBody
from tether_rt.mongo import client as store
from tether_rt.mongo.audit import AuditLog
from tether_rt.mongo.read_tokens import ReadTokenQueries
from tether_rt.mongo.sessions import Sessions
from tether_rt.mongo.sources import Sources
from tether_rt.mongo.users import Users
from tether_rt.recordings.spool import Spool
from tether_rt.recordings.streamed_audio import StreamedAudio
from tether_rt.runtime.metrics import Metrics

LIMIT = 1 << 20
BUDGET = 3 << 19
MAX_AUDIO = 64 << 20
MAX_STREAMED = 96 << 20
JSON = {"Content-Type": "application/json"}


@dataclass
class Site:
    """A server with the handlers below and a body limit of 1 MB, a budget of 1.5."""

    url: str
    web: HttpContext
    working: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while a request to `/slow` is being worked on."""
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    """Lets it come to its answer."""


class Bodies(Endpoint):
    """Takes a body from whoever has the key and says how long it was."""

    methods = ("POST",)

    @property
    def max_body_bytes(self) -> int:
        return LIMIT

    async def authorize(self) -> None:
        if "X-Key" not in self.exchange.request.headers:
            raise Unauthorized("Send a key.")

    async def respond(self) -> Response:
        return Response(200, to_json({"bytes": len(self.take_body())}))


class Slow(Bodies):
    """Has the body and works until the test lets it go on."""

    def __init__(self, exchange: Exchange, sites: list[Site]) -> None:
        super().__init__(exchange)
        (self.site,) = sites

    async def respond(self) -> Response:
        size_bytes = len(self.take_body())
        self.site.working.set()
        await self.site.go_on.wait()
        return Response(200, to_json({"bytes": size_bytes}))


class Audio(Endpoint):
    """Takes a body with audio in it and says what it was; the body is never held whole."""

    methods = ("POST",)

    def __init__(self, exchange: Exchange, spool: Spool) -> None:
        super().__init__(exchange)
        self.sha256 = hashlib.sha256()
        self._lift = StreamedAudio(spool, MAX_AUDIO, max_rest_bytes=LIMIT)

    @property
    def max_body_bytes(self) -> int:
        return MAX_STREAMED

    def new_body(self, declared_bytes: int) -> Body:
        context = self.context
        return StreamedBody(self, context.budget, self.max_body_bytes, self.cut_off, context.pace_window_s)

    @property
    def held_bytes(self) -> int:
        return self._lift.held_bytes

    async def feed(self, piece: bytes) -> None:
        self.sha256.update(piece)
        await self._lift.feed(piece)

    def close(self) -> None:
        self._lift.close()

    async def respond(self) -> Response:
        streamed = await self._lift.finish()
        said = {
            "bytes": streamed.size_bytes,
            "sha256": self.sha256.hexdigest(),
            "audio": streamed.audio.sha256 if streamed.audio is not None else None,
            "rest": json.loads(bytes(streamed.rest).replace((streamed.placeholder or "?").encode(), b"AUDIO")),
            "fault": str(streamed.fault) if streamed.fault is not None else None,
        }
        return Response(200, to_json(said))


class Notes(JsonHandler):
    """Takes a small JSON body, as the handlers of the dashboard's API do."""

    body_methods = ("POST",)

    async def post(self) -> None:
        self.respond({"bytes": len(self.request.body)})


class Things(JsonHandler):
    """Has an address with a part that varies."""

    async def get(self, name: str) -> None:
        self.respond({"name": name, "query": self.get_query_argument("q", "")})


class Sized(JsonHandler):
    """Answers with a text of a given length."""

    async def get(self, size: str) -> None:
        self.respond({"text": "a" * int(size)})


class Breaks(JsonHandler):
    """Fails in a way that nobody thought of."""

    async def get(self) -> None:
        self.set_header("Set-Cookie", "half=done")
        raise RuntimeError("the password is swordfish")


class Away(JsonHandler):
    """Meets a MongoDB that is away."""

    async def get(self) -> None:
        raise AutoReconnect("10.0.0.7:27017: connection closed")


class Long(JsonHandler):
    """Streams an answer that nobody reads to its end, or fails in its middle."""

    async def get(self) -> None:
        failure = self.get_query_argument("failure", "")
        await self.stream(bytes(1000))
        if failure == "away":
            raise AutoReconnect("10.0.0.7:27017: connection closed")
        if failure == "unexpected":
            raise RuntimeError("the password is swordfish")
        while True:
            await self.stream(bytes(1 << 20))


@asynccontextmanager
async def site_on(mongodb_uri: str, spool: Spool | None = None, **options: Any) -> AsyncIterator[Site]:
    """Run the handlers behind a server, `/audio` if there is a spool; `options` are those of `HttpContext`."""
    client = store.connect(mongodb_uri)
    database = store.database(client, "unused")
    metrics = Metrics()
    identity = Identity(Users(database), Sources(database), Sessions(database), Keyring("a secret"))
    web = HttpContext(
        identity,
        metrics,
        BodyBudget(BUDGET, metrics),
        max_body_bytes=LIMIT,
        read_tokens=ReadTokens(ReadTokenQueries(database)),
        audit=AuditLog(database),
        **options,
    )
    sites: list[Site] = []
    routes: list[Route] = [
        ("/bodies", Bodies, {}),
        ("/slow", Slow, {"sites": sites}),
        *([("/audio", Audio, {"spool": spool})] if spool is not None else []),
        ("/notes", Notes, {}),
        ("/things/{name}", Things, {}),
        ("/sized/{size}", Sized, {}),
        ("/breaks", Breaks, {}),
        ("/away", Away, {}),
        ("/long", Long, {}),
    ]
    sockets = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(RouteTable(web, routes))
    server.add_sockets(sockets)
    sites.append(Site(f"http://127.0.0.1:{sockets[0].getsockname()[1]}", web))
    yield sites[0]
    server.stop()
    await server.close_all_connections()
    client.close()


def logged(caplog: pytest.LogCaptureFixture) -> list[Any]:
    """Return what the handlers logged; the fixture must have set the level."""
    return [record for record in caplog.records if record.name == "tether.http"]


def require_refusal(respond: RawAnswer, status: int) -> str:
    """Return the sentence of an error in the one shape that errors have."""
    assert respond.status == status, respond
    assert respond.headers["content-type"] == "application/json"
    return sentence_of(status, respond.body, respond.headers)
