"""Fetching, against vendors' servers on real sockets that misbehave in every way they can."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import gzip
import hashlib
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tornado.iostream import IOStream

from tests.support import audio
from tests.support.small_disk import small_disk
from tests.support.vendor import Answer, Vendor, body, head, raw, redirect, repeated, status, vendor_server
from tether_rt.errors import BadRequest, Unavailable
from tether_rt.ingest.guard import Address, Target, judge_url
from tether_rt.ingest.lanes import Lanes
from tether_rt.ingest.lookup import lookup
from tether_rt.ingest.spool import Spool, SpooledFile
from tether_rt.ingest.url import Limits, RecordingFetcher, _is_own

ORGANIZATION = "a" * 24
RECORDING = audio.mp3()
CORPUS = json.loads(Path(__file__).with_name("ssrf_corpus.json").read_text("utf-8"))
PATIENT = Limits(size_bytes=1_000_000)
QUICK = Limits(size_bytes=1_000_000, connect_s=1, headers_s=0.3, window_s=0.3, window_bytes=3000)
SLOWNESS = ("too slowly", "did not answer in time")


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with vendor_server() as vendor:
        yield vendor


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    spool = Spool(tmp_path / "spool")
    await spool.start()
    yield spool
    await spool.close()
    assert list((tmp_path / "spool").iterdir()) == [], "every spool file is gone"


@pytest.fixture
def fetcher(spool: Spool, vendor: Vendor) -> RecordingFetcher:
    return RecordingFetcher(spool, [vendor.host], PATIENT)


@pytest.fixture(autouse=True)
def no_vendor_makes_us_log_an_error(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record for record in caplog.records if record.levelno >= logging.ERROR and record.name != "tether.recordings"] == []


async def fetch(fetcher: RecordingFetcher, spool: Spool, url: str) -> tuple[SpooledFile, bytes]:
    async with spool.writing() as writer:
        file = await fetcher.fetch(url, ORGANIZATION, writer)
        return file, file.path.read_bytes()


async def refusal(fetcher: RecordingFetcher, spool: Spool, url: str) -> str:
    with pytest.raises(BadRequest) as refused:
        await fetch(fetcher, spool, url)
    assert str(refused.value).startswith("recording ")
    return str(refused.value)


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return head(200, Transfer_Encoding="chunked") + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + end


@pytest.mark.parametrize(
    "answer",
    [
        body(RECORDING),
        body(RECORDING, Content_Encoding="identity", Content_Type="text/plain"),
        raw(head(200) + RECORDING),
        raw(chunked(RECORDING[:10], RECORDING[10:5000], RECORDING[5000:])),
        raw(head(103, Link="</x>") + head(200, Content_Length=len(RECORDING)) + RECORDING),
        raw(head(200, Content_Length=len(RECORDING)), RECORDING[:5], RECORDING[5:], pause_s=0.02),
    ],
    ids=["length", "identity", "until close", "chunked", "early hints", "late"],
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
            "connection": "close",
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
        (raw(), "not HTTP"),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "not HTTP"),
        (raw(b"\x15\x03\x01\x00\x02\x02F" * 20), "not HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"), "not HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 40_000 + b"\r\n\r\n"), "not HTTP"),
        (repeated(b"HTTP/1.1 200 OK\r\n", b"X-Y: zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\r\n"), "not HTTP"),
        (repeated(b"", head(103)), "not HTTP"),
        (raw(head(200, Content_Length=len(RECORDING)) + RECORDING[:-1]), "broke off"),
        (raw(head(200, Content_Length=len(RECORDING)) + RECORDING[:-1], then="reset"), "broke off"),
        (raw(head(200) + RECORDING, then="reset"), "broke off"),
        (raw(chunked(RECORDING, end=b"")), "broke off"),
        (raw(chunked(RECORDING, end=b"5\r\nab")), "broke off"),
        (raw(chunked(RECORDING, end=b"xyz\r\n")), "broke off"),
        (raw(chunked(RECORDING, end=b"ffffffffffffffffffff\r\n")), "broke off"),
        (raw(head(200, Content_Length=-5) + RECORDING), "broke off"),
        (raw(head(200, Content_Length="5, 6") + RECORDING), "broke off"),
        (raw(head(200, Content_Length="1" * 5000) + RECORDING), "larger than 0 MB"),
        (raw(head(200, Content_Length=1_000_001) + RECORDING), "larger than 0 MB"),
        (raw(head(200, Transfer_Encoding="gzip, chunked") + RECORDING), "broke off"),
        (body(gzip.compress(bytes(1_000_000)), Content_Encoding="gzip"), "compressed"),
        (body(RECORDING, Content_Encoding="br"), "compressed"),
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
    fetcher = RecordingFetcher(spool, [vendor.host], QUICK if reason in SLOWNESS else PATIENT)
    assert reason in await refusal(fetcher, spool, vendor.serve("/", answer))


async def test_the_time_for_everything_is_bounded(vendor: Vendor, spool: Spool) -> None:
    fetcher = RecordingFetcher(spool, [vendor.host], Limits(total_s=0.5, window_s=0.1, window_bytes=10))
    url = vendor.serve("/", repeated(head(200), bytes(100), pause_s=0.01))
    assert "too slowly" in await refusal(fetcher, spool, url)
    slow = vendor.serve("/slow", raw(b"", head(302, Location="/slow"), pause_s=0.2))
    assert "too slowly" in await refusal(fetcher, spool, slow)


async def test_nobody_listens_there(fetcher: RecordingFetcher, spool: Spool, vendor: Vendor) -> None:
    async with vendor_server() as gone:
        url, host = gone.url("/"), gone.host
    sentence = await refusal(RecordingFetcher(spool, [host], PATIENT), spool, url)
    assert "refuses the connection or is not reachable" in sentence


async def test_there_is_no_such_name(spool: Spool) -> None:
    fetcher = RecordingFetcher(spool, limits=PATIENT)
    assert await refusal(fetcher, spool, "http://no.such.name.invalid/x") == (
        "recording could not be fetched: no.such.name.invalid was not found"
    )


async def test_a_name_server_that_hangs_is_given_up(spool: Spool) -> None:
    async def hanging(host: str) -> list[Address]:
        await asyncio.sleep(3600)
        return []

    fetcher = RecordingFetcher(spool, limits=Limits(connect_s=0.1), lookup=hanging)
    assert "vendor.example was not found" in await refusal(fetcher, spool, "http://vendor.example/")


async def test_names_are_resolved_by_the_system() -> None:
    assert ip_address("127.0.0.1") in await lookup("localhost")
    with pytest.raises(OSError, match=r"\w"):
        await lookup("no.such.name.invalid")


class World(RecordingFetcher):
    """A fetcher for which the internet is one vendor's server: public addresses lead there, and are noted."""

    def __init__(self, spool: Spool, vendor: Vendor, answers: dict[str, list[list[str]]]) -> None:
        super().__init__(spool, limits=PATIENT, lookup=self.lookup_here)
        self.vendor = vendor
        self.answers = answers
        self.connected: list[tuple[str, list[str]]] = []

    async def lookup_here(self, host: str) -> list[Address]:
        return [ip_address(text) for text in self.answers[host].pop(0)]

    async def _connect(self, target: Target, addresses: list[Address]) -> IOStream:
        self.connected.append((target.host, [str(address) for address in addresses]))
        listed = judge_url(self.vendor.url("/"), frozenset([self.vendor.host]))
        return await super()._connect(listed, [ip_address("127.0.0.1")])


async def test_dns_that_changes_its_answer_gains_nothing(vendor: Vendor, spool: Spool) -> None:
    """A public address first and a private one later: each hop asks once, and connects to what that answer was."""
    world = World(spool, vendor, {"rebind.example": [["93.184.216.34"], ["93.184.216.35"], ["127.0.0.1"]]})
    vendor.serve("/1", redirect("http://rebind.example/2"))
    vendor.serve("/2", redirect("http://rebind.example/3"))
    vendor.serve("/3", body(b"secret"))
    assert "not public" in await refusal(world, spool, "http://rebind.example/1")
    assert world.connected == [("rebind.example", ["93.184.216.34"]), ("rebind.example", ["93.184.216.35"])]
    assert [request.target for request in vendor.requests] == ["/1", "/2"]


@pytest.mark.parametrize("kind", CORPUS["names"])
async def test_a_name_that_leads_to_what_is_not_public_is_never_connected_to(kind: str, vendor: Vendor, spool: Spool) -> None:
    world = World(spool, vendor, {"vendor.example": [CORPUS["names"][kind]]})
    assert await refusal(world, spool, "http://vendor.example/") == "recording points to an address that is not public"
    assert world.connected == []
    assert vendor.connections == 0


async def test_addresses_that_are_not_public_are_never_connected_to(vendor: Vendor, spool: Spool) -> None:
    """With nothing in between: the system's names, real sockets."""
    fetcher = RecordingFetcher(spool, limits=PATIENT)
    for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "127.1", "0.0.0.0", "localhost."):
        assert await refusal(fetcher, spool, f"http://{host}:{vendor.port}/")
        assert await refusal(fetcher, spool, f"http://{host}/")
    assert vendor.connections == 0


async def test_the_addresses_that_were_judged_are_the_ones_connected_to(vendor: Vendor, fetcher: RecordingFetcher) -> None:
    """Whatever the name resolves to by then."""
    target = judge_url(f"http://localhost.invalid:{vendor.port}/", frozenset([f"localhost.invalid:{vendor.port}"]))
    stream = await fetcher._connect(target, [ip_address("127.0.0.1")])
    assert stream.socket.getpeername() == ("127.0.0.1", vendor.port)
    stream.close()


async def test_the_next_address_is_tried_when_one_does_not_answer(vendor: Vendor, spool: Spool) -> None:
    async def two(host: str) -> list[Address]:
        return [ip_address("::1"), ip_address("127.0.0.1")]

    fetcher = RecordingFetcher(spool, [f"vendor.example:{vendor.port}"], PATIENT, lookup=two)
    vendor.serve("/", body(RECORDING))
    _, content = await fetch(fetcher, spool, f"http://vendor.example:{vendor.port}/")
    assert content == RECORDING
    assert vendor.requests[0].headers["host"] == f"vendor.example:{vendor.port}"


def test_this_machine_s_own_addresses_are_known() -> None:
    assert _is_own(ip_address("127.0.0.1"))
    assert not _is_own(ip_address("192.0.2.1"))


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[[str], tuple[ssl.SSLContext, ssl.SSLContext]]:
    """Makes a self-signed certificate for a name; gives the server's context and one of a client that trusts it."""

    def make(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = tmp_path / "certificate.pem"
        pem.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + made.public_bytes(serialization.Encoding.PEM)
        )
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(pem)
        return server, ssl.create_default_context(cafile=str(pem))

    return make


Certificate = Callable[[str], tuple[ssl.SSLContext, ssl.SSLContext]]


async def loopback(host: str) -> list[Address]:
    return [ip_address("127.0.0.1")]


async def test_https_is_fetched_when_the_certificate_holds(certificate: Certificate, spool: Spool) -> None:
    server, client = certificate("vendor.example")
    async with vendor_server(tls=server) as vendor:
        vendor.serve("/", body(RECORDING))
        url = f"https://vendor.example:{vendor.port}/"
        listed = [f"vendor.example:{vendor.port}", f"other.example:{vendor.port}"]
        trusting = RecordingFetcher(spool, listed, PATIENT, lookup=loopback, tls=client)
        assert (await fetch(trusting, spool, url))[1] == RECORDING
        other = url.replace("vendor.example", "other.example")
        assert "certificate does not hold" in await refusal(trusting, spool, other)
        assert "certificate does not hold" in await refusal(
            RecordingFetcher(spool, listed, PATIENT, lookup=loopback), spool, url
        )


async def test_https_where_there_is_none(spool: Spool) -> None:
    async with vendor_server() as silent:
        fetcher = RecordingFetcher(spool, [silent.host], QUICK)
        assert "did not answer in time" in await refusal(fetcher, spool, f"https://{silent.host}/")
    greeting = await asyncio.start_server(lambda reader, writer: writer.write(b"220 smtp.vendor.example\r\n"), "127.0.0.1", 0)
    async with greeting:
        host = f"127.0.0.1:{greeting.sockets[0].getsockname()[1]}"
        fetcher = RecordingFetcher(spool, [host], PATIENT)
        assert "does not speak HTTPS" in await refusal(fetcher, spool, f"https://{host}/")


async def test_a_full_disk_is_ours_and_said_so(vendor: Vendor, tmp_path: Path) -> None:
    url = vendor.serve("/", body(audio.mp3_of(3_000_000)))
    with small_disk(tmp_path / "small", 1_000_000) as folder:
        spool = Spool(folder)
        await spool.start()
        fetcher = RecordingFetcher(spool, [vendor.host])
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


async def test_one_vendor_cannot_take_every_place() -> None:
    lanes = Lanes(total=3, each=2, wait_s=0.05)
    async with lanes.place("slow"), lanes.place("slow"):
        with pytest.raises(Unavailable, match="busy"):
            async with lanes.place("slow"):
                raise AssertionError
        async with lanes.place("other"):
            with pytest.raises(Unavailable, match="busy"):
                async with lanes.place("third"):
                    raise AssertionError
        async with lanes.place("third"):
            pass
    async with lanes.place("slow"), lanes.place("slow"):
        pass
    assert not lanes._lanes, "nothing is kept for names that are gone"


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
            with contextlib.suppress(BadRequest):
                await fetch(RecordingFetcher(spool, [vendor.host], PATIENT), spool, url)
        await spool.close()

    asyncio.run(one())
