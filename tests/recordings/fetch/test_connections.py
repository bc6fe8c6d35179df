"""Connections to hosts are kept, and used again only where a new one would lead to the same place, checked just now."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytest
from tornado.iostream import IOStream

from tests.attacks.network import PUBLIC, network
from tests.recordings.fetch.fetching import LONG_LIMITS, RECORDING, fetch, refusal
from tests.support.certificate import contexts
from tests.support.vendor import Answer, Request, Vendor, head, in_turn, raw, repeated, vendor_server
from tests.support.waiting import eventually
from tether_rt.recordings.fetch.connections import HostConnections
from tether_rt.recordings.fetch.fetcher import RecordingFetcher
from tether_rt.recordings.fetch.url_policy import Address, judge_url, listed_hosts
from tether_rt.recordings.spool import Spool

WHOLE = head(200, Content_Length=len(RECORDING)) + RECORDING


def kept(*pieces: bytes) -> Answer:
    """Send the pieces, and leave the connection open for the next request."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(pieces))

    return answer


async def test_the_next_request_to_a_host_has_its_connection(vendor: Vendor, fetcher: RecordingFetcher, spool: Spool) -> None:
    vendor.serve("/old", kept(head(302, Location="/new", Content_Length=5), b"moved"))
    vendor.serve("/new", kept(WHOLE))
    vendor.serve(
        "/chunked", kept(head(200, Transfer_Encoding="chunked"), b"%x\r\n%s\r\n0\r\n\r\n" % (len(RECORDING), RECORDING))
    )
    vendor.serve("/none", kept(head(404, Content_Length=4), b"none"))
    for path in ("/old", "/new", "/chunked", "/none", "/new"):
        if path == "/none":
            assert "answered 404" in await refusal(fetcher, spool, vendor.url(path))
        else:
            assert (await fetch(fetcher, spool, vendor.url(path)))[1] == RECORDING
    assert (vendor.connections, len(vendor.requests)) == (1, 6)
    await fetcher.close()


@pytest.mark.parametrize(
    "first",
    [
        kept(head(200, Content_Length=len(RECORDING), Connection="close"), RECORDING),
        kept(WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0")),
        kept(WHOLE, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nxyz"),
        kept(head(404, Content_Length=10), b"half"),
        kept(head(302, Location="/second", Content_Length=10), b"half"),
        repeated(head(200, Content_Length=10_000_000), bytes(1000), times=3),
        kept(head(200, Content_Length=10, Content_Encoding="gzip"), b"half"),
    ],
    ids=[
        "connection: close",
        "HTTP/1.0",
        "more than its answer",
        "half a refusal",
        "half a redirect",
        "too large",
        "compressed",
    ],
)
async def test_a_connection_whose_answer_did_not_end_there_is_not_used_again(
    first: Answer, vendor: Vendor, fetcher: RecordingFetcher, spool: Spool
) -> None:
    vendor.serve("/second", kept(WHOLE))
    with suppress(Exception):
        await fetch(fetcher, spool, vendor.serve("/first", first))
    assert (await fetch(fetcher, spool, vendor.url("/second")))[1] == RECORDING
    assert vendor.connections >= 2
    await fetcher.close()


async def test_a_fetch_that_is_cancelled_leaves_no_connection_to_use(
    vendor: Vendor, fetcher: RecordingFetcher, spool: Spool
) -> None:
    for path, beginning in (("/silent", b""), ("/half", head(200, Content_Length=len(RECORDING)) + RECORDING[:1000])):
        vendor.requests.clear()
        task = asyncio.create_task(fetch(fetcher, spool, vendor.serve(path, kept(beginning))))
        await eventually(lambda: bool(vendor.requests))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await fetch(fetcher, spool, vendor.serve("/whole", kept(WHOLE))))[1] == RECORDING
    assert vendor.connections == 3
    await fetcher.close()


async def test_a_connection_that_its_host_closed_meanwhile_costs_one_retry(
    vendor: Vendor, fetcher: RecordingFetcher, spool: Spool
) -> None:
    """It is closed when the next request has just been sent."""
    vendor.serve("/", in_turn(kept(WHOLE), raw(), kept(WHOLE), raw(), raw(), kept(WHOLE)))
    for _ in range(2):
        assert (await fetch(fetcher, spool, vendor.url("/")))[1] == RECORDING
    assert (vendor.connections, len(vendor.requests)) == (2, 3)
    assert "broke off" in await refusal(fetcher, spool, vendor.url("/"))
    assert (vendor.connections, len(vendor.requests)) == (3, 5)
    await fetcher.close()


async def test_an_answer_that_breaks_off_is_not_asked_for_again(
    vendor: Vendor, fetcher: RecordingFetcher, spool: Spool
) -> None:
    vendor.serve("/", in_turn(kept(WHOLE), raw(b"HTTP/1.1 200"), kept(WHOLE)))
    await fetch(fetcher, spool, vendor.url("/"))
    assert "broke off" in await refusal(fetcher, spool, vendor.url("/"))
    assert len(vendor.requests) == 2


async def test_a_host_cannot_answer_before_it_is_asked(vendor: Vendor, fetcher: RecordingFetcher, spool: Spool) -> None:
    """What comes on an idle connection would be taken for the answer of the next request, of another organization perhaps."""
    sent = asyncio.Event()

    async def and_more(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(WHOLE)
        await asyncio.sleep(0.1)
        writer.write(head(200, Content_Length=5) + b"wrong")
        await writer.drain()
        sent.set()

    await fetch(fetcher, spool, vendor.serve("/first", and_more))
    await sent.wait()
    assert (await fetch(fetcher, spool, vendor.serve("/second", kept(WHOLE))))[1] == RECORDING
    assert vendor.connections == 2
    await fetcher.close()


async def test_another_name_or_port_has_a_connection_of_its_own(vendor: Vendor, spool: Spool) -> None:
    """Two names may share an address and not a certificate, nor an owner."""

    async def loopback(host: str) -> list[Address]:
        return [ip_address("127.0.0.1")]

    async with vendor_server() as other:
        hosts = [f"one.example:{vendor.port}", f"two.example:{vendor.port}", f"one.example:{other.port}"]
        fetcher = RecordingFetcher(hosts, LONG_LIMITS, lookup=loopback)
        for server in (vendor, other):
            server.serve("/", kept(WHOLE))
        for host in hosts * 2:
            await fetch(fetcher, spool, f"http://{host}/")
        assert (vendor.connections, other.connections) == (2, 1)
        assert [request.headers["host"] for request in vendor.requests] == hosts[:2] * 2
        await fetcher.close()


async def test_a_kept_connection_of_tls_is_that_of_its_name(spool: Spool, tmp_path: Path) -> None:
    async def loopback(host: str) -> list[Address]:
        return [ip_address("127.0.0.1")]

    server, client = contexts(tmp_path, "vendor.example")
    async with vendor_server(tls=server) as vendor:
        vendor.serve("/", kept(WHOLE))
        listed = [f"vendor.example:{vendor.port}", f"other.example:{vendor.port}"]
        fetcher = RecordingFetcher(listed, LONG_LIMITS, lookup=loopback, tls=client)
        for _ in range(2):
            await fetch(fetcher, spool, f"https://vendor.example:{vendor.port}/")
        assert vendor.connections == 1
        assert "certificate does not hold" in await refusal(fetcher, spool, f"https://other.example:{vendor.port}/")
        await fetcher.close()


async def test_a_kept_connection_is_used_only_while_its_name_leads_there(spool: Spool) -> None:
    """A name may lead to another address by now, and its old one to somebody else."""
    answers = [["127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.2"], ["127.0.0.1"]]
    reached: list[str] = []

    async def lookup(host: str) -> list[Address]:
        return [ip_address(address) for address in answers.pop(0)]

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        reached.append(writer.get_extra_info("sockname")[0])
        writer.write(WHOLE)

    async with vendor_server("0.0.0.0") as vendor:
        vendor.serve("/", answer)
        fetcher = RecordingFetcher([f"vendor.example:{vendor.port}"], LONG_LIMITS, lookup=lookup)
        for _ in range(4):
            await fetch(fetcher, spool, f"http://vendor.example:{vendor.port}/")
        assert reached == ["127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.1"]
        assert vendor.connections == 2
        await fetcher.close()


async def test_a_name_that_leads_inside_by_now_is_refused_although_a_connection_is_kept(vendor: Vendor, spool: Spool) -> None:
    with network() as net:
        net.routes = {PUBLIC: vendor.port}
        net.names["rebind.example"] = [[PUBLIC], ["127.0.0.1"], [PUBLIC, "10.0.0.1"]]
        fetcher = RecordingFetcher((), LONG_LIMITS)
        vendor.serve("/", kept(WHOLE))
        assert (await fetch(fetcher, spool, "http://rebind.example/"))[1] == RECORDING
        for _ in range(2):
            assert "not public" in await refusal(fetcher, spool, "http://rebind.example/")
        assert net.connected == [PUBLIC]
        assert len(vendor.requests) == 1
        await fetcher.close()


async def test_idle_connections_are_bounded_in_number_and_time(vendor: Vendor) -> None:
    async def opened(connections: HostConnections) -> IOStream:
        return await connections.connect(target, [ip_address("127.0.0.1")])

    tls = ssl.create_default_context()
    target = judge_url(vendor.url("/"), listed_hosts([vendor.host]))
    few = HostConnections(tls, 5.0, max_kept=2)
    streams = [await opened(few) for _ in range(3)]
    for stream in streams:
        few.keep(target, stream)
    assert [stream.closed() for stream in streams] == [True, False, False]
    assert few.take(target, [ip_address("127.0.0.2")]) is None
    assert few.take(target, [ip_address("127.0.0.1")]) is streams[2]
    assert few.kept == 1
    streams[2].close()
    few.close()
    assert (few.kept, streams[1].closed()) == (0, True)
    short = HostConnections(tls, 5.0, idle_s=0.01)
    short.keep(target, await opened(short))
    await eventually(lambda: short.kept == 0)
    closing = HostConnections(tls, 5.0)
    closing.keep(target, await opened(closing))
    await vendor.stop()
    await eventually(lambda: closing.kept == 0)
    await vendor.start()
