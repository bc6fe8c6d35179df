"""Host names and the addresses they resolve to: checked for each connection, and never connected to unless public."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.attacks.network import PUBLIC, Network, network
from tests.recordings.fetch.fetching import CORPUS, LONG_LIMITS, RECORDING, fetch, refusal
from tests.support.vendor import Vendor, body, redirect
from tether_rt.recordings.fetch.fetcher import RecordingFetcher
from tether_rt.recordings.fetch.limits import Limits
from tether_rt.recordings.fetch.resolver import SystemResolver, is_own_address
from tether_rt.recordings.fetch.url_policy import Address
from tether_rt.recordings.spool import Spool

OTHER = "93.184.216.35"
pytestmark = pytest.mark.usefixtures("no_vendor_makes_us_log_an_error")


async def test_a_name_that_does_not_exist_is_reported(spool: Spool) -> None:
    fetcher = RecordingFetcher(limits=LONG_LIMITS)
    assert await refusal(fetcher, spool, "http://no.such.name.invalid/x") == (
        "recording could not be fetched: no.such.name.invalid was not found"
    )


async def test_a_name_server_that_hangs_is_given_up(spool: Spool) -> None:
    async def hanging(host: str) -> list[Address]:
        await asyncio.sleep(3600)
        return []

    fetcher = RecordingFetcher(limits=Limits(connect_s=0.1), lookup=hanging)
    assert "vendor.example was not found" in await refusal(fetcher, spool, "http://vendor.example/")


async def test_names_are_resolved_by_the_system() -> None:
    lookup = SystemResolver().lookup
    assert ip_address("127.0.0.1") in await lookup("localhost")
    with pytest.raises(OSError, match=r"\w"):
        await lookup("no.such.name.invalid")


LOOKUPS_WITHOUT_THREADS = """
import asyncio, resource, threading
from tether_rt.errors import Unavailable
from tether_rt.recordings.fetch.resolver import MAX_LOOKUPS, SystemResolver

async def main():
    lookup = SystemResolver().lookup
    # A thread whose stack does not fit into the address space cannot be started, like one past `ulimit -u`.
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, resource.RLIM_INFINITY))
    threading.stack_size(16 << 30)
    refused = 0
    for _ in range(MAX_LOOKUPS + 1):
        try:
            await lookup("localhost")
        except Unavailable:
            refused += 1
    threading.stack_size(0)
    print(refused == MAX_LOOKUPS + 1, bool(await lookup("localhost")))

asyncio.run(main())
"""


async def test_a_process_that_may_start_no_more_threads_looks_names_up_again_when_it_may() -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOOKUPS_WITHOUT_THREADS, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    output, _ = await program.communicate()
    assert output == b"True True\n"


@pytest.fixture
def net(vendor: Vendor) -> Iterator[Network]:
    """An internet whose two public addresses lead to the vendor's server."""
    with network() as net:
        net.routes = {PUBLIC: vendor.port, OTHER: vendor.port}
        yield net


async def test_dns_that_changes_its_answer_gains_nothing(vendor: Vendor, spool: Spool, net: Network) -> None:
    """A public address first and a private one later: each hop asks once, and connects to what that answer was."""
    net.names["rebind.example"] = [[PUBLIC], [OTHER], ["127.0.0.1"]]
    vendor.serve("/1", redirect("http://rebind.example/2"))
    vendor.serve("/2", redirect("http://rebind.example/3"))
    vendor.serve("/3", body(b"secret"))
    fetcher = RecordingFetcher(limits=LONG_LIMITS)
    assert "not public" in await refusal(fetcher, spool, "http://rebind.example/1")
    assert net.connected == [PUBLIC, OTHER]
    assert [request.target for request in vendor.requests] == ["/1", "/2"]


async def test_the_addresses_that_were_checked_are_the_ones_connected_to(vendor: Vendor, spool: Spool, net: Network) -> None:
    """Whatever the name resolves to by then."""
    net.names["vendor.example"] = [[PUBLIC], ["127.0.0.1"]]
    vendor.serve("/", body(RECORDING))
    _, content = await fetch(RecordingFetcher(limits=LONG_LIMITS), spool, "http://vendor.example/")
    assert content == RECORDING
    assert net.looked_up == ["vendor.example"]
    assert net.connected == [PUBLIC]


@pytest.mark.parametrize("kind", CORPUS["names"])
async def test_a_name_that_leads_to_what_is_not_public_is_never_connected_to(
    kind: str, vendor: Vendor, spool: Spool, net: Network
) -> None:
    net.names["vendor.example"] = [CORPUS["names"][kind]]
    fetcher = RecordingFetcher(limits=LONG_LIMITS)
    assert await refusal(fetcher, spool, "http://vendor.example/") == "recording points to an address that is not public"
    assert net.connected == []
    assert vendor.connections == 0


async def test_addresses_that_are_not_public_are_never_connected_to(vendor: Vendor, spool: Spool) -> None:
    """With nothing in between: the system's names, real sockets."""
    fetcher = RecordingFetcher(limits=LONG_LIMITS)
    for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "127.1", "0.0.0.0", "localhost."):
        assert await refusal(fetcher, spool, f"http://{host}:{vendor.port}/")
        assert await refusal(fetcher, spool, f"http://{host}/")
    assert vendor.connections == 0


async def test_the_next_address_is_tried_when_one_does_not_answer(vendor: Vendor, spool: Spool) -> None:
    async def two(host: str) -> list[Address]:
        return [ip_address("::1"), ip_address("127.0.0.1")]

    fetcher = RecordingFetcher([f"vendor.example:{vendor.port}"], LONG_LIMITS, lookup=two)
    vendor.serve("/", body(RECORDING))
    _, content = await fetch(fetcher, spool, f"http://vendor.example:{vendor.port}/")
    assert content == RECORDING
    assert vendor.requests[0].headers["host"] == f"vendor.example:{vendor.port}"


def test_this_machine_s_own_addresses_are_known() -> None:
    assert is_own_address(ip_address("127.0.0.1"))
    assert not is_own_address(ip_address("192.0.2.1"))
