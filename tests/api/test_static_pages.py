"""How the dashboard's files are served: compressed, and kept for ever where their address names their content."""

from __future__ import annotations

import gzip
import re

import pytest

from tests.support.service import Answer, Service, Tenant
from tether_rt.http.static_files import static_folder

pytestmark = pytest.mark.parametrize("service", ["disk"], indirect=True)

FOR_EVER = "public, max-age=31536000, immutable"
MAIN = (static_folder() / "js/main.js").read_bytes()


async def fetch(tenant: Tenant, path: str, **headers: str) -> Answer:
    return await tenant.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})


async def version(tenant: Tenant, page: str = "/") -> str:
    """The version that the page asks for its files under; there is only one."""
    (found,) = set(re.findall(r'"(?:\.\./)?static/([0-9a-f]{20})/', (await fetch(tenant, page)).body.decode()))
    return str(found)


async def test_everything_that_a_page_asks_for_is_there_and_may_be_kept_for_ever(service: Service, tenant: Tenant) -> None:
    for page in ("/", "/docs", "/docs/vendor"):
        body = (await fetch(tenant, page)).body.decode()
        asked = re.findall(r'(?:src|href)="(?:\.\./)?(static/[^"]+)"', body)
        assert len(asked) > 3
        for path in asked:
            answer = await fetch(tenant, f"/{path}")
            assert answer.status == 200, path
            assert answer.headers["Cache-Control"] == FOR_EVER, path
            assert answer.headers["Vary"] == "Accept-Encoding", path
    assert await version(tenant, "/") == await version(tenant, "/docs") == await version(tenant, "/docs/vendor")


@pytest.mark.parametrize("address", ["/static/js/main.js", f"/static/{'0' * 20}/js/main.js"])
async def test_under_no_version_or_another_one_a_file_is_asked_about_each_time(
    service: Service, tenant: Tenant, address: str
) -> None:
    answer = await fetch(tenant, address)
    assert (answer.status, answer.headers["Cache-Control"], answer.body) == (200, "no-cache", MAIN)
    again = await fetch(tenant, address, If_None_Match=answer.headers["Etag"])
    assert (again.status, again.body) == (304, b"")
    assert again.headers["Cache-Control"] == "no-cache"
    assert (await fetch(tenant, address, If_None_Match='"other"')).status == 200


async def test_a_page_is_asked_about_each_time_and_sent_only_when_it_changed(service: Service, tenant: Tenant) -> None:
    page = await fetch(tenant, "/")
    assert page.headers["Cache-Control"] == "no-cache"
    assert (await fetch(tenant, "/", If_None_Match=page.headers["Etag"])).status == 304


async def test_text_comes_compressed_to_whoever_takes_it(service: Service, tenant: Tenant) -> None:
    async with tenant.http.get(f"{tenant.base_url}/static/js/main.js", headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert int(answer.headers["Content-Length"]) < len(MAIN)
    plain = await fetch(tenant, "/static/js/main.js", Accept_Encoding="identity")
    assert "Content-Encoding" not in plain.headers
    assert plain.body == MAIN
    large = "/static/vendor/swagger-ui/swagger-ui-bundle.js"
    async with tenant.http.get(tenant.base_url + large, headers={"Accept-Encoding": "gzip"}, auto_decompress=False) as answer:
        assert gzip.decompress(await answer.read()) == (static_folder() / large.removeprefix("/static/")).read_bytes()


async def test_head_tells_what_get_would_send(service: Service, tenant: Tenant) -> None:
    for path in ("/", "/static/js/main.js"):
        got = await fetch(tenant, path, Accept_Encoding="identity")
        told = await tenant.request("HEAD", path, headers={"Accept-Encoding": "identity"})
        assert told.body == b""
        for name in ("Content-Length", "Content-Type", "Etag", "Cache-Control"):
            assert told.headers[name] == got.headers[name], (path, name)


async def test_what_is_no_file_is_not_found(service: Service, tenant: Tenant) -> None:
    for path in ("js/nothing.js", f"{await version(tenant)}/js/nothing.js", "css/%2e%2e/package.json"):
        answer = await fetch(tenant, f"/static/{path}")
        assert (answer.status, answer.headers["Cache-Control"]) == (404, "no-store"), path
        assert answer.body["error"] == "There is nothing at this address."
