"""A call that is here as a whole is taken without the request handler, and nobody can tell from outside."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import logging
import weakref
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import settings_on
from tests.hub.harness import eventually
from tests.support.audio import mp3
from tests.support.raw import RawAnswer, RawConnection, connection
from tests.support.service import Service, Tenant, missed, running, sample
from tests.support.site import logged
from tether_rt.errors import Unavailable
from tether_rt.ingest.fast_path import WholeCall
from tether_rt.ingest.handler import IngestHandler

SHORT = "POST /api/calls/ingest"
LONG = "POST /api/calls/ingest?"
"""The same address, and yet another text: the handler's way."""
JSON = {"Content-Type": "application/json"}


class Ways:
    """Counts the requests that the handler took, and keeps how the others ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.handled = 0
        self.ended: list[tuple[weakref.ref[WholeCall], int]] = []
        initialize, end = IngestHandler.initialize, WholeCall._end

        def counted(handler: IngestHandler, **parts: Any) -> None:
            self.handled += 1
            initialize(handler, **parts)

        def noted(call: WholeCall, status: int) -> None:
            self.ended.append((weakref.ref(call), status))
            end(call, status)

        monkeypatch.setattr(IngestHandler, "initialize", counted)
        monkeypatch.setattr(WholeCall, "_end", noted)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Ways:
    return Ways(monkeypatch)


@pytest.fixture(scope="module")
async def service(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    settings = settings_on(mongodb_uri, tmp_path_factory.mktemp("data"), trusted_proxies="127.0.0.1", rate_limit=1000)
    async with running(settings) as service:
        yield service


@pytest.fixture
async def raw(service: Service, tenant: Tenant) -> AsyncIterator[RawConnection]:
    """A connection of a vendor whose key is known already."""
    async with connection(service.base_url) as raw:
        await raw.request(SHORT, {"Authorization": f"Bearer {tenant.api_key}", **JSON}, b"{}")
        assert (await raw.answer()).status == 400
        yield raw


def body(call: Any) -> bytes:
    return json.dumps(call).encode()


async def asked(raw: RawConnection, tenant: Tenant, line: str, content: bytes, headers: dict[str, str]) -> RawAnswer:
    fields = {"Authorization": f"Bearer {tenant.api_key}", "X-Request-Id": "one.and.the-same", **JSON, **headers}
    await raw.request(line, {name: value for name, value in fields.items() if value != "none"}, content)
    return await raw.answer()


def told(answer: RawAnswer) -> tuple[int, dict[str, str], Any]:
    """Return what an answer says, but for what differs from one to the next."""
    # The handler could have compressed an error's answer, and says so.
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "vary")}
    return answer.status, headers, {key: value for key, value in answer.body.items() if not key.endswith("Id")}


def lines(caplog: pytest.LogCaptureFixture) -> list[Any]:
    fields = [dict(record.fields) for record in logged(caplog) if record.getMessage() == "request"]
    assert all(line.pop("ms") >= 0 for line in fields)
    return fields


def counted(service: Service) -> dict[str, float]:
    names = ("tether_http_requests_total", "tether_ingest_total", "tether_limited_total", "tether_ingest_seconds_count")
    text = service.server.app.metrics.exposition().decode()
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(names))
    return {name: float(number) for name, number in pairs}


def grown(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: number - before.get(name, 0) for name, number in after.items() if number != before.get(name, 0)}


def require_nothing_held(service: Service) -> None:
    web = service.server.app.web
    assert (web.budget.held_bytes, web.active) == (0, set())


async def require_the_same(
    service: Service, tenant: Tenant, raw: RawConnection, ways: Ways, caplog: pytest.LogCaptureFixture,
    content: Callable[[], bytes], headers: dict[str, str],
) -> tuple[RawAnswer, bool]:  # fmt: skip
    """Ask by both ways and compare what is answered, logged and counted; return an answer, and if the short way was taken."""
    caplog.set_level(logging.INFO)
    caplog.clear()
    seen = []
    short = False
    for line in (SHORT, LONG):
        ways.handled, before = 0, counted(service)
        answer = await asked(raw, tenant, line, content(), headers)
        await eventually(lambda: not service.server.app.web.active)
        require_nothing_held(service)
        short = short or ways.handled == 0
        seen.append((told(answer), grown(before, counted(service))))
    assert ways.handled == 1
    assert seen[0] == seen[1]
    first, second = lines(caplog)
    assert first == second
    return answer, short


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        pytest.param(lambda: body(missed()), {}, 201, id="a small one"),
        pytest.param(lambda: body(sample(recording=base64.b64encode(mp3()).decode())), {}, 201, id="with a recording"),
        pytest.param(lambda: body(missed()), {"Content-Type": "none"}, 201, id="of no type"),
        pytest.param(lambda: body(missed()), {"Content-Type": "application/json; charset=utf-8"}, 201, id="with a charset"),
        pytest.param(lambda: body(missed()), {"Connection": "Keep-Alive", "User-Agent": "curl/8"}, 201, id="kept alive"),
        pytest.param(lambda: body(missed()), {"X-Forwarded-For": "203.0.113.7, 198.51.100.9"}, 201, id="through proxies"),
        pytest.param(lambda: body(missed(metadata={"a": "ü" * 4_000})), {}, 201, id="a larger one"),
        pytest.param(lambda: body(missed(externalCallId=...)), {}, 201, id="without an id"),
        pytest.param(lambda: b"{", {}, 400, id="no JSON"),
        pytest.param(lambda: b"[]", {}, 400, id="no object"),
        pytest.param(lambda: body(missed(fromNumber="+1")), {}, 400, id="no number"),
        pytest.param(lambda: body(sample(recording="!")), {}, 400, id="no recording"),
        pytest.param(lambda: body(missed(**{"x" * 3000: 1 << 64})), {"Accept-Encoding": "gzip"}, 400, id="too large a number"),
    ],
)
async def test_both_ways_say_the_same(
    service: Service, tenant: Tenant, raw: RawConnection, ways: Ways, caplog: pytest.LogCaptureFixture,
    content: Callable[[], bytes], headers: dict[str, str], status: int,
) -> None:  # fmt: skip
    answer, short = await require_the_same(service, tenant, raw, ways, caplog, content, headers)
    assert answer.status == status
    assert short


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"Authorization": "none"}, 401, id="no key"),
        pytest.param({"Authorization": "Bearer tk_live_0123456789abcdef0123456789abcdef"}, 401, id="a wrong key"),
        pytest.param({"Content-Type": "text/plain"}, 415, id="another type"),
        pytest.param({"Content-Encoding": "gzip"}, 415, id="compressed"),
        pytest.param({"Content-Encoding": "identity"}, 201, id="said to be plain"),
        pytest.param({"Connection": "close"}, 201, id="the last one"),
        pytest.param({"Expect": "something"}, 201, id="with an expectation"),
    ],
)
async def test_whatever_raises_a_question_goes_the_handlers_way(
    service: Service, tenant: Tenant, ways: Ways, headers: dict[str, str], status: int
) -> None:
    for line in (SHORT, LONG):
        async with connection(service.base_url) as raw:
            assert (await asked(raw, tenant, SHORT, b"{}", {})).status == 400
            ways.handled = 0
            assert (await asked(raw, tenant, line, body(missed()), headers)).status == status
            assert ways.handled == 1


async def test_a_body_that_comes_later_goes_the_handlers_way(tenant: Tenant, raw: RawConnection, ways: Ways) -> None:
    content = body(missed())
    head = f"{SHORT} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {tenant.api_key}\r\nContent-Length: {len(content)}\r\n\r\n"
    await raw.send(head.encode() + content[:-1])
    await eventually(lambda: ways.handled == 1)
    await raw.send(content[-1:])
    assert (await raw.answer()).status == 201


async def test_a_duplicate_is_known_by_both_ways(
    service: Service, tenant: Tenant, raw: RawConnection, ways: Ways, caplog: pytest.LogCaptureFixture
) -> None:
    call = missed()
    first = await asked(raw, tenant, SHORT, body(call), {})
    for changes, differs in (({}, False), ({"duration": 3}, True)):
        answer, short = await require_the_same(service, tenant, raw, ways, caplog, partial(body, {**call, **changes}), {})
        assert short
        assert (answer.status, answer.body["callId"]) == (200, first.body["callId"])
        assert answer.body.get("payloadDiffers", False) is differs


async def test_requests_sent_behind_one_another_are_answered_in_their_order(tenant: Tenant, raw: RawConnection) -> None:
    calls = [missed() for _ in range(5)]
    for call in calls:
        await raw.request(SHORT, {"Authorization": f"Bearer {tenant.api_key}", **JSON}, body(call))
    ids = [(await raw.answer()).body["callId"] for _ in calls]
    stored = [(await tenant.get(f"/api/calls/{call_id}")).body["call"]["providerCallId"] for call_id in ids]
    assert stored == [call["externalCallId"] for call in calls]


async def test_being_away_or_busy_is_said_with_when_to_come_again(
    service: Service, tenant: Tenant, raw: RawConnection, ways: Ways, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("tether_rt.ingest.group_commit.MAX_WAITING_CALLS", 0)
    answer, short = await require_the_same(service, tenant, raw, ways, caplog, lambda: body(missed()), {})
    assert short
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    monkeypatch.setattr(service.server.app.web.budget, "limit_bytes", 10)
    ways.handled = 0
    answer = await asked(raw, tenant, SHORT, body(missed()), {})
    assert (answer.status, answer.headers["retry-after"], ways.handled) == (503, "1", 1)
    assert service.server.app.web.budget.held_bytes == 0


async def test_what_nobody_expected_is_logged_with_its_trace_and_said_in_one_sentence(
    service: Service, tenant: Tenant, raw: RawConnection, ways: Ways, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("private words")

    monkeypatch.setattr(service.server.app.group_commit, "submit", broken)
    answer, short = await require_the_same(service, tenant, raw, ways, caplog, lambda: body(missed()), {})
    assert short
    assert answer.status == 500
    assert "private" not in answer.body["error"]
    traces = [record for record in logged(caplog) if record.getMessage() == "unexpected_error"]
    assert [record.exc_info is not None and record.fields["path"] for record in traces] == ["/api/calls/ingest"] * 2


async def test_a_key_that_calls_too_often_is_told_so(mongodb_uri: str, tmp_path: Path) -> None:
    async with running(settings_on(mongodb_uri, tmp_path, rate_limit=1)) as service:
        tenant = await service.tenant()
        answers = []
        for _ in range(30):  # a refusal that comes before the body ends the connection
            async with connection(service.base_url) as raw:
                answers.append(await asked(raw, tenant, SHORT, body(missed()), {}))
    statuses = [answer.status for answer in answers]
    assert statuses[:10] == [201] * 10, "what was saved up while the key was quiet"
    assert statuses.count(429) >= 15
    assert {answer.headers["retry-after"] for answer in answers if answer.status == 429} == {"1"}


@pytest.mark.parametrize("content", [body(missed()), b"{"], ids=["taken", "refused"])
async def test_nothing_of_it_is_left_to_the_garbage_collector(
    tenant: Tenant, raw: RawConnection, ways: Ways, content: bytes
) -> None:
    ways.ended.clear()
    gc.collect()
    gc.disable()
    try:
        await asked(raw, tenant, SHORT, content, {})
        ((call, _),) = ways.ended
        await eventually(lambda: call() is None)
    finally:
        gc.enable()


async def test_who_leaves_has_sent_a_call_all_the_same(
    service: Service, tenant: Tenant, raw: RawConnection, ways: Ways
) -> None:
    call = missed()
    await raw.request(SHORT, {"Authorization": f"Bearer {tenant.api_key}", **JSON}, body(call))
    await raw.close()
    await eventually(lambda: [status for _, status in ways.ended] == [201])
    assert await service.database["calls"].count_documents({"providerCallId": call["externalCallId"]}) == 1
    require_nothing_held(service)


async def test_a_request_that_fails_between_its_headers_and_its_work_is_let_go(
    service: Service, tenant: Tenant, raw: RawConnection, ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(WholeCall, "data_received", broken)
    await raw.request(SHORT, {"Authorization": f"Bearer {tenant.api_key}", **JSON}, body(missed()))
    assert await raw.ended() == b""
    await eventually(lambda: [status for _, status in ways.ended] == [499])
    require_nothing_held(service)


async def test_a_server_that_stops_answers_whom_it_has_and_says_goodbye(
    service: Service, tenant: Tenant, raw: RawConnection, ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = service.server.app.web
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def held(*_: Any, **__: Any) -> None:
        begun.set()
        await go_on.wait()
        raise Unavailable("Come again.")

    monkeypatch.setattr(service.server.app.group_commit, "submit", held)
    for line in (SHORT, LONG):
        begun.clear()
        go_on.clear()
        asking = asyncio.create_task(asked(raw, tenant, line, body(missed()), {}))
        await begun.wait()
        monkeypatch.setattr(web, "draining", True)
        go_on.set()
        answer = await asking
        assert (answer.status, answer.headers["connection"]) == (503, "close")
        monkeypatch.setattr(web, "draining", False)
        web.idle.clear()
    assert ways.handled == 1
    monkeypatch.setattr(web, "draining", True)
    assert (await asked(raw, tenant, SHORT, body(missed()), {})).status == 503
    assert ways.handled == 2
    web.idle.clear()
