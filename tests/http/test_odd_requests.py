"""Requests that are legal and rare: through proxies, with default ports, in absolute form, with more in their chunks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import settings_on
from tests.support.raw import RawAnswer, connection
from tests.support.service import Service, Tenant, missed, running, sample


@pytest.fixture(scope="module")
async def service(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    folder: Path = tmp_path_factory.mktemp("data")
    async with running(settings_on(mongodb_uri, folder, allowed_origins="https://desk.example.com:443")) as service:
        yield service


@pytest.fixture(scope="module")
async def tenant(service: Service) -> Tenant:
    return await service.tenant()


async def answered(service: Service, line: str, *fields: str, body: bytes = b"") -> RawAnswer:
    async with connection(service.base_url) as raw:
        await raw.send("\r\n".join([line, *fields, "", ""]).encode() + body)
        return await raw.answer()


async def test_a_target_in_absolute_form_is_served(service: Service, tenant: Tenant) -> None:
    """RFC 9112 section 3.2.2: a server must take it, and clients behind a proxy send it."""
    host = service.base_url.removeprefix("http://")
    body = json.dumps(missed()).encode()
    fields = (f"Host: {host}", f"Authorization: Bearer {tenant.api_key}", "Content-Type: application/json")
    length = f"Content-Length: {len(body)}"
    answer = await answered(service, f"POST http://{host}/api/calls/ingest HTTP/1.1", *fields, length, body=body)
    assert answer.status == 201, answer.body
    line = f"GET http://{host}/api/calls/history?limit=1 HTTP/1.1"
    answer = await answered(service, line, f"Host: {host}", f"Authorization: Bearer {tenant.token}")
    assert (answer.status, len(answer.body["calls"])) == (200, 1)
    other = await answered(service, "POST http://other.example/api/calls/ingest HTTP/1.1", *fields, length, body=body)
    assert other.status == 404


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        (b"0\r\nX-Sum: 1\r\n\r\n", "The body ends with a trailer"),
        (b"0;a=b\r\n\r\n", "a chunk with an extension"),
        (b"1;a=" + b"b" * 300 + b"\r\n \r\n0\r\n\r\n", "a chunk with an extension"),
        (b"1;a=" + b"b" * 3000 + b"\r\n \r\n0\r\n\r\n", "The body's chunks are broken"),
        (b"xyz\r\n", "The body's chunks are broken"),
        (b"1\r\n  \r\n0\r\n\r\n", "The body's chunks are broken"),
    ],
    ids=["trailer", "extension", "long extension", "very long extension", "no length", "too long"],
)
async def test_what_is_not_taken_of_chunks_is_refused_in_words(
    service: Service, tenant: Tenant, rest: bytes, reason: str
) -> None:
    body = json.dumps(missed()).encode()
    fields = ("Host: x", f"Authorization: Bearer {tenant.api_key}", "Content-Type: application/json")
    line = "POST /api/calls/ingest HTTP/1.1"
    chunks = b"%x\r\n%s\r\n" % (len(body), body) + rest
    answer = await answered(service, line, *fields, "Transfer-Encoding: chunked", body=chunks)
    assert answer.status == 400
    assert reason in answer.body["error"]


async def test_the_link_to_a_recording_is_https_behind_two_proxies(service: Service, tenant: Tenant) -> None:
    call_id = (await tenant.post_call(sample("delivery"))).body["callId"]
    fields = ("Host: calls.example.com", "X-Forwarded-Proto: https, https", f"Authorization: Bearer {tenant.token}")
    answer = await answered(service, f"GET /api/calls/{call_id}/recording HTTP/1.1", *fields)
    assert answer.body["audioUrl"].startswith("https://calls.example.com/")


async def test_a_page_on_the_default_port_opens_the_websocket(service: Service, tenant: Tenant) -> None:
    fields = (
        "Host: calls.example.com:443", "Origin: https://calls.example.com", "X-Forwarded-Proto: https", "Connection: Upgrade",
        "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Cookie: tether_session={tenant.token}",
    )  # fmt: skip
    async with connection(service.base_url) as raw:
        await raw.send("\r\n".join(["GET /ws HTTP/1.1", *fields, "", ""]).encode())
        assert (await raw.reader.readline()).split()[1] == b"101"


async def test_an_allowed_origin_may_be_written_with_its_default_port(service: Service) -> None:
    fields = ("Host: calls.example.com", "Origin: https://desk.example.com", "Access-Control-Request-Method: GET")
    answer = await answered(service, "OPTIONS /api/user HTTP/1.1", *fields)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "https://desk.example.com"
