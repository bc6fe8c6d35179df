"""Recordings on disk, served to the holder of a signed link; those in R2 are fetched from R2 itself."""

from __future__ import annotations

import re
import time
from contextlib import aclosing
from typing import Final
from urllib.parse import urlencode

from tether_rt.api import query
from tether_rt.auth.credentials import Keyring
from tether_rt.errors import BadRequest, Forbidden, NotFound, RangeNotSatisfiable
from tether_rt.http.exchange import Exchange
from tether_rt.http.handlers import JsonHandler
from tether_rt.mongo.calls import Calls
from tether_rt.mongo.documents import CopyDocument, RecordingDocument
from tether_rt.recordings.store import RecordingStore

PLAYABLE: Final = ("1",)
"""What `playable` may be in a query string: the copy is asked for."""
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class RecordingLinks:
    """Makes links: a presigned URL of the store where it has them (R2), else one of ours, signed with the server's secret."""

    def __init__(self, store: RecordingStore, keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring

    async def link(self, recording: RecordingDocument, expires_s: int, *, is_saved: bool = False) -> str:
        """Return a URL, or a path on this server, that plays the recording for `expires_s` seconds.

        With `is_saved` browsers save what is in the store, and a page saves what this server has (`download` of a link).
        """
        return await self._link(recording, expires_s, recording["recordingId"], {}, is_saved=is_saved)

    async def copy_link(self, copy: CopyDocument, expires_s: int) -> str:
        """Return the same of a copy."""
        return await self._link(copy, expires_s, _copy_of(copy["recordingId"]), {"playable": 1})

    async def _link(
        self,
        file: RecordingDocument | CopyDocument,
        expires_s: int,
        signed: str,
        query: dict[str, int],
        *,
        is_saved: bool = False,
    ) -> str:
        url = await self._store.url(file["key"], file["contentType"], expires_s, is_saved=is_saved)
        if url is not None:
            return url
        expires = int(time.time()) + expires_s
        signature = self._keyring.link_signature(signed, expires)
        return f"/api/recordings/{file['recordingId']}?{urlencode({**query, 'expires': expires, 'signature': signature})}"


def _copy_of(recording_id: str) -> str:
    """Return what the signature of a link to a copy is for."""
    return f"{recording_id}/playable"


class RecordingHandler(JsonHandler):
    """`GET /api/recordings/{recordingId}`: the audio, or its copy, whole or one range of it (RFC 9110 section 14)."""

    def initialize(self, exchange: Exchange, calls: Calls, store: RecordingStore, keyring: Keyring) -> None:  # type: ignore[override]
        super().initialize(exchange)
        self.calls = calls
        self.store = store
        self.keyring = keyring

    async def get(self, recording_id: str) -> None:
        is_copy = query.one_of(self, "playable", PLAYABLE) is not None
        async with self.deadline:
            recording = await self._judged(recording_id, is_copy=is_copy)
        size: int = recording["bytes"]
        start, end = self._range(size)
        self.set_header("Content-Type", recording["contentType"])
        self.set_header("Content-Disposition", f'inline; filename="{recording_id}.{recording["key"].rpartition(".")[2]}"')
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("Cache-Control", "private, max-age=600, immutable")
        # The link is the credential, and it is made to be played in an <audio> of whatever page has it.
        self.set_header("Cross-Origin-Resource-Policy", "cross-origin")
        self.set_header("Content-Length", str(end - start))
        if self.request.method == "HEAD":
            self.finish()
            return
        async with aclosing(self.store.read(recording["key"], start, end)) as pieces:
            async for piece in pieces:
                await self.stream(piece)
        self.finish()

    async def _judged(self, recording_id: str, *, is_copy: bool) -> RecordingDocument | CopyDocument:
        expires = self.get_query_argument("expires", "", strip=False)
        signature = self.get_query_argument("signature", "", strip=False)
        if not re.fullmatch(r"0|[1-9][0-9]{0,11}", expires):
            raise BadRequest("expires must be the number of the signed link", code="wrong_format", field="expires")
        signed = _copy_of(recording_id) if is_copy else recording_id
        if not self.keyring.link_holds(signed, int(expires), signature, time.time()):
            raise Forbidden("The link is not valid or has expired: ask for the recording again.")
        recording = await (self.calls.copy if is_copy else self.calls.recording)(recording_id)
        if recording is None:
            raise NotFound("There is no such recording.")
        return recording

    def _range(self, size: int) -> tuple[int, int]:
        """Return the first byte and the one after the last; several ranges, or an odd header, mean the whole file."""
        match = _RANGE.fullmatch(self.request.headers.get("Range", "").replace(" ", ""))
        first, last = match.groups() if match is not None else ("", "")
        if first == last == "" or (first and last and int(last) < int(first)):
            return 0, size
        if first == "":
            start, end = max(0, size - int(last)), size
        else:
            start, end = int(first), min(size, int(last) + 1) if last else size
        if start >= end:
            raise RangeNotSatisfiable("The range lies outside the recording.", size)
        self.set_status(206)
        self.set_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        return start, end
