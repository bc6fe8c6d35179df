"""A server with a handler of each kind, for what all of them promise."""

from __future__ import annotations

import asyncio
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
from tether_rt.errors import Unauthorized
from tether_rt.http.context import BodyBudget, HttpContext
from tether_rt.http.endpoint import Endpoint
from tether_rt.http.exchange import Exchange
from tether_rt.http.handlers import JsonHandler
from tether_rt.http.responses import Response, to_json
from tether_rt.http.routing import Route, RouteTable
from tether_rt.mongo import client as store
from tether_rt.mongo.sessions import Sessions
from tether_rt.mongo.sources import Sources
from tether_rt.mongo.users import Users
from tether_rt.runtime.metrics import Metrics

LIMIT = 1 << 20
BUDGET = 3 << 19
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
async def site_on(mongodb_uri: str, **options: Any) -> AsyncIterator[Site]:
    """Run the handlers behind a server; `options` are those of `HttpContext`."""
    client = store.connect(mongodb_uri)
    database = store.database(client, "unused")
    metrics = Metrics()
    identity = Identity(Users(database), Sources(database), Sessions(database), Keyring("a secret"))
    web = HttpContext(identity, metrics, BodyBudget(BUDGET, metrics), max_body_bytes=LIMIT, **options)
    sites: list[Site] = []
    routes: list[Route] = [
        ("/bodies", Bodies, {}),
        ("/slow", Slow, {"sites": sites}),
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
