"""Fetches a recording from a URL that a vendor sent, into a spool file.

Guarantees, whatever the vendor's host does:

- The server connects only to addresses that `url_policy` allows, for every hop: it connects to the very addresses it checked.
- It sends no credential, cookie or referrer.
- The bytes, the time and the memory are bounded (`Limits`).

What the vendor can mend is `BadRequest`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tornado.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from tornado.httputil import HTTPHeaders, RequestStartLine
from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError
from tornado.tcpclient import TCPClient
from tornado.util import TimeoutError as TornadoTimeoutError

from tether_rt.errors import BadRequest
from tether_rt.recordings.fetch.resolver import FixedResolver, Lookup, SystemResolver, is_own_address
from tether_rt.recordings.fetch.response import SpooledResponse
from tether_rt.recordings.fetch.slots import KeyedSemaphore
from tether_rt.recordings.fetch.url_policy import Address, Target, is_public, judge_url, listed_hosts, not_public, redirected
from tether_rt.recordings.spool import Spool, SpooledFile, SpoolWriter
from tether_rt.recordings.store import PIECE_BYTES


@dataclass(frozen=True, slots=True)
class Limits:
    """What a vendor's host may take of this server. Past each limit the answer is a 400 that says which one it was."""

    size_bytes: int = 200 * 1024 * 1024
    redirects: int = 3
    connect_s: float = 5.0
    """For looking up the name, and again for the TCP connection and TLS together, per hop."""
    headers_s: float = 10.0
    """From the request to the end of the response's headers, per hop."""
    total_s: float = 120.0
    """For everything, redirects included."""
    window_s: float = 10.0
    window_bytes: int = 80 * 1000
    """At least this many bytes must arrive in every `window_s`: 8 kB/s, the rate of a telephone line."""
    header_bytes: int = 32 * 1024


MAX_FETCHES: Final = 32
"""Fetches at once: each holds a socket, a file and about 1 MiB."""
MAX_FETCHES_PER_ORGANIZATION: Final = 8
WAIT_S: Final = 10.0
"""How long a fetch waits for a slot, first of its organization's and then of all."""


class RecordingFetcher:
    """Fetches recordings; one for the process."""

    def __init__(
        self,
        spool: Spool,
        private_hosts: Iterable[str] = (),
        limits: Limits | None = None,
        *,
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Take the operator's `host:port` pairs that are allowed although not public; raises `ConfigError` for a bad one.

        `lookup` resolves names, by default as the system does; `tls` is for an operator's own certificate authority.
        """
        self._spool = spool
        self._listed = listed_hosts(private_hosts)
        self._limits = limits or Limits()
        self._lookup = lookup or SystemResolver().lookup
        self._tls = tls or ssl.create_default_context()
        self._slots = KeyedSemaphore(MAX_FETCHES, MAX_FETCHES_PER_ORGANIZATION, WAIT_S)

    async def fetch(self, url: str, organization_id: str, writer: SpoolWriter) -> SpooledFile:
        """Fetch `url` into `writer`'s file and return it.

        Raises `BadRequest` with the reason when the URL is refused or its host does not deliver; `Unavailable` when the disk
        fails, or too many fetches or look-ups are under way.
        """
        async with self._slots.slot(organization_id):
            try:
                async with asyncio.timeout(self._limits.total_s):
                    return await self._follow(url, writer)
            except TimeoutError as error:
                raise _too_slow() from error

    async def _follow(self, url: str, writer: SpoolWriter) -> SpooledFile:
        target = judge_url(url, self._listed)
        response = await self._get(target, writer)
        redirects = 0
        while response.location is not None:
            redirects += 1
            if redirects > self._limits.redirects:
                raise BadRequest(f"recording could not be fetched: more than {self._limits.redirects} redirects")
            try:
                target = judge_url(redirected(target, response.location), self._listed)
                response = await self._get(target, writer)
            except BadRequest as error:
                raise BadRequest(f"{error} (after a redirect)") from error
        return await self._spool.run(writer.finish)

    async def _get(self, target: Target, writer: SpoolWriter) -> SpooledResponse:
        stream = await self._connect(target, await self._addresses(target))
        response = SpooledResponse(stream, writer, self._spool, self._limits.size_bytes)
        connection = HTTP1Connection(
            stream,
            is_client=True,
            params=HTTP1ConnectionParameters(
                no_keep_alive=True,
                chunk_size=PIECE_BYTES,
                max_header_size=self._limits.header_bytes,
                # `SpooledResponse` limits the size: it can tell the vendor.
                max_body_size=sys.maxsize,
            ),
        )
        headers = HTTPHeaders(
            {
                "Host": target.host_header,
                "User-Agent": "tether-rt",
                "Accept": "audio/*, */*;q=0.5",
                # A compressed response could be a gigabyte in a megabyte; audio is compressed already.
                "Accept-Encoding": "identity",
                "Connection": "close",
            }
        )
        # A task of its own, which is ended by closing the stream and never cancelled: HTTP1Connection takes a CancelledError
        # that arrives while the delegate works for a failure of the delegate, logs it and swallows it.
        exchange = asyncio.ensure_future(_exchange(connection, target, headers, response))
        try:
            await self._watch(exchange, response)
        finally:
            stream.close()
            await asyncio.wait({exchange})
        if error := exchange.exception():
            raise error
        response.judge()
        return response

    async def _watch(self, exchange: asyncio.Future[None], response: SpooledResponse) -> None:
        """Wait for the end of the exchange; stop it when the host is too slow."""
        headers = response.headers_arrived
        await asyncio.wait({exchange, headers}, timeout=self._limits.headers_s, return_when=asyncio.FIRST_COMPLETED)
        if not headers.done() and not exchange.done():
            response.stop(BadRequest("recording could not be fetched: its host did not answer in time"))
        arrived = response.size_bytes
        while not exchange.done():
            await asyncio.wait({exchange}, timeout=self._limits.window_s)
            # While our own disk is waited for, the host is not to blame.
            if not response.is_writing and not exchange.done() and response.size_bytes - arrived < self._limits.window_bytes:
                response.stop(_too_slow())
            arrived = response.size_bytes

    async def _addresses(self, target: Target) -> list[Address]:
        if target.address is not None:
            addresses = [target.address]
        else:
            try:
                async with asyncio.timeout(self._limits.connect_s):
                    addresses = await self._lookup(target.host)
            except OSError as error:
                raise BadRequest(f"recording could not be fetched: {target.host} was not found") from error
        # One address that is not public is enough to refuse the name: an honest host publishes none.
        if not target.is_listed and not all(is_public(address) and not is_own_address(address) for address in addresses):
            raise not_public()
        return addresses

    async def _connect(self, target: Target, addresses: list[Address]) -> IOStream:
        client = TCPClient(resolver=FixedResolver(addresses))
        try:
            return await client.connect(
                target.host,
                target.port,
                ssl_options=self._tls if target.scheme == "https" else None,
                max_buffer_size=4 * PIECE_BYTES,
                timeout=self._limits.connect_s,
            )
        except ssl.SSLCertVerificationError as error:
            raise BadRequest("recording could not be fetched: its host's certificate does not hold") from error
        except ssl.SSLError as error:
            raise BadRequest("recording could not be fetched: its host does not speak HTTPS there") from error
        except TornadoTimeoutError as error:
            raise BadRequest("recording could not be fetched: its host did not answer in time") from error
        except OSError as error:
            raise BadRequest("recording could not be fetched: its host refuses the connection or is not reachable") from error
        finally:
            client.close()


async def _exchange(connection: HTTP1Connection, target: Target, headers: HTTPHeaders, response: SpooledResponse) -> None:
    with contextlib.suppress(StreamClosedError, UnsatisfiableReadError):
        connection.write_headers(RequestStartLine("GET", target.path, ""), headers)
        connection.finish()
        await connection.read_response(response)
    await response.flush()


def _too_slow() -> BadRequest:
    return BadRequest("recording could not be fetched: its host sends it too slowly")
