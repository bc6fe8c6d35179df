"""From the `recording` field of a request to a stored recording: inline base64 or a URL, told apart, checked, hashed, kept."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from tether_rt.domain.call import Recording
from tether_rt.errors import BadRequest
from tether_rt.recordings.audio_type import HEAD_BYTES, sniff
from tether_rt.recordings.base64_audio import decode_base64, decode_pieces
from tether_rt.recordings.duration import duration_s
from tether_rt.recordings.embedded_recording import LargeText
from tether_rt.recordings.fetch.fetcher import RecordingFetcher
from tether_rt.recordings.fetch.url_policy import MAX_URL_CHARS
from tether_rt.recordings.spool import Spool, SpooledFile, SpoolWriter
from tether_rt.recordings.store import RecordingStore, recording_key

Observe = Callable[[str, int, float], None]
"""Told of each stored recording: `inline` or `url`, its bytes, the seconds it took."""

# Up to here, decoding and hashing take the event loop 0.3 ms at most: a thread would cost about as much.
_INLINE_CHARS: Final = 64 * 1024
# From here, what is decoded goes into a file, like what is fetched: the request's text is already in memory once.
_SPOOL_CHARS: Final = 1024 * 1024

_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


class AcceptedRecording(NamedTuple):
    """What is to be kept with a call, and what is done once the recording is stored; None when it is."""

    recording: Recording
    kept: asyncio.Future[None] | None


class _Arrived(NamedTuple):
    """A recording that is here as a whole, and not yet looked at."""

    source: str
    content: bytes | Path
    size_bytes: int
    sha256: str
    head: bytes


class RecordingIntake:
    """Takes recordings into `store`; one for the process."""

    def __init__(
        self,
        store: RecordingStore,
        fetcher: RecordingFetcher,
        spool: Spool,
        new_id: Callable[[], str],
        observe: Observe = lambda source, size_bytes, seconds: None,
    ) -> None:
        """Take `new_id`, which gives a recording its 24-hex id, and who is told of each stored one."""
        self._store = store
        self._fetcher = fetcher
        self._spool = spool
        self._new_id = new_id
        self._observe = observe

    async def take(self, text: str | LargeText, organization_id: str) -> AcceptedRecording:
        """Obtain the recording that `text` is or points to, and store it.

        One that will be stored in a moment is not waited for here. Raises `BadRequest` that names `recording` and the reason
        (neither base64 nor a URL, not audio, not to be had from there), `Unavailable` when the store or the disk is away. In
        either case nothing is left behind.
        """
        began_s = time.perf_counter()
        url = _url(text) if isinstance(text, str) else None
        if isinstance(text, str) and url is None and len(text) < _SPOOL_CHARS:
            return await self._keep(await self._decode(text), organization_id, began_s)
        async with self._spool.writing() as writer:
            if url is not None:
                arrived = _from_file("url", await self._fetcher.fetch(url, organization_id, writer))
            else:
                arrived = _from_file("inline", await self._spool.run(_decode_into, writer, text))
            return await self._keep(arrived, organization_id, began_s)

    async def _keep(self, arrived: _Arrived, organization_id: str, began_s: float) -> AcceptedRecording:
        audio = sniff(arrived.head)
        if audio is None:
            raise BadRequest("recording is not audio: MP3, WAV, OGG, M4A, FLAC or WebM is expected")
        recording = Recording(
            recording_id=self._new_id(),
            key=recording_key(organization_id, arrived.sha256, audio),
            content_type=audio.content_type,
            size_bytes=arrived.size_bytes,
            sha256=arrived.sha256,
            duration_s=await self._duration_s(arrived.content),
        )
        stored = partial(self._stored, arrived.source, arrived.size_bytes, began_s)
        if isinstance(arrived.content, bytes) and (kept := self._store.start_put(recording.key, arrived.content)) is not None:
            kept.add_done_callback(stored)
            return AcceptedRecording(recording, kept)
        await self._store.put(recording.key, arrived.content, recording.content_type)
        stored()
        return AcceptedRecording(recording, None)

    def _stored(self, source: str, size_bytes: int, began_s: float, kept: asyncio.Future[None] | None = None) -> None:
        # It is asked what it raised: nobody may be left who waits for it, which is no unexpected error.
        if kept is None or not (kept.cancelled() or kept.exception()):
            self._observe(source, size_bytes, time.perf_counter() - began_s)

    async def _duration_s(self, content: bytes | Path) -> float | None:
        if isinstance(content, bytes) and len(content) < _INLINE_CHARS:
            return duration_s(content)  # 15 µs; a thread and back take 100
        return await self._spool.run(duration_s, content)

    async def _decode(self, text: str) -> _Arrived:
        if len(text) < _INLINE_CHARS:
            return _decode_whole(text)
        return await self._spool.run(_decode_whole, text)


def _url(text: str) -> str | None:
    """Return the URL in `text`, or None when it is to be read as base64; raises `BadRequest` for other kinds of URL."""
    scheme = _SCHEME.match(text[:64].lstrip())
    if scheme is None:
        return None
    if scheme[1].lower() not in ("http", "https"):
        raise BadRequest("recording must be base64 or a URL that starts with http:// or https://")
    # Before it is stripped, which would copy 48 MB of spaces.
    if len(text) > 2 * MAX_URL_CHARS:
        raise BadRequest(f"recording is a URL of more than {MAX_URL_CHARS} characters")
    return text.strip()


def _decode_whole(text: str) -> _Arrived:
    content = decode_base64(text)
    _refuse_nothing(content)
    return _Arrived("inline", content, len(content), hashlib.sha256(content).hexdigest(), content[:HEAD_BYTES])


def _decode_into(writer: SpoolWriter, text: str | LargeText) -> SpooledFile:
    empty = True
    for piece in decode_pieces(text):
        writer.write(piece)
        empty = False
    _refuse_nothing(not empty)
    return writer.finish()


def _refuse_nothing(content: object) -> None:
    if not content:
        raise BadRequest("recording is empty")


def _from_file(source: str, file: SpooledFile) -> _Arrived:
    return _Arrived(source, file.path, file.size_bytes, file.sha256, file.head)
