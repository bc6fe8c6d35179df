"""Everything that is kept of an organization's callers, to look for what should not be there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import bson

from tests.support.s3 import S3Server
from tether_rt.mongo.client import Database


async def database_bytes(database: Database) -> bytes:
    """Return every document of every collection of a database, as MongoDB stores it."""
    pieces: list[bytes] = []
    for name in sorted(await database.list_collection_names()):
        pieces += [bson.encode(document) async for document in database[name].find({})]
    return b"\n".join(pieces)


def folder_bytes(folder: Path, without: Iterable[str] = ("mongod",)) -> bytes:
    """Return the names and contents of all files below a folder, but for those of the private MongoDB."""
    pieces: list[bytes] = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not set(without) & set(path.relative_to(folder).parts):
            pieces += [str(path).encode(), path.read_bytes()]
    return b"\n".join(pieces)


def bucket_bytes(server: S3Server, bucket: str) -> bytes:
    """Return the keys and contents of all objects of a bucket."""
    return b"\n".join(piece for key in server.keys(bucket) for piece in (key.encode(), server.get(bucket, key) or b""))


def found_in(dump: bytes, texts: Iterable[str]) -> list[str]:
    """Return those of the texts that a dump holds, in whatever case."""
    lower = dump.lower()
    return [text for text in texts if text.lower().encode() in lower]
