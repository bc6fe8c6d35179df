"""Fetches a recording from a URL that a vendor sent.

Guarantees, whatever the vendor's host does:

- The server connects only to addresses that `url_policy` allows, for every hop: it connects to the very addresses it checked.
- It sends no credential, cookie or referrer.
- The bytes, the time and the memory are bounded (`Limits`).

`RecordingFetcher.fetch` is for a request that waits: it tries again for some seconds, and fails with what the request is to be
answered. `RecordingFetcher.attempt` is one attempt; it fails with `FetchFailed`, which says whether another one may help.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final

from tornado.iostream import IOStream

from tether_rt.errors import BadRequest, FetchFailed
from tether_rt.recordings.fetch.connections import HostConnections
from tether_rt.recordings.fetch.credentials import Credentials
from tether_rt.recordings.fetch.failures import RETRY_AFTER_S, failed, of_status, too_large, too_slow
from tether_rt.recordings.fetch.fair_slots import FairSlots, SlotLimits
from tether_rt.recordings.fetch.limits import FILE_SLOTS, SLOTS, Limits
from tether_rt.recordings.fetch.resolver import Lookup, SystemResolver, is_own_address
from tether_rt.recordings.fetch.response import HostResponse
from tether_rt.recordings.fetch.url_policy import Address, Target, is_public, judge_url, listed_hosts, not_public, redirected
from tether_rt.recordings.spool import Received, Receiver
from tether_rt.runtime.backoff import Backoff

_PASSES_SOON: Final = frozenset({"recording_not_found", "recording_forbidden", "recording_unavailable"})
"""What is tried again while a request waits. A slow host or name server has taken most of that time already."""
_BETWEEN_TRIES: Final = Backoff(first_s=0.5, longest_s=2.0, jitter=0.3)
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_COMPRESSIONS: Final = frozenset({"gzip", "x-gzip", "compress", "x-compress", "deflate", "br", "zstd"})
"""Other words in `Content-Encoding`, such as `aws-chunked`, say nothing about the bytes."""


class RecordingFetcher:
    """Fetches recordings; one for the process."""

    def __init__(
        self,
        private_hosts: Iterable[str] = (),
        limits: Limits | None = None,
        observe: Callable[[FetchFailed], None] = lambda failure: None,
        *,
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
        slots: SlotLimits = SLOTS,
    ) -> None:
        """Take the operator's `host:port` pairs that are allowed although not public; raises `ConfigError` for a bad one.

        `observe` is called with the failure of each attempt. `lookup` resolves names, by default as the system does. `tls` is
        for an operator's own certificate authority.
        """
        self._listed = listed_hosts(private_hosts)
        self._limits = limits or Limits()
        self._observe = observe
        self._lookup = lookup or SystemResolver().lookup
        self._connections = HostConnections(tls or ssl.create_default_context(), self._limits.connect_s)
        self._file_slots = FairSlots(FILE_SLOTS)
        self.slots = FairSlots(slots)

    async def close(self) -> None:
        """Close kept connections; idempotent."""
        self._connections.close()

    def judge(self, url: str) -> None:
        """Raise `BadRequest` with the reason for a URL that is never fetched (`url_policy`); no name is looked up."""
        judge_url(url, self._listed)

    async def fetch(self, url: str, organization_id: str, receiver: Receiver) -> Received:
        """Fetch `url` into `receiver` and return it; try again while that may help, until `Limits.retry_s` are over.

        No slot is held between two attempts. Raises `BadRequest` with the reason when the URL is refused or its host does not
        deliver; `Unavailable` when the host will probably do so later, when the disk fails, or when too many fetches or
        look-ups are under way.
        """
        began_s = time.monotonic()
        tries = 0
        while True:
            try:
                return await self.attempt(url, organization_id, receiver)
            except FetchFailed as failure:
                tries += 1
                wait_s = max(_BETWEEN_TRIES.wait_s(tries), failure.retry_after_s or 0)
                is_worth_it = failure.may_get_better and failure.code in _PASSES_SOON
                if not is_worth_it or time.monotonic() - began_s + wait_s > self._limits.retry_s:
                    raise failure.answer(RETRY_AFTER_S) from failure
            await asyncio.sleep(wait_s)

    async def attempt(
        self, url: str, organization_id: str, receiver: Receiver, credentials: Credentials | None = None
    ) -> Received:
        """Fetch `url` once into `receiver` and return it; `credentials` go to the hosts that they are for, and no others.

        Raises `FetchFailed` for what lies with the URL or its host: see there whether another attempt may help. Raises
        `Unavailable` for what lies with this server: the disk fails, or too many fetches or look-ups are under way. After a
        `FetchFailed` the receiver is empty again and takes another attempt.
        """
        try:
            return await self._in_time(url, organization_id, receiver, credentials)
        except FetchFailed as failure:
            self._observe(failure)
            await receiver.restart()
            raise

    async def _in_time(self, url: str, organization_id: str, receiver: Receiver, credentials: Credentials | None) -> Received:
        try:
            async with asyncio.timeout(self._limits.total_s):
                return await self._follow(url, organization_id, receiver, credentials)
        except TimeoutError as error:
            raise too_slow() from error

    async def _follow(self, url: str, organization_id: str, receiver: Receiver, credentials: Credentials | None) -> Received:
        target = _authorized(self._judge(url), credentials)
        location = await self._get(target, organization_id, receiver)
        redirects = 0
        while location is not None:
            redirects += 1
            if redirects > self._limits.redirects:
                raise failed(f"more than {self._limits.redirects} redirects")
            try:
                target = _authorized(self._judge(location, target), credentials)
                location = await self._get(target, organization_id, receiver)
            except FetchFailed as failure:
                failure.args = (f"{failure} (after a redirect)",)
                raise
        return await receiver.finish()

    def _judge(self, url: str, redirecting: Target | None = None) -> Target:
        try:
            return judge_url(redirected(redirecting, url) if redirecting is not None else url, self._listed)
        except BadRequest as refusal:
            raise FetchFailed(str(refusal), "recording_address_refused", may_get_better=False) from refusal

    async def _get(self, target: Target, organization_id: str, receiver: Receiver) -> str | None:
        """Write what is at `target` to `receiver`, or return where its host redirects to.

        Each hop waits for a slot of its own: the limit of a host holds for those who are redirected to it, too.
        """
        async with self.slots.slot(organization_id, target.host):
            return await self._get_in_slot(target, organization_id, receiver)

    async def _get_in_slot(self, target: Target, organization_id: str, receiver: Receiver) -> str | None:
        addresses = await self._addresses(target)
        kept = self._connections.take(target, addresses)
        if kept is not None:
            response = self._response(kept, organization_id)
            try:
                return await self._exchange(response, kept, target, organization_id, receiver, is_kept=True)
            except FetchFailed:
                if not response.is_stale:  # a GET that was not answered may be sent again (RFC 9110 section 9.2.2)
                    raise
        stream = await self._connections.connect(target, addresses)
        return await self._exchange(self._response(stream, organization_id), stream, target, organization_id, receiver)

    def _response(self, stream: IOStream, organization_id: str) -> HostResponse:
        return HostResponse(stream, self._limits, lambda: self.slots.must_yield(organization_id))

    async def _exchange(
        self,
        response: HostResponse,
        stream: IOStream,
        target: Target,
        organization_id: str,
        receiver: Receiver,
        *,
        is_kept: bool = False,
    ) -> str | None:
        try:
            head = await response.head(target, is_kept=is_kept)
            headers = {name: value.decode("latin-1") for name, value in head.headers}
            if head.status_code in _REDIRECTS and b"location" in headers:
                return _utf8(headers[b"location"])
            self._require_recording(head.status_code, headers)
            receiver.expect(int(headers.get(b"content-length", 0)))
            await self._save(response, target, organization_id, receiver)
            return None
        finally:
            if response.end():
                self._connections.keep(target, stream)

    def _require_recording(self, status: int, headers: dict[bytes, str]) -> None:
        if status != 200:
            raise of_status(status, headers.get(b"retry-after", ""))
        encodings = re.split(r"[,\s]+", headers.get(b"content-encoding", "").lower())
        if not _COMPRESSIONS.isdisjoint(encodings):
            raise failed("its host sends it compressed, though asked not to")
        if int(headers.get(b"content-length", 0)) > self._limits.size_bytes:
            raise too_large(self._limits.size_bytes)

    async def _save(self, response: HostResponse, target: Target, organization_id: str, receiver: Receiver) -> None:
        async with AsyncExitStack() as file_slot:
            has_slot = False
            while piece := await response.piece():
                # Small pieces of a slow host are gathered, so that a thread is not started for each packet.
                is_kept = receiver.keep(piece)
                if receiver.size_bytes > self._limits.size_bytes:
                    raise too_large(self._limits.size_bytes)
                if is_kept:
                    continue
                response.is_writing = True
                if not has_slot:
                    await file_slot.enter_async_context(self._file_slots.slot(organization_id, target.host))
                    has_slot = True
                await receiver.flush()
                response.is_writing = False
        if not receiver.size_bytes:
            raise failed("its host sent nothing", may_get_better=True)

    async def _addresses(self, target: Target) -> list[Address]:
        if target.address is not None:
            addresses = [target.address]
        else:
            try:
                async with asyncio.timeout(self._limits.connect_s):
                    addresses = await self._lookup(target.host)
            except OSError as error:  # TimeoutError, too
                is_unknown = isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN
                raise failed(f"{target.host} was not found", may_get_better=not is_unknown) from error
        # One address that is not public is enough to refuse the name: an honest host publishes none.
        if not target.is_listed and not all(is_public(address) and not is_own_address(address) for address in addresses):
            raise FetchFailed(str(not_public()), "recording_address_refused", may_get_better=False)
        return addresses


def _authorized(target: Target, credentials: Credentials | None) -> Target:
    return replace(target, authorization=credentials.for_target(target)) if credentials is not None else target


def _utf8(header: str) -> str:
    """Return a header's text: it is read as Latin-1, but a location with other characters is UTF-8 in practice."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header
