"""PUT of an object into an S3 store in one request, on connections that are kept: a sixth of what aioboto3 takes for it.

aioboto3 resolves the endpoint, serializes, signs and parses by its models of the whole of S3, for each request anew: more than
all the rest of a call. Here the request is written down, signed (`sigv4`) and sent with aiohttp, on which aioboto3 stands too.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from botocore.exceptions import ClientError
from yarl import URL

from tether_rt.recordings.sigv4 import Signer
from tether_rt.recordings.store import PIECE_BYTES
from tether_rt.runtime.backoff import Backoff

IDLE_S: Final = 12.0
"""An idle connection is closed after this time, before stores and what lies between close or forget it."""

_BETWEEN_TRIES: Final = Backoff(first_s=1.0, longest_s=1.0, jitter=1.0)
_PASSING_STATUSES: Final = frozenset({500, 502, 503, 504})
_PASSING_CODES: Final = frozenset({"SlowDown", "RequestTimeout"})
_WORDS_BYTES: Final = 64 * 1024
"""So much is read of an answer that is an error; the rest is not waited for."""
_WORD: Final = re.compile("<(Code|Message|Region)>([^<]{1,500})</")
_PORTS: Final = {"http": 80, "https": 443}


class S3Put:
    """Puts objects into one bucket. The caller limits how many at once, and for how long."""

    def __init__(
        self,
        endpoint_url: str,
        access_key_id: str,
        secret_access_key: str,
        bucket: str,
        connect_s: float,
        *,
        idle_s: float = IDLE_S,
    ) -> None:
        """Take the S3 endpoint without a slash at its end. `connect_s` is how long an attempt may take to connect."""
        parts = urlsplit(endpoint_url)
        port = parts.port
        self._host = parts.netloc if port != _PORTS.get(parts.scheme) else parts.netloc.removesuffix(f":{port}")
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._scheme = parts.scheme
        self._netloc = parts.netloc
        self._path = f"{parts.path}/{quote(bucket)}/"
        self._access_key_id = access_key_id
        self._secret_access_key = secret_access_key
        self._signer = Signer(access_key_id, secret_access_key, "auto")
        self._connect_s = connect_s
        self._idle_s = idle_s
        self._session: aiohttp.ClientSession

    @asynccontextmanager
    async def opened(self, ca_file: str | None) -> AsyncIterator[None]:
        """Keep connections until the block ends. `ca_file` has the certificate authorities to trust, by default the system's.

        A proxy is used if the environment names one.
        """
        proxy = None if proxy_bypass(self._netloc) else getproxies().get(self._scheme)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=self._idle_s,
                ssl=ssl.create_default_context(cafile=ca_file) if self._scheme == "https" else True,
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_s),
            headers={"User-Agent": "tether-rt", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            proxy=proxy if proxy is None or "://" in proxy else f"http://{proxy}",
        ) as self._session:
            yield

    async def put(self, key: str, source: bytes | Path, size_bytes: int, content_type: str, content_md5: str) -> None:
        """Store bytes or a file under `key`; try once more what may pass.

        Raises botocore's `ClientError` with what the store answered, `aiohttp.ClientError`, or `OSError`.
        """
        path = self._path + quote(key, safe="/~")
        url = URL(self._origin + path, encoded=True)
        headers = {"content-md5": content_md5, "content-type": content_type, "host": self._host}
        try:
            await self._send(url, path, headers, source, size_bytes)
        except (ClientError, aiohttp.ClientError, OSError) as error:
            if (region := _other_region(error)) is not None:
                self._signer = Signer(self._access_key_id, self._secret_access_key, region)
            elif _may_pass(error):
                await asyncio.sleep(_BETWEEN_TRIES.wait_s(1))
            else:
                raise
            await self._send(url, path, headers, source, size_bytes)

    async def _send(self, url: URL, path: str, headers: dict[str, str], source: bytes | Path, size_bytes: int) -> None:
        signed = self._signer.signed("PUT", path, headers, time.time())
        signed["content-length"] = str(size_bytes)
        data = source if isinstance(source, bytes) and size_bytes <= PIECE_BYTES else _pieces(source, size_bytes)
        async with self._session.put(url, headers=signed, data=data, allow_redirects=False) as answer:
            if answer.status != 200:
                raise await _refusal(answer)


def _other_region(error: Exception) -> str | None:
    """Return the region for which a store wants its requests to be signed: others than R2 may insist on their own."""
    if not isinstance(error, ClientError) or error.response["Error"].get("Code") != "AuthorizationHeaderMalformed":
        return None
    region: str | None = error.response["Error"].get("Region")
    return region


def _may_pass(error: Exception) -> bool:
    """Return whether another attempt may succeed, as botocore's mode "standard" sees it."""
    if not isinstance(error, ClientError):
        return True
    response = error.response
    return (
        response["ResponseMetadata"]["HTTPStatusCode"] in _PASSING_STATUSES or response["Error"].get("Code") in _PASSING_CODES
    )


async def _refusal(answer: aiohttp.ClientResponse) -> ClientError:
    """Return the error that a store answered (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)."""
    text = bytearray()
    while len(text) < _WORDS_BYTES and (piece := await answer.content.read(_WORDS_BYTES)):
        text += piece
    words = dict(_WORD.findall(text.decode(errors="replace")))
    return ClientError({"Error": words, "ResponseMetadata": {"HTTPStatusCode": answer.status}}, "PutObject")


async def _pieces(source: bytes | Path, size_bytes: int) -> AsyncIterator[bytes]:
    # It ends with the last byte: aiohttp closes a connection that answers before the body's end is known.
    for start in range(0, size_bytes, PIECE_BYTES):
        if isinstance(source, bytes):
            yield source[start : start + PIECE_BYTES]
        else:
            yield await asyncio.to_thread(_read, source, start)


def _read(file: Path, start: int) -> bytes:
    # Opened for each piece, so that an upload that is cancelled leaves nothing open.
    with file.open("rb") as opened:
        opened.seek(start)
        return opened.read(PIECE_BYTES)
