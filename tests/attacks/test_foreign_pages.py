"""Pages of other sites that would use the cookie of an agent who is signed in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import settings_on
from tests.support.doors import SIGNED_IN, UPGRADE
from tests.support.service import PASSWORD, Service, Tenant, running
from tether_rt.http.routing import allowed_methods


def foreign_origins(base_url: str) -> list[str]:
    """Return origins that are nearly ours."""
    host, _, port = base_url.removeprefix("http://").rpartition(":")
    return [
        "null",
        "https://evil.example",
        f"http://sub.{host}:{port}",
        f"http://{host}",
        f"http://{host}:{int(port) + 1}",
        f"http://{host}:{port}0",
        f"http://{host}:{port}.evil.example",
        f"http://{host}:{port}@evil.example",
        f"http://evil.example#{host}:{port}",
        f"http://evil.example/{host}:{port}",
        f"http://localhost:{port}",
        f"ftp://{host}:{port}",
        f"{host}:{port}",
        f"//{host}:{port}",
        "file://",
        "chrome-extension://abcdefghijklmnop",
        "",
    ]


async def test_a_cookie_from_another_sites_page_does_nothing(service: Service) -> None:
    tenant = await service.tenant()
    cookie = {"Cookie": f"tether_session={tenant.token}"}
    for origin in foreign_origins(tenant.base_url):
        for method, path in (
            ("POST", "/api/user/api-key/regenerate"),
            ("POST", "/api/auth/logout"),
            ("POST", "/api/conversation/all"),
            ("GET", "/api/calls/history"),
            ("GET", "/api/user/api-key"),
        ):
            answer = await tenant.request(method, path, headers={**cookie, "Origin": origin})
            assert answer.status == 403, (origin, path)
            assert "Access-Control-Allow-Origin" not in answer.headers
        preflight = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x"}
        asked = await tenant.request("OPTIONS", "/api/user/api-key/regenerate", headers=preflight)
        assert asked.status in (401, 403, 405)
        assert not [name for name in asked.headers if name.lower().startswith("access-control")]
    for site in ("cross-site", "same-site"):
        fetched = {**cookie, "Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
        assert (await tenant.request("GET", "/api/calls/history", headers=fetched)).status == 403, site
    assert (await tenant.get("/api/user/api-key")).body["data"]["apiKey"] == tenant.api_key, "nothing has happened"
    assert (await tenant.get(SIGNED_IN)).status == 200


async def test_a_websocket_of_another_sites_page_is_refused_before_the_upgrade(tenant: Tenant) -> None:
    cookie = {"Cookie": f"tether_session={tenant.token}"}
    for origin in foreign_origins(tenant.base_url):
        for credentials in (cookie, {"Authorization": f"Bearer {tenant.token}"}):
            answer = await tenant.request("GET", "/ws", headers={**UPGRADE, **credentials, "Origin": origin})
            assert answer.status == 403, origin
    assert (await tenant.request("GET", "/ws", headers={**UPGRADE, **cookie})).status == 401, "a cookie without an Origin"


async def test_a_page_that_came_without_tls_does_not_speak_for_one_that_has_it(tenant: Tenant) -> None:
    """Who can write into a plain-text page of the same host is not who signed in over TLS."""
    cookie = {"Cookie": f"tether_session={tenant.token}", "X-Forwarded-Proto": "https", "Host": "calls.example"}
    for origin, status in (("http://calls.example", 403), ("https://calls.example", 200)):
        assert (await tenant.request("GET", SIGNED_IN, headers={**cookie, "Origin": origin})).status == status
        opened = await tenant.request("GET", "/ws", headers={**UPGRADE, **cookie, "Origin": origin})
        assert opened.status == (101 if status == 200 else 403)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
async def test_a_form_of_another_site_signs_nobody_in(tenant: Tenant, kind: str) -> None:
    body = json.dumps({"email": tenant.email, "password": PASSWORD}).encode()
    for headers, status in (
        ({"Content-Type": kind, "Origin": "https://evil.example"}, 415),
        ({"Content-Type": kind}, 415),
        ({"Content-Type": "application/json", "Origin": "https://evil.example"}, 403),
    ):
        answer = await tenant.request("POST", "/api/auth/login", data=body, headers=headers)
        assert answer.status == status
        assert "Set-Cookie" not in answer.headers


@pytest.fixture
async def with_desk(mongodb_uri: str, tmp_path: Path) -> AsyncIterator[Service]:
    """A server that lets the pages of one other origin in."""
    async with running(settings_on(mongodb_uri, tmp_path, allowed_origins="https://desk.example")) as service:
        yield service


async def test_an_origin_is_let_in_by_its_whole_name(with_desk: Service) -> None:
    tenant = await with_desk.tenant()
    cookie = {"Cookie": f"tether_session={tenant.token}"}
    assert (await tenant.request("GET", SIGNED_IN, headers={**cookie, "Origin": "https://desk.example"})).status == 200
    for origin in ("http://desk.example", "https://desk.example:444", "https://desk.example.evil.example",
                   "https://a.desk.example", "https://DESK.example/", "https://deskXexample"):  # fmt: skip
        assert (await tenant.request("GET", SIGNED_IN, headers={**cookie, "Origin": origin})).status == 403, origin


DESK = {"Origin": "https://desk.example"}
READABLE = frozenset(
    ("cache-control", "content-language", "content-length", "content-type", "expires", "last-modified", "pragma")
)
"""What every page may read (Fetch, "CORS-safelisted response-header name")."""
NOT_FOR_PAGES = frozenset(
    (
        "access-control-allow-credentials",
        "access-control-allow-origin",
        "access-control-expose-headers",
        "connection",
        "content-encoding",
        "content-security-policy",
        "cross-origin-opener-policy",
        "cross-origin-resource-policy",
        "referrer-policy",
        "vary",
        "x-content-type-options",
        "x-frame-options",
    )
)
"""What is for the browser itself."""
PREFLIGHT = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization, content-type"}


async def test_a_page_of_an_allowed_origin_may_read_every_answer(with_desk: Service) -> None:
    tenant = await with_desk.tenant()
    cases: list[tuple[int, str, str, dict[str, Any]]] = [
        (200, "GET", "/api/calls/history", {"token": tenant.token}),
        (200, "GET", "/openapi.json", {}),
        (401, "GET", "/api/calls/history", {}),
        (400, "GET", "/api/calls/history?limit=many", {"token": tenant.token}),
        (404, "GET", "/api/nothing", {}),
        (405, "DELETE", "/api/calls/history", {}),
        (413, "POST", "/api/auth/login", {"data": b" " * 70_000, "headers": {**DESK, "Content-Type": "application/json"}}),
        (415, "POST", "/api/auth/login", {"data": b"x", "headers": {**DESK, "Content-Type": "text/plain"}}),
        (401, "POST", "/api/calls/ingest", {"json": {}}),
        (400, "POST", "/api/calls/ingest", {"json": {}, "token": tenant.api_key}),
    ]
    for status, method, path, options in cases:
        answer = await tenant.request(method, path, **{"headers": DESK, **options})
        assert answer.status == status, path
        assert answer.headers["Access-Control-Allow-Origin"] == "https://desk.example", path
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        exposed = set(answer.headers["Access-Control-Expose-Headers"].split(", "))
        assert set(map(str.lower, answer.headers)) - READABLE <= set(map(str.lower, exposed)) | NOT_FOR_PAGES, path
        assert "Origin" in ", ".join(answer.headers.getall("Vary"))


async def test_a_page_of_an_allowed_origin_is_told_what_it_may_send(with_desk: Service) -> None:
    tenant = await with_desk.tenant()
    methods = {method for path, target, _ in with_desk.server.app.routes for method in allowed_methods(target)}
    headers = "Authorization Cache-Control Content-Type If-None-Match Last-Event-ID Prefer Range X-Request-Id".split()
    for path in (f"/api/contacts/{'0' * 24}", "/api/calls/ingest", "/api/calls/history", "/api/nothing", "/ws"):
        answer = await tenant.request("OPTIONS", path, headers={**DESK, **PREFLIGHT})
        assert (answer.status, answer.body) == (204, b"")
        assert "Content-Length" not in answer.headers
        assert answer.headers["Access-Control-Allow-Origin"] == "https://desk.example"
        assert methods <= set(answer.headers["Access-Control-Allow-Methods"].split(", "))
        assert answer.headers["Access-Control-Allow-Headers"].split(", ") == headers
    assert (await tenant.request("OPTIONS", "/api/calls/history", headers=DESK)).status == 405, "no preflight"


async def test_a_page_of_another_origin_may_read_nothing_and_is_told_nothing(with_desk: Service) -> None:
    tenant = await with_desk.tenant()
    for origin in ("https://evil.example", "null", "https://desk.example.evil.example", "https://DESK.example"):
        for method, headers in (("GET", {}), ("OPTIONS", PREFLIGHT)):
            answer = await tenant.request(
                method, "/api/calls/history", token=tenant.token, headers={**headers, "Origin": origin}
            )
            assert answer.status == (200 if method == "GET" else 405)
            assert not [name for name in answer.headers if name.startswith("Access-Control")]
            assert answer.headers["Vary"].startswith("Origin") or answer.status == 405
