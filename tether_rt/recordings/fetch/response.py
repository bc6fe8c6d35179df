"""The response of a vendor's host, written to a spool file while it arrives, and judged at its end."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine
from tornado.iostream import IOStream

from tether_rt.errors import BadRequest, TetherError
from tether_rt.recordings.spool import Spool, SpoolWriter
from tether_rt.recordings.store import PIECE_BYTES

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class SpooledResponse(HTTPMessageDelegate):
    """Writes a response's body to a spool file.

    Its methods do not raise: `HTTP1Connection` would log that as a programming error. They keep the first failure instead,
    close the stream, and `judge` raises it.
    """

    def __init__(self, stream: IOStream, writer: SpoolWriter, spool: Spool, max_bytes: int) -> None:
        self.status: int | None = None
        self.headers_arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.location: str | None = None
        """Where the response redirects to."""
        self.size_bytes = 0
        self.is_writing = False
        """Whether the disk is waited for, and not the host."""
        self._stream = stream
        self._writer = writer
        self._spool = spool
        self._max_bytes = max_bytes
        self._has_length = False
        self._is_complete = False
        self._failure: TetherError | None = None
        # Small pieces of a slow host are gathered, so that a thread is not started for each packet.
        self._pending = bytearray()

    def stop(self, failure: TetherError | None = None) -> None:
        """Close the stream; the first failure is the one that `judge` raises."""
        self._failure = self._failure or failure
        self._stream.close()

    def judge(self) -> None:
        """Return if the response was a redirect or a complete recording; raise the reason otherwise."""
        if self._failure is not None:
            raise self._failure
        if self.status is None:
            raise BadRequest("recording could not be fetched: its host's answer is not HTTP")
        if self.location is not None:
            return
        # A body without a length is complete when the connection is closed in an orderly way (RFC 9112 section 8).
        if not self._is_complete or (not self._has_length and self._stream.error is not None):
            raise BadRequest("recording could not be fetched: its host broke off before the end")
        if not self.size_bytes:
            raise BadRequest("recording could not be fetched: its host sent nothing")

    async def headers_received(self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders) -> None:
        if not isinstance(start_line, ResponseStartLine) or 100 <= start_line.code < 200:
            return
        self.status = start_line.code
        self.headers_arrived.set_result(None)
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
            if re.fullmatch("[0-9]+", length) and (len(length) > 15 or int(length) > self._max_bytes):
                self.stop(self._too_large())

    async def data_received(self, chunk: bytes) -> None:
        self.size_bytes += len(chunk)
        if self.size_bytes > self._max_bytes:
            self.stop(self._too_large())
            return
        self._pending += chunk
        if len(self._pending) >= PIECE_BYTES:
            await self.flush()

    def finish(self) -> None:
        self._is_complete = True

    def on_connection_close(self) -> None:
        """Do nothing: `judge` sees that `finish` was not called."""

    async def flush(self) -> None:
        """Write the gathered pieces. The host's next bytes are not read before that is done."""
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
        return BadRequest(f"recording is larger than {self._max_bytes >> 20} MB")


def _utf8(header: str) -> str:
    """Return a header's text: Tornado reads it as Latin-1, but a location with other characters is UTF-8 in practice."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header
