"""What a place for recordings must be able to do, and how recordings are named in it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final, Protocol

from tether_rt.recordings.audio_type import AudioType

PIECE_BYTES: Final = 256 * 1024
"""Recordings are read, hashed, decoded and moved in pieces of this size."""

_KEY: Final = re.compile(r"recordings/[0-9a-f]{24}/[0-9a-f]{64}\.(?:mp3|wav|ogg|m4a|flac|webm)")


def recording_key(organization_id: str, sha256: str, audio: AudioType) -> str:
    """Return a recording's key: an organization's same bytes always have the same one, so a retry overwrites itself."""
    return check_key(f"recordings/{organization_id}/{sha256}.{audio.extension}")


def check_key(key: str) -> str:
    """Return `key`; raise `ValueError` unless it has the one shape that recordings have, which leaves no room for `..`."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"not the key of a recording: {key!r}")
    return key


class RecordingStore(Protocol):
    """Keeps recordings under the keys that `recording_key` gives.

    Every method raises `errors.Unavailable` when the place is away, full or denies access, and `ValueError` for a key of
    another shape. `put` is atomic: afterwards the key holds all the bytes or what it held before.
    """

    async def start(self) -> None:
        """Open what is needed (client, folder)."""

    async def close(self) -> None:
        """Release it; idempotent."""

    async def check(self) -> None:
        """Return when a recording could be stored now; raise `errors.Unavailable` with the reason otherwise."""

    async def put(self, key: str, source: bytes | Path, content_type: str) -> None:
        """Store the bytes, or the file's content without holding it in memory, under `key`.

        A `Path` may be moved away by the store (disk), the caller removes it if it is still there.
        """

    def start_put(self, key: str, content: bytes) -> asyncio.Future[None] | None:
        """Begin to do what `put` does if it takes some milliseconds, as far as can be told, and return what tells of its end.

        None where it may take longer, or it has to be waited for.
        """

    async def url(self, key: str, content_type: str, expires_s: int) -> str | None:
        """Return a presigned URL that answers GET with Range for `expires_s` seconds, or None where the server itself
        must serve the bytes (disk)."""

    def read(self, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Yield bytes `start` up to but not including `end` in pieces of at most `PIECE_BYTES`.

        Whoever may leave before the end uses it with `aclosing`, so that its file or connection is closed there and then.
        Raises `errors.NotFound` when there is nothing under `key`.
        """
