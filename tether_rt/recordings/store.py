"""The protocol of recording stores, and the keys of recordings."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final, Protocol

from tether_rt.recordings.audio_type import EXTENSIONS, AudioType

PIECE_BYTES: Final = 256 * 1024
"""Recordings are read, hashed, decoded and moved in pieces of this size."""

_KEY: Final = re.compile(rf"recordings/[0-9a-f]{{24}}/[0-9a-f]{{64}}\.(?:{'|'.join(sorted(EXTENSIONS))})")
_DELIVERY_KEY: Final = re.compile(r"deliveries/[0-9a-f]{24}/[0-9a-f]{24}")


def recording_key(organization_id: str, sha256: str, audio: AudioType) -> str:
    """Return a recording's key. Equal content in one organization has one key, so a retry overwrites its own recording."""
    return check_key(f"recordings/{organization_id}/{sha256}.{audio.extension}")


def delivery_key(organization_id: str, delivery_id: str) -> str:
    """Return the key of what was sent as a recording and refused, encrypted."""
    return check_key(f"deliveries/{organization_id}/{delivery_id}")


def check_key(key: str) -> str:
    """Return `key`; raise `ValueError` unless it has a form that the functions above give, which leaves no room for `..`."""
    if not _KEY.fullmatch(key) and not _DELIVERY_KEY.fullmatch(key):
        raise ValueError(f"not the key of a recording: {key!r}")
    return key


class RecordingStore(Protocol):
    """Stores recordings under the keys that `recording_key` gives.

    Every method raises `errors.Unavailable` when the store is away, slow, full or denies access, and `ValueError` for any
    other key. `put` is atomic: afterwards the key holds all the bytes, or what it held before.
    """

    async def start(self) -> None:
        """Open the client, or create the directory."""

    async def close(self) -> None:
        """Release what `start` opened; idempotent."""

    async def check(self) -> None:
        """Return if a recording could be stored now; raise `errors.Unavailable` with the reason otherwise."""

    async def put(self, key: str, source: bytes | Path, content_type: str) -> None:
        """Store bytes, or a file's content without holding it in memory, under `key`; return when it is durable.

        The store may move the file away; otherwise the caller removes it.
        """

    async def remove(self, key: str) -> None:
        """Remove what is under `key`, if anything is."""

    async def url(self, key: str, content_type: str, expires_s: int) -> str | None:
        """Return a presigned URL that answers GET with Range for `expires_s` seconds; None if this server serves the bytes."""

    def read(self, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from `start` up to but not including `end`, in pieces of at most `PIECE_BYTES`.

        A caller that may stop before the end uses `contextlib.aclosing`, which closes the file or connection at once. Raises
        `errors.NotFound` when there is nothing under `key`.
        """
