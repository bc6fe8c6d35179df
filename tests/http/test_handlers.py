"""What every answer promises, seen from a socket: one error shape, nothing leaked, headers, and an end."""

from __future__ import annotations

import gzip
import json
import logging
import re
from collections.abc import AsyncIterator

import pytest

from tests.support.raw import connection
from tests.support.site import JSON, Site, logged, require_refusal, site_on
from tests.support.waiting import eventually


@pytest.fixture
async def site(mongodb_uri: str) -> AsyncIterator[Site]:
    async with site_on(mongodb_uri) as site:
        yield site


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


@pytest.mark.parametrize("sent", [None, "keep-alive", "Keep-Alive", "close"])
@pytest.mark.parametrize("path", ["/bodies", "/notes"])
async def test_a_connection_is_kept_unless_the_client_says_otherwise(site: Site, path: str, sent: str | None) -> None:
    async with connection(site.url) as raw:
        await raw.request(f"POST {path}", {"X-Key": "1", **JSON, **({"Connection": sent} if sent else {})}, b"[1]")
        answer = await raw.answer()
        assert (answer.status, answer.body) == (200, {"bytes": 3})
        if sent == "close":
            assert answer.headers["connection"] == "close"
            assert await raw.ended() == b""
        else:
            await raw.request("GET /things/a")
            assert (await raw.answer()).body["name"] == "a"


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


async def test_an_answer_is_compressed_unless_that_would_hold_the_event_loop(site: Site) -> None:
    for size, is_compressed in ((10, False), (2_000, True), (60_000, True), (70_000, False), (3_000_000, False)):
        async with connection(site.url) as raw:
            for accepted in ("gzip, deflate", "identity"):
                await raw.request(f"GET /sized/{size}", {"Accept-Encoding": accepted})
                answer = await raw.answer()
                assert answer.headers["vary"] == "Accept-Encoding"
                if is_compressed and accepted != "identity":
                    assert answer.headers["content-encoding"] == "gzip"
                    assert len(answer.body) < size
                    assert json.loads(gzip.decompress(answer.body)) == {"text": "a" * size}
                else:
                    assert "content-encoding" not in answer.headers
                    assert answer.body == {"text": "a" * size}


# ---------------------------------------------------------------------- answers in parts


@pytest.mark.parametrize(("failure", "status"), [("away", 503), ("unexpected", 500)])
async def test_an_answer_that_breaks_off_does_not_look_whole_and_the_log_says_so(
    site: Site, caplog: pytest.LogCaptureFixture, failure: str, status: int
) -> None:
    caplog.set_level(logging.INFO, "tether.http")
    async with connection(site.url) as raw:
        await raw.request(f"GET /long?failure={failure}")
        received = await raw.ended()
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert b"Transfer-Encoding: chunked" in received
    assert not received.endswith(b"0\r\n\r\n")
    assert b"swordfish" not in received
    await eventually(lambda: not site.web.active)
    *unexpected, aborted, request = logged(caplog)
    assert [record.getMessage() for record in unexpected] == ["unexpected_error"] * (status == 500)
    assert (aborted.getMessage(), aborted.fields["path"]) == ("response_aborted", "/long")
    assert aborted.fields["requestId"] == request.fields["requestId"]
    assert (request.getMessage(), request.fields["status"]) == ("request", status)


async def test_a_reader_that_stalls_is_cut_off(mongodb_uri: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tether.http")
    async with site_on(mongodb_uri, write_deadline_s=0.3) as site, connection(site.url) as raw:
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]  # what arrives stays in the kernel
        await raw.request("GET /long")
        await eventually(lambda: "response_aborted" in [record.getMessage() for record in logged(caplog)])
        await eventually(lambda: not site.web.active)
    assert [record.fields["status"] for record in logged(caplog) if record.getMessage() == "request"] == [499]


async def test_a_reader_that_leaves_is_no_failure(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tether.http")
    async with connection(site.url) as raw:
        await raw.request("GET /long")
        await raw.reader.readexactly(100_000)
    await eventually(lambda: not site.web.active)
    assert [record.getMessage() for record in logged(caplog)] == ["request"]


# ---------------------------------------------------------------------- the end


async def test_a_server_that_stops_answers_what_it_has_and_refuses_what_comes_later(site: Site) -> None:
    async with connection(site.url) as busy, connection(site.url) as late, connection(site.url) as sending:
        await busy.request("POST /slow", {"X-Key": "1", **JSON}, b"{}")
        await site.working.wait()
        await late.request("GET /things/a")
        assert (await late.answer()).status == 200
        site.web.draining = True
        await late.request("GET /things/a")
        await sending.request("POST /bodies", {"X-Key": "1", **JSON, "Content-Length": "1000"})
        for raw in (late, sending):
            answer = await raw.answer()
            assert "shutting down" in require_refusal(answer, 503)
            assert answer.headers["retry-after"]
            assert answer.headers["connection"] == "close"
        site.go_on.set()
        answer = await busy.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
