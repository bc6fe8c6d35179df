"""Pages of other sites in a real browser: what an allowed one may do with a token, and what any page may do with a link."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page

from tests.conftest import settings_on
from tests.support.service import PASSWORD, Service, running, sample
from tests.support.web_app import served

READ: Final = """async ([path, options, base]) => {
    const answer = await fetch(base + path, options);
    return { status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.text() };
}"""
"""Fetch, and return all that the page may read."""
CAN_READ: Final = "async ([url, options]) => fetch(url, options).then((answer) => answer.status, () => null)"
PLAYS: Final = """([url, crossOrigin]) => new Promise((done) => {
    const audio = new Audio();
    if (crossOrigin !== null) audio.crossOrigin = crossOrigin;
    audio.ontimeupdate = () => audio.currentTime > 0 && done(true);
    audio.onerror = () => done(false);
    audio.src = url;
    audio.play().catch(() => {});
})"""
OPENS: Final = """([url, protocols]) => new Promise((done) => {
    const socket = new WebSocket(url, protocols);
    socket.onmessage = ({ data }) => { socket.close(); done(JSON.parse(data).event); };
    socket.onclose = () => done(null);
})"""


@asynccontextmanager
async def site() -> AsyncIterator[str]:
    """Serve an empty page at an origin of its own until the block ends. To the server at 127.0.0.1 it is another site."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>Desk</title>", content_type="text/html")

    application = web.Application()
    application.router.add_get("/", page)
    async with served(application) as port:
        yield f"http://localhost:{port}"


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context()
    yield await context.new_page()
    await context.close()


@pytest.fixture
async def desk() -> AsyncIterator[str]:
    """An origin that the server allows."""
    async with site() as origin:
        yield origin


@pytest.fixture
async def allowing(mongodb_uri: str, tmp_path: Path, desk: str) -> AsyncIterator[Service]:
    async with running(settings_on(mongodb_uri, tmp_path, allowed_origins=desk)) as service:
        yield service


async def test_a_page_of_an_allowed_site_uses_the_api_with_a_token(allowing: Service, desk: str, page: Page) -> None:
    tenant = await allowing.tenant()
    call_id = (await tenant.post_call(sample())).body["callId"]
    await page.goto(desk)

    async def read(path: str, **options: Any) -> dict[str, Any]:
        return dict(await page.evaluate(READ, [path, options, tenant.base_url]))

    body = f'{{"email": "{tenant.email}", "password": "{PASSWORD}"}}'
    json = {"Content-Type": "application/json"}
    signed_in = await read("/api/auth/login", method="POST", headers=json, body=body, credentials="include")
    assert signed_in["status"] == 200
    assert (await read("/api/user", credentials="include"))["status"] == 401, "browsers send no cookie of another site"

    token = {"Authorization": f"Bearer {tenant.token}"}
    every = ("Cache-Control", "If-None-Match", "Last-Event-ID", "Prefer", "Range", "X-Request-Id")
    history = await read("/api/calls/history", headers={**token, **dict.fromkeys(every, "x")})
    assert (history["status"], history["headers"]["x-request-id"]) == (200, "x")
    assert "date" in history["headers"]
    export = await read("/api/calls/export", headers=token)
    assert "attachment" in export["headers"]["content-disposition"]
    renamed = await read(f"/api/calls/{call_id}", method="DELETE", headers=token)
    assert renamed["status"] == 403
    lines = await read("/api/feed", headers=token)
    assert '"hello"' in lines["body"]
    later = {**json, "Authorization": f"Bearer {tenant.api_key}", "Prefer": "respond-async"}
    refused = await read("/api/calls/ingest", method="POST", headers=later, body="{}")
    assert (refused["status"], '"errors"' in refused["body"]) == (400, True)

    missing = await read("/api/call/history", headers=token)
    assert (missing["status"], "Did you mean" in missing["body"]) == (404, True)
    method = await read("/api/calls/history", method="PATCH", headers=token)
    assert (method["status"], method["headers"]["allow"]) == (405, "GET, HEAD")
    large = await read("/api/auth/login", method="POST", headers=json, body=" " * 70_000)
    assert large["status"] == 413
    assert (await read("/api/user", headers={"Authorization": "Bearer x"}))["headers"]["www-authenticate"] == "Bearer"

    socket = tenant.base_url.replace("http", "ws") + "/ws"
    assert await page.evaluate(OPENS, [socket, ["tether.v1", f"bearer.{tenant.token}"]]) == "hello"

    allowing.server.app.web.draining = True
    away = await read("/api/user", headers=token)
    assert (away["status"], away["headers"]["retry-after"]) == (503, "2")
    allowing.server.app.web.draining = False


async def test_a_recordings_link_plays_on_any_page_and_is_read_by_an_allowed_one(
    allowing: Service, desk: str, page: Page
) -> None:
    tenant = await allowing.tenant()
    call_id = (await tenant.post_call(sample())).body["callId"]
    link = (await tenant.get(f"/api/calls/{call_id}/recording")).body["audioUrl"]
    async with site() as foreign:
        for origin, is_allowed in ((desk, True), (foreign, False)):
            await page.goto(origin)
            assert await page.evaluate(PLAYS, [link, None]) is True
            assert await page.evaluate(PLAYS, [link, "anonymous"]) is is_allowed
            part = {"headers": {"Range": "bytes=-100"}}  # a form of Range that browsers ask about first
            assert await page.evaluate(CAN_READ, [link, part]) == (206 if is_allowed else None)
            assert await page.evaluate(CAN_READ, [f"{tenant.base_url}/openapi.json", {}]) == 200
            api = [f"{tenant.base_url}/api/user", {"headers": {"Authorization": f"Bearer {tenant.token}"}}]
            assert await page.evaluate(CAN_READ, api) == (200 if is_allowed else None)
            socket = [tenant.base_url.replace("http", "ws") + "/ws", ["tether.v1", f"bearer.{tenant.token}"]]
            assert await page.evaluate(OPENS, socket) == ("hello" if is_allowed else None)
        await page.goto(desk)
        ranged = {"headers": {"Range": "bytes=0-9"}}
        answer = await page.evaluate(READ, [link.removeprefix(tenant.base_url), ranged, tenant.base_url])
        assert answer["headers"]["content-range"].startswith("bytes 0-9/")
        assert answer["headers"]["accept-ranges"] == "bytes"
