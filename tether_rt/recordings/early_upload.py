"""Stores a large recording while it still arrives, where its length is known and the store takes it in parts.

The caller waits for the last part alone then, instead of for all of them after the last byte.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from tether_rt.recordings.audio_type import sniff
from tether_rt.recordings.growing_file import GrowingFile
from tether_rt.recordings.store import Place
from tether_rt.recordings.uploads import Uploads


class EarlyUpload:
    """The upload of one recording, begun or not. What is not taken by the end of the `async with` block is removed."""

    def __init__(self, uploads: Uploads, place: Place) -> None:
        self.place = place
        """Where a recording that is not taken from here is to be stored: another after each `stop`."""
        self._uploads = uploads
        self._key = ""
        self._put: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def begin(self, file: GrowingFile, head: bytes) -> None:
        """Begin to store a file that is to become large and begins with `head`, if that is audio."""
        audio = sniff(head)
        if audio is None or not self._uploads.takes_growing(file.size_bytes):
            return
        self._key = self.place.key(audio)
        self._put = asyncio.create_task(self._uploads.put(self._key, file, audio.content_type))

    async def take(self) -> str | None:
        """Return the key once all of the file is stored, and None if nothing was begun; raises as `Uploads.put`."""
        if self._put is None:
            return None
        await self._put
        self._put = None
        return self._key

    async def stop(self) -> None:
        """Give up what was begun: what arrived is not what is to be stored."""
        if self._put is None:
            return
        put, self._put = self._put, None
        put.cancel()
        await asyncio.wait({put})
        if not put.cancelled() and put.exception() is None:
            with self._uploads.deciding(self._key):
                pass  # no call names it
        # The store may still be at it for a moment, so another attempt has a key of its own.
        self.place = self.place.another()
