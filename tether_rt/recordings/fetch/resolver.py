"""Names to addresses, in threads of their own.

`getaddrinfo` blocks for up to 30 s when a vendor's name servers are made to hang. Each look-up therefore has its own thread,
a bounded number of them, instead of one of the pool that files and sign-in share; as daemons, they keep no process from ending.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

from tether_rt.errors import Unavailable
from tether_rt.recordings.fetch.url_policy import Address

Lookup = Callable[[str], Awaitable[list[Address]]]
"""Resolves a host name; raises `OSError` when there is no such name, `Unavailable` when too many are being resolved."""

MAX_LOOKUPS: Final = 64

_running = threading.BoundedSemaphore(MAX_LOOKUPS)


async def lookup(host: str) -> list[Address]:
    """Return the addresses of `host` in the order in which to try them (RFC 6724). See `Lookup` for what is raised."""
    if not _running.acquire(blocking=False):
        raise Unavailable("The server is busy with other recordings; send this one again shortly.", 5, limit="names")
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Address]] = loop.create_future()

    def resolve() -> None:
        result: list[Address] | OSError
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            result = list(dict.fromkeys(ip_address(sockaddr[0]) for *_, sockaddr in found))
        except (OSError, UnicodeError) as error:
            result = error if isinstance(error, OSError) else OSError(str(error))
        finally:
            _running.release()
        with suppress(RuntimeError):  # The loop has ended, and who asked with it.
            loop.call_soon_threadsafe(settle, result)

    def settle(result: list[Address] | OSError) -> None:
        if not answer.done():
            if isinstance(result, OSError):
                answer.set_exception(result)
            else:
                answer.set_result(result)

    threading.Thread(target=resolve, name=f"tether-lookup-{host}", daemon=True).start()
    return await answer
