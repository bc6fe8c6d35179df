"""`POST /api/calls/ingest` as bytes on a socket: what is answered, logged and counted, however the request comes."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import settings_on
from tests.support.audio import mp3
from tests.support.raw import RawAnswer, RawConnection, connection
from tests.support.service import Service, Tenant, missed, running, sample
from tests.support.site import logged
from tests.support.waiting import eventually

INGEST = "POST /api/calls/ingest"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
async def service(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    settings = settings_on(mongodb_uri, tmp_path_factory.mktemp("data"), trusted_proxies="127.0.0.1", rate_limit=1000)
    async with running(settings) as service:
        yield service


@pytest.fixture
async def raw(service: Service) -> AsyncIterator[RawConnection]:
    async with connection(service.base_url) as raw:
        yield raw


def body(call: Any) -> bytes:
    return json.dumps(call).encode()


async def asked(raw: RawConnection, tenant: Tenant, content: bytes, headers: dict[str, str], line: str = INGEST) -> RawAnswer:
    """Post, with `headers` in place of the usual ones; one that is `none` is left out."""
    fields = {"Authorization": f"Bearer {tenant.api_key}", "X-Request-Id": "its-own-id", **JSON, **headers}
    await raw.request(line, {name: value for name, value in fields.items() if value != "none"}, content)
    return await raw.answer()


def counted(service: Service) -> dict[str, float]:
    names = ("tether_http_requests_total", "tether_ingest_total", "tether_limited_total", "tether_ingest_seconds_count")
    text = service.server.app.metrics.exposition().decode()
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(names))
    return {name: float(number) for name, number in pairs}


def require_nothing_held(service: Service) -> None:
    web = service.server.app.web
    assert (web.budget.held_bytes, web.active) == (0, set())


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        pytest.param(body(missed()), {}, 201, id="a small one"),
        pytest.param(body(sample(recording=base64.b64encode(mp3()).decode())), {}, 201, id="with a recording"),
        pytest.param(body(missed(metadata={"a": "ü" * 50_000})), {}, 201, id="a larger one"),
        pytest.param(body(missed()), {"Content-Type": "none"}, 201, id="of no type"),
        pytest.param(body(missed()), {"Content-Type": "application/json; charset=utf-8"}, 201, id="with a charset"),
        pytest.param(body(missed()), {"Content-Encoding": "identity"}, 201, id="said to be plain"),
        pytest.param(body(missed()), {"Connection": "Keep-Alive", "User-Agent": "curl/8"}, 201, id="kept alive"),
        pytest.param(body(missed()), {"Connection": "close"}, 201, id="the last one"),
        pytest.param(body(missed()), {"Expect": "something"}, 201, id="with an expectation that nobody knows"),
        pytest.param(body(missed()), {"X-Forwarded-For": "203.0.113.7, 198.51.100.9"}, 201, id="through proxies"),
        pytest.param(b"{", {}, 400, id="no JSON"),
        pytest.param(b"", {}, 400, id="no body"),
        pytest.param(body(missed(fromNumber="+1")), {}, 400, id="no number"),
        pytest.param(body(missed(**{"x" * 3000: 1 << 64})), {"Accept-Encoding": "gzip"}, 400, id="too large a number"),
        pytest.param(body(missed()), {"Authorization": "none"}, 401, id="no key"),
        pytest.param(body(missed()), {"Authorization": f"Bearer tk_live_{'0' * 43}"}, 401, id="a wrong key"),
        pytest.param(body(missed()), {"Content-Type": "text/plain"}, 415, id="another type"),
        pytest.param(body(missed()), {"Content-Encoding": "gzip"}, 415, id="compressed"),
    ],
)
async def test_a_request_has_one_answer_one_line_in_the_log_and_its_metrics(
    service: Service, tenant: Tenant, raw: RawConnection, caplog: pytest.LogCaptureFixture,
    content: bytes, headers: dict[str, str], status: int,
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO)
    before = counted(service)
    answer = await asked(raw, tenant, content, headers)
    assert answer.status == status
    assert answer.body["success"] is (status == 201)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"] == "its-own-id"
    closes = "close" in headers.values() or (status == 401 and content != b"")
    assert answer.headers.get("connection") == ("close" if closes else None)
    if not closes:
        assert (await asked(raw, tenant, b"{}", {"X-Request-Id": "another"})).status == 400, "the connection lives on"
    (line,) = [record.fields for record in logged(caplog) if getattr(record, "fields", {}).get("requestId") == "its-own-id"]
    assert line.pop("ms") >= 0
    assert line == {
        "requestId": "its-own-id",
        "method": "POST",
        "path": "/api/calls/ingest",
        "status": status,
        "remote": "198.51.100.9" if "X-Forwarded-For" in headers else "127.0.0.1",
        "organizationId": None if status == 401 else tenant.organization_id,
        **({} if status == 201 else {"code": answer.body["code"]}),
    }
    outcome = "created" if status == 201 else "refused"
    after = counted(service)
    for name in (
        f'tether_http_requests_total{{method="POST",status="{status}"}}',
        f'tether_ingest_total{{outcome="{outcome}"}}',
    ):
        more = name.endswith(('400"}', 'refused"}')) and not closes
        assert after[name] - before.get(name, 0) == 1 + more, name
    require_nothing_held(service)


async def test_a_body_may_come_in_pieces(tenant: Tenant, raw: RawConnection, service: Service) -> None:
    content = body(missed())
    head = f"{INGEST} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {tenant.api_key}\r\nContent-Length: {len(content)}\r\n\r\n"
    await raw.send(head.encode() + content[:-1])
    await eventually(lambda: service.server.app.web.budget.held_bytes == len(content))
    await raw.send(content[-1:])
    assert (await raw.answer()).status == 201


async def test_a_query_makes_no_other_address(tenant: Tenant, raw: RawConnection) -> None:
    assert (await asked(raw, tenant, body(missed()), {}, f"{INGEST}?source=1")).status == 201


async def test_requests_sent_behind_one_another_are_answered_in_their_order(tenant: Tenant, raw: RawConnection) -> None:
    calls = [missed() for _ in range(5)]
    for call in calls:
        await raw.request(INGEST, {"Authorization": f"Bearer {tenant.api_key}", **JSON}, body(call))
    ids = [(await raw.answer()).body["callId"] for _ in calls]
    stored = [(await tenant.get(f"/api/calls/{call_id}")).body["call"]["providerCallId"] for call_id in ids]
    assert stored == [call["externalCallId"] for call in calls]


async def test_a_key_that_calls_too_often_is_told_so(mongodb_uri: str, tmp_path: Path) -> None:
    async with running(settings_on(mongodb_uri, tmp_path, rate_limit=0.01)) as service:
        tenant = await service.tenant()
        answers = []
        for _ in range(3):  # a refusal that comes before the body ends the connection
            async with connection(service.base_url) as raw:
                answers.append(await asked(raw, tenant, body(missed()), {}))
    assert [answer.status for answer in answers] == [201, 429, 429]
    assert int(answers[1].headers["retry-after"]) > 1


async def test_a_client_that_leaves_has_sent_its_call_all_the_same(
    service: Service, tenant: Tenant, raw: RawConnection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    call = missed()
    await raw.request(INGEST, {"Authorization": f"Bearer {tenant.api_key}", **JSON}, body(call))
    await raw.close()
    await eventually(lambda: 201 in [getattr(record, "fields", {}).get("status") for record in logged(caplog)])
    assert await service.database["calls"].count_documents({"providerCallId": call["externalCallId"]}) == 1
    require_nothing_held(service)
