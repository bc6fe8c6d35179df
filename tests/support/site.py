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
from tornado.web import Application

from tests.support.raw import RawAnswer
from tether_rt.auth.credentials import Keyring
from tether_rt.auth.identity import Identity
from tether_rt.errors import Unauthorized
from tether_rt.http.context import BodyBudget, HttpContext
from tether_rt.http.handlers import JsonHandler, NotFoundHandler
from tether_rt.mongo import client as store
from tether_rt.mongo.sessions import Sessions
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


class Bodies(JsonHandler):
    """Takes a body from whoever has the key and says how long it was."""

    takes_body = True

    @property
    def max_body_bytes(self) -> int:
        return LIMIT

    async def authorize(self) -> None:
        if "X-Key" not in self.request.headers:
            raise Unauthorized("Send a key.")

    async def post(self) -> None:
        self.respond({"bytes": len(self.take_body())})


class Slow(Bodies):
    """Has the body and works until the test lets it go on."""

    def initialize(self, web: HttpContext, site: list[Site]) -> None:  # type: ignore[override]
        super().initialize(web)
        (self.site,) = site

    async def post(self) -> None:
        body = self.take_body()
        self.site.working.set()
        await self.site.go_on.wait()
        self.respond({"bytes": len(body)})


class Things(JsonHandler):
    """Has an address with a part that varies."""

    async def get(self, name: str) -> None:
        self.respond({"name": name, "query": self.get_query_argument("q", "")})


class Breaks(JsonHandler):
    """Fails in a way that nobody thought of."""

    async def get(self) -> None:
        self.set_header("Set-Cookie", "half=done")
        raise RuntimeError("the password is swordfish")


class Away(JsonHandler):
    """Meets a MongoDB that is away."""

    async def get(self) -> None:
        raise AutoReconnect("10.0.0.7:27017: connection closed")


@asynccontextmanager
async def site_on(mongodb_uri: str) -> AsyncIterator[Site]:
    """Run the handlers behind a server."""
    client = store.connect(mongodb_uri)
    database = store.database(client, "unused")
    metrics = Metrics()
    identity = Identity(Users(database), Sessions(database), Keyring("a secret"))
    web = HttpContext(identity, metrics, BodyBudget(BUDGET, metrics), max_body_bytes=LIMIT)
    sites: list[Site] = []
    routes: list[Any] = [
        ("/bodies", Bodies, {"web": web}),
        ("/slow", Slow, {"web": web, "site": sites}),
        ("/things/([^/]+)", Things, {"web": web}),
        ("/breaks", Breaks, {"web": web}),
        ("/away", Away, {"web": web}),
    ]
    application = Application(routes, default_handler_class=NotFoundHandler, default_handler_args={"web": web})
    sockets = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(application)
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
    assert set(respond.body) == {"success", "error"}
    assert respond.body["success"] is False
    return str(respond.body["error"])
