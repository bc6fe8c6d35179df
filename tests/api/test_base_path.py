"""A server below a path: it answers with the path and without it, and every address that it hands out has it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from typing import Final

import pytest

from tests.conftest import settings_on
from tests.support import signing
from tests.support.service import PASSWORD, ROOT, Service, Tenant, missed, running, sample
from tests.support.webhooks import SECRETS, body_of
from tether_rt.settings import OWN_PATHS

BASE: Final = "/apps/tether"


@pytest.fixture(scope="module")
async def below(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with running(settings_on(mongodb_uri, tmp_path_factory.mktemp("below"), base_path=BASE)) as service:
        yield service


@pytest.fixture
async def admin(below: Service) -> Tenant:
    return await below.tenant(role="admin")


def bare(tenant: Tenant) -> str:
    """Return the server's address without the path, as a probe or a proxy that takes it off calls it."""
    return tenant.base_url.removesuffix(BASE)


async def test_every_address_answers_with_the_path_and_without_it(admin: Tenant) -> None:
    assert admin.base_url.endswith(BASE)
    paths = ("/", "/healthz", "/readyz", "/docs", "/docs/vendor", "/join", "/openapi.json", "/static/js/main.js", "/api/user")
    for path in paths:
        for base in (admin.base_url, bare(admin)):
            async with admin.http.get(base + path, headers={"Authorization": f"Bearer {admin.token}"}) as answer:
                assert answer.status == 200, base + path
    for path in (f"{BASE}x/healthz", f"{BASE}{BASE}/healthz", "/apps/healthz", f"{BASE}//healthz"):
        async with admin.http.get(bare(admin) + path) as answer:
            assert answer.status == 404, path


@pytest.mark.parametrize(("query", "address"), [("", f"{BASE}/"), ("?a=b%20c&d", f"{BASE}/?a=b%20c&d")])
async def test_the_path_alone_leads_to_the_dashboard(admin: Tenant, query: str, address: str) -> None:
    for method in ("GET", "HEAD"):
        async with admin.http.request(method, bare(admin) + BASE + query, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (308, address)
    async with admin.http.get(bare(admin) + BASE) as page:
        assert page.status == 200
        assert "text/html" in page.headers["Content-Type"]
    async with admin.http.post(bare(admin) + BASE) as answer:
        assert answer.status == 404


async def test_the_cookie_is_sent_below_the_path_alone(admin: Tenant) -> None:
    signed_in = await admin.request("POST", "/api/auth/login", json={"email": admin.email, "password": PASSWORD})
    assert f"; Path={BASE}/" in signed_in.headers["Set-Cookie"]
    cookie = signed_in.headers["Set-Cookie"].partition(";")[0]
    out = await admin.request("POST", "/api/auth/logout", headers={"Cookie": cookie})
    assert out.status == 200
    assert f"; Path={BASE}/" in out.headers["Set-Cookie"]


async def test_of_two_cookies_that_of_the_longer_path_counts(admin: Tenant) -> None:
    """Another server of the same host, at /, has a cookie of the same name: browsers send it as well, behind ours."""
    cookies = {"Cookie": f"theme=dark; tether_session={admin.token}; tether_session=of-the-other"}
    assert (await admin.request("GET", "/api/user", headers=cookies)).status == 200
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x" * 22}
    origin = {"Origin": bare(admin)}
    assert (await admin.request("GET", "/ws", headers={**cookies, **upgrade, **origin})).status == 101


async def test_links_and_paths_that_are_handed_out_lead_back_to_the_server(admin: Tenant) -> None:
    created = await admin.post_call(sample())
    call_id = created.body["callId"]
    link = (await admin.get(f"/api/calls/{call_id}/recording")).body["audioUrl"]
    assert link.startswith(f"{admin.base_url}/api/recordings/")
    async with admin.http.get(link, headers={"Range": "bytes=0-9"}) as part:
        assert (part.status, len(await part.read())) == (206, 10)

    exported = await admin.get("/api/calls/export")
    (row,) = csv.DictReader(io.StringIO(exported.body.decode("utf-8-sig")))
    assert row["link"] == f"{admin.base_url}/#/calls/{call_id}"

    person = {"email": "lee@example.com", "fullName": "Ann Lee", "role": "agent"}
    invited = await admin.post("/api/users/invite", person)
    assert invited.body["path"].startswith(f"{BASE}/join#token=")
    renewed = await admin.post(f"/api/users/{invited.body['user']['id']}/reset-password")
    assert renewed.body["path"].startswith(f"{BASE}/join#token=")
    async with admin.http.get(bare(admin) + renewed.body["path"]) as page:
        assert page.status == 200

    mistyped = await admin.get("/api/call/history")
    assert mistyped.body["error"].endswith(f"Did you mean {BASE}/api/calls/history?")


async def test_a_vendor_signs_the_address_with_the_path(admin: Tenant) -> None:
    added = await admin.post("/api/sources", {"name": "Lines", "kind": "twilio", "secrets": [SECRETS["twilio"]]})
    path = added.body["webhookPath"]
    assert path.startswith(f"{BASE}/api/webhook/twilio/")
    assert added.body["source"]["webhookPath"] == path
    body = body_of("twilio-status-completed.txt")
    address = bare(admin) + path
    headers = {**signing.twilio(SECRETS["twilio"], body, address), "Content-Type": "application/x-www-form-urlencoded"}
    async with admin.http.post(address, data=body, headers=headers) as answer:
        assert (answer.status, (await answer.json())["received"]) == (200, True)


async def test_the_contract_names_the_path(admin: Tenant) -> None:
    assert [server["url"] for server in (await admin.get("/openapi.json")).body["servers"]] == [BASE]
    servers = (await admin.get("/asyncapi.json")).body["servers"].values()
    assert {server["pathname"] for server in servers} == {BASE}


async def test_the_log_has_addresses_without_the_path(admin: Tenant, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "tether.http"):
        await admin.post_call(missed())
    paths = [vars(record)["fields"]["path"] for record in caplog.records if record.message == "request"]
    assert paths == ["/api/calls/ingest"]


def test_no_own_address_is_a_path_in_front(below: Service) -> None:
    first = {path.split("/")[1] for path, _, _ in below.server.app.routes}
    assert first - {""} == OWN_PATHS


# ---------------------------------------------------------------------- the pages

_ABSOLUTE: Final = re.compile(
    r"""(?:href|src|action|content|poster)=\$?\{?["'`]/(?!/)|url\(["']?/|(?:fetch|import|replace|assign|open)\(["'`]/|["'`]/(?:api|docs|static|ws|join)\b"""
)


def test_no_page_and_no_script_names_an_absolute_address() -> None:
    """Relative addresses are right below any path, so the same files are served everywhere."""
    files = [
        path
        for path in (ROOT / "static").rglob("*")
        if path.suffix in {".html", ".css", ".js"} and not {"node_modules", "vendor"} & set(path.relative_to(ROOT).parts)
    ]
    assert len(files) > 100
    found = [
        f"{path.name}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if _ABSOLUTE.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("depth", ["/", "/join", "/docs", "/docs/vendor"])
async def test_a_page_names_its_files_below_the_path(admin: Tenant, depth: str) -> None:
    async with admin.http.get(admin.base_url + depth) as answer:
        page = await answer.text()
    names = re.findall(r'(?:href|src)="([^"#]*)"', page)
    assert names
    for name in names:
        async with admin.http.get(answer.url.join(type(answer.url)(name))) as file:
            assert file.status == 200, name
            assert file.url.path.startswith(f"{BASE}/")
            is_for_ever = "immutable" in file.headers["Cache-Control"]
        assert is_for_ever is ("static/" in name)
