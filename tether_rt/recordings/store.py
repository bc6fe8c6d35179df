"""The protocol of recording stores, and the keys of recordings."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from tether_rt.recordings.audio_type import EXTENSIONS, AudioType
from tether_rt.recordings.growing_file import GrowingFile

PIECE_BYTES: Final = 256 * 1024
"""Recordings are read, hashed, decoded and moved in pieces of this size."""

_KEY: Final = re.compile(
    r"recordings/([0-9a-f]{24})/(?:([0-9a-f]{24})(?:-[0-9]{1,10})?|[0-9a-f]{64})"
    rf"\.(?:{'|'.join(sorted(EXTENSIONS))})"
)
"""Those of earlier versions have the digest of the content in place of the call's id."""
_NUMBERS: Final = 10**9
_DELIVERY_KEY: Final = re.compile(r"deliveries/[0-9a-f]{24}/[0-9a-f]{24}")


class KeyOwner(NamedTuple):
    """The call for which a recording was uploaded."""

    organization_id: str
    call_id: str


class Place(NamedTuple):
    """The call for which a recording is to be stored; `number` as in `recording_key`.

    It is drawn, not counted: of two that store a recording for one call at once, neither may replace or remove the other's.
    """

    organization_id: str
    call_id: str
    number: int | None

    def another(self) -> Place:
        """Return a place of the same call that no other recording has."""
        return self._replace(number=secrets.randbelow(_NUMBERS))

    def key(self, audio: AudioType) -> str:
        """Return the key of a recording of this type."""
        return recording_key(*self[:2], audio, self.number)


def recording_key(organization_id: str, call_id: str, audio: AudioType, number: int | None = None) -> str:
    """Return the key of a call's recording. A `number` tells later recordings of the call from its first."""
    suffix = "" if number is None else f"-{number}"
    return check_key(f"recordings/{organization_id}/{call_id}{suffix}.{audio.extension}")


def delivery_key(organization_id: str, delivery_id: str) -> str:
    """Return the key of what was sent as a recording and refused, encrypted."""
    return check_key(f"deliveries/{organization_id}/{delivery_id}")


def check_key(key: str) -> str:
    """Return `key`; raise `ValueError` unless it has a form that the functions above give, which leaves no room for `..`."""
    if not _KEY.fullmatch(key) and not _DELIVERY_KEY.fullmatch(key):
        raise ValueError(f"not the key of a recording: {key!r}")
    return key


def key_owner(key: str) -> KeyOwner | None:
    """Return whose recording a key is for; None for keys of earlier versions, which several calls may share, and others."""
    match = _KEY.fullmatch(key)
    return KeyOwner(match[1], match[2]) if match is not None and match[2] is not None else None


class RecordingStore(Protocol):
    """Stores recordings under keys that `recording_key` gives or gave.

    Every method raises `errors.Unavailable` when the store is away, slow, full or denies access, and `ValueError` for any
    other key. `put` is atomic: afterwards the key holds all the bytes, or what it held before.
    """

    @property
    def part_bytes(self) -> int | None:
        """The size of parts in which larger recordings are stored, also while they arrive; None: only whole ones are."""

    async def start(self) -> None:
        """Open the client, or create the directory."""

    async def close(self) -> None:
        """Release what `start` opened; idempotent."""

    async def check(self) -> None:
        """Return if a recording could be stored now; raise `errors.Unavailable` with the reason otherwise."""

    async def put(self, key: str, source: bytes | Path | GrowingFile, content_type: str) -> None:
        """Store bytes, or a file's content without holding it in memory, under `key`; return when it is durable.

        The store may move the file away; otherwise the caller removes it. A growing file is larger than `part_bytes`.
        """

    async def remove(self, key: str) -> None:
        """Remove what is under `key`, if anything is."""

    async def url(self, key: str, content_type: str, expires_s: int, *, is_saved: bool = False) -> str | None:
        """Return a presigned URL that answers GET with Range for `expires_s` seconds; None if this server serves the bytes.

        `is_saved` has browsers save it as a file, and not play it.
        """

    def read(self, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from `start` up to but not including `end`, in pieces of at most `PIECE_BYTES`.

        A caller that may stop before the end uses `contextlib.aclosing`, which closes the file or connection at once. Raises
        `errors.NotFound` when there is nothing under `key`.
        """
