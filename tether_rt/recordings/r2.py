"""Recordings in Cloudflare R2, or another store that speaks S3.

An object that goes up in one request is put by `s3_put`; aioboto3 does everything else. Whether R2 is away, slow, failing or
denies access, every request to it ends within a deadline, and the caller gets one sentence that says which. The store's own
words are logged, without credentials.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import os
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

import aioboto3
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from aiohttp import ClientConnectionError, ClientSSLError, ServerDisconnectedError
from aiohttp import ClientError as TransportError
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from botocore.httpsession import get_cert_path

from tether_rt.errors import NotFound, TetherError, Unavailable
from tether_rt.recordings.growing_file import GrowingFile
from tether_rt.recordings.s3_put import S3Put
from tether_rt.recordings.store import PIECE_BYTES, check_key
from tether_rt.runtime.logs import log

_LOG: Final = logging.getLogger("tether.recordings")

PART_BYTES: Final = 8 * 1024 * 1024
"""A larger file is uploaded in parts of this size: R2 requires equal parts, S3 at least 5 MiB."""

CALL_S: Final = 4.0
"""How long one request to the store may take, connecting and one retry included, on top of the time for its bytes."""

SLOWEST_BYTES_S: Final = 1024 * 1024
"""A slower upload is given up."""

CONNECTIONS: Final = 64
"""How many requests to the store are made at once."""
WAIT_S: Final = 10.0
"""How long a request waits for one of the connections; the time does not count against `CALL_S`."""

_ASSEMBLE_S: Final = 20.0
_CONNECT_S: Final = 1.5
_CHECKED_FOR_S: Final = 5.0
# Hashing this much takes the event loop about 0.1 ms; more is left to a thread.
_INLINE_BYTES: Final = 64 * 1024


class R2Store:
    """A `RecordingStore` in one bucket."""

    def __init__(
        self,
        endpoint_url: str,
        access_key_id: str,
        secret_access_key: str,
        bucket: str,
        *,
        part_bytes: int = PART_BYTES,
        call_s: float = CALL_S,
        connections: int = CONNECTIONS,
        wait_s: float = WAIT_S,
    ) -> None:
        """Take the S3 endpoint (`https://{account}.r2.cloudflarestorage.com`) and a key that may read and write `bucket`."""
        self._endpoint_url = endpoint_url.rstrip("/")
        self._access_key_id = access_key_id
        self._secret_access_key = secret_access_key
        self._bucket = bucket
        self._part_bytes = part_bytes
        self._call_s = call_s
        self._connections = connections
        self._wait_s = wait_s
        self._free_connections = asyncio.Semaphore(connections)
        self._open = AsyncExitStack()
        self._client: Any = None
        self._puts = S3Put(self._endpoint_url, access_key_id, secret_access_key, bucket, _CONNECT_S)
        # The failure that the last `check` found, and until when (monotonic seconds) further checks return it.
        self._check_failure: Unavailable | None = None
        self._checked_until_s = 0.0
        self._checking = asyncio.Lock()

    @property
    def origin(self) -> str:
        """The origin of presigned URLs: the dashboard's Content-Security-Policy must allow it as a media source."""
        parts = urlsplit(self._endpoint_url)
        return f"{parts.scheme}://{parts.netloc}"

    async def start(self) -> None:
        # Only this program's settings count, not an AWS profile of the account that it runs under.
        session = AioSession(
            session_vars={
                "profile": (None, None, None, None),
                "config_file": (None, None, os.devnull, None),
                "credentials_file": (None, None, os.devnull, None),
            }
        )
        client = aioboto3.Session(botocore_session=session).client(
            "s3",
            endpoint_url=self._endpoint_url,
            aws_access_key_id=self._access_key_id,
            aws_secret_access_key=self._secret_access_key,
            region_name="auto",
            config=AioConfig(
                signature_version="s3v4",
                connect_timeout=_CONNECT_S,
                read_timeout=self._call_s,
                retries={"mode": "standard", "total_max_attempts": 2},
                max_pool_connections=self._connections,
                # R2 rejects checksum trailers (developers.cloudflare.com/r2/examples/aws/boto3).
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                # Signing the payload would hash it on the event loop; Content-MD5, made in a thread, protects it instead.
                s3={"addressing_style": "path", "payload_signing_enabled": False},
            ),
        )
        self._client = await self._open.enter_async_context(client)
        self._client.meta.events.register("before-send.s3", _remove_expect)
        await self._open.enter_async_context(self._puts.opened(get_cert_path(session.get_config_variable("ca_bundle") or True)))

    async def close(self) -> None:
        await self._open.aclose()

    async def check(self) -> None:
        """Ask the store for the bucket, at most once in 5 s; in between, repeat the outcome."""
        async with self._checking:
            if time.monotonic() >= self._checked_until_s:
                try:
                    async with self._connection(), self._call("check"):
                        await self._client.head_bucket(Bucket=self._bucket)
                    self._check_failure = None
                except Unavailable as error:
                    self._check_failure = error
                self._checked_until_s = time.monotonic() + _CHECKED_FOR_S
        if self._check_failure is not None:
            raise Unavailable(str(self._check_failure), self._check_failure.retry_after_s or 2)

    @property
    def part_bytes(self) -> int:
        return self._part_bytes

    async def put(self, key: str, source: bytes | Path | GrowingFile, content_type: str) -> None:
        """Upload. A file above `PART_BYTES` is streamed from disk in parts, so that its size does not matter to memory."""
        check_key(key)
        if isinstance(source, GrowingFile):
            await self._put_parts({"Bucket": self._bucket, "Key": key}, source, content_type)
            return
        if isinstance(source, Path):
            size_bytes = await asyncio.to_thread(os.path.getsize, source)
            if size_bytes > self._part_bytes:
                await self.put(key, GrowingFile(source, size_bytes, size_bytes), content_type)
                return
            if size_bytes <= PIECE_BYTES:
                source = await asyncio.to_thread(source.read_bytes)
        else:
            size_bytes = len(source)
        md5 = await _content_md5(source)
        async with self._connection(), self._call("put", size_bytes):
            await self._puts.put(key, source, size_bytes, content_type, md5)

    async def remove(self, key: str) -> None:
        """Delete the object: S3 answers the same if there is none."""
        async with self._connection(), self._call("remove"):
            await self._client.delete_object(Bucket=self._bucket, Key=check_key(key))

    async def url(self, key: str, content_type: str, expires_s: int, *, is_saved: bool = False) -> str | None:
        """Presign a GET, without a request to R2, whose answer has the given type and is played, or saved."""
        disposition = "attachment" if is_saved else "inline"
        name = check_key(key).rpartition("/")[2]
        return cast(
            str,
            await self._client.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self._bucket,
                    "Key": key,
                    "ResponseContentType": content_type,
                    "ResponseContentDisposition": f'{disposition}; filename="recording-{name[:12]}.{name.rpartition(".")[2]}"',
                },
                ExpiresIn=expires_s,
            ),
        )

    async def read(self, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        check_key(key)
        if start >= end:
            return
        async with self._connection():
            async with self._call("read"):
                answer = await self._client.get_object(Bucket=self._bucket, Key=key, Range=f"bytes={start}-{end - 1}")
            body = answer["Body"]
            try:
                while True:
                    async with self._call("read"):
                        piece = cast(bytes, await body.read(PIECE_BYTES))
                    if not piece:
                        return
                    yield piece
            finally:
                body.close()

    async def _put_parts(self, target: dict[str, str], file: GrowingFile, content_type: str) -> None:
        # Not cancelled with this task: an upload that R2 has begun and whose id is not known could never be aborted.
        begun = asyncio.ensure_future(self._begin(target, content_type))
        try:
            upload = await asyncio.shield(begun)
            parts = []
            for number, start in enumerate(range(0, file.size_bytes, self._part_bytes), 1):
                size_bytes = min(self._part_bytes, file.size_bytes - start)
                await file.holds(start + size_bytes)
                with _FilePart(file.path, start, size_bytes) as body:
                    md5 = await _content_md5(body)
                    async with self._connection(), self._call("put", body.size_bytes):
                        part = await self._client.upload_part(**upload, PartNumber=number, Body=body, ContentMD5=md5)
                parts.append({"PartNumber": number, "ETag": part["ETag"]})
            async with self._connection(), self._call("put", extra_s=_ASSEMBLE_S):
                await self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        except BaseException:
            # Also when cancelled: parts of an unfinished upload cost money until R2 drops them after 7 days.
            await asyncio.shield(self._abort(begun))
            raise

    async def _begin(self, target: dict[str, str], content_type: str) -> dict[str, str]:
        async with self._connection(), self._call("put"):
            answer = await self._client.create_multipart_upload(**target, ContentType=content_type)
        return {**target, "UploadId": answer["UploadId"]}

    async def _abort(self, begun: asyncio.Future[dict[str, str]]) -> None:
        await asyncio.wait({begun})
        if begun.exception() is not None:
            return
        try:
            async with self._connection(), self._call("abort"):
                await self._client.abort_multipart_upload(**begun.result())
        except TetherError as error:
            log(_LOG, logging.WARNING, "upload_not_aborted", reason=str(error))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[None]:
        """Hold one of the pool's connections; raise `Unavailable` when none becomes free in `wait_s`."""
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free_connections.acquire()
        except TimeoutError as error:
            raise Unavailable(
                "The server is busy with other recordings; send this one again shortly.", 5, limit="uploads"
            ) from error
        try:
            yield
        finally:
            self._free_connections.release()

    @asynccontextmanager
    async def _call(self, action: str, size_bytes: int = 0, extra_s: float = 0.0) -> AsyncIterator[None]:
        """Limit the time of a request to the store, and translate its failures into the error tree."""
        try:
            async with asyncio.timeout(self._call_s + extra_s + size_bytes / SLOWEST_BYTES_S):
                yield
        except (BotoCoreError, ClientError, TransportError, OSError) as error:
            failure = _failure(error)
            if isinstance(failure, Unavailable):
                log(_LOG, logging.WARNING, "recording_store_failed", action=action, reason=f"{type(error).__name__}: {error}")
            raise failure from error


def _remove_expect(request: Any, **_: object) -> None:
    """Remove `Expect: 100-continue`: it costs each upload a round trip, and aiohttp waits for the 100 without a limit.

    The event `before-send` is documented (docs.aws.amazon.com/botocore/latest/topics/events.html); the header is not signed.
    """
    request.headers.pop("Expect", None)


def _failure(error: Exception) -> TetherError:
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code == "NoSuchKey" or (status == 404 and error.operation_name == "GetObject" and code != "NoSuchBucket"):
            return NotFound("There is no such recording.")
        if code == "NoSuchBucket" or (status == 404 and error.operation_name == "HeadBucket"):
            return Unavailable("The recording store has no such bucket; its operator must mend the settings.", 30)
        if status in (401, 403):
            if code == "RequestTimeTooSkewed":
                return Unavailable(
                    "The recording store denies access: the server's clock is wrong; its operator must set it.", 30
                )
            return Unavailable("The recording store denies access; its operator must mend the settings.", 30)
        if status == 429 or code == "SlowDown":
            return Unavailable("The recording store is overloaded; send the request again shortly.", 5)
        return Unavailable(f"The recording store failed (HTTP {status}); send the request again.", 5)
    if isinstance(error, TimeoutError | ConnectTimeoutError | ReadTimeoutError):
        return Unavailable("The recording store did not answer in time; send the request again.", 5)
    is_broken = isinstance(error, ServerDisconnectedError | ClientSSLError)
    if isinstance(error, EndpointConnectionError | ClientConnectionError) and not is_broken:
        return Unavailable("The recording store cannot be reached just now; send the request again.", 5)
    return Unavailable("The connection to the recording store broke; send the request again.", 2)


class _FilePart(io.RawIOBase):
    """A part of a file as a file of its own, which botocore measures and aiohttp reads in its threads, piece by piece."""

    def __init__(self, path: Path, start: int, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._start = start
        self._at = 0
        self._file = path.open("rb")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size_bytes}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self.size_bytes - self._at)
        self._file.seek(self._start + self._at)
        data = self._file.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data

    def close(self) -> None:
        self._file.close()
        super().close()


async def _content_md5(body: bytes | Path | io.IOBase) -> str:
    if isinstance(body, bytes) and len(body) <= _INLINE_BYTES:
        return _md5(body)
    return await asyncio.to_thread(_md5, body)


def _md5(body: bytes | Path | io.IOBase) -> str:
    """Return `Content-MD5` (RFC 1864): R2 refuses a body that does not match. It guards against accidents alone."""
    digest = hashlib.md5(usedforsecurity=False)
    if isinstance(body, Path):
        with body.open("rb") as file:
            return _md5(file)
    if isinstance(body, bytes):
        digest.update(body)
    else:
        while piece := body.read(PIECE_BYTES):
            digest.update(piece)
        body.seek(0)
    return b64encode(digest.digest()).decode()
