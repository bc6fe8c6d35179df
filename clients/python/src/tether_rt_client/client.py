"""One server: calls in, events out."""

from __future__ import annotations

import asyncio
import io
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp

from . import sending
from .errors import GaveUp
from .feed import Feed
from .retries import DEFAULT, Retries, may_pass, retry_after_s

INGEST_PATH: Final = "/api/calls/ingest"
_VALIDATE_PATH: Final = "/api/calls/validate"
_CONNECT_S: Final = 10.0
_HANDSHAKE_S: Final = 30.0
_CLOSE_S: Final = 1.0
"""How long a WebSocket waits for the other side to close, too."""
_LOG: Final = logging.getLogger("tether_rt_client")


def _log_retry(reason: str, wait_s: float) -> None:
    _LOG.warning("%s; trying again in %.1f s", reason, wait_s)


class Client:
    """Sends with `api_key` (`tk_live_…`), follows with `token` (`tr_live_…`, or a session). Use it as `async with Client(…)`.

    It may be used by many tasks at once.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        token: str | None = None,
        retries: Retries = DEFAULT,
        on_retry: Callable[[str, float], None] = _log_retry,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        """`url` is the server's address, with the path if it has one: `https://host/tether`.

        `on_retry` is told why something is tried again, and in how many seconds; by default it goes to the log
        `tether_rt_client`. A `session` of your own (proxies, certificates) stays open. Raises `ValueError`.
        """
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"url must begin with http:// or https://, not {url!r}")
        if "@" in url:  # not shown: what stands before it is a password
            raise ValueError("url must have no user and no password in it")
        if not _is_address(url):
            raise ValueError(f"url must be an address such as https://host/tether, not {url!r}")
        for name, secret in (("api_key", api_key), ("token", token)):
            if secret is not None and not (secret and secret.isascii() and secret.isprintable() and " " not in secret):
                raise ValueError(f"{name} must be one word, such as t{'k' if name == 'api_key' else 'r'}_live_…")
        self.url = url.rstrip("/")
        self._api_key = api_key
        self._token = token
        self._retries = retries
        self._on_retry = on_retry
        self._given = session
        self._session = session

    async def __aenter__(self) -> Self:
        if self._session is None:
            # How many calls are sent at a time is the caller's choice.
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None and self._session is not self._given:
            await self._session.close()
            self._session = None

    async def send(self, call: Mapping[str, Any], recording: sending.Recording | None = None) -> sending.Sent:
        """Send a call until it is stored, once, or refused.

        `call` has the fields of the contract, `externalCallId` among them; a `datetime` is sent as text. `recording` is a file,
        audio, or an address, and replaces the call's own. Raises `MissingExternalCallId`, `Refused`, and `GaveUp` after
        `Retries.give_up_s`.
        """
        return sending.sent(await self._post(INGEST_PATH, await _encoded(call, recording), "callId"))

    async def send_encoded(self, body: bytes) -> sending.Sent:
        """Send a call that is JSON already. It is stored twice if it has no `externalCallId` and an answer is lost."""
        return sending.sent(await self._post(INGEST_PATH, body, "callId"))

    async def validate(self, call: Mapping[str, Any], recording: sending.Recording | None = None) -> sending.Verdict:
        """Say what would become of a call; nothing is stored. Raises `Refused` for the key alone, and as `send` does."""
        return sending.verdict(await self._post(_VALIDATE_PATH, await _encoded(call, recording), "verdict"))

    def follow(self, after: str | None = None) -> Feed:
        """Follow the organization's events behind a position, without a gap and without a repeat: `async for item in …`.

        Without a position it begins now; `"0"` begins with the first event that is kept. Each item is an `Event`, or a `Resync`
        where events cannot be had. Store the item's `position` with what you do about it, and go on there.
        """
        token = _needed(self._token, "token")
        return Feed(lambda position: self._connect(token, position), after, self._retries, self._on_retry)

    async def _post(self, path: str, body: bytes, wanted: str) -> dict[str, Any]:
        """Return the answer, which has the field `wanted`; raises `Refused` and `GaveUp`."""
        headers = {"Authorization": f"Bearer {_needed(self._api_key, 'api_key')}", "Content-Type": "application/json"}
        began_s = time.monotonic()
        failures = server_errors = 0
        while True:
            refused, asked_s = None, 0.0
            left_s = max(1.0, self._retries.give_up_s - (time.monotonic() - began_s))
            timeout = aiohttp.ClientTimeout(total=min(self._retries.attempt_s, left_s), sock_connect=_CONNECT_S)
            try:
                async with self._http.post(
                    self.url + path, data=io.BytesIO(body), headers=headers, timeout=timeout, allow_redirects=False
                ) as response:
                    answer = sending.body_of(await response.read())
                is_success = response.status < 300
                if is_success and answer.get("success") is True and wanted in answer:
                    return answer
                refused = sending.refused(response.status, answer, response.headers.get("X-Request-Id"))
                # A 200 that is not the server's is a page of something in between, which goes away again.
                if not is_success and not may_pass(response.status):
                    raise refused
                reason, asked_s = f"the server answered {refused}", retry_after_s(response.headers)
                server_errors += response.status == 500
            except TimeoutError:
                reason = "the server did not answer in time"
            except (aiohttp.ClientError, OSError) as error:
                reason = str(error) or type(error).__name__
            failures += 1
            wait_s = self._retries.wait_s(failures, asked_s)
            after_s = time.monotonic() - began_s
            if after_s + wait_s > self._retries.give_up_s or server_errors == self._retries.server_errors:
                raise GaveUp(reason, after_s, refused)
            self._on_retry(reason, wait_s)
            await asyncio.sleep(wait_s)

    @asynccontextmanager
    async def _connect(self, token: str, after: str | None) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        async with asyncio.timeout(_HANDSHAKE_S):
            socket = await self._http.ws_connect(
                f"{self.url}/ws",
                params={} if after is None else {"after": after},
                headers={"Authorization": f"Bearer {token}"},
                protocols=("tether.v1",),
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
                autoping=False,
            )
        async with socket:
            yield socket

    @property
    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("use it as `async with Client(…) as client`")
        return self._session


def send(
    url: str,
    call: Mapping[str, Any],
    *,
    api_key: str,
    recording: sending.Recording | None = None,
    retries: Retries = DEFAULT,
) -> sending.Sent:
    """Send one call, for scripts without an event loop: as `Client.send`."""

    async def run() -> sending.Sent:
        async with Client(url, api_key=api_key, retries=retries) as client:
            return await client.send(call, recording)

    return asyncio.run(run())


def _is_address(url: str) -> bool:
    """Say if paths can be appended to it."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:
        return False


async def _encoded(call: Mapping[str, Any], recording: sending.Recording | None) -> bytes:
    if recording is None or isinstance(recording, str):
        return sending.encoded(call, recording)
    return await asyncio.to_thread(sending.encoded, call, recording)  # it reads a file, or megabytes


def _needed(secret: str | None, name: str) -> str:
    if secret is None:
        raise ValueError(f"this needs {name}: Client(url, {name}=…)")
    return secret
