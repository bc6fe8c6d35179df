"""Fetching a recording from where a vendor says it is, into a spool file.

Guarantees, whatever the vendor's host does: only addresses that `guard` lets pass are connected to, for every hop and at the
moment of connecting, because the very addresses that were judged are the ones connected to; nothing of ours is sent (no
credential, cookie or referrer); no more bytes are taken than allowed, no longer than allowed, and hardly any are in memory.
What the vendor can mend is `BadRequest`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import sys
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Final

from tornado.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine
from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError
from tornado.netutil import Resolver
from tornado.tcpclient import TCPClient
from tornado.util import TimeoutError as TornadoTimeoutError

from tether_rt.errors import BadRequest, TetherError
from tether_rt.recordings.fetch.resolver import Lookup, lookup
from tether_rt.recordings.fetch.slots import KeyedSemaphore
from tether_rt.recordings.fetch.url_policy import Address, Target, is_public, judge_url, listed_hosts, not_public, redirected
from tether_rt.recordings.spool import Spool, SpooledFile, SpoolWriter
from tether_rt.recordings.store import PIECE_BYTES


@dataclass(frozen=True, slots=True)
class Limits:
    """What a vendor's host may take of ours. Each bound ends in a 400 that says which one it was."""

    size_bytes: int = 200 * 1024 * 1024
    redirects: int = 3
    connect_s: float = 5.0
    """For finding the address, the TCP connection and TLS together, per hop."""
    headers_s: float = 10.0
    """From the request to the end of the answer's headers, per hop."""
    total_s: float = 120.0
    """For everything, redirects included."""
    window_s: float = 10.0
    window_bytes: int = 80 * 1000
    """At least this many bytes must arrive in every `window_s`: 8 kB/s, the rate of a telephone line."""
    header_bytes: int = 32 * 1024


# Places for fetches: each holds a socket, a file and about 1 MiB. A vendor's share leaves room for the others.
_FETCHES: Final = 32
_FETCHES_EACH: Final = 8
_WAIT_S: Final = 10.0
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class RecordingFetcher:
    """Fetches recordings; one for the process."""

    def __init__(
        self,
        spool: Spool,
        private_hosts: Iterable[str] = (),
        limits: Limits | None = None,
        *,
        lookup: Lookup = lookup,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Take the operator's `host:port` pairs that may be reached although not public; raises `ConfigError` for a bad one.

        `tls` is for an operator's own certificate authority; by default the system's are trusted.
        """
        self._spool = spool
        self._listed = listed_hosts(private_hosts)
        self._limits = limits or Limits()
        self._lookup = lookup
        self._tls = tls or ssl.create_default_context()
        self._slots = KeyedSemaphore(_FETCHES, _FETCHES_EACH, _WAIT_S)

    async def fetch(self, url: str, organization_id: str, writer: SpoolWriter) -> SpooledFile:
        """Fetch `url` into `writer`'s file and return it.

        Raises `BadRequest` with the reason when the URL is refused or its host does not deliver, `Unavailable` when the disk
        or the number of fetches is at its limit.
        """
        async with self._slots.slot(organization_id):
            try:
                async with asyncio.timeout(self._limits.total_s):
                    return await self._follow(url, writer)
            except TimeoutError as error:
                raise _too_slow() from error

    async def _follow(self, url: str, writer: SpoolWriter) -> SpooledFile:
        target = judge_url(url, self._listed)
        answer = await self._get(target, writer)
        redirects = 0
        while answer.location is not None:
            redirects += 1
            if redirects > self._limits.redirects:
                raise BadRequest(f"recording could not be fetched: more than {self._limits.redirects} redirects")
            try:
                target = judge_url(redirected(target, answer.location), self._listed)
                answer = await self._get(target, writer)
            except BadRequest as error:
                raise BadRequest(f"{error} (after a redirect)") from error
        return await self._spool.run(writer.finish)

    async def _get(self, target: Target, writer: SpoolWriter) -> _Answer:
        stream = await self._connect(target, await self._addresses(target))
        answer = _Answer(stream, writer, self._spool, self._limits)
        connection = HTTP1Connection(
            stream,
            is_client=True,
            params=HTTP1ConnectionParameters(
                no_keep_alive=True,
                chunk_size=PIECE_BYTES,
                max_header_size=self._limits.header_bytes,
                # `_Answer` bounds the size: it can say so.
                max_body_size=sys.maxsize,
            ),
        )
        headers = HTTPHeaders(
            {
                "Host": target.host_header,
                "User-Agent": "tether-rt",
                "Accept": "audio/*, */*;q=0.5",
                # A compressed answer could be a gigabyte in a megabyte; audio is compressed already.
                "Accept-Encoding": "identity",
                "Connection": "close",
            }
        )
        # A task of its own, ended by closing the stream and never cancelled: HTTP1Connection takes a CancelledError that
        # arrives while the delegate works for the delegate's failure, logs it and swallows it.
        reading = asyncio.ensure_future(_exchange(connection, target, headers, answer))
        try:
            await self._watch(reading, answer)
        finally:
            stream.close()
            await asyncio.wait({reading})
        if error := reading.exception():
            raise error
        answer.judge()
        return answer

    async def _watch(self, reading: asyncio.Future[None], answer: _Answer) -> None:
        """Wait for the answer; stop it when it does not come on."""
        await asyncio.wait({reading, answer.began}, timeout=self._limits.headers_s, return_when=asyncio.FIRST_COMPLETED)
        if not answer.began.done() and not reading.done():
            answer.stop(BadRequest("recording could not be fetched: its host did not answer in time"))
        arrived = answer.size_bytes
        while not reading.done():
            await asyncio.wait({reading}, timeout=self._limits.window_s)
            # While our own disk is what is waited for, the host is not to blame.
            if not answer.is_writing and not reading.done() and answer.size_bytes - arrived < self._limits.window_bytes:
                answer.stop(_too_slow())
            arrived = answer.size_bytes

    async def _addresses(self, target: Target) -> list[Address]:
        if target.address is not None:
            addresses = [target.address]
        else:
            try:
                async with asyncio.timeout(self._limits.connect_s):
                    addresses = await self._lookup(target.host)
            except OSError as error:
                raise BadRequest(f"recording could not be fetched: {target.host} was not found") from error
        # One address that is not public spoils the name: an honest host publishes none.
        if not target.is_listed and not all(is_public(address) and not _is_own(address) for address in addresses):
            raise not_public()
        return addresses

    async def _connect(self, target: Target, addresses: list[Address]) -> IOStream:
        client = TCPClient(resolver=_Judged(addresses))
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


class _Judged(Resolver):
    """Gives `TCPClient`, which connects to what its resolver returns and to nothing else, the addresses that were judged."""

    def initialize(self, addresses: list[Address]) -> None:
        self._addresses = addresses

    @classmethod
    def configurable_base(cls) -> type[Resolver]:
        return _Judged

    @classmethod
    def configurable_default(cls) -> type[Resolver]:
        return _Judged

    def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> Awaitable[list[tuple[int, Any]]]:
        answer: asyncio.Future[list[tuple[int, Any]]] = asyncio.get_running_loop().create_future()
        answer.set_result(
            [
                (socket.AF_INET, (str(address), port))
                if isinstance(address, IPv4Address)
                else (socket.AF_INET6, (str(address), port, 0, 0))
                for address in self._addresses
            ]
        )
        return answer


class _Answer(HTTPMessageDelegate):
    """One answer on its way into the spool. Its methods do not raise: `HTTP1Connection` takes that for a programming error."""

    def __init__(self, stream: IOStream, writer: SpoolWriter, spool: Spool, limits: Limits) -> None:
        self.status: int | None = None
        self.began: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.location: str | None = None
        self.size_bytes = 0
        self.is_writing = False
        self._stream = stream
        self._writer = writer
        self._spool = spool
        self._limits = limits
        self._has_length = False
        self._is_complete = False
        self._failure: TetherError | None = None
        # Small reads of a slow host are gathered, so that a thread is not woken for each packet.
        self._pending = bytearray()

    def stop(self, failure: TetherError | None = None) -> None:
        """End the exchange; the first failure stands."""
        self._failure = self._failure or failure
        self._stream.close()

    def judge(self) -> None:
        """After the exchange: return when it brought a redirect or a whole recording, raise the reason otherwise."""
        if self._failure is not None:
            raise self._failure
        if self.status is None:
            raise BadRequest("recording could not be fetched: its host's answer is not HTTP")
        if self.location is not None:
            return
        # A body that only the end of the connection ends is whole when that end is an orderly one (RFC 9112 section 8).
        if not self._is_complete or (not self._has_length and self._stream.error is not None):
            raise BadRequest("recording could not be fetched: its host broke off before the end")
        if not self.size_bytes:
            raise BadRequest("recording could not be fetched: its host sent nothing")

    async def headers_received(self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders) -> None:
        if not isinstance(start_line, ResponseStartLine) or 100 <= start_line.code < 200:
            return
        self.status = start_line.code
        self.began.set_result(None)
        if self.status in _REDIRECTS and "Location" in headers:
            self.location = _utf8(headers["Location"])
            self.stop()
        elif self.status != 200:
            self.stop(BadRequest(f"recording could not be fetched: its host answered {self.status}"))
        elif headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            self.stop(BadRequest("recording could not be fetched: its host sends it compressed, though asked not to"))
        else:
            length = headers.get("Content-Length", "")
            self._has_length = bool(length) or "Transfer-Encoding" in headers
            if re.fullmatch("[0-9]+", length) and (len(length) > 15 or int(length) > self._limits.size_bytes):
                self.stop(self._too_large())

    async def data_received(self, chunk: bytes) -> None:
        self.size_bytes += len(chunk)
        if self.size_bytes > self._limits.size_bytes:
            self.stop(self._too_large())
            return
        self._pending += chunk
        if len(self._pending) >= PIECE_BYTES:
            await self.flush()

    def finish(self) -> None:
        self._is_complete = True

    def on_connection_close(self) -> None:
        """Nothing to do: `judge` finds that `finish` was not called."""

    async def flush(self) -> None:
        """Write what was gathered; the host's next bytes are not read before that is done."""
        data = bytes(self._pending)
        self._pending.clear()
        self.is_writing = True
        try:
            await self._spool.run(self._writer.write, data)
        except TetherError as failure:
            self.stop(failure)
        finally:
            self.is_writing = False

    def _too_large(self) -> BadRequest:
        return BadRequest(f"recording is larger than {self._limits.size_bytes >> 20} MB")


async def _exchange(connection: HTTP1Connection, target: Target, headers: HTTPHeaders, answer: _Answer) -> None:
    with contextlib.suppress(StreamClosedError, UnsatisfiableReadError):
        connection.write_headers(RequestStartLine("GET", target.path, ""), headers)
        connection.finish()
        await connection.read_response(answer)
    await answer.flush()


def _is_own(address: Address) -> bool:
    """Whether `address` is this machine's: its firewall would not see us coming. (A UDP connect sends nothing.)"""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return bool(probe.getsockname()[0] == str(address))
    except OSError:
        return False


def _utf8(header: str) -> str:
    """Tornado reads headers as Latin-1; a location with other characters is UTF-8 in practice."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def _too_slow() -> BadRequest:
    return BadRequest("recording could not be fetched: its host sends it too slowly")
