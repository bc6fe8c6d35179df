"""Fetching from vendors' servers, on real sockets, that misbehave in every way they can."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import os
import socket
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.recordings.fetch.fetching import LONG_LIMITS, ORGANIZATION, QUICK, RECORDING, SLOWNESS, fetch, refusal
from tests.support import audio
from tests.support.certificate import contexts
from tests.support.small_disk import small_disk
from tests.support.vendor import Answer, Vendor, body, head, in_turn, raw, redirect, repeated, status, vendor_server
from tests.support.waiting import eventually
from tether_rt.errors import BadRequest, FetchFailed, Unavailable
from tether_rt.recordings.fetch.fair_slots import SlotLimits
from tether_rt.recordings.fetch.fetcher import RecordingFetcher
from tether_rt.recordings.fetch.limits import Limits
from tether_rt.recordings.fetch.slots import KeyedSemaphore
from tether_rt.recordings.fetch.url_policy import Address
from tether_rt.recordings.spool import Spool

pytestmark = pytest.mark.usefixtures("no_vendor_makes_us_log_an_error")


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return head(200, Transfer_Encoding="chunked") + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + end


def body_without_reason(content: bytes) -> bytes:
    return b"HTTP/1.1 200\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content)


@pytest.mark.parametrize(
    "answer",
    [
        body(RECORDING),
        body(RECORDING, Content_Encoding="identity", Content_Type="text/plain"),
        body(RECORDING, Content_Encoding="aws-chunked"),
        raw(chunked(RECORDING, end=b"0\r\nX-Sum: 1\r\n\r\n").replace(b"Transfer", b"Trailer: X-Sum\r\nTransfer")),
        raw(head(200, Transfer_Encoding="chunked") + b'%x;a=b;c="d"\r\n%s\r\n0;e\r\n\r\n' % (len(RECORDING), RECORDING)),
        raw(body_without_reason(RECORDING)),
        raw(head(200).replace(b"1.1", b"1.0") + RECORDING),
        raw(head(200) + RECORDING),
        raw(chunked(RECORDING[:10], RECORDING[10:5000], RECORDING[5000:])),
        raw(head(103, Link="</x>") + head(200, Content_Length=len(RECORDING)) + RECORDING),
        raw(head(200, Content_Length=len(RECORDING)), RECORDING[:5], RECORDING[5:], pause_s=0.02),
    ],
    ids=[
        "length",
        "identity",
        "an encoding that is none",
        "trailer",
        "chunk extension",
        "no reason",
        "HTTP/1.0",
        "until close",
        "chunked",
        "early hints",
        "late",
    ],
)
async def test_what_the_vendor_sends_arrives(answer: Answer, vendor: Vendor, fetcher: RecordingFetcher, spool: Spool) -> None:
    file, content = await fetch(fetcher, spool, vendor.serve("/call.mp3", answer))
    assert content == RECORDING
    assert file.size_bytes == len(RECORDING)
    assert file.sha256 == hashlib.sha256(RECORDING).hexdigest()
    assert file.head == RECORDING[: 64 * 1024]


async def test_nothing_of_ours_is_sent(vendor: Vendor, fetcher: RecordingFetcher, spool: Spool) -> None:
    vendor.serve("/b.mp3", body(RECORDING))
    await fetch(fetcher, spool, vendor.serve("/a", status(302, Location="/b.mp3", Set_Cookie="id=1")) + "?x=%20y#part")
    assert [request.target for request in vendor.requests] == ["/a?x=%20y", "/b.mp3"]
    for request in vendor.requests:
        assert request.method == "GET"
        assert request.headers == {
            "host": vendor.host,
            "user-agent": "tether-rt",
            "accept": "audio/*, */*;q=0.5",
            "accept-encoding": "identity",
        }


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(code: int, vendor: Vendor, fetcher: RecordingFetcher, spool: Spool) -> None:
    vendor.serve("/folder/call.mp3", body(RECORDING))
    vendor.serve("/two", redirect("folder/call.mp3", code))
    vendor.serve("/one", redirect(vendor.url("/two"), code))
    _, content = await fetch(fetcher, spool, vendor.serve("/start", redirect("//" + vendor.host + "/one", code)))
    assert content == RECORDING


async def test_the_fourth_redirect_is_one_too_many(vendor: Vendor, fetcher: RecordingFetcher, spool: Spool) -> None:
    url = vendor.serve("/loop", redirect("/loop"))
    assert await refusal(fetcher, spool, url) == "recording could not be fetched: more than 3 redirects"
    assert vendor.connections == 4


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("http://127.0.0.1/", "not public"),
        ("http://169.254.169.254/latest/meta-data/", "not public"),
        ("http://localhost/", "not public"),
        ("http://[::1]/", "not public"),
        ("http://2130706433/", "neither a plain name nor a plain IP address"),
        ("file:///etc/passwd", "http:// or https://"),
        ("javascript:alert(1)", "http:// or https://"),
        ("http://user:pass@vendor.example/", "user name or password"),
        ("https://93.184.216.34:22/", "port 22"),
        ("http://[", "valid URL"),
        ("http://\tlocalhost/", "control character"),
    ],
)
async def test_each_hop_is_judged_again(to: str, reason: str, vendor: Vendor, fetcher: RecordingFetcher, spool: Spool) -> None:
    sentence = await refusal(fetcher, spool, vendor.serve("/", redirect(to)))
    assert reason in sentence
    assert "after a redirect" in sentence
    assert vendor.connections == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status(404), "answered 404"),
        (status(500), "answered 500"),
        (status(204), "answered 204"),
        (status(206), "answered 206"),
        (status(304), "answered 304"),
        (status(302), "answered 302"),
        (status(401, WWW_Authenticate="Basic"), "answered 401"),
        (body(b""), "sent nothing"),
        (raw(head(200)), "sent nothing"),
        (raw(chunked()), "sent nothing"),
        (raw(), "broke off"),
        (raw(b"HTT"), "broke off"),
        (raw(head(200)[:-2]), "broke off"),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "not HTTP"),
        (raw(b"\x15\x03\x01\x00\x02\x02F" * 20), "not HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"), "not HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 40_000 + b"\r\n\r\n"), "not HTTP"),
        (repeated(b"HTTP/1.1 200 OK\r\n", b"X-Y: zzzzz\r\n" * 200), "not HTTP"),
        (repeated(b"", head(103)), "not HTTP"),
        (raw(head(200, Content_Length=len(RECORDING)) + RECORDING[:-1]), "broke off"),
        (raw(head(200, Content_Length=len(RECORDING)) + RECORDING[:-1], then="reset"), "broke off"),
        (raw(head(200) + RECORDING, then="reset"), "broke off"),
        (raw(chunked(RECORDING, end=b"")), "broke off"),
        (raw(chunked(RECORDING, end=b"5\r\nab")), "broke off"),
        (raw(chunked(RECORDING, end=b"xyz\r\n")), "not HTTP"),
        (raw(chunked(RECORDING, end=b"fffffffffffffffffffff\r\n")), "not HTTP"),
        (raw(head(200, Content_Length=-5) + RECORDING), "not HTTP"),
        (raw(head(200, Content_Length="5, 6") + RECORDING), "not HTTP"),
        (raw(head(200, Content_Length="1" * 5000) + RECORDING), "not HTTP"),
        (raw(head(200, Content_Length="1" * 18) + RECORDING), "larger than 0 MB"),
        (raw(head(200, Content_Length=1_000_001) + RECORDING), "larger than 0 MB"),
        (raw(head(200, Transfer_Encoding="gzip, chunked") + RECORDING), "not HTTP"),
        (body(gzip.compress(bytes(1_000_000)), Content_Encoding="gzip"), "compressed"),
        (body(RECORDING, Content_Encoding="br"), "compressed"),
        (body(RECORDING, Content_Encoding="aws-chunked, zstd"), "compressed"),
        (repeated(head(200), bytes(60_000)), "larger than 0 MB"),
        (repeated(head(200, Transfer_Encoding="chunked"), b"ea60\r\n" + bytes(60_000) + b"\r\n"), "larger than 0 MB"),
        (repeated(head(200, Transfer_Encoding="chunked"), (b"64\r\n" + bytes(100) + b"\r\n") * 100), "larger than 0 MB"),
        (repeated(head(200), b"x", pause_s=0.02), "too slowly"),
        (repeated(head(200, Content_Length=900_000), b"x", pause_s=0.02), "too slowly"),
        (repeated(head(200, Transfer_Encoding="chunked"), b"1\r\nx\r\n", pause_s=0.02), "too slowly"),
        (raw(head(200, Content_Length=len(RECORDING)) + RECORDING[:-1], then="hang"), "too slowly"),
        (raw(then="hang"), "did not answer in time"),
        (repeated(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", pause_s=0.05), "did not answer in time"),
        (repeated(b"", b"H", pause_s=0.05), "did not answer in time"),
        (repeated(b"", head(103), pause_s=0.05), "did not answer in time"),
    ],
)
async def test_a_vendor_that_does_not_deliver_is_cut_off_with_the_reason(
    answer: Answer, reason: str, vendor: Vendor, spool: Spool
) -> None:
    fetcher = RecordingFetcher([vendor.host], QUICK if reason in SLOWNESS else LONG_LIMITS)
    assert reason in await refusal(fetcher, spool, vendor.serve("/", answer))


async def test_the_time_for_everything_is_bounded(vendor: Vendor, spool: Spool) -> None:
    fetcher = RecordingFetcher([vendor.host], Limits(total_s=0.5, window_s=0.1, window_bytes=10, retry_s=0))
    url = vendor.serve("/", repeated(head(200), bytes(100), pause_s=0.01))
    assert "too slowly" in await refusal(fetcher, spool, url)
    slow = vendor.serve("/slow", raw(b"", head(302, Location="/slow"), pause_s=0.2))
    assert "too slowly" in await refusal(fetcher, spool, slow)


FEW = SlotLimits(total=8, per_organization=6, per_host=8, waiting=100, waiting_per_organization=50, wait_s=10.0)
NOT_YET = [403, 404, 408, 425, 429, 500, 502, 503]


@pytest.mark.parametrize("code", NOT_YET)
async def test_a_host_that_is_not_ready_is_asked_again(code: int, vendor: Vendor, spool: Spool) -> None:
    fetcher = RecordingFetcher([vendor.host])
    url = vendor.serve("/", in_turn(status(code), raw(head(200, Content_Length=10_000) + RECORDING[:5000]), body(RECORDING)))
    assert (await fetch(fetcher, spool, url))[1] == RECORDING
    assert len(vendor.requests) == 3


@pytest.mark.parametrize("code", NOT_YET)
async def test_a_host_that_does_not_get_ready_is_given_up_in_time(code: int, vendor: Vendor, spool: Spool) -> None:
    fetcher = RecordingFetcher([vendor.host], Limits(retry_s=1))
    with pytest.raises(BadRequest if code in (403, 404) else Unavailable, match=f"answered {code}") as refused:
        await fetch(fetcher, spool, vendor.serve("/", status(code)))
    expected = {403: "recording_forbidden", 404: "recording_not_found"}.get(code, "recording_unavailable")
    assert (refused.value.code, refused.value.field) == (expected, "recording")
    assert (refused.value.retry_after_s is None) == (code in (403, 404))
    assert len(vendor.requests) >= 2


async def test_a_host_that_says_when_to_come_again_is_believed(vendor: Vendor, spool: Spool) -> None:
    fetcher = RecordingFetcher([vendor.host])
    began = asyncio.get_running_loop().time()
    await fetch(fetcher, spool, vendor.serve("/", in_turn(status(503, Retry_After=2), body(RECORDING))))
    assert asyncio.get_running_loop().time() - began >= 2
    with pytest.raises(Unavailable) as refused:
        await fetch(fetcher, spool, vendor.serve("/later", status(503, Retry_After=60)))
    assert refused.value.retry_after_s == 60
    assert [request.target for request in vendor.requests] == ["/", "/", "/later"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (status(410), "recording_gone"),
        (status(401), "recording_forbidden"),
        (status(204), "recording_not_fetched"),
        (redirect("http://10.0.0.1/"), "recording_address_refused"),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "recording_not_fetched"),
        (body(RECORDING, Content_Encoding="gzip"), "recording_not_fetched"),
        (body(bytes(1_000_001)), "recording_too_large"),
    ],
)
async def test_what_cannot_get_better_is_refused_at_once(answer: Answer, code: str, vendor: Vendor, spool: Spool) -> None:
    fetcher = RecordingFetcher([vendor.host], Limits(size_bytes=1_000_000))
    async with spool.receiving() as receiver:
        with pytest.raises(FetchFailed) as failed:
            await fetcher.attempt(vendor.serve("/", answer), ORGANIZATION, receiver)
    assert (failed.value.code, failed.value.may_get_better) == (code, False)
    with pytest.raises(BadRequest) as refused:
        await fetch(fetcher, spool, vendor.url("/"))
    assert refused.value.code == code
    assert len(vendor.requests) == 2


async def test_no_slot_is_held_between_two_attempts(vendor: Vendor, spool: Spool) -> None:
    fetcher = RecordingFetcher([vendor.host], slots=FEW)
    late = vendor.serve("/late", in_turn(*[status(404)] * 20, body(RECORDING)))
    waiting = [asyncio.create_task(fetch(fetcher, spool, late)) for _ in range(20)]  # more than an organization's slots
    await eventually(lambda: len(vendor.requests) >= 20)  # each has been told that it is not there yet
    assert (await fetch(fetcher, spool, vendor.serve("/now", body(RECORDING))))[1] == RECORDING
    assert all(content == RECORDING for _, content in await asyncio.gather(*waiting))


async def test_an_end_of_tls_without_a_goodbye_is_no_end_of_a_recording(spool: Spool, tmp_path: Path) -> None:
    """Anybody on the way can close a connection, but only the host can say that it is the end (RFC 8446 section 6.1)."""
    server, client = contexts(tmp_path, "vendor.example")

    async def half(request: object, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200) + RECORDING[: len(RECORDING) // 2])
        await writer.drain()
        connection = socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno()))
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()

    async with vendor_server(tls=server) as vendor:
        url = f"https://vendor.example:{vendor.port}"
        fetcher = RecordingFetcher([f"vendor.example:{vendor.port}"], LONG_LIMITS, lookup=loopback, tls=client)
        vendor.serve("/half", half)
        assert "broke off" in await refusal(fetcher, spool, f"{url}/half")
        vendor.serve("/whole", raw(head(200) + RECORDING))
        assert (await fetch(fetcher, spool, f"{url}/whole"))[1] == RECORDING


async def test_a_port_where_nobody_listens_is_reported(fetcher: RecordingFetcher, spool: Spool, vendor: Vendor) -> None:
    async with vendor_server() as gone:
        url, host = gone.url("/"), gone.host
    sentence = await refusal(RecordingFetcher([host], LONG_LIMITS), spool, url)
    assert "refuses the connection or is not reachable" in sentence


async def loopback(host: str) -> list[Address]:
    return [ip_address("127.0.0.1")]


async def test_https_is_fetched_when_the_certificate_holds(spool: Spool, tmp_path: Path) -> None:
    server, client = contexts(tmp_path, "vendor.example")
    async with vendor_server(tls=server) as vendor:
        vendor.serve("/", body(RECORDING))
        url = f"https://vendor.example:{vendor.port}/"
        listed = [f"vendor.example:{vendor.port}", f"other.example:{vendor.port}"]
        trusting = RecordingFetcher(listed, LONG_LIMITS, lookup=loopback, tls=client)
        assert (await fetch(trusting, spool, url))[1] == RECORDING
        other = url.replace("vendor.example", "other.example")
        assert "certificate does not hold" in await refusal(trusting, spool, other)
        assert "certificate does not hold" in await refusal(RecordingFetcher(listed, LONG_LIMITS, lookup=loopback), spool, url)


async def test_https_at_a_port_without_it_is_reported(spool: Spool) -> None:
    async with vendor_server() as silent:
        fetcher = RecordingFetcher([silent.host], QUICK)
        assert "did not answer in time" in await refusal(fetcher, spool, f"https://{silent.host}/")
    greeted = asyncio.Event()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 smtp.vendor.example\r\n")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        greeted.set()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as greeter:
        host = f"127.0.0.1:{greeter.sockets[0].getsockname()[1]}"
        fetcher = RecordingFetcher([host], LONG_LIMITS)
        assert "does not speak HTTPS" in await refusal(fetcher, spool, f"https://{host}/")
        await asyncio.wait_for(greeted.wait(), 10)


async def test_a_full_disk_is_503_and_not_the_vendors_fault(vendor: Vendor, tmp_path: Path) -> None:
    url = vendor.serve("/", body(audio.mp3_of(3_000_000)))
    with small_disk(tmp_path / "small", 1_000_000) as folder:
        spool = Spool(folder)
        await spool.start()
        fetcher = RecordingFetcher([vendor.host])
        with pytest.raises(Unavailable, match="full"):
            await fetch(fetcher, spool, url)
        await spool.close()
        assert list(folder.iterdir()) == []


async def test_a_cancelled_fetch_closes_its_connection_and_leaves_no_file(
    vendor: Vendor, fetcher: RecordingFetcher, spool: Spool
) -> None:
    """The fixture of the spool looks for the file, pytest for tasks and sockets that were left."""
    started, ended = asyncio.Event(), asyncio.Event()

    async def endless(request: object, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200))
        try:
            while True:
                writer.write(bytes(50_000))
                await writer.drain()
                started.set()
                await asyncio.sleep(0.05)
        finally:
            ended.set()

    task = asyncio.create_task(fetch(fetcher, spool, vendor.serve("/", endless)))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(ended.wait(), 10)


async def test_one_organization_cannot_take_every_slot() -> None:
    slots = KeyedSemaphore(total=3, per_key=2, wait_s=0.05)
    for _ in range(2):  # the second time with keys that were forgotten
        async with slots.slot("slow"), slots.slot("slow"):
            with pytest.raises(Unavailable, match="busy"):
                async with slots.slot("slow"):
                    raise AssertionError
            async with slots.slot("other"):
                with pytest.raises(Unavailable, match="busy"):
                    async with slots.slot("third"):
                        raise AssertionError
            async with slots.slot("third"):
                pass


async def test_a_slot_goes_to_the_next_who_waits_for_it() -> None:
    slots = KeyedSemaphore(total=3, per_key=1, wait_s=30)
    held: list[int] = []

    async def hold(number: int) -> None:
        async with slots.slot("key"):
            held.append(number)
            await asyncio.sleep(0)
            assert held[-1] == number

    await asyncio.gather(*map(hold, range(10)))
    assert held == list(range(10))


async def test_many_fetches_at_once_wait_for_each_other(vendor: Vendor, fetcher: RecordingFetcher, spool: Spool) -> None:
    url = vendor.serve("/", raw(head(200, Content_Length=len(RECORDING)), RECORDING, pause_s=0.05))
    files = await asyncio.gather(*(fetch(fetcher, spool, url) for _ in range(40)))
    assert all(content == RECORDING for _, content in files)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from(
        [b"", b"HTTP/1.1 200 OK\r\n", head(200, Content_Length=5), head(200, Transfer_Encoding="chunked"), b"HTTP/1."]
    ),
)
def test_any_answer_is_a_recording_or_a_reason(tmp_path: Path, garbage: bytes, start: bytes) -> None:
    async def one() -> None:
        spool = Spool(tmp_path)
        await spool.start()
        async with vendor_server() as vendor:
            url = vendor.serve("/", raw(start + garbage))
            with contextlib.suppress(BadRequest, Unavailable):
                await fetch(RecordingFetcher([vendor.host], LONG_LIMITS), spool, url)
        await spool.close()

    asyncio.run(one())
