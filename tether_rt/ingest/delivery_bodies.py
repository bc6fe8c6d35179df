"""The bodies of deliveries: how one is divided, sealed and stored, and how it is read back.

A body lies in MongoDB, compressed and sealed. Above `LARGE_BYTES` its recording, or all of it when no recording can be told
from the rest, is sealed into a file of its own in the recording store, which every process can read.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from tether_rt.auth.sealed_bodies import FIRST_CHUNK_BYTES, BodySeal, sealed_bytes
from tether_rt.domain.masking import masked, masked_text
from tether_rt.errors import NotFound, Unavailable
from tether_rt.mongo.deliveries import Deliveries
from tether_rt.mongo.documents import BodyDocument, DeliveryDocument
from tether_rt.recordings.embedded_recording import recording_place
from tether_rt.recordings.spool import Spool, SpoolWriter
from tether_rt.recordings.store import RecordingStore, delivery_key
from tether_rt.runtime.logs import log

LARGE_BYTES: Final = 256 * 1024
MAX_IN_DATABASE: Final = 4 * 1024 * 1024
"""A larger rest beside the recording goes into the file as well."""
SHOWN_BYTES: Final = 64 * 1024
"""What is shown of a body that is not JSON."""
_COMPRESSION: Final = 1
_LOG: Final = logging.getLogger("tether.deliveries")


class FilePart(NamedTuple):
    """The part of a body that becomes a file; empty when there is none."""

    start: int
    end: int


class Body(NamedTuple):
    """A body that is to be stored for a delivery."""

    organization_id: str
    delivery_id: str
    raw: bytes | bytearray
    file: FilePart
    expires_at: datetime

    @property
    def rest(self) -> bytes:
        """What does not go into the file."""
        return bytes(self.raw[: self.file.start] + self.raw[self.file.end :])


class ShownBody(NamedTuple):
    """A body as it may be shown: a JSON value, or text where it is no JSON."""

    content: Any
    is_json: bool


def file_part(raw: bytes | bytearray) -> FilePart:
    """Return which part of a body becomes a file."""
    if len(raw) <= LARGE_BYTES:
        return FilePart(0, 0)
    start, end = recording_place(raw, LARGE_BYTES) or (0, 0)
    return FilePart(start, end) if len(raw) - (end - start) <= MAX_IN_DATABASE else FilePart(0, len(raw))


class DeliveryBodies:
    """Stores and reads bodies."""

    def __init__(self, deliveries: Deliveries, seal: BodySeal, store: RecordingStore, spool: Spool) -> None:
        self._deliveries = deliveries
        self._seal = seal
        self._store = store
        self._spool = spool

    async def add(self, bodies: Sequence[Body], *, must_be_whole: bool = False) -> None:
        """Store the bodies. One whose file the recording store does not take counts as not kept.

        With `must_be_whole`, `Unavailable` is raised for that.
        """
        if bodies:
            await self._deliveries.add_bodies(await asyncio.to_thread(self._documents, bodies))
        for body in bodies:
            if body.file.end:
                await self._put_file(body, must_be_whole=must_be_whole)

    async def remove_file(self, organization_id: str, delivery_id: str) -> None:
        """Remove the file of a delivery that has one."""
        await self._store.remove(delivery_key(organization_id, delivery_id))

    async def remove(self, delivery: DeliveryDocument) -> None:
        """Remove the body of a delivery, and its file if it has one."""
        if delivery["hasFile"]:
            await self.remove_file(delivery["organizationId"], delivery["_id"])
        await self._deliveries.remove_bodies([delivery["_id"]])

    async def read(self, organization_id: str, delivery_id: str) -> bytearray | None:
        """Return a body as it was sent, or None if it was not kept.

        Raises `SealBroken` if it cannot be opened, and `Unavailable` when the store is away.
        """
        body = await self._deliveries.body(organization_id, delivery_id)
        if body is None:
            return None
        pieces: list[bytes] = []
        if body["end"]:
            try:
                async for piece in self._store.read(delivery_key(organization_id, delivery_id), 0, body["fileBytes"]):
                    pieces.append(piece)
            except NotFound:
                return None
        return await asyncio.to_thread(self._joined, body, pieces)

    async def shown(self, organization_id: str, delivery_id: str) -> ShownBody | None:
        """Return what may be shown of a body, or None if it was not kept. Raises as `read`."""
        body = await self._deliveries.body(organization_id, delivery_id)
        if body is None:
            return None
        beginning = b""
        if body["end"] and not body["start"]:  # all of it is in the file
            size_bytes = min(FIRST_CHUNK_BYTES, body["fileBytes"])
            try:
                async for piece in self._store.read(delivery_key(organization_id, delivery_id), 0, size_bytes):
                    beginning += piece
            except NotFound:
                return None
        return await asyncio.to_thread(self._shown, body, beginning)

    async def reseal(self, body: BodyDocument) -> bool:
        """Seal a body and its file anew if they were sealed with the previous key; return whether there was something to do.

        Raises `SealBroken` if it cannot be opened, and `Unavailable` when the store is away.
        """
        organization_id, delivery_id = body["organizationId"], body["_id"]
        place = _place(organization_id, delivery_id, "body")
        is_done = self._seal.is_current(body["sealed"], place, is_whole=True)
        if not is_done:
            opened = self._seal.opened(body["sealed"], place)
            await self._deliveries.replace_sealed(body, b"".join(self._seal.seal(opened, place)))
        if body["end"]:
            is_done = not await self._reseal_file(body) and is_done
        return not is_done

    async def _reseal_file(self, body: BodyDocument) -> bool:
        key, size_bytes = delivery_key(body["organizationId"], body["_id"]), body["fileBytes"]
        place = _place(body["organizationId"], body["_id"], "file")
        try:
            pieces = [piece async for piece in self._store.read(key, 0, size_bytes)]
        except NotFound:  # it has expired
            return False
        sealed = b"".join(pieces)
        beginning = sealed[:FIRST_CHUNK_BYTES]
        if self._seal.is_current(beginning, place, is_whole=len(beginning) == size_bytes):
            return False
        opened = await asyncio.to_thread(self._seal.opened, sealed, place)
        anew = await asyncio.to_thread(b"".join, self._seal.seal(opened, place))
        await self._store.put(key, anew, "application/octet-stream")
        return True

    # ------------------------------------------------------------------ in threads, but for `_put_file`

    async def _put_file(self, body: Body, *, must_be_whole: bool) -> None:
        try:
            async with self._spool.writing() as writer:
                await self._spool.run(self._seal_into, writer, body)
                key = delivery_key(body.organization_id, body.delivery_id)
                await self._store.put(key, writer.finish().path, "application/octet-stream")
        except Unavailable as error:
            if must_be_whole:
                raise
            log(_LOG, logging.WARNING, "delivery_body_not_kept", deliveryId=body.delivery_id, reason=str(error))

    def _seal_into(self, writer: SpoolWriter, body: Body) -> None:
        part = memoryview(body.raw)[body.file.start : body.file.end]
        for piece in self._seal.seal(part, _place(body.organization_id, body.delivery_id, "file")):
            writer.write(piece)

    def _documents(self, bodies: Sequence[Body]) -> list[BodyDocument]:
        return [self._document(body) for body in bodies]

    def _document(self, body: Body) -> BodyDocument:
        start, end = body.file
        document = BodyDocument(
            _id=body.delivery_id,
            organizationId=body.organization_id,
            sealed=self._sealed(body),
            start=start,
            end=end,
            fileBytes=sealed_bytes(end - start) if end else 0,
        )
        document["fileExpiresAt" if end else "expiresAt"] = body.expires_at
        return document

    def _sealed(self, body: Body) -> bytes:
        packed = zlib.compress(body.rest, _COMPRESSION)
        return b"".join(self._seal.seal(packed, _place(body.organization_id, body.delivery_id, "body")))

    def _rest(self, body: BodyDocument) -> bytes:
        return zlib.decompress(self._seal.opened(body["sealed"], _place(body["organizationId"], body["_id"], "body")))

    def _joined(self, body: BodyDocument, pieces: list[bytes]) -> bytearray:
        rest, start = self._rest(body), body["start"]
        if not body["end"]:
            return bytearray(rest)
        whole = bytearray(rest[:start])
        for piece in self._seal.opened_pieces(pieces, _place(body["organizationId"], body["_id"], "file")):
            whole += piece
        return whole + rest[start:]

    def _shown(self, body: BodyDocument, beginning: bytes) -> ShownBody:
        rest, start, end = self._rest(body), body["start"], body["end"]
        if beginning:
            place = _place(body["organizationId"], body["_id"], "file")
            opened = self._seal.opened_beginning(beginning, place, is_whole=len(beginning) == body["fileBytes"])
            return ShownBody(_text(opened, end), is_json=False)
        if end:
            rest = rest[:start] + f"({end - start:,} bytes, kept apart)".encode() + rest[start:]
        try:
            return ShownBody(masked(orjson.loads(rest)), is_json=True)
        except orjson.JSONDecodeError:
            return ShownBody(_text(rest, len(rest)), is_json=False)


def _place(organization_id: str, delivery_id: str, part: str) -> str:
    """Return what binds a sealed part to its delivery."""
    return f"{organization_id}/{delivery_id}/{part}"


def _text(raw: bytes, size_bytes: int) -> str:
    """Return the beginning of a body that is not JSON, masked."""
    text = raw[: 2 * SHOWN_BYTES].decode(errors="replace")
    shown = masked_text(text, SHOWN_BYTES)
    return shown if size_bytes <= SHOWN_BYTES else f"{shown[:SHOWN_BYTES]}… ({size_bytes:,} bytes)"
