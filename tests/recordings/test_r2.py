from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request as UrlRequest
from urllib.request import urlopen

import pytest

from tests.support import audio
from tests.support.s3 import S3Server
from tests.support.vendor import Answer, Request, head, raw, vendor_server
from tests.support.waiting import eventually
from tether_rt.errors import NotFound, Unavailable
from tether_rt.recordings.audio_type import MP3
from tether_rt.recordings.r2 import R2Store
from tether_rt.recordings.store import PIECE_BYTES, recording_key

KEY = recording_key("a" * 24, "b" * 64, MP3)
PART_BYTES = 5 * 1024 * 1024


def store_at(endpoint_url: str, bucket: str, **limits: Any) -> R2Store:
    return R2Store(endpoint_url, S3Server.ACCESS_KEY_ID, S3Server.SECRET_ACCESS_KEY, bucket, part_bytes=PART_BYTES, **limits)


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    return s3_server.create_bucket()


@pytest.fixture
async def store(s3_server: S3Server, bucket: str) -> AsyncIterator[R2Store]:
    store = store_at(s3_server.endpoint_url, bucket)
    await store.start()
    yield store
    await store.close()


async def read(store: R2Store, start: int, end: int) -> bytes:
    return b"".join([piece async for piece in store.read(KEY, start, end)])


@pytest.mark.parametrize("size_bytes", [1, 64 * 1024, 64 * 1024 + 1, 3_000_000])
async def test_bytes_come_back_as_they_were_put(store: R2Store, s3_server: S3Server, bucket: str, size_bytes: int) -> None:
    recording = os.urandom(size_bytes)
    await store.put(KEY, recording, "audio/mpeg")
    assert s3_server.get(bucket, KEY) == recording
    assert await read(store, 0, size_bytes) == recording


@pytest.mark.parametrize("size_bytes", [0, 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES, 2 * PART_BYTES + 100])
async def test_a_file_goes_up_whole_in_one_piece_or_in_parts(
    store: R2Store, s3_server: S3Server, bucket: str, size_bytes: int, tmp_path: Path
) -> None:
    recording = os.urandom(size_bytes)
    file = tmp_path / "recording"
    file.write_bytes(recording)
    await store.put(KEY, file, "audio/mpeg")
    assert s3_server.get(bucket, KEY) == recording
    assert s3_server.unfinished_uploads(bucket) == 0
    assert file.exists(), "the caller's to remove"


async def test_reading_honours_the_range_and_the_size_of_pieces(store: R2Store) -> None:
    recording = os.urandom(2 * PIECE_BYTES + 10)
    await store.put(KEY, recording, "audio/mpeg")
    assert await read(store, 5, 9) == recording[5:9]
    assert await read(store, 5, 5) == b""
    assert await read(store, len(recording) - 3, len(recording) + 100) == recording[-3:]
    pieces = [piece async for piece in store.read(KEY, 1, len(recording))]
    assert b"".join(pieces) == recording[1:]
    assert max(map(len, pieces)) <= PIECE_BYTES


async def test_a_recording_that_is_not_there_is_not_found(store: R2Store) -> None:
    with pytest.raises(NotFound):
        await read(store, 0, 1)


async def test_no_key_leads_out_of_the_recordings(store: R2Store) -> None:
    for key in ("../x", "other/x.mp3", KEY + "\n"):
        with pytest.raises(ValueError, match="not the key"):
            await store.put(key, b"x", "audio/mpeg")
        with pytest.raises(ValueError, match="not the key"):
            await store.url(key, "audio/mpeg", 1)
        with pytest.raises(ValueError, match="not the key"):
            await anext(store.read(key, 0, 1))


async def test_the_presigned_url_plays_with_range_and_says_what_it_is(store: R2Store, s3_server: S3Server) -> None:
    recording = audio.mp3()
    await store.put(KEY, recording, "audio/mpeg")
    url = await store.url(KEY, "audio/mpeg", 600)
    assert url is not None
    assert url.startswith(f"{store.origin}/")
    assert store.origin == s3_server.endpoint_url
    query = parse_qs(urlsplit(url).query)
    assert query["X-Amz-Expires"] == ["600"]
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert S3Server.SECRET_ACCESS_KEY not in url

    def get(headers: dict[str, str]) -> tuple[int, str | None, str | None, bytes]:
        with urlopen(UrlRequest(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.headers["Content-Disposition"], answer.read()

    disposition = f'inline; filename="recording-{"b" * 12}.mp3"'
    assert await asyncio.to_thread(get, {}) == (200, "audio/mpeg", disposition, recording)
    status, _, _, part = await asyncio.to_thread(get, {"Range": "bytes=10-19"})
    assert (status, part) == (206, recording[10:20])


async def test_check_succeeds_and_names_a_missing_bucket(store: R2Store, s3_server: S3Server) -> None:
    await store.check()
    missing = store_at(s3_server.endpoint_url, "no-such-bucket")
    await missing.start()
    for call in (missing.check(), missing.put(KEY, b"x", "audio/mpeg")):
        with pytest.raises(Unavailable, match="no such bucket"):
            await call
    await missing.close()


async def test_a_store_that_is_away_is_reported_and_used_when_it_is_back() -> None:
    server = S3Server()
    server.start()
    port = urlsplit(server.endpoint_url).port
    assert port
    store = store_at(server.endpoint_url, server.create_bucket("calls"))
    try:
        await store.start()
        await store.put(KEY, b"1", "audio/mpeg")
        server.stop()
        for call in (store.check(), store.put(KEY, b"2", "audio/mpeg"), anext(store.read(KEY, 0, 1))):
            with pytest.raises(Unavailable, match="cannot be reached"):
                await call
        server.start(port)
        server.create_bucket("calls")
        await store.put(KEY, b"3", "audio/mpeg")
        assert server.get("calls", KEY) == b"3"
    finally:
        await store.close()
        server.stop()


async def test_a_store_that_hangs_is_given_up() -> None:
    server = S3Server()
    server.start()
    store = store_at(server.endpoint_url, server.create_bucket(), call_s=0.5)
    try:
        await store.start()
        os.kill(server.pid, signal.SIGSTOP)
        for call in (store.check(), store.put(KEY, b"x", "audio/mpeg"), anext(store.read(KEY, 0, 1))):
            with pytest.raises(Unavailable, match="did not answer in time"):
                await call
    finally:
        await store.close()
        server.stop()


async def test_a_burst_waits_for_connections_and_is_not_told_that_the_store_is_slow() -> None:
    """Ten uploads of 0.2 s, one after the other, each within its own 1 s."""
    async with vendor_server() as server:
        server.routes[f"/bucket/{KEY}"] = raw(b"", head(200, Content_Length=0, ETag='"e"', Connection="close"), pause_s=0.2)
        store = store_at(f"http://{server.host}", "bucket", call_s=1.0, connections=1)
        await store.start()
        await asyncio.gather(*(store.put(KEY, b"x", "audio/mpeg") for _ in range(10)))
        await store.close()


async def test_a_burst_that_waits_too_long_is_told_to_come_again() -> None:
    answering = asyncio.Event()

    async def s3(request: Request, writer: asyncio.StreamWriter) -> None:
        await answering.wait()
        writer.write(head(200, Content_Length=0, ETag='"e"'))

    async with vendor_server() as server:
        server.routes[f"/bucket/{KEY}"] = s3
        store = store_at(f"http://{server.host}", "bucket", call_s=60.0, connections=2, wait_s=0.1)
        await store.start()
        puts = [asyncio.create_task(store.put(KEY, b"x", "audio/mpeg")) for _ in range(5)]
        await eventually(lambda: sum(put.done() for put in puts) == 3)
        answering.set()
        outcomes = await asyncio.gather(*puts, return_exceptions=True)
        refusals = [outcome for outcome in outcomes if isinstance(outcome, Unavailable)]
        assert outcomes.count(None) == 2
        assert {(str(refusal), refusal.limit, refusal.retry_after_s) for refusal in refusals} == {
            ("The server is busy with other recordings; send this one again shortly.", "uploads", 5)
        }
        await store.put(KEY, b"x", "audio/mpeg")
        await store.close()


def error_answer(status: int, code: str) -> Answer:
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
    return raw(head(status, Content_Type="application/xml", Content_Length=len(text), Connection="close") + text)


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (403, "AccessDenied", "denies access"),
        (403, "SignatureDoesNotMatch", "denies access"),
        (401, "Unauthorized", "denies access"),
        (500, "InternalError", r"failed \(HTTP 500\)"),
        (503, "SlowDown", "overloaded"),
        (400, "InvalidRequest", r"failed \(HTTP 400\)"),
    ],
)
async def test_a_failure_of_the_store_is_reported_without_its_words(
    status: int, code: str, sentence: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(PART_BYTES + 1))
    async with vendor_server() as server:
        server.routes = {"/bucket": error_answer(status, code), f"/bucket/{KEY}": error_answer(status, code)}
        store = store_at(f"http://{server.host}", "bucket")
        await store.start()
        for call in (store.put(KEY, b"x", "audio/mpeg"), store.put(KEY, large, "audio/mpeg"), anext(store.read(KEY, 0, 1))):
            with pytest.raises(Unavailable, match=sentence) as refusal:
                await call
            assert refusal.value.retry_after_s
            assert code not in str(refusal.value)
        await store.close()
    reasons = [vars(record)["fields"]["reason"] for record in caplog.records if record.message == "recording_store_failed"]
    assert len(reasons) >= 3, "the operator is told"
    assert all(code in reason for reason in reasons)
    assert S3Server.SECRET_ACCESS_KEY not in "".join(map(str, reasons))


async def test_an_upload_that_fails_half_way_is_aborted(tmp_path: Path) -> None:
    """The third part is refused: the parts already there are given back."""
    large = tmp_path / "large"
    large.write_bytes(bytes(3 * PART_BYTES))
    seen: list[str] = []

    async def s3(request: Request, writer: asyncio.StreamWriter) -> None:
        query = parse_qs(urlsplit(request.target).query, keep_blank_values=True)
        if "uploads" in query:
            seen.append("begin")
            text = b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
            writer.write(head(200, Content_Length=len(text)) + text)
        elif request.method == "PUT" and query["partNumber"] != ["3"]:
            assert len(request.body) == PART_BYTES
            seen.append(f"part {query['partNumber'][0]}")
            writer.write(head(200, Content_Length=0, ETag='"e"'))
        elif request.method == "PUT":
            writer.write(head(403, Content_Length=0))
        elif request.method == "DELETE":
            seen.append(f"abort {query['uploadId'][0]}")
            writer.write(head(204))

    async with vendor_server() as server:
        server.routes[f"/bucket/{KEY}"] = s3
        store = store_at(f"http://{server.host}", "bucket")
        await store.start()
        with pytest.raises(Unavailable, match="denies access"):
            await store.put(KEY, large, "audio/mpeg")
        await store.close()
    assert seen == ["begin", "part 1", "part 2", "abort u1"]


async def test_a_cancelled_upload_is_aborted(store: R2Store, s3_server: S3Server, bucket: str, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(20 * PART_BYTES))
    task = asyncio.create_task(store.put(KEY, large, "audio/mpeg"))
    while not await asyncio.to_thread(s3_server.unfinished_uploads, bucket):
        assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert s3_server.unfinished_uploads(bucket) == 0
    assert s3_server.keys(bucket) == []


async def test_a_body_damaged_on_the_way_is_refused_by_the_store(store: R2Store, s3_server: S3Server, bucket: str) -> None:
    """The MD5 that goes along is the one of the bytes, so a store that checks it (R2 and S3 do) takes nothing damaged."""
    seen: list[Request] = []

    async def s3(request: Request, writer: asyncio.StreamWriter) -> None:
        seen.append(request)
        writer.write(head(200, Content_Length=0, ETag='"e"'))

    async with vendor_server() as server:
        server.routes[f"/bucket/{KEY}"] = s3
        store = store_at(f"http://{server.host}", "bucket")
        await store.start()
        await store.put(KEY, b"hello", "audio/mpeg")
        await store.close()
    (request,) = seen
    assert request.body == b"hello"
    assert request.headers["content-md5"] == "XUFAKrxLKna5cZ2REBfFkg=="
    assert request.headers["content-type"] == "audio/mpeg"
    # What R2 does not know must not be sent.
    assert not [name for name in request.headers if "checksum" in name or "trailer" in name or "sdk-checksum" in name]
    assert "expect" not in request.headers
    assert request.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert "/auto/s3/aws4_request" in request.headers["authorization"]


async def test_check_asks_at_most_once_in_five_seconds() -> None:
    async with vendor_server() as server:
        server.routes["/bucket"] = raw(head(200, Content_Length=0))
        store = store_at(f"http://{server.host}", "bucket")
        await store.start()
        await asyncio.gather(*(store.check() for _ in range(20)))
        await store.close()
        assert len(server.requests) == 1


async def test_a_profile_of_the_account_it_runs_under_does_not_mix_in(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[profile else]\nregion = eu-west-1\nendpoint_url = http://127.0.0.1:9\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "there-is-none")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store = store_at(s3_server.endpoint_url, bucket)
    await store.start()
    await store.put(KEY, b"x", "audio/mpeg")
    await store.close()
    assert s3_server.get(bucket, KEY) == b"x"


async def test_close_twice_and_close_without_start() -> None:
    store = store_at("http://127.0.0.1:9", "bucket")
    await store.close()
    await store.start()
    await store.close()
    await store.close()
