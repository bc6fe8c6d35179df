"""A request is judged before its body is awaited, and the body as it arrives, seen from a socket."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import AsyncIterator

import pytest

from tests.support.raw import RawConnection, connection
from tests.support.site import JSON, LIMIT, Site, logged, require_refusal, site_on
from tests.support.waiting import eventually
from tether_rt.http.exchange import Exchange


@pytest.fixture
async def site(mongodb_uri: str) -> AsyncIterator[Site]:
    async with site_on(mongodb_uri) as site:
        yield site


async def send_for_ever(raw: RawConnection) -> None:
    async with asyncio.timeout(20):
        while True:
            await raw.send(b"x")
            await asyncio.sleep(0.01)


# ---------------------------------------------------------------------- judged by the headers


@pytest.mark.parametrize(
    ("status", "line", "headers"),
    [
        (401, "POST /bodies", {**JSON, "Content-Length": "1000"}),
        (401, "POST /bodies", {"Content-Type": "text/plain", "Content-Length": "1000"}),
        (401, "POST /bodies", {"Content-Type": "text/plain", "Content-Length": str(LIMIT + 1)}),
        (401, "POST /bodies", {"Transfer-Encoding": "chunked"}),
        (413, "POST /bodies", {"X-Key": "1", "Content-Type": "text/plain", "Content-Length": str(LIMIT + 1)}),
        (413, "POST /bodies", {"X-Key": "1", **JSON, "Content-Length": "9" * 18}),
        (413, "GET /things/a", {"Content-Length": "65537"}),
        (415, "POST /bodies", {"X-Key": "1", "Content-Type": "text/plain", "Content-Length": "1000"}),
        (415, "POST /bodies", {"X-Key": "1", "Content-Type": "multipart/form-data; boundary=x", "Content-Length": "1000"}),
        (415, "POST /bodies", {"X-Key": "1", "Content-Type": "text/plain", "Transfer-Encoding": "chunked"}),
        (415, "POST /bodies", {"X-Key": "1", **JSON, "Content-Encoding": "gzip", "Content-Length": "1000"}),
        (404, "POST /nowhere", {**JSON, "Content-Length": "1000"}),
        (400, "POST /bodies", {"X-Key": "1", **JSON, "Content-Length": "many"}),
        (400, "POST /bodies", {"X-Key": "1", **JSON, "Content-Length": "-1"}),
        (400, "POST /bodies", {"X-Key": "1", **JSON, "Content-Length": "+5"}),
        (400, "POST /bodies", {"X-Key": "1", **JSON, "Content-Length": "5, 5"}),
        (400, "POST /bodies", {"X-Key": "1", **JSON, "Content-Length": "1" * 19}),
        (400, "POST /bodies", {"X-Key": "1", **JSON, "Content-Length": "5", "Transfer-Encoding": "chunked"}),
        (400, "POST /bodies", {"X-Key": "1", **JSON, "Transfer-Encoding": "gzip, chunked"}),
    ],
)
async def test_a_refusal_does_not_wait_for_the_body(site: Site, status: int, line: str, headers: dict[str, str]) -> None:
    async with connection(site.url) as raw:
        await raw.request(line, headers)
        answer = await raw.answer()
        assert require_refusal(answer, status)
        assert answer.headers["connection"] == "close"
        assert not site.web.active
        raw.writer.write_eof()
        assert await raw.ended() == b""
    assert site.web.budget.held_bytes == 0


@pytest.mark.parametrize("key", [{}, {"X-Key": "1"}], ids=["401", "413"])
async def test_the_answer_reaches_a_client_that_goes_on_sending(site: Site, key: dict[str, str]) -> None:
    size = 64 << 20  # far more than the kernels on both sides take from a sender whom nobody reads
    async with connection(site.url) as raw:
        await raw.request("POST /bodies", {**key, **JSON, "Content-Length": str(size)})
        for _ in range(64):
            await raw.send(bytes(1 << 20))
        require_refusal(await raw.answer(), 413 if key else 401)


async def test_what_follows_a_refused_request_is_no_part_of_it(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    body = b"POST /bodies HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
    async with connection(site.url) as raw:
        await raw.send(body * 50)
        require_refusal(await raw.answer(), 401)
        assert await raw.ended() == b""
    await eventually(lambda: not site.web.active)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_client_that_asks_first_is_told_to_go_on_or_gets_its_refusal(site: Site) -> None:
    async with connection(site.url) as raw:
        await raw.request("POST /bodies", {"X-Key": "1", **JSON, "Expect": "100-continue", "Content-Length": "2"})
        assert (await raw.answer()).status == 100
        await raw.send(b"{}")
        assert (await raw.answer()).body == {"bytes": 2}
    for headers in ({}, {"X-Key": "1", "Content-Length": str(LIMIT + 1)}):
        async with connection(site.url) as raw:
            await raw.request("POST /bodies", {**JSON, "Expect": "100-continue", "Content-Length": "2", **headers})
            require_refusal(await raw.answer(), 413 if headers else 401)
            raw.writer.write_eof()
            assert await raw.ended() == b""


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/json;v=1", None])
async def test_json_is_taken_with_parameters_and_without_a_type(site: Site, kind: str | None) -> None:
    async with connection(site.url) as raw:
        await raw.request("POST /bodies", {"X-Key": "1", **({"Content-Type": kind} if kind else {})}, b"{}")
        assert (await raw.answer()).body == {"bytes": 2}


async def test_a_body_that_nobody_asked_for_is_read_and_dropped(site: Site) -> None:
    async with connection(site.url) as raw:
        for _ in range(2):
            await raw.request("GET /things/a", {"Content-Type": "multipart/form-data; boundary=x"}, bytes(65536))
            assert (await raw.answer()).body["name"] == "a"


@pytest.mark.parametrize(
    ("status", "line", "headers", "body"),
    [
        (401, "POST /bodies", JSON, b"{}"),
        (404, "POST /nothing", JSON, b"{}"),
        (404, "POST /nothing", {}, bytes(50_000)),
        (405, "PUT /bodies", JSON, b"{}"),
        (405, "DELETE /things/a", {}, b"{}"),
        (413, "POST /bodies", {"X-Key": "1", **JSON}, bytes(LIMIT + 1)),
        (413, "POST /notes", JSON, bytes(65_537)),
        (413, "GET /things/a", {}, bytes(65_537)),
        (415, "POST /bodies", {"X-Key": "1", "Content-Type": "text/plain"}, b"{}"),
        (415, "POST /notes", {"Content-Type": "text/plain"}, b"{}"),
    ],
)
async def test_a_refused_request_whose_body_has_arrived_ends_at_once(
    site: Site, status: int, line: str, headers: dict[str, str], body: bytes
) -> None:
    async with connection(site.url) as raw:
        await raw.request(line, headers, body)
        require_refusal(await raw.answer(), status)
        assert await raw.ended() == b""
        # The server's half is closed as well, and does not wait for more.
        with pytest.raises(ConnectionError):
            await send_for_ever(raw)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (JSON, b"{}", 200),
        (JSON, bytes(65_536), 200),
        ({}, b"{}", 200),
        (JSON, b"", 200),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"{}", 415),
        ({**JSON, "Content-Encoding": "gzip"}, b"{}", 415),
        (JSON, bytes(65_537), 413),
    ],
)
async def test_a_handler_of_the_api_takes_json_of_64_kb(site: Site, headers: dict[str, str], body: bytes, status: int) -> None:
    async with connection(site.url) as raw:
        await raw.request("POST /notes", headers, body)
        answer = await raw.answer()
        assert answer.status == status
        if status == 200:
            assert answer.body == {"bytes": len(body)}
    assert site.web.budget.held_bytes == 0


# ---------------------------------------------------------------------- while the body arrives


def chunk(size: int) -> bytes:
    return f"{size:x}\r\n".encode() + bytes(size) + b"\r\n"


async def test_a_body_of_exactly_the_limit_is_taken_however_it_comes(site: Site) -> None:
    async with connection(site.url) as raw:
        await raw.request("POST /bodies", {"X-Key": "1", **JSON}, bytes(LIMIT))
        assert (await raw.answer()).body == {"bytes": LIMIT}
        await raw.request("POST /bodies", {"X-Key": "1", **JSON, "Transfer-Encoding": "chunked"})
        for size in (1, 65536, LIMIT - 65537, 0):
            await raw.send(chunk(size))
        assert (await raw.answer()).body == {"bytes": LIMIT}
    assert site.web.budget.held_bytes == 0


async def test_a_chunked_body_past_the_limit_is_413_while_it_is_still_coming(site: Site) -> None:
    async with connection(site.url) as raw:
        await raw.request("POST /bodies", {"X-Key": "1", **JSON, "Transfer-Encoding": "chunked"})
        await raw.send(chunk(LIMIT))
        await raw.send(chunk(65536))
        answer = await raw.answer()
        assert "1 MB is the limit" in require_refusal(answer, 413)
        assert answer.headers["connection"] == "close"
        assert site.web.budget.held_bytes == 0
        assert not site.web.active
        for _ in range(16):
            await raw.send(chunk(1 << 20))  # read and dropped, or the client would hear of a reset before it reads the answer
        raw.writer.write_eof()
        assert await raw.ended() == b""


async def test_a_client_that_leaves_in_the_middle_gives_back_what_was_held_for_it(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tether.http")
    for headers, piece in (({"Content-Length": str(LIMIT)}, bytes(1000)), ({"Transfer-Encoding": "chunked"}, chunk(1000))):
        async with connection(site.url) as raw:
            await raw.request("POST /bodies", {"X-Key": "1", **JSON, **headers})
            await raw.send(piece)
            await eventually(lambda: site.web.budget.held_bytes > 0)
        await eventually(lambda: site.web.budget.held_bytes == 0)
        assert not site.web.active
    assert [record.fields["status"] for record in logged(caplog)] == [499, 499]


async def test_a_request_with_a_body_leaves_nothing_for_the_garbage_collector(site: Site) -> None:
    async with connection(site.url) as raw:
        gc.disable()
        try:
            await raw.request("POST /slow", {"X-Key": "1", **JSON}, b"{}")
            await site.working.wait()
            (handler,) = map(weakref.ref, site.web.active)
            site.go_on.set()
            assert (await raw.answer()).status == 200
            await eventually(lambda: handler() is None)
        finally:
            gc.enable()


async def test_bodies_past_the_budget_are_503_until_others_are_done(site: Site) -> None:
    async with connection(site.url) as one, connection(site.url) as two, connection(site.url) as three:
        await one.request("POST /slow", {"X-Key": "1", **JSON}, bytes(LIMIT))
        await site.working.wait()
        assert site.web.budget.held_bytes == LIMIT
        await two.request("POST /bodies", {"X-Key": "1", **JSON, "Content-Length": str(LIMIT)})
        answer = await two.answer()
        assert "busy" in require_refusal(answer, 503)
        assert answer.headers["retry-after"] == "1"
        await three.request("POST /bodies", {"X-Key": "1", **JSON, "Transfer-Encoding": "chunked"})
        for _ in range(11):
            await three.send(chunk(50_000))
        require_refusal(await three.answer(), 503)
        assert site.web.budget.held_bytes == LIMIT
        site.go_on.set()
        assert (await one.answer()).body == {"bytes": LIMIT}
        assert site.web.budget.held_bytes == 0
        await one.request("POST /bodies", {"X-Key": "1", **JSON}, bytes(LIMIT))
        assert (await one.answer()).status == 200


async def test_a_body_that_is_worked_on_is_counted_though_its_sender_has_left(site: Site) -> None:
    async with connection(site.url) as raw:
        await raw.request("POST /slow", {"X-Key": "1", **JSON}, bytes(LIMIT))
        await site.working.wait()
    (exchange,) = site.web.active
    assert isinstance(exchange, Exchange)
    await eventually(lambda: exchange.connection.stream.closed())
    assert site.web.budget.held_bytes == LIMIT
    site.go_on.set()
    await eventually(lambda: not site.web.active)
    assert site.web.budget.held_bytes == 0
