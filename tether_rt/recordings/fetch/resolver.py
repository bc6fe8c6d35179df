"""Host names to addresses: looked up in the system, and held fixed for a connection.

`getaddrinfo` blocks for up to 30 s when a vendor's name servers do not answer. Each look-up therefore has a thread of its own,
not one of the pool that files and sign-in share, and their number is bounded. They are daemons: they do not keep the process
from ending.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Address, ip_address
from typing import Any, Final

from tornado.netutil import Resolver

from tether_rt.errors import Unavailable
from tether_rt.recordings.fetch.url_policy import Address

Lookup = Callable[[str], Awaitable[list[Address]]]
"""Resolves a host name; raises `OSError` when there is no such name, `Unavailable` when too many are being resolved."""

MAX_LOOKUPS: Final = 64
"""How many names are looked up at once."""


class SystemResolver:
    """Looks names up as the operating system does."""

    def __init__(self, max_lookups: int = MAX_LOOKUPS) -> None:
        self._slots = threading.BoundedSemaphore(max_lookups)
        self._under_way: dict[str, asyncio.Task[list[Address]]] = {}

    async def lookup(self, host: str) -> list[Address]:
        """Return the addresses of `host` in the order in which to try them (RFC 6724). Raises what `Lookup` says.

        Those who ask for a name while it is being looked up share the answer; nobody gets one from before.
        """
        task = self._under_way.get(host)
        if task is None:
            task = self._under_way[host] = asyncio.create_task(self._look_up(host))
            task.add_done_callback(partial(self._ended, host))
        return await asyncio.shield(task)

    def _ended(self, host: str, task: asyncio.Task[list[Address]]) -> None:
        del self._under_way[host]
        if not task.cancelled():
            task.exception()  # those who asked may have left

    async def _look_up(self, host: str) -> list[Address]:
        if not self._slots.acquire(blocking=False):
            raise _busy()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Address]] = loop.create_future()

        def resolve() -> None:
            try:
                result = _addresses(host)
            finally:
                self._slots.release()
            with suppress(RuntimeError):  # the event loop has been closed, so nobody waits
                loop.call_soon_threadsafe(_settle, answer, result)

        try:
            threading.Thread(target=resolve, name=f"tether-lookup-{host}", daemon=True).start()
        except RuntimeError as error:  # the process may start no more threads
            self._slots.release()
            raise _busy() from error
        return await answer


class FixedResolver(Resolver):
    """Gives `TCPClient` the addresses it was made with: it connects to what its resolver returns and to nothing else."""

    def initialize(self, addresses: list[Address]) -> None:
        self._addresses = addresses

    @classmethod
    def configurable_base(cls) -> type[Resolver]:
        return FixedResolver

    @classmethod
    def configurable_default(cls) -> type[Resolver]:
        return FixedResolver

    async def resolve(self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[tuple[int, Any]]:
        return [
            (socket.AF_INET, (str(address), port))
            if isinstance(address, IPv4Address)
            else (socket.AF_INET6, (str(address), port, 0, 0))
            for address in self._addresses
        ]


def is_own_address(address: Address) -> bool:
    """Whether `address` is one of this machine's, whose firewall would not stop us. (Connecting a UDP socket sends nothing.)"""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return bool(probe.getsockname()[0] == str(address))
    except OSError:
        return False


def _addresses(host: str) -> list[Address] | OSError:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(ip_address(sockaddr[0]) for *_, sockaddr in found))
    except OSError as error:
        return error
    except UnicodeError as error:
        return OSError(str(error))


def _settle(answer: asyncio.Future[list[Address]], result: list[Address] | OSError) -> None:
    if answer.done():
        return
    if isinstance(result, OSError):
        answer.set_exception(result)
    else:
        answer.set_result(result)


def _busy() -> Unavailable:
    return Unavailable("The server is busy with other recordings; send this one again shortly.", 5, limit="names")
