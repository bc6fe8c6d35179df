"""What every HTTP handler promises, seen from a socket: judged before the body is awaited, one error shape, nothing leaked."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from pymongo.errors import AutoReconnect
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from tests.support.raw import RawAnswer, connection
from tether_rt.auth import Keyring
from tether_rt.errors import Unauthorized
from tether_rt.identity import Identity
from tether_rt.inflight import BodyBudget, Web
from tether_rt.ops import Metrics
from tether_rt.store import client as store
from tether_rt.store.sessions import Sessions
from tether_rt.store.users import Users
from tether_rt.web import JsonHandler, NotFoundHandler

LIMIT = 1 << 20
BUDGET = 3 << 19
JSON = {"Content-Type": "application/json"}


@dataclass
class Site:
    """A server with the handlers below and a body limit of 1 MB, a budget of 1.5."""

    url: str
    web: Web
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
        self.answer({"bytes": len(self.take_body())})


class Slow(Bodies):
    """Has the body and works until the test lets it go on."""

    def initialize(self, web: Web, site: list[Site]) -> None:  # type: ignore[override]
        super().initialize(web)
        (self.site,) = site

    async def post(self) -> None:
        body = self.take_body()
        self.site.working.set()
        await self.site.go_on.wait()
        self.answer({"bytes": len(body)})


class Things(JsonHandler):
    """Has an address with a part that varies."""

    async def get(self, name: str) -> None:
        self.answer({"name": name, "query": self.get_query_argument("q", "")})


class Breaks(JsonHandler):
    """Fails in a way that nobody thought of."""

    async def get(self) -> None:
        self.set_header("Set-Cookie", "half=done")
        raise RuntimeError("the password is swordfish")


class Away(JsonHandler):
    """Meets a MongoDB that is away."""

    async def get(self) -> None:
        raise AutoReconnect("10.0.0.7:27017: connection closed")


@pytest.fixture
async def site(mongodb_uri: str) -> AsyncIterator[Site]:
    client = store.connect(mongodb_uri)
    database = store.database(client, "unused")
    metrics = Metrics()
    identity = Identity(Users(database), Sessions(database), Keyring("a secret"))
    web = Web(identity, metrics, BodyBudget(BUDGET, metrics), max_body_bytes=LIMIT)
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


async def eventually(is_so: Callable[[], bool]) -> None:
    """Return when it is so."""
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.005)


def logged(caplog: pytest.LogCaptureFixture) -> list[Any]:
    """Return what the handlers logged; the fixture must have set the level."""
    return [record for record in caplog.records if record.name == "tether.http"]


def require_refusal(answer: RawAnswer, status: int) -> str:
    """Return the sentence of an error in the one shape that errors have."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.body) == {"success", "error"}
    assert answer.body["success"] is False
    return str(answer.body["error"])


# ---------------------------------------------------------------------- judged by the headers


@pytest.mark.parametrize(
    ("status", "line", "headers"),
    [
        (401, "POST /bodies", {**JSON, "Content-Length": "1000"}),
        (401, "POST /bodies", {"Content-Type": "text/plain", "Content-Length": "1000"}),
        (401, "POST /bodies", {"Content-Type": "text/plain", "Content-Length": str(LIMIT + 1)}),
        (401, "POST /bodies", {"Transfer-Encoding": "chunked"}),
        (413, "POST /bodies", {"X-Key": "1", "Content-Type": "text/plain", "Content-Length": str(LIMIT + 1)}),
        (413, "POST /bodies", {"X-Key": "1", **JSON, "Content-Length": "9" * 18}),
        (413, "GET /things/a", {"Content-Length": "65537"}),
        (415, "POST /bodies", {"X-Key": "1", "Content-Type": "text/plain", "Content-Length": "1000"}),
        (415, "POST /bodies", {"X-Key": "1", "Content-Type": "multipart/form-data; boundary=x", "Content-Length": "1000"}),
        (415, "POST /bodies", {"X-Key": "1", "Content-Type": "text/plain", "Transfer-Encoding": "chunked"}),
        (415, "POST /bodies", {"X-Key": "1", **JSON, "Content-Encoding": "gzip", "Content-Length": "1000"}),
        (404, "POST /nowhere", {**JSON, "Content-Length": "1000"}),
        (400, "POST /bodies", {"X-Key": "1", **JSON, "Content-Length": "many"}),
        (400, "POST /bodies", {"X-Key": "1", **JSON, "Content-Length": "-1"}),
        (400, "POST /bodies", {"X-Key": "1", **JSON, "Content-Length": "+5"}),
        (400, "POST /bodies", {"X-Key": "1", **JSON, "Content-Length": "5, 5"}),
        (400, "POST /bodies", {"X-Key": "1", **JSON, "Content-Length": "1" * 19}),
        (400, "POST /bodies", {"X-Key": "1", **JSON, "Content-Length": "5", "Transfer-Encoding": "chunked"}),
        (400, "POST /bodies", {"X-Key": "1", **JSON, "Transfer-Encoding": "gzip, chunked"}),
    ],
)
async def test_a_refusal_does_not_wait_for_the_body(site: Site, status: int, line: str, headers: dict[str, str]) -> None:
    async with connection(site.url) as raw:
        await raw.request(line, headers)
        answer = await raw.answer()
        assert require_refusal(answer, status)
        assert answer.headers["connection"] == "close"
        assert not site.web.active
        raw.writer.write_eof()
        assert await raw.ended() == b""
    assert site.web.budget.held_bytes == 0


@pytest.mark.parametrize("key", [{}, {"X-Key": "1"}], ids=["401", "413"])
async def test_the_answer_reaches_a_client_that_goes_on_sending(site: Site, key: dict[str, str]) -> None:
    size = 64 << 20  # far more than the kernels on both sides take from a sender whom nobody reads
    async with connection(site.url) as raw:
        await raw.request("POST /bodies", {**key, **JSON, "Content-Length": str(size)})
        for _ in range(64):
            await raw.send(bytes(1 << 20))
        require_refusal(await raw.answer(), 413 if key else 401)


async def test_a_client_that_asks_first_is_told_to_go_on_or_gets_its_refusal(site: Site) -> None:
    async with connection(site.url) as raw:
        await raw.request("POST /bodies", {"X-Key": "1", **JSON, "Expect": "100-continue", "Content-Length": "2"})
        assert (await raw.answer()).status == 100
        await raw.send(b"{}")
        assert (await raw.answer()).body == {"bytes": 2}
    for headers in ({}, {"X-Key": "1", "Content-Length": str(LIMIT + 1)}):
        async with connection(site.url) as raw:
            await raw.request("POST /bodies", {**JSON, "Expect": "100-continue", "Content-Length": "2", **headers})
            require_refusal(await raw.answer(), 413 if headers else 401)
            raw.writer.write_eof()
            assert await raw.ended() == b""


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/json;v=1", None])
async def test_json_is_taken_with_parameters_and_without_a_type(site: Site, kind: str | None) -> None:
    async with connection(site.url) as raw:
        await raw.request("POST /bodies", {"X-Key": "1", **({"Content-Type": kind} if kind else {})}, b"{}")
        assert (await raw.answer()).body == {"bytes": 2}


async def test_a_body_that_nobody_asked_for_is_read_and_dropped(site: Site) -> None:
    async with connection(site.url) as raw:
        for _ in range(2):
            await raw.request("GET /things/a", {"Content-Type": "text/plain"}, bytes(65536))
            assert (await raw.answer()).body["name"] == "a"


# ---------------------------------------------------------------------- while the body arrives


def chunk(size: int) -> bytes:
    return f"{size:x}\r\n".encode() + bytes(size) + b"\r\n"


async def test_a_body_of_exactly_the_limit_is_taken_however_it_comes(site: Site) -> None:
    async with connection(site.url) as raw:
        await raw.request("POST /bodies", {"X-Key": "1", **JSON}, bytes(LIMIT))
        assert (await raw.answer()).body == {"bytes": LIMIT}
        await raw.request("POST /bodies", {"X-Key": "1", **JSON, "Transfer-Encoding": "chunked"})
        for size in (1, 65536, LIMIT - 65537, 0):
            await raw.send(chunk(size))
        assert (await raw.answer()).body == {"bytes": LIMIT}
    assert site.web.budget.held_bytes == 0


async def test_a_chunked_body_past_the_limit_is_413_while_it_is_still_coming(site: Site) -> None:
    async with connection(site.url) as raw:
        await raw.request("POST /bodies", {"X-Key": "1", **JSON, "Transfer-Encoding": "chunked"})
        await raw.send(chunk(LIMIT))
        await raw.send(chunk(65536))
        answer = await raw.answer()
        assert "1 MB is the limit" in require_refusal(answer, 413)
        assert answer.headers["connection"] == "close"
        assert site.web.budget.held_bytes == 0
        assert not site.web.active
        for _ in range(16):
            await raw.send(chunk(1 << 20))  # read and dropped, or the client would hear of a reset before it reads the answer
        raw.writer.write_eof()
        assert await raw.ended() == b""


async def test_a_client_that_leaves_in_the_middle_gives_back_what_was_held_for_it(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tether.http")
    for headers, piece in (({"Content-Length": str(LIMIT)}, bytes(1000)), ({"Transfer-Encoding": "chunked"}, chunk(1000))):
        async with connection(site.url) as raw:
            await raw.request("POST /bodies", {"X-Key": "1", **JSON, **headers})
            await raw.send(piece)
            await eventually(lambda: site.web.budget.held_bytes > 0)
        await eventually(lambda: site.web.budget.held_bytes == 0)
        assert not site.web.active
    assert [record.fields["status"] for record in logged(caplog)] == [499, 499]


async def test_bodies_past_the_budget_are_503_until_others_are_done(site: Site) -> None:
    async with connection(site.url) as one, connection(site.url) as two, connection(site.url) as three:
        await one.request("POST /slow", {"X-Key": "1", **JSON}, bytes(LIMIT))
        await site.working.wait()
        assert site.web.budget.held_bytes == LIMIT
        await two.request("POST /bodies", {"X-Key": "1", **JSON, "Content-Length": str(LIMIT)})
        answer = await two.answer()
        assert "busy" in require_refusal(answer, 503)
        assert answer.headers["retry-after"] == "1"
        await three.request("POST /bodies", {"X-Key": "1", **JSON, "Transfer-Encoding": "chunked"})
        for _ in range(11):
            await three.send(chunk(50_000))
        require_refusal(await three.answer(), 503)
        assert site.web.budget.held_bytes == LIMIT
        site.go_on.set()
        assert (await one.answer()).body == {"bytes": LIMIT}
        assert site.web.budget.held_bytes == 0
        await one.request("POST /bodies", {"X-Key": "1", **JSON}, bytes(LIMIT))
        assert (await one.answer()).status == 200


async def test_a_body_that_is_worked_on_is_counted_though_its_sender_has_left(site: Site) -> None:
    async with connection(site.url) as raw:
        await raw.request("POST /slow", {"X-Key": "1", **JSON}, bytes(LIMIT))
        await site.working.wait()
    (handler,) = site.web.active
    await eventually(lambda: handler.request.connection.stream.closed())  # type: ignore[union-attr]
    assert site.web.budget.held_bytes == LIMIT
    site.go_on.set()
    await eventually(lambda: not site.web.active)
    assert site.web.budget.held_bytes == 0


# ---------------------------------------------------------------------- errors


async def test_an_unexpected_error_is_500_and_its_trace_stays_in_the_log(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tether.http")
    async with connection(site.url) as raw:
        await raw.request("GET /breaks")
        answer = await raw.answer()
    assert require_refusal(answer, 500) == "Something went wrong here; the request may be sent again."
    assert "swordfish" not in str(answer)
    assert "set-cookie" not in answer.headers
    error, request = logged(caplog)
    assert error.getMessage() == "unexpected_error"
    assert error.exc_info is not None
    assert str(error.exc_info[1]) == "the password is swordfish"
    ids = {record.fields["requestId"] for record in (error, request)}
    assert ids == {answer.headers["x-request-id"]}


async def test_a_database_that_is_away_is_503_and_its_address_is_not_told(site: Site) -> None:
    async with connection(site.url) as raw:
        await raw.request("GET /away")
        answer = await raw.answer()
    assert "10.0.0.7" not in require_refusal(answer, 503)
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("line", "status", "allow"),
    [
        ("GET /nowhere", 404, None),
        ("BREW /nowhere", 405, None),
        ("DELETE /things/a", 405, "GET, HEAD"),
        ("OPTIONS /things/a", 405, "GET, HEAD"),
        ("GET /bodies", 405, "POST"),
        ("PUT /bodies", 405, "POST"),
        ("BREW /bodies", 405, "POST"),
        ("get /things/a", 405, "GET, HEAD"),
        ("GET /things/%FF", 400, None),
        ("GET /things/a?q=%FF", 400, None),
        ("GET /things/a?q=%C3%28", 400, None),
    ],
)
async def test_odd_methods_and_addresses_get_the_one_error_shape(site: Site, line: str, status: int, allow: str | None) -> None:
    async with connection(site.url) as raw:
        await raw.request(line, {"X-Key": "1"})
        answer = await raw.answer()
        assert require_refusal(answer, status)
        if allow:
            assert answer.headers["allow"] == allow
        if answer.headers.get("connection") == "close":
            assert await raw.ended() == b""
        else:
            await raw.request("GET /things/b")
            assert (await raw.answer()).body["name"] == "b"


async def test_made_up_methods_share_one_metric(site: Site) -> None:
    for number in range(3):
        async with connection(site.url) as raw:
            await raw.request(f"BREW{number} /things/a")
            require_refusal(await raw.answer(), 405)
    exposition = site.web.metrics.exposition().decode()
    assert 'tether_http_requests_total{method="other",status="405"} 3.0' in exposition
    assert "BREW" not in exposition


# ---------------------------------------------------------------------- every answer


@pytest.mark.parametrize(
    "line", ["GET /things/a", "GET /nowhere", "GET /breaks", "POST /bodies", "BREW /things/a", "HEAD /things/a"]
)
async def test_every_answer_has_an_id_and_the_security_headers(site: Site, line: str) -> None:
    async with connection(site.url) as raw:
        await raw.request(line)
        headers = (await raw.answer(of_head=line.startswith("HEAD"))).headers
    assert re.fullmatch("[0-9a-f]{16}", headers["x-request-id"])
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert headers["content-type"] == "application/json"
    assert "server" not in headers
    assert "etag" not in headers


@pytest.mark.parametrize(
    ("sent", "taken"),
    [("abc-DEF_1.2", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ('"}\t', False), ("", False)],
)
async def test_a_request_id_is_kept_when_it_is_a_plain_one(
    site: Site, caplog: pytest.LogCaptureFixture, sent: str, taken: bool
) -> None:
    caplog.set_level(logging.INFO, "tether.http")
    async with connection(site.url) as raw:
        await raw.request("GET /things/a?token=secret", {"X-Request-Id": sent})
        given = (await raw.answer()).headers["x-request-id"]
    assert (given == sent) is taken
    (record,) = logged(caplog)
    fields = record.fields
    assert fields["requestId"] == given
    assert (fields["method"], fields["path"], fields["status"]) == ("GET", "/things/a", 200)
    assert "secret" not in str(fields)


async def test_the_connection_lives_on_after_every_answer_to_a_whole_request(site: Site) -> None:
    async with connection(site.url) as raw:
        for line, headers, body, status in (
            ("GET /things/a", {}, b"", 200),
            ("POST /bodies", {"X-Key": "1", **JSON}, b"{}", 200),
            ("POST /bodies", {}, b"", 401),
            ("GET /nowhere", {}, b"", 404),
            ("DELETE /things/a", {}, b"", 405),
            ("GET /breaks", {}, b"", 500),
            ("GET /away", {}, b"", 503),
            ("GET /things/b", {}, b"", 200),
        ):
            await raw.request(line, headers, body)
            answer = await raw.answer()
            assert answer.status == status
            assert "connection" not in answer.headers


async def test_pipelined_requests_are_answered_in_their_order(site: Site) -> None:
    async with connection(site.url) as raw:
        lines = [f"GET /things/{number} HTTP/1.1\r\nHost: calls.example\r\n\r\n" for number in range(20)]
        bodies = "POST /bodies HTTP/1.1\r\nHost: calls.example\r\nX-Key: 1\r\nContent-Length: 3\r\n\r\n[1]"
        await raw.send("".join([*lines, bodies, lines[7]]).encode())
        for number in range(20):
            assert (await raw.answer()).body["name"] == str(number)
        assert (await raw.answer()).body == {"bytes": 3}
        assert (await raw.answer()).body["name"] == "7"


async def test_head_is_get_without_the_content(site: Site) -> None:
    async with connection(site.url) as raw:
        await raw.request("GET /things/a")
        whole = await raw.answer()
        await raw.request("HEAD /things/a")
        bare = await raw.answer(of_head=True)
        assert bare.status == 200
        ignored = {"x-request-id", "date"}
        assert {**bare.headers, **dict.fromkeys(ignored)} == {**whole.headers, **dict.fromkeys(ignored)}
        await raw.request("HEAD /bodies", {"X-Key": "1"})
        assert (await raw.answer(of_head=True)).status == 405
        await raw.request("GET /things/b")
        assert (await raw.answer()).body["name"] == "b"


# ---------------------------------------------------------------------- the end


async def test_draining_waits_for_what_is_in_flight_and_refuses_what_comes_later(site: Site) -> None:
    async with connection(site.url) as busy, connection(site.url) as late, connection(site.url) as sending:
        await busy.request("POST /slow", {"X-Key": "1", **JSON}, b"{}")
        await site.working.wait()
        await late.request("GET /things/a")
        assert (await late.answer()).status == 200
        drained = asyncio.create_task(site.web.drain())
        await asyncio.sleep(0)
        await late.request("GET /things/a")
        await sending.request("POST /bodies", {"X-Key": "1", **JSON, "Content-Length": "1000"})
        for raw in (late, sending):
            answer = await raw.answer()
            assert "shutting down" in require_refusal(answer, 503)
            assert answer.headers["retry-after"]
            assert answer.headers["connection"] == "close"
        assert not drained.done()
        site.go_on.set()
        answer = await busy.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        await drained


async def test_draining_an_idle_server_takes_no_time(site: Site) -> None:
    await site.web.drain()
