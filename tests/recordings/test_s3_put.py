"""PUTs of single objects against stores that behave rightly, oddly, and badly; `test_r2.py` has the rest of the store."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.certificate import contexts
from tests.support.s3 import S3Server
from tests.support.vendor import Answer, Request, Vendor, head, in_turn, raw, repeated, vendor_server
from tether_rt.errors import Unavailable
from tether_rt.recordings.audio_type import MP3
from tether_rt.recordings.r2 import R2Store
from tether_rt.recordings.s3_put import S3Put
from tether_rt.recordings.store import recording_key

KEY = recording_key("a" * 24, "b" * 24, MP3)
SIZES = (1, 100_000, 3_000_000)
"""Sent with its head, from memory, and from a file in pieces."""
STORED = head(200, Content_Length=0, ETag='"e"')


@asynccontextmanager
async def opened(endpoint_url: str, bucket: str = "bucket", **limits: Any) -> AsyncIterator[R2Store]:
    store = R2Store(endpoint_url, S3Server.ACCESS_KEY_ID, S3Server.SECRET_ACCESS_KEY, bucket, **limits)
    await store.start()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def store_that(answer: Answer, **limits: Any) -> AsyncIterator[tuple[R2Store, Vendor]]:
    """Run a server that answers PUTs so, and a store in front of it."""
    async with vendor_server() as server:
        server.routes[f"/bucket/{KEY}"] = answer
        async with opened(f"http://{server.host}", **limits) as store:
            yield store, server


@asynccontextmanager
async def listening(
    connected: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """Run a server that reads requests by itself; yield its URL."""
    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def put(store: R2Store, content: bytes | Path = b"x") -> None:
    await store.put(KEY, content, "audio/mpeg")


def says(*pieces: bytes) -> Answer:
    """Send exactly these pieces; the connection stays."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return answer


def refusal(status: int, code: str, more: str = "") -> bytes:
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message>{more}</Error>".encode()
    return head(status, Content_Type="application/xml", Content_Length=len(text)) + text


@pytest.fixture(params=SIZES)
def recording(request: pytest.FixtureRequest, tmp_path: Path) -> bytes | Path:
    content = os.urandom(request.param)
    if len(content) < max(SIZES):
        return content
    file = tmp_path / "recording"
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("bucket", ["bucket", "with.dots-and_more", "a b+c", "ünï~code"])
@pytest.mark.parametrize("prefix", ["", "/below/a%20path"])
async def test_the_request_is_signed_as_botocore_signs_what_arrives(bucket: str, prefix: str) -> None:
    async with vendor_server() as server:
        async with opened(f"http://{server.host}{prefix}/", bucket) as store:
            with pytest.raises(Unavailable):  # there is no such route
                await put(store)
        (request,) = server.requests
        signed = request.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        assert {"host", "content-type", "content-md5", "x-amz-date", "x-amz-content-sha256"} == set(signed)
        again = AWSRequest("PUT", f"http://{server.host}{request.target}", {name: request.headers[name] for name in signed})
        again.context["timestamp"] = request.headers["x-amz-date"]
        signer = S3SigV4Auth(Credentials(S3Server.ACCESS_KEY_ID, S3Server.SECRET_ACCESS_KEY), "s3", "auto")
        text = signer.string_to_sign(again, signer.canonical_request(again))
        assert request.headers["authorization"].endswith(f"Signature={signer.signature(text, again)}")


async def test_puts_share_a_connection_that_is_kept(recording: bytes | Path) -> None:
    async with store_that(says(STORED)) as (store, server):
        for _ in range(5):
            await put(store, recording)
        # One, or another if an answer overtook the end of a long body.
        assert server.connections <= 1 + isinstance(recording, Path)
        await asyncio.gather(*(put(store, recording) for _ in range(3)))
        for _ in range(5):
            await put(store, recording)
        assert server.connections < len(server.requests) / 2
        (body,) = {request.body for request in server.requests}
        assert len(body) in SIZES


async def test_a_connection_that_nobody_uses_is_closed() -> None:
    closed = asyncio.Event()

    async def s3(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\nx")
        writer.write(STORED)
        assert await reader.read() == b""
        closed.set()
        writer.close()

    async with listening(s3) as url:
        puts = S3Put(url, "key", "secret", "bucket", 1.0, idle_s=0.01)
        async with puts.opened(None):
            await puts.put(KEY, b"x", 1, "audio/mpeg", "md5")
            await closed.wait()


async def test_a_connection_that_the_store_has_closed_meanwhile_is_not_used(recording: bytes | Path) -> None:
    async with store_that(raw(STORED)) as (store, server):
        for _ in range(5):
            await put(store, recording)
        assert len(server.requests) >= 5


async def test_a_store_that_closes_a_kept_connection_at_the_next_request_is_asked_again(recording: bytes | Path) -> None:
    """As it goes when the store's time for idle connections ends at that moment."""
    async with store_that(in_turn(says(STORED), raw(), says(STORED))) as (store, server):
        await put(store, recording)
        await put(store, recording)
        assert len(server.requests) == 3
        assert len({request.body for request in server.requests}) == 1


@pytest.mark.parametrize(
    "answers",
    [
        [b"HTTP/1.1 100 Continue\r\n\r\n", STORED],
        [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + STORED],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n"],
        [head(200, Content_Length=3), b"abc"],
        [b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"],
        [head(200, Content_Length=0, Connection="close")],
    ],
)
async def test_other_forms_of_success_are_understood(answers: list[bytes]) -> None:
    async with store_that(says(*answers)) as (store, server):
        await put(store)
        await put(store)
        assert len(server.requests) == 2


async def test_an_answer_without_a_length_that_ends_with_its_connection() -> None:
    async with store_that(raw(b"HTTP/1.0 200 OK\r\n\r\n")) as (store, server):
        await put(store)
        assert len(server.requests) == 1


async def test_the_words_of_a_refusal_may_come_in_chunks() -> None:
    text = b"<Error><Code>NoSuchBucket</Code></Error>"
    chunks = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (10, text[:10], len(text) - 10, text[10:])
    async with store_that(says(b"HTTP/1.1 404 Gone\r\nTransfer-Encoding: chunked\r\n\r\n", chunks)) as (store, _):
        with pytest.raises(Unavailable, match="no such bucket"):
            await put(store)


@pytest.mark.parametrize(("status", "sentence"), [(403, "denies access"), (503, "overloaded"), (429, "overloaded")])
async def test_an_answer_before_the_body_has_arrived_is_heard(status: int, sentence: str, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(7_000_000))
    answer = refusal(status, "AccessDenied" if status == 403 else "SlowDown").replace(b"\r\n", b"\r\nConnection: close\r\n", 1)

    async def lingering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        while await reader.read(65536):
            pass
        writer.close()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await over.wait()
        writer.close()

    over = asyncio.Event()
    for s3 in (lingering, deaf):
        async with listening(s3) as url, opened(url, call_s=60.0) as store:
            for content in (large, bytes(3_000_000)):
                with pytest.raises(Unavailable, match=sentence):
                    await put(store, content)
            over.set()


@pytest.mark.parametrize(
    "answer",
    [
        raw(then="hang"),
        repeated(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", pause_s=0.05),
        repeated(b"HTTP/1.1 200 ", b"O", pause_s=0.05),
        repeated(head(500, Content_Length=10_000), b"<", pause_s=0.05),
        repeated(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause_s=0.05),
    ],
    ids=["silent", "headers that drip", "status that drips", "words that drip", "hints without end"],
)
async def test_a_store_that_takes_its_time_is_given_up(answer: Answer) -> None:
    async with store_that(answer, call_s=0.5) as (store, _):
        with pytest.raises(Unavailable, match="did not answer in time"):
            await put(store)


@pytest.mark.parametrize(
    "answer",
    [
        raw(),
        raw(then="reset"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
        raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
        raw(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n"),
        raw(head(500, Content_Length=100) + b"<Error>"),
    ],
    ids=["closed", "reset", "half a head", "not HTTP", "a huge header", "half the words"],
)
async def test_a_store_that_breaks_off_is_asked_once_more(answer: Answer) -> None:
    async with store_that(answer) as (store, server):
        with pytest.raises(Unavailable, match=r"broke|cannot be reached"):
            await put(store)
        assert len(server.requests) >= 2
    async with store_that(in_turn(answer, says(STORED))) as (store, server):
        await put(store)
        assert len(server.requests) == 2


async def test_what_passes_is_asked_once_more(recording: bytes | Path) -> None:
    for first in (refusal(500, "InternalError"), refusal(503, "SlowDown"), refusal(400, "RequestTimeout"), head(502)):
        async with store_that(in_turn(raw(first), says(STORED))) as (store, server):
            await put(store, recording)
            assert len(server.requests) == 2
            assert len({request.body for request in server.requests}) == 1


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 429])
async def test_what_does_not_pass_is_not(status: int) -> None:
    answer = head(status, Content_Length=0, Location="/elsewhere")
    async with store_that(says(answer)) as (store, server):
        with pytest.raises(Unavailable):
            await put(store)
        assert len(server.requests) == 1


async def test_words_without_end_are_not_read_to_it() -> None:
    async with store_that(repeated(head(403, Content_Length=10**12), b"<Code>AccessDenied</Code>" * 4_000)) as (store, _):
        with pytest.raises(Unavailable, match="denies access"):
            await put(store)
    async with store_that(repeated(head(200, Content_Length=10**12), b"z" * 65536)) as (store, server):
        await put(store)
        await put(store)
        assert server.connections == 2


async def test_a_clock_that_is_wrong_is_told() -> None:
    async with store_that(says(refusal(403, "RequestTimeTooSkewed"))) as (store, _):
        with pytest.raises(Unavailable, match="the server's clock is wrong; its operator must set it") as refused:
            await put(store)
        assert refused.value.retry_after_s == 30


async def test_a_store_with_a_region_of_its_own_gets_it() -> None:
    async def s3(request: Request, writer: asyncio.StreamWriter) -> None:
        is_right = "/eu-central-1/s3/aws4_request" in request.headers["authorization"]
        more = "<Region>eu-central-1</Region>"
        writer.write(STORED if is_right else refusal(400, "AuthorizationHeaderMalformed", more))

    async with store_that(s3) as (store, server):
        await put(store)
        await put(store)
        assert len(server.requests) == 3


async def test_a_cancelled_put_gives_its_place_and_its_connection_back(recording: bytes | Path) -> None:
    closed = asyncio.Event()

    async def s3(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        while await reader.read(65536):
            pass
        closed.set()
        writer.close()

    asked = asyncio.Event()
    async with listening(s3) as url, opened(url, connections=1, call_s=60.0, wait_s=60.0) as store:
        for _ in range(3):
            asked.clear()
            closed.clear()
            task = asyncio.create_task(put(store, recording))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await closed.wait()


async def test_the_certificate_of_the_store_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, _ = contexts(tmp_path)
    async with vendor_server("localhost", tls=theirs) as server:
        server.routes[f"/bucket/{KEY}"] = says(STORED)
        url = f"https://localhost:{server.port}"
        async with opened(url) as store:
            with pytest.raises(Unavailable, match="broke"):
                await put(store)
        assert server.requests == []
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "localhost.pem"))
        async with opened(url) as store:
            await put(store)
            await put(store)
        assert [request.headers["host"] for request in server.requests] == [f"localhost:{server.port}"] * 2


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with vendor_server() as server:
        server.routes[f"http://store.example/bucket/{KEY}"] = says(STORED)
        server.routes[f"/bucket/{KEY}"] = says(STORED)
        for proxy in (f"http://{server.host}", server.host):
            monkeypatch.setenv("http_proxy", proxy)
            async with opened("http://store.example:80") as store:
                await put(store)
            assert server.requests[-1].headers["host"] == "store.example"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with opened(f"http://{server.host}") as store:
            await put(store)
        assert server.requests[-1].target == f"/bucket/{KEY}"


async def test_no_log_has_the_secret_or_a_signature(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for answer in (says(STORED), says(refusal(403, "AccessDenied")), raw(b"nonsense"), raw()):
        async with store_that(answer) as (store, _):
            await asyncio.gather(put(store), return_exceptions=True)
    text = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "recording_store_failed" in text
    assert S3Server.SECRET_ACCESS_KEY not in text
    assert "Signature=" not in text
