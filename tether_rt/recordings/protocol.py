"""What a place for recordings must be able to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol


class RecordingStore(Protocol):
    """Keeps recordings under keys such as `recordings/{organizationId}/{sha256}.mp3`.

    Every method raises `errors.Unavailable` when the place is away, full or denies access. `put` is atomic: afterwards the
    key holds all the bytes or what it held before.
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

    async def url(self, key: str, content_type: str, expires_s: int) -> str | None:
        """Return a presigned URL that answers GET with Range for `expires_s` seconds, or None where the server itself
        must serve the bytes (disk)."""

    def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield bytes `start` up to but not including `end` in pieces of at most 256 KiB.

        Raises `errors.NotFound` when there is nothing under `key`.
        """
