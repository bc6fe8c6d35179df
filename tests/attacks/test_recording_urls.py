"""Addresses of recordings that lead where nobody should go, and hosts that misbehave: the whole way, from POST to network."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.network import PUBLIC, Network, network
from tests.conftest import settings_on
from tests.support import audio
from tests.support.service import Answer, Service, Tenant, running, sample
from tests.support.vendor import Answer as VendorAnswer
from tests.support.vendor import Vendor, body, head, raw, redirect, repeated, status, vendor_server
from tests.support.waiting import eventually
from tether_rt import app
from tether_rt.recordings.fetch.limits import Limits

CORPUS = json.loads((Path(__file__).parents[1] / "recordings" / "fetch" / "ssrf_corpus.json").read_text("utf-8"))
RECORDING = audio.mp3()
QUICK = Limits(connect_s=1, headers_s=0.3, total_s=5, window_s=0.3, window_bytes=3000, retry_s=0)


class Site:
    """A server, a vendor with a key, a network, and a web server that stands for the internet's."""

    def __init__(self, service: Service, tenant: Tenant, internet: Vendor, net: Network, data_dir: Path) -> None:
        self.service = service
        self.tenant = tenant
        self.internet = internet
        self.net = net
        self._data_dir = data_dir

    async def post(self, url: str) -> Answer:
        """Post a call whose recording is there."""
        return await self.tenant.post_call(sample(recording=url))

    async def refusal(self, url: str) -> str:
        """Return why it is refused; nothing of it may stay behind. A host that breaks off may be whole later."""
        answer = await self.post(url)
        assert answer.status == (503 if answer.body["code"] == "recording_unavailable" else 400), answer
        sentence: str = answer.body["error"]
        assert sentence.startswith("recording ")
        assert "\n" not in sentence
        await eventually(lambda: not self.files())  # removed in a thread, after the answer
        return sentence

    async def stored(self) -> int:
        total: int = (await self.tenant.get("/api/calls/history")).body["total"]
        return total

    def files(self) -> list[Path]:
        """Return what lies in the places for recordings, finished or not."""
        folders = (self._data_dir / "recordings", self._data_dir / "spool")
        return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
async def running_site(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "Limits", _quick)
        data_dir = tmp_path_factory.mktemp("data")
        settings = settings_on(mongodb_uri, data_dir, max_recording_mb=1)
        async with running(settings) as service, vendor_server() as internet:
            tenant = await service.tenant()
            with network() as net:
                net.own(int(service.base_url.rpartition(":")[2]))
                yield Site(service, tenant, internet, net, data_dir)


def _quick(size_bytes: int) -> Limits:
    return replace(QUICK, size_bytes=size_bytes)


@pytest.fixture
async def site(running_site: Site) -> AsyncIterator[Site]:
    """A network in which `PUBLIC` is the internet's server and all else is out of reach, noted when somebody tries."""
    site = running_site
    site.net.routes = {PUBLIC: site.internet.port}
    site.net.names.clear()
    site.net.connected.clear()
    site.internet.routes.clear()
    before = await site.stored()
    yield site
    assert await site.stored() == before


# ---------------------------------------------------------------------- where nobody should go


@pytest.mark.parametrize("kind", CORPUS["urls"])
async def test_the_corpus_is_refused_and_nobody_is_connected_to(site: Site, kind: str) -> None:
    for url in CORPUS["urls"][kind]:
        assert await site.refusal(url), url
    assert site.net.connected == []


@pytest.mark.parametrize("kind", CORPUS["names"])
async def test_a_name_that_leads_inside_is_refused_and_nobody_is_connected_to(site: Site, kind: str) -> None:
    site.net.names["vendor.example"] = [CORPUS["names"][kind]]
    assert await site.refusal("https://vendor.example/a.mp3") == "recording points to an address that is not public"
    assert site.net.looked_up[-1] == "vendor.example"
    assert site.net.connected == []


async def test_a_service_on_this_machine_hears_nothing(site: Site) -> None:
    """With the system's own names, and a listener at every loopback address that answers to its port."""
    heard: list[Any] = []
    listeners = []
    for host in ("127.0.0.1", "127.0.0.2"):
        server = await asyncio.start_server(lambda reader, writer: heard.append(writer), host, 0)
        listeners.append((host, server.sockets[0].getsockname()[1], server))
    site.net.routes = {host: port for host, port, _ in listeners}  # whoever connects there arrives
    for host, port, _ in listeners:
        for name in (host, "localhost", "localhost.", "[::1]", f"[::ffff:{host}]", "0.0.0.0", "127.1", "2130706433"):
            for suffix in (f":{port}", "", ":8080"):
                await site.refusal(f"http://{name}{suffix}/latest/meta-data/")
    for _, _, server in listeners:
        server.close()
    assert heard == []
    assert site.net.connected == []


@pytest.mark.parametrize(
    "to",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:8080/",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
        "http://[::ffff:169.254.169.254]/",
        "http://inside.example/",
        "//10.0.0.1/",
        "http:\\\\10.0.0.1/",
        "http://2130706433/",
        "https://" + PUBLIC + ":6379/",
        "http://user:pass@" + PUBLIC + "/",
        "http://" + PUBLIC + "@127.0.0.1/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "data:audio/mpeg;base64,AAAA",
    ],
)
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_leads_no_further_inside(site: Site, to: str, code: int) -> None:
    site.net.names["inside.example"] = [["10.0.0.5"]]
    site.internet.serve("/", redirect(to.format(port=site.internet.port), code))
    assert "after a redirect" in await site.refusal(f"http://{PUBLIC}/")
    assert site.net.connected == [PUBLIC]


async def test_a_name_that_changes_its_address_between_looks_gains_nothing(site: Site) -> None:
    """A public address for the judge and a private one for the connection, on the first fetch and on a redirect."""
    site.net.names["rebind.example"] = [[PUBLIC], ["127.0.0.1"], ["10.0.0.5"]]
    site.net.routes["127.0.0.1"] = site.internet.port
    site.internet.serve("/a.mp3", redirect("http://rebind.example/b.mp3"))
    site.internet.serve("/b.mp3", body(RECORDING))
    assert "not public (after a redirect)" in await site.refusal("http://rebind.example/a.mp3")
    assert site.net.connected == [PUBLIC]
    assert "not public" in await site.refusal("http://rebind.example/a.mp3")
    assert site.net.connected == [PUBLIC]


async def test_the_answer_tells_nothing_of_what_is_inside(site: Site) -> None:
    """One sentence for every private address, whether somebody listens there or not, and none of its bytes."""
    site.net.names |= {f"{number}.example": [[address]] for number, address in enumerate(("127.0.0.1", "10.0.0.1", "::1"))}
    said = {await site.refusal(f"http://{number}.example/") for number in range(3)}
    said |= {await site.refusal(url) for url in ("http://127.0.0.1/", "http://169.254.169.254/", "http://[fd00::1]/")}
    assert said == {"recording points to an address that is not public"}
    site.internet.serve("/", raw(head(200, Content_Length=20) + b"root:x:0:0:root:/root"[:20]))
    assert await site.refusal(f"http://{PUBLIC}/") == "recording is not audio: MP3, WAV, OGG, M4A, FLAC or WebM is expected"


# ---------------------------------------------------------------------- hosts that misbehave


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return head(200, Transfer_Encoding="chunked") + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + end


BOMB = gzip.compress(bytes(50_000_000))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(repeated(head(200), b"x", pause_s=0.02), "too slowly", id="drips"),
        pytest.param(repeated(head(200, Content_Length=900_000), b"x", pause_s=0.02), "too slowly", id="drips with a length"),
        pytest.param(repeated(b"", b"H", pause_s=0.05), "did not answer in time", id="drips its first line"),
        pytest.param(repeated(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", pause_s=0.05), "did not answer in time", id="drips headers"),
        pytest.param(raw(then="hang"), "did not answer in time", id="says nothing"),
        pytest.param(
            raw(head(200, Content_Length=len(RECORDING)) + RECORDING[:-1], then="hang"), "too slowly", id="stops short"
        ),
        pytest.param(repeated(head(200), bytes(60_000)), "larger than 1 MB", id="never ends"),
        pytest.param(
            repeated(head(200, Transfer_Encoding="chunked"), b"ea60\r\n" + bytes(60_000) + b"\r\n"),
            "larger than 1 MB",
            id="never ends, in chunks",
        ),
        pytest.param(repeated(b"HTTP/1.1 200 OK\r\n", b"X-Y: zzzzz\r\n" * 200), "not HTTP", id="headers never end"),
        pytest.param(repeated(b"", head(103)), "not HTTP", id="hints never end"),
        pytest.param(raw(head(200, Content_Length=1 << 30) + RECORDING), "larger than 1 MB", id="claims too much"),
        pytest.param(raw(head(200, Content_Length="9" * 400) + RECORDING), "not HTTP", id="claims far too much"),
        pytest.param(raw(head(200, Content_Length=len(RECORDING) + 1) + RECORDING), "broke off", id="claims one more"),
        pytest.param(raw(head(200, Content_Length=-1) + RECORDING), "not HTTP", id="claims less than nothing"),
        pytest.param(raw(head(200, Content_Length="5, 6") + RECORDING), "not HTTP", id="claims two lengths"),
        pytest.param(raw(chunked(RECORDING, end=b"")), "broke off", id="breaks off"),
        pytest.param(raw(chunked(RECORDING, end=b"fffffffffffffffffffff\r\n")), "not HTTP", id="a chunk of 10^24 bytes"),
        pytest.param(body(BOMB, Content_Encoding="gzip"), "compressed", id="a gzip bomb"),
        pytest.param(body(BOMB, Content_Encoding="gzip, gzip"), "compressed", id="a gzip bomb, wrapped"),
        pytest.param(raw(head(200, Transfer_Encoding="gzip, chunked") + BOMB), "not HTTP", id="a gzip bomb on the way"),
        pytest.param(body(BOMB), "not audio", id="a gzip bomb that says nothing"),
        pytest.param(status(204), "answered 204", id="nothing"),
        pytest.param(redirect("/"), "more than 3 redirects", id="goes round in circles"),
        pytest.param(raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "not HTTP", id="speaks SSH"),
    ],
)
async def test_a_host_that_misbehaves_is_cut_off_and_the_vendor_told(site: Site, answer: VendorAnswer, reason: str) -> None:
    site.internet.serve("/", answer)
    assert reason in await site.refusal(f"http://{PUBLIC}/")


async def test_after_all_that_an_honest_host_is_heard(running_site: Site) -> None:
    site = running_site
    site.net.routes = {PUBLIC: site.internet.port}
    site.net.names["vendor.example"] = [[PUBLIC]]
    site.internet.serve("/call.mp3", body(RECORDING))
    answer = await site.post("http://vendor.example/call.mp3")
    assert answer.status == 201, answer.body
    link = await site.tenant.get(f"/api/calls/{answer.body['callId']}/recording")
    heard = await site.tenant.request("GET", link.body["audioUrl"].removeprefix(site.tenant.base_url))
    assert heard.body == RECORDING


async def test_what_follows_the_promised_length_is_no_part_of_the_recording(running_site: Site) -> None:
    """It would be another message (RFC 9112 section 6.3)."""
    site = running_site
    site.net.routes = {PUBLIC: site.internet.port}
    site.internet.serve("/call.mp3", raw(head(200, Content_Length=len(RECORDING)) + RECORDING + b"<script>alert(1)</script>"))
    answer = await site.post(f"http://{PUBLIC}/call.mp3")
    assert answer.status == 201, answer.body
    call = (await site.tenant.get(f"/api/calls/{answer.body['callId']}")).body["call"]
    assert call["recordings"][0]["bytes"] == len(RECORDING)
