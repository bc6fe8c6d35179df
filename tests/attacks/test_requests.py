"""Requests that are made to be misread: smuggled, split, injected, climbing, or spelling queries."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.attacks.conftest import answers_to
from tests.support.raw import RawAnswer, connection
from tests.support.refusals import sentence_of
from tests.support.service import PASSWORD, Answer, Service, Tenant, missed


def head(tenant: Tenant, *fields: str, line: str = "POST /api/calls/ingest HTTP/1.1") -> bytes:
    """Return a vendor's request up to its body."""
    common = ("Host: calls.example", f"Authorization: Bearer {tenant.api_key}", "Content-Type: application/json")
    return "\r\n".join([line, *common, *fields, "", ""]).encode("latin-1")


def whole(tenant: Tenant) -> bytes:
    """Return a request that would store a call if it were read as one."""
    body = json.dumps(missed()).encode()
    return head(tenant, f"Content-Length: {len(body)}") + body


async def stored(tenant: Tenant) -> int:
    total: int = (await tenant.get("/api/calls/history")).body["total"]
    return total


def require_refusal(answer: RawAnswer | Answer, *statuses: int) -> str:
    """Return the sentence of a refusal in the one error shape."""
    assert answer.status in statuses, answer
    return sentence_of(answer.status, answer.body, answer.headers)


# ---------------------------------------------------------------------- smuggling


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (["Content-Length: 5", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
        (["Transfer-Encoding: chunked", "Content-Length: 5"], b"0\r\n\r\n"),
        (["Content-Length: 0", "Content-Length: 5"], b""),
        (["Content-Length: 2", "Content-Length: 2"], b"{}"),
        (["Content-Length: 2, 2"], b"{}"),
        (["Content-Length: +2"], b"{}"),
        (["Content-Length: -2"], b"{}"),
        (["Content-Length: 0x2"], b"{}"),
        (["Content-Length: 1_0"], b"{}"),
        (["Content-Length: \u00b2"], b"{}"),
        (["Content-Length:"], b""),
        (["Content-Length: 99999999999999999999"], b""),
        (["Transfer-Encoding: xchunked"], b"0\r\n\r\n"),
        (["Transfer-Encoding: identity"], b"0\r\n\r\n"),
        (["Transfer-Encoding: gzip, chunked"], b"0\r\n\r\n"),
        (["Transfer-Encoding: chunked, chunked"], b"0\r\n\r\n"),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], b"0\r\n\r\n"),
        (["Transfer-Encoding : chunked"], b"0\r\n\r\n"),
        (["Transfer-Encoding: \x0bchunked"], b"0\r\n\r\n"),
        ([" Transfer-Encoding: chunked"], b"0\r\n\r\n"),
        (["X: a", " Transfer-Encoding: chunked", "Content-Length: 2"], b"{}"),
        (["X: a\rTransfer-Encoding: chunked", "Content-Length: 2"], b"{}"),
        (["X: a\0b", "Content-Length: 2"], b"{}"),
        (["X\x00: a", "Content-Length: 2"], b"{}"),
        (["no colon", "Content-Length: 2"], b"{}"),
        (["Transfer-Encoding: chunked"], b"zz\r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"-1\r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"+2\r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"0x2\r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"2 \r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"2;a=b\r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"2\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"\r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"2\r\n{}XX0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"2\r\n{}\r\n0\r\nX-Trailer: y\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"ffffffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"1" * 100 + b"\r\n{}\r\n0\r\n\r\n"),
    ],
)
async def test_a_request_whose_length_can_be_read_in_two_ways_hides_no_other(
    service: Service, tenant: Tenant, fields: list[str], body: bytes
) -> None:
    before = await stored(tenant)
    answers = await answers_to(service, head(tenant, *fields) + body + whole(tenant))
    assert len(answers) == 1, answers
    require_refusal(answers[0], 400, 413, 431)
    assert answers[0].headers["connection"] == "close"
    assert await stored(tenant) == before


async def test_the_body_of_a_request_that_takes_none_is_no_request(service: Service, tenant: Tenant) -> None:
    before, hidden = await stored(tenant), whole(tenant)
    for method, path in (("GET", "/healthz"), ("POST", "/api/auth/logout"), ("GET", "/static/js/main.js"), ("GET", "/nowhere")):
        line = f"{method} {path} HTTP/1.1"
        for fields, body in (
            ([f"Content-Length: {len(hidden)}"], hidden),
            (["Transfer-Encoding: chunked"], b"%x\r\n%s\r\n0\r\n\r\n" % (len(hidden), hidden)),
        ):
            answers = await answers_to(service, head(tenant, *fields, line=line) + body)
            assert len(answers) == 1, (path, answers)
    assert await stored(tenant) == before


async def test_requests_that_follow_each_other_are_answered_one_by_one(service: Service, tenant: Tenant) -> None:
    before = await stored(tenant)
    answers = await answers_to(service, whole(tenant) * 2 + head(tenant, "Content-Length: 2") + b"{}" + whole(tenant))
    assert [answer.status for answer in answers] == [201, 200, 400, 201]
    assert await stored(tenant) == before + 2


# ---------------------------------------------------------------------- what is not HTTP


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        (b"GET /healthz HTTP/1.1\r\n\r\n", (400,)),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", (400,)),
        (b"GET /healthz HTTP/1.1\r\nHost: a/b\r\n\r\n", (400,)),
        (b"GET /healthz HTTP/1.1\r\nHost: user@evil.example\r\n\r\n", (400,)),
        (b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n", (400,)),
        (b"GET /healthz\r\n\r\n", (400,)),
        (b"GET /health z HTTP/1.1\r\nHost: x\r\n\r\n", (400,)),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n", (400,)),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400,)),
        (b"GET http://evil.example/healthz HTTP/1.1\r\nHost: x\r\n\r\n", (404,)),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", (404,)),
        (b"CONNECT evil.example:80 HTTP/1.1\r\nHost: x\r\n\r\n", (405,)),
        (b"TRACE / HTTP/1.1\r\nHost: x\r\nX-Secret: y\r\n\r\n", (405,)),
        (b"get /healthz HTTP/1.1\r\nHost: x\r\n\r\n", (405,)),
        (b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", (400, 404)),
        (b"GET /api/calls/%ff HTTP/1.1\r\nHost: x\r\n\r\n", (400,)),
    ],
)
async def test_what_is_not_a_request_is_refused_in_the_one_shape(service: Service, data: bytes, statuses: tuple[int]) -> None:
    (answer,) = await answers_to(service, data)
    sentence = require_refusal(answer, *statuses)
    assert "evil" not in sentence + str(answer.headers)
    assert "secret" not in str(answer.body).lower() + str(answer.headers).lower()
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "data",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 8_000 + b"\r\n",
        b"GET /healthz?" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"A" * 40_000,
    ],
)
async def test_headers_past_their_limit_are_refused_and_not_kept(service: Service, data: bytes) -> None:
    (answer,) = await answers_to(service, data)
    require_refusal(answer, 431)


@pytest.mark.parametrize(
    "value",
    [
        "<script>alert(1)</script>",
        "a b",
        "a" * 65,
        "",
        "a\tSet-Cookie: x=y",
        "%0d%0aSet-Cookie: x=y",
        "\u00e9",
        "a, b",
    ],
)
async def test_a_request_id_that_is_more_than_an_id_is_replaced(
    service: Service, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tether.http")
    data = f"GET /healthz?this HTTP/1.1\r\nHost: x\r\nX-Request-Id: {value}\r\n\r\n".encode("latin-1")
    (answer,) = await answers_to(service, data)
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])
    assert "set-cookie" not in answer.headers
    lines = [record.fields for record in caplog.records if record.getMessage() == "request"]  # type: ignore[attr-defined]
    assert [line["requestId"] for line in lines] == [answer.headers["x-request-id"], "the-last-one"]


async def test_nothing_that_a_caller_sends_begins_a_header_of_the_answer(service: Service, tenant: Tenant) -> None:
    inject = "%0d%0aSet-Cookie:%20injected=1"
    paths = ["/", "/api/calls/", "/static/js/", "/api/calls/history?status=", "/docs?", "/ws?after=", "/api/contacts?search="]
    for path in (*(path + inject for path in paths), f"/api/recordings/{inject}?expires=1&signature={inject}"):
        answer = await tenant.get(path)
        assert answer.status in (200, 400, 403, 404, 426), path
        assert "Set-Cookie" not in answer.headers
        assert "injected" not in str(dict(answer.headers))


@pytest.mark.parametrize("host", ["evil.example", "evil.example:2212", "[::1]:2212", "127.0.0.1.evil.example", "localhost"])
async def test_a_false_host_deceives_nobody_but_its_sender(service: Service, tenant: Tenant, host: str) -> None:
    """Only a link to a recording begins with the host that its asker named; no other answer does, and none is cached."""
    fields = {"Host": host, "Authorization": f"Bearer {tenant.token}", "Connection": "close"}
    for path in ("/", "/docs", "/openapi.json", "/api/user/api-key", "/nowhere"):
        async with connection(service.base_url) as raw:
            await raw.request(f"GET {path}", fields)
            answer = await raw.answer()
            assert "location" not in answer.headers
            said = json.dumps(answer.body).encode() if isinstance(answer.body, dict) else answer.body
            assert b"evil.example" not in said
            assert answer.headers["cache-control"] in ("no-store", "no-cache")


# ---------------------------------------------------------------------- climbing


@pytest.mark.parametrize(
    "path",
    [
        "/static/package.json",
        "/static/package-lock.json",
        "/static/vendor.mjs",
        "/static/.npmrc",
        "/static/index.html",
        "/static/node_modules/preact/package.json",
        "/static/css/../package.json",
        "/static/css/%2e%2e/package.json",
        "/static/css/%2E%2E/package.json",
        "/static/css/%2e%2e/%2e%2e/setup.cfg",
        "/static/css/..%2f..%2fsetup.cfg",
        "/static/css/..%5c..%5csetup.cfg",
        "/static/css/..\\..\\setup.cfg",
        "/static/js/%2e%2e/node_modules/.package-lock.json",
        "/static/js/./main.js",
        "/static/js//main.js",
        "/static/css//etc/passwd",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/css/%00",
        "/static/css/base.css%00.js",
        "/static/css/%252e%252e/package.json",
        "/static/js",
        "/static/js/",
        "/static/js/live",
        "/static/css/" + "a" * 5000,
        "/static/css/" + "a/" * 5000,
        "/../setup.cfg",
        "/%2e%2e/setup.cfg",
        "/docs/../setup.cfg",
    ],
)
async def test_no_path_leads_to_a_file_that_is_not_the_dashboards(service: Service, path: str) -> None:
    (answer,) = await answers_to(service, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert require_refusal(answer, 404) == "There is nothing at this address."


@pytest.mark.parametrize(
    "recording", ["../secret", "..%2f..%2fsecret", "%2e%2e", "recordings%2fa", "x%00", "%2fetc%2fpasswd", "x" * 3000, "$where"]
)
async def test_no_recording_id_leads_to_another_file(service: Service, tenant: Tenant, recording: str) -> None:
    for query in ("", "?expires=99999999999&signature=x", "?expires=99999999999&signature=", "?expires=1;signature=x"):
        (answer,) = await answers_to(service, head(tenant, line=f"GET /api/recordings/{recording}{query} HTTP/1.1"))
        require_refusal(answer, 400, 403, 404)


# ---------------------------------------------------------------------- queries that are data


OPERATORS: list[Any] = [
    {"$gt": ""}, {"$ne": None}, {"$regex": ".*"}, {"$where": "sleep(10000)"}, [], ["x"], {}, None, True, 0, 1.5
]  # fmt: skip


@pytest.mark.parametrize("value", OPERATORS)
async def test_an_operator_is_no_password_no_address_and_no_id(tenant: Tenant, value: Any) -> None:
    for path, body in (
        ("/api/auth/login", {"email": value, "password": PASSWORD}),
        ("/api/auth/login", {"email": tenant.email, "password": value}),
        ("/api/conversation/all", {"contactId": value}),
        ("/api/conversation/messages", {"conversationId": value}),
        ("/api/conversation/messages", {"conversationId": "0" * 24, "before": value}),
        ("/api/conversation/messages", {"conversationId": "0" * 24, "limit": {"$gt": 0}}),
    ):
        sentence = require_refusal(await tenant.post(path, body), 400)
        assert " must be " in sentence


async def test_an_operator_in_a_query_string_is_a_parameter_that_nobody_knows(tenant: Tenant) -> None:
    await tenant.post_call(missed(agentName="Ann"))
    everything = await stored(tenant)
    for query in ("agentName[$ne]=Ann", "status[$gt]=", "$where=sleep(10000)", "search[$regex]=.*"):
        assert (await tenant.get(f"/api/calls/history?{query}")).body["total"] == everything
    for query in ('agentName={"$ne":"Ann"}', "agentName=$ne", "agentName[]=Bob&agentName=Bob"):
        assert (await tenant.get(f"/api/calls/history?{query}")).body["total"] == 0
    for query in ("contactId=%00", "userId=$ne", "agentName=%00$ne"):
        assert (await tenant.get(f"/api/calls/history?{query}")).body["total"] == 0


async def test_operators_in_a_call_are_stored_as_what_they_are(service: Service, tenant: Tenant) -> None:
    hostile = {"$set": {"organizationId": "x"}, "a.b": 1, "_id": "y", "": 2, "$where": "sleep(10000)", "__proto__": {"x": 1}}
    answer = await tenant.post_call(
        missed(
            externalCallId="$ne",
            agentName="$where",
            callerName="{$gt: ''}",
            metadata=hostile,
            organizationId="0" * 24,
            userId="0" * 24,
            **{name: value for name, value in hostile.items() if name},
        )
    )
    assert answer.status == 201, answer.body
    call = (await tenant.get(f"/api/calls/{answer.body['callId']}")).body["call"]
    assert call["providerMetadata"]["metadata"] == hostile
    assert call["organizationId"] == tenant.organization_id
    assert call["userId"] == tenant.user_id
    assert call["_id"] == answer.body["callId"]
    assert call["agentName"] == "$where"
    assert (await tenant.get("/api/calls/history?agentName=$where")).body["total"] == 1


SEARCHES = [
    "(a+)+$" * 60, ".*" * 200, "(((((((a" * 40, "[", "\\", "^(?:.|.)*$", "(.+)+x", "a{1,99999}", "\x00", "a\x00b", "\u202e"
]  # fmt: skip


@pytest.mark.parametrize("search", SEARCHES)
async def test_a_search_is_words_and_never_a_pattern(tenant: Tenant, search: str) -> None:
    await tenant.post_call(missed(callerName="aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", agentName="a" * 4000))
    for path in ("/api/calls/history", "/api/contacts"):
        answer = await tenant.request("GET", path, token=tenant.token, params={"search": search[:512]})
        assert answer.status == 200, answer.body


async def test_every_character_is_searched_for_as_itself(tenant: Tenant) -> None:
    for place, name in enumerate(("a.b*c", "[x]", "(y", "back\\slash", "nul\0inside", "$end^", "50% #1 & ~")):
        # Numbers are searched as well: none of these may begin or end with what a name has.
        await tenant.post_call(missed(callerName=name, fromNumber=f"+1416777888{place}"))
        found = await tenant.request("GET", "/api/contacts", token=tenant.token, params={"search": name})
        assert [contact["name"] for contact in found.body["data"]] == [name.replace("\0", " ")]


@pytest.fixture(autouse=True)
async def nothing_unexpected(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    yield
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
