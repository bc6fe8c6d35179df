"""Where a recording's address leads: names, and what they are resolved to, judged when they are connected to."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

import pytest
from tornado.iostream import IOStream

from tests.recordings.fetch.fetching import CORPUS, LONG_LIMITS, RECORDING, fetch, refusal
from tests.support.vendor import Vendor, body, redirect
from tether_rt.recordings.fetch.fetcher import Limits, RecordingFetcher, _is_own
from tether_rt.recordings.fetch.resolver import lookup
from tether_rt.recordings.fetch.url_policy import Address, Target, judge_url
from tether_rt.recordings.spool import Spool

pytestmark = pytest.mark.usefixtures("no_vendor_makes_us_log_an_error")


async def test_there_is_no_such_name(spool: Spool) -> None:
    fetcher = RecordingFetcher(spool, limits=LONG_LIMITS)
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
        super().__init__(spool, limits=LONG_LIMITS, lookup=self.lookup_here)
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
    fetcher = RecordingFetcher(spool, limits=LONG_LIMITS)
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

    fetcher = RecordingFetcher(spool, [f"vendor.example:{vendor.port}"], LONG_LIMITS, lookup=two)
    vendor.serve("/", body(RECORDING))
    _, content = await fetch(fetcher, spool, f"http://vendor.example:{vendor.port}/")
    assert content == RECORDING
    assert vendor.requests[0].headers["host"] == f"vendor.example:{vendor.port}"


def test_this_machine_s_own_addresses_are_known() -> None:
    assert _is_own(ip_address("127.0.0.1"))
    assert not _is_own(ip_address("192.0.2.1"))
