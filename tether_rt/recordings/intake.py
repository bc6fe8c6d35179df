"""From the `recording` field of a request to a stored recording: decode base64 or fetch the URL, check, hash, store."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from tether_rt.domain.call import Recording
from tether_rt.errors import BadRequest
from tether_rt.recordings.audio_type import HEAD_BYTES, AudioType, sniff
from tether_rt.recordings.base64_audio import decode_base64, decode_pieces, named
from tether_rt.recordings.duration import duration_s
from tether_rt.recordings.early_upload import EarlyUpload
from tether_rt.recordings.embedded_recording import LargeText
from tether_rt.recordings.fetch.credentials import Credentials
from tether_rt.recordings.fetch.fetcher import RecordingFetcher
from tether_rt.recordings.fetch.url_policy import MAX_URL_CHARS
from tether_rt.recordings.spool import Spool, SpooledFile, SpoolWriter
from tether_rt.recordings.store import Place
from tether_rt.recordings.uploads import Uploads

Observe = Callable[[str, int, float], None]
"""Called for each stored recording with its source (`inline` or `url`), its bytes, and the seconds it took."""

# Up to here, decoding and hashing take the event loop 0.3 ms at most: a thread would cost about as much.
_INLINE_CHARS: Final = 64 * 1024
# From here, the decoded recording goes into a file, like a fetched one: the request's text is already in memory.
_SPOOL_CHARS: Final = 1024 * 1024

_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


class _Source(NamedTuple):
    """A complete recording whose type is not known yet; `kind` is `inline` or `url`."""

    kind: str
    content: bytes | Path
    size_bytes: int
    sha256: str
    head: bytes


class Examined(NamedTuple):
    """What a recording turned out to be; `duration_s` is None if it could not be determined."""

    audio: AudioType
    duration_s: float | None


class RecordingIntake:
    """Takes recordings into the store; one for the process."""

    def __init__(
        self,
        uploads: Uploads,
        fetcher: RecordingFetcher,
        spool: Spool,
        new_id: Callable[[], str],
        observe: Observe = lambda kind, size_bytes, seconds: None,
    ) -> None:
        """Take `new_id`, which returns the 24-hex id of a new recording."""
        self._uploads = uploads
        self._fetcher = fetcher
        self._spool = spool
        self._new_id = new_id
        self._observe = observe

    async def take(self, text: str | LargeText, organization_id: str, call_id: str, *, is_first: bool = True) -> Recording:
        """Decode or fetch the recording that `text` is or points to, and store it; return it once it is durable.

        Commit it with `Uploads.deciding`. `is_first` says that the call, whose id is new, cannot have another one.

        Raises `BadRequest` that names `recording` and the reason (neither base64 nor a URL, not audio, could not be fetched),
        and `Unavailable` when the store, the disk or the recording's host is away. Nothing is left behind then.
        """
        try:
            place = Place(organization_id, call_id, None)
            return await self._take(text, place if is_first else place.another())
        except BadRequest as refusal:
            raise named(refusal) from refusal

    def url_of(self, text: str | LargeText) -> str | None:
        """Return the address that `text` is, or None if it is base64; raises `BadRequest` for other kinds of address."""
        try:
            return _url(text) if isinstance(text, str) else None
        except BadRequest as refusal:
            raise named(refusal) from refusal

    async def fetch_once(
        self, url: str, organization_id: str, call_id: str, credentials: Credentials | None = None
    ) -> Recording:
        """Fetch a recording of a stored call with one attempt and store it; return it once it is durable.

        Commit it with `Uploads.deciding`.

        Raises `FetchFailed` for what lies with its address or host, `BadRequest` when what came is no recording, and
        `Unavailable` when the store, the disk or all slots are away. Nothing is left behind then.
        """
        began_s = time.perf_counter()
        early = EarlyUpload(self._uploads, Place(organization_id, call_id, None).another())
        async with self._spool.receiving(early) as receiver, early:
            source = _Source("url", *await self._fetcher.attempt(url, organization_id, receiver, credentials))
            return await self._store_source(source, early.place, began_s, early)

    async def take_file(self, file: SpooledFile, organization_id: str, call_id: str) -> Recording:
        """Store a recording of a call that is already in a spool file; return it once it is durable.

        Commit it with `Uploads.deciding`. Raises `BadRequest` that names `recording` when it is no audio, and `Unavailable`
        when the store or the disk is away. Nothing is left behind then; the file is its owner's to remove.
        """
        place = Place(organization_id, call_id, None).another()
        return await self._store_source(_from_file(file), place, time.perf_counter())

    async def examine(self, text: str | LargeText) -> Examined | None:
        """Return what a recording in base64 is, and None for the address of one, which is not fetched; nothing is stored.

        Raises as `take`, but for what only its host can tell.
        """
        try:
            if not isinstance(text, str) or (len(text) >= _SPOOL_CHARS and _url(text) is None):
                async with self._spool.writing() as writer:
                    return await self._examined(_from_file(await self._spool.run(_decode_into, writer, text)))
            url = _url(text)
            if url is None:
                return await self._examined(await self._decode(text))
            self._fetcher.judge(url)
            return None
        except BadRequest as refusal:
            raise named(refusal) from refusal

    async def _take(self, text: str | LargeText, place: Place) -> Recording:
        began_s = time.perf_counter()
        url = _url(text) if isinstance(text, str) else None
        if isinstance(text, str) and url is None and len(text) < _SPOOL_CHARS:
            return await self._store_source(await self._decode(text), place, began_s)
        if url is not None:
            early = EarlyUpload(self._uploads, place)
            async with self._spool.receiving(early) as receiver, early:
                source = _Source("url", *await self._fetcher.fetch(url, place.organization_id, receiver))
                return await self._store_source(source, early.place, began_s, early)
        async with self._spool.writing() as writer:
            source = _from_file(await self._spool.run(_decode_into, writer, text))
            return await self._store_source(source, place, began_s)

    async def _examined(self, source: _Source) -> Examined:
        audio = sniff(source.head)
        if audio is None:
            sentence = "recording is not audio: MP3, WAV, OGG, M4A, FLAC or WebM is expected"
            raise BadRequest(sentence, code="recording_not_audio", field="recording")
        seconds = await self._duration_s(source.content)
        if seconds == 0:
            sentence = f"recording holds no sound: it is {audio.name} without audio in it"
            raise BadRequest(sentence, code="recording_without_sound", field="recording")
        return Examined(audio, seconds)

    async def _store_source(self, source: _Source, place: Place, began_s: float, early: EarlyUpload | None = None) -> Recording:
        audio, seconds = await self._examined(source)
        early_key = await early.take() if early is not None else None
        recording = Recording(
            recording_id=self._new_id(),
            key=early_key or place.key(audio),
            content_type=audio.content_type,
            size_bytes=source.size_bytes,
            sha256=source.sha256,
            duration_s=seconds,
            kind=audio.name,
            is_playable=audio.is_playable,
        )
        if early_key is None:
            await self._uploads.put(recording.key, source.content, recording.content_type)
        self._observe(source.kind, source.size_bytes, time.perf_counter() - began_s)
        return recording

    async def _duration_s(self, content: bytes | Path) -> float | None:
        if isinstance(content, bytes) and len(content) < _INLINE_CHARS:
            return duration_s(content)  # 20 to 50 µs; a thread and back take 100
        return await self._spool.run(duration_s, content)

    async def _decode(self, text: str) -> _Source:
        if len(text) < _INLINE_CHARS:
            return _decode_text(text)
        return await self._spool.run(_decode_text, text)


def _url(text: str) -> str | None:
    """Return the URL in `text`, or None if it is to be read as base64; raises `BadRequest` for other kinds of URL."""
    scheme = _SCHEME.match(text[:64].lstrip())
    if scheme is None:
        return None
    if scheme[1].lower() not in ("http", "https"):
        raise BadRequest("recording must be base64 or a URL that starts with http:// or https://")
    # Checked before `strip`, which would copy 48 MB of spaces.
    if len(text) > 2 * MAX_URL_CHARS:
        raise BadRequest(f"recording is a URL of more than {MAX_URL_CHARS} characters")
    return text.strip()


def _decode_text(text: str) -> _Source:
    content = decode_base64(text)
    if not content:
        raise _empty()
    return _Source("inline", content, len(content), hashlib.sha256(content).hexdigest(), content[:HEAD_BYTES])


def _decode_into(writer: SpoolWriter, text: str | LargeText) -> SpooledFile:
    is_empty = True
    for piece in decode_pieces(text):
        writer.write(piece)
        is_empty = False
    if is_empty:
        raise _empty()
    return writer.finish()


def _empty() -> BadRequest:
    return BadRequest("recording is empty")


def _from_file(file: SpooledFile) -> _Source:
    return _Source("inline", file.path, file.size_bytes, file.sha256, file.head)
