"""The server behind a real nginx, with the configurations of `docs/proxy.md`: at the root and below a path."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from tests.conftest import settings_on
from tests.support.audio import mp3_of
from tests.support.nginx import TAKES_THE_PATH_OFF, UNBUFFERED, Changes, Nginx, nginx
from tests.support.service import PASSWORD, Service, Tenant, missed, running, sample
from tether_rt.client import Client, Event

BASE: Final = "/tether"
BEATS_S: Final = 0.5
RECORDING_BYTES: Final = 30_000_000


@dataclass
class Front:
    """A server and the nginx in front of it."""

    service: Service
    nginx: Nginx
    tenant: Tenant
    """Who goes through nginx."""

    @property
    def base(self) -> str:
        return self.service.server.settings.base_path


WAYS: Final[dict[str, tuple[str, Changes]]] = {
    "at the root": ("", []),
    "below a path": (BASE, []),
    "below a path, unbuffered": (BASE, UNBUFFERED),
    "below a path, which is taken off": (BASE, TAKES_THE_PATH_OFF),
}


@asynccontextmanager
async def behind(mongodb_uri: str, folder: Path, changes: Changes, base_path: str = "") -> AsyncIterator[Front]:
    """Run a server, and nginx in front of it, until the block ends."""
    settings = settings_on(mongodb_uri, folder / "data", base_path=base_path, trusted_proxies="127.0.0.1")
    async with (
        running(settings) as service,
        nginx(folder / "nginx", [service.base_url], below_path=bool(base_path), changes=changes) as proxy,
    ):
        yield Front(service, proxy, proxy.tenant(await service.tenant(role="admin")))


@pytest.fixture(scope="module", params=WAYS)
async def front(
    request: pytest.FixtureRequest, mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Front]:
    """A server behind nginx in each of the documented ways."""
    base_path, changes = WAYS[request.param]
    async with behind(mongodb_uri, tmp_path_factory.mktemp("nginx"), changes, base_path) as front:
        yield front


@pytest.fixture
def through(front: Front) -> Tenant:
    return front.tenant


async def test_a_recording_of_30_mb_goes_in_and_its_link_plays_a_part_of_it(through: Tenant) -> None:
    audio = mp3_of(RECORDING_BYTES)
    created = await through.post_call(sample(voice=False, recording=base64.b64encode(audio).decode()))
    assert created.status == 201, created.body
    link = (await through.get(f"/api/calls/{created.body['callId']}/recording")).body["audioUrl"]
    assert link.startswith(f"{through.base_url}/api/recordings/")
    for asked, status, part in (
        (None, 200, audio),
        ("bytes=1000-1999", 206, audio[1000:2000]),
        ("bytes=-10", 206, audio[-10:]),
    ):
        async with through.http.get(link, headers={"Range": asked} if asked else {}) as answer:
            assert (answer.status, await answer.read() == part) == (status, True)


async def test_events_arrive_when_they_happen(through: Tenant) -> None:
    """By WebSocket, by server-sent events and by a request that waits: none is kept back until a buffer is full."""
    dashboard = await through.dashboard()
    headers = {"Authorization": f"Bearer {through.token}"}
    stream = await through.http.get(f"{through.base_url}/api/feed", headers={**headers, "Accept": "text/event-stream"})
    assert await _data_of(stream) == dashboard.hello
    begun = (await through.get("/api/feed")).body.splitlines()
    after = json.loads(begun[-1])["seq"]
    waiting = asyncio.create_task(through.get(f"/api/feed?after={after}&wait=60"))
    call_id = (await through.post_call(missed())).body["callId"]
    event = await dashboard.next()
    assert event["data"]["callId"] == call_id
    assert await _data_of(stream) == event
    assert json.loads((await waiting).body.splitlines()[1]) == event
    stream.close()
    await dashboard.close()


async def test_the_python_client_sends_and_follows_through_it(through: Tenant) -> None:
    async with (
        Client(through.base_url, api_key=through.api_key, token=through.token, session=through.http) as client,
        aclosing(aiter(client.follow(after="0"))) as items,
    ):
        call_id = (await client.send(sample(voice=False), recording=mp3_of(10_000))).call_id
        async for item in items:
            if isinstance(item, Event) and item.id == f"{call_id}:call_ended":
                break


async def _data_of(stream: aiohttp.ClientResponse) -> Any:
    async with asyncio.timeout(30):
        async for line in stream.content:
            if line.startswith(b"data: "):
                return json.loads(line.removeprefix(b"data: "))
    return None


async def test_the_server_knows_who_calls_and_how(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    """TLS, the host and the caller's address, whatever the caller itself says of them."""
    through = front.tenant
    caplog.set_level("INFO", "tether.http")
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}
    body = {"email": through.email, "password": PASSWORD}
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0), ssl=False)
    async with (
        aiohttp.ClientSession(connector=connector) as elsewhere,
        elsewhere.post(f"{through.base_url}/api/auth/login", json=body, headers=forged) as signed_in,
    ):
        assert signed_in.status == 200
        cookie = signed_in.headers["Set-Cookie"]
    assert f"; Path={front.base}/" in cookie
    assert "; Secure" in cookie
    (request,) = [vars(record)["fields"] for record in caplog.records if record.message == "request"]
    assert (request["remote"], request["path"]) == ("127.0.0.2", "/api/auth/login")

    for origin, status in (
        (front.nginx.url, 200),
        (front.nginx.url.replace("https", "http"), 403),
        ("https://evil.example", 403),
    ):
        sent = {"Cookie": cookie.partition(";")[0], "Origin": origin}
        assert (await through.request("GET", "/api/user", headers=sent)).status == status, origin


async def test_what_is_for_operators_alone_is_denied(front: Front) -> None:
    for path in ("/metrics", "/readyz", "/healthz"):
        async with front.nginx.http.get(front.tenant.base_url + path) as answer:
            assert answer.status == 403, path
        async with front.service.http.get(front.service.base_url.removesuffix(front.base) + path) as answer:
            assert answer.status == 200, "a probe asks the server itself"


async def test_the_pages_come_by_http_2(front: Front, tmp_path: Path) -> None:
    for path in ("/", "/docs/vendor", "") if front.base else ("/", "/docs/vendor"):
        command = ["curl", "-sS", "--http2", "-L", "--cacert", str(front.nginx.certificate), "-o", str(tmp_path / "page")]
        process = await asyncio.create_subprocess_exec(
            *command, "-w", "%{http_version} %{http_code} %{url_effective}", front.tenant.base_url + path,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        written, _ = await process.communicate()
        assert written.decode() == f"2 200 {front.tenant.base_url}{path or '/'}"
        assert b"<title>" in (tmp_path / "page").read_bytes()


# ---------------------------------------------------------------------- connections on which nothing happens


async def test_quiet_connections_outlive_the_limit_of_the_proxy(mongodb_uri: str, tmp_path: Path) -> None:
    """As with 20 and 60 seconds: what the server sends twice a second keeps nginx from closing after two."""
    short: Changes = [("proxy_read_timeout 180s;", "proxy_read_timeout 2s;")]
    async with behind(mongodb_uri, tmp_path, short) as front:
        front.service.server.app.hub.heartbeat_s = BEATS_S
        await _require_quiet(front.tenant, beats=6)
    async with behind(mongodb_uri, tmp_path, short) as front:
        with pytest.raises(_ClosedError):
            await _require_quiet(front.tenant, beats=6)


@pytest.mark.soak
async def test_quiet_connections_outlive_a_limit_of_60_seconds(mongodb_uri: str, tmp_path: Path) -> None:
    async with behind(mongodb_uri, tmp_path, [("proxy_read_timeout 180s;", "proxy_read_timeout 60s;")]) as front:
        await _require_quiet(front.tenant, beats=7)


class _ClosedError(Exception):
    pass


async def _require_quiet(through: Tenant, beats: int) -> None:
    """Follow by WebSocket and by server-sent events for so many pings and comments; raises `_ClosedError`."""
    headers = {"Authorization": f"Bearer {through.token}"}
    socket = await through.http.ws_connect(f"{through.base_url}/ws", headers=headers, autoping=False)
    stream = await through.http.get(f"{through.base_url}/api/feed", headers={**headers, "Accept": "text/event-stream"})
    try:
        await asyncio.gather(_pings(socket, beats), _comments(stream, beats))
    except _ClosedError:
        stream.close()
        await socket.close()
        raise
    call_id = (await through.post_call(missed())).body["callId"]
    assert (await socket.receive_json())["data"]["callId"] == call_id
    assert (await _data_of(stream))["data"]["callId"] == call_id
    await socket.close()
    stream.close()


async def _pings(socket: aiohttp.ClientWebSocketResponse, count: int) -> None:
    seen = 0
    while seen < count:
        message = await socket.receive(60)
        if message.type is aiohttp.WSMsgType.PING:
            seen += 1
            await socket.pong(message.data)
        elif message.type is not aiohttp.WSMsgType.TEXT:
            raise _ClosedError


async def _comments(stream: aiohttp.ClientResponse, count: int) -> None:
    assert "hello" in (await _data_of(stream))["event"]
    seen = 0
    while seen < count:
        try:
            line = await stream.content.readline()
        except aiohttp.ClientPayloadError as error:
            raise _ClosedError from error
        if not line:
            raise _ClosedError
        seen += line.startswith(b":")


# ---------------------------------------------------------------------- a proxy that is set up wrong


async def test_a_proxy_that_changes_host_is_named_in_the_log(
    mongodb_uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with behind(mongodb_uri, tmp_path, [("proxy_set_header Host $http_host;", "")]) as front:
        url, body = front.nginx.url, {"email": front.tenant.email, "password": PASSWORD}
        for _ in range(3):
            answer = await front.tenant.request("POST", "/api/auth/login", json=body, headers={"Origin": url})
            assert answer.status == 403
    (line,) = [vars(record)["fields"] for record in caplog.records if record.message == "page_refused"]
    assert (line["origin"], line["host"]) == (url, "tether")
    assert "proxy_set_header Host $http_host;" in line["hint"]
