"""Encode commands and decode replies of MongoDB's wire protocol (OP_MSG). Pure.

https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import bson
from bson import Binary
from bson.codec_options import CodecOptions
from pymongo.errors import DocumentTooLarge

from tether_rt.mongo.client import Document
from tether_rt.runtime.cooperative import run_to_completion

_OP_MSG: Final = 2013
_HEADER: Final = struct.Struct("<iiii")
"""Length of the message in bytes, its id, the id of the message that it replies to, and its kind."""
_NO_FLAGS: Final = bytes(4)
_BODY: Final = b"\0"
_SEQUENCE: Final = b"\1"
"""Kinds of sections: one document, or a named sequence of documents."""
_LENGTH: Final = struct.Struct("<i")
_END: Final = b"\0"
"""A BSON document is its length, its elements and this byte (bsonspec.org)."""
_REPLY_BODY: Final = _HEADER.size + len(_NO_FLAGS) + len(_BODY)
_UNLIMITED: Final = 0x7FFF_FFFF
MAX_DOCUMENT_BYTES: Final = 16 * 1024 * 1024
MAX_MESSAGE_BYTES: Final = 48_000_000
"""The same in every MongoDB: `maxBsonObjectSize` and `maxMessageSizeBytes` of its `hello`."""


class Spliced(NamedTuple):
    """A document whose last elements are encoded already (`elements`)."""

    document: Mapping[str, Any]
    elements: bytes


class Command(NamedTuple):
    """A command: its fields, the name first, and apart from those the documents of one more field."""

    body: Document
    field: str = ""
    documents: Sequence[Document | Spliced] = ()


class Encoded(NamedTuple):
    """`number` messages, one after the other, with the ids 0, 1, 2 and so on."""

    messages: bytes
    number: int


class Reply(NamedTuple):
    """A reply to the message with the id `to`."""

    to: int
    document: Document


def logical_session() -> Document:
    """Return the id of a new session, for the field `lsid` of its commands."""
    return {"id": Binary.from_uuid(uuid.uuid4())}


def find_and_modify(collection: str, query: Document, change: list[Document]) -> Command:
    """Return a command that changes one document, or inserts it, and replies with the result in `value`."""
    return Command({"findAndModify": collection, "query": query, "update": change, "upsert": True, "new": True})


def find(collection: str, query: Document, *fields: str, **more: Any) -> Command:
    """Return a query for these fields of all documents, or for those of a `projection`.

    MongoDB silently leaves out what does not fit into one reply of 16 MB: ask only for what is sure to fit.
    """
    in_one_reply = {"batchSize": _UNLIMITED, "singleBatch": True}
    return Command({"find": collection, "filter": query, "projection": dict.fromkeys(fields, 1), **in_one_reply, **more})


def update(collection: str, updates: Sequence[Document], **more: Any) -> Command:
    """Return a command for updates, each {"q": filter, "u": change}."""
    return Command({"update": collection, **more}, "updates", updates)


def insert(collection: str, documents: Sequence[Document | Spliced]) -> Command:
    """Return a command that inserts documents."""
    return Command({"insert": collection}, "documents", documents)


def elements(document: Mapping[str, Any], options: CodecOptions[Any]) -> bytes:
    """Return the encoded elements of a document, for `Spliced`; raises as `encode` does, but for `DocumentTooLarge`."""
    return bson.encode(document, codec_options=options)[_LENGTH.size : -len(_END)]


def encoded(document: Document | Spliced, options: CodecOptions[Any]) -> bytes:
    """Return a document as BSON; raises as `elements` does."""
    if not isinstance(document, Spliced):
        return bson.encode(document, codec_options=options)
    content = elements(document.document, options) + document.elements
    return b"".join((_LENGTH.pack(_LENGTH.size + len(content) + len(_END)), content, _END))


def encode(commands: Sequence[Command], database: str, options: CodecOptions[Any]) -> Encoded:
    """Return the messages for commands on a database.

    Raises `bson.errors.BSONError` and `OverflowError` for values that BSON cannot hold, and `DocumentTooLarge` past MongoDB's
    limits, where it would close the connection.
    """
    return run_to_completion(encoding(commands, database, options))


def encoding(commands: Sequence[Command], database: str, options: CodecOptions[Any]) -> Generator[None, None, Encoded]:
    """Do what `encode` does, one document at each step (`cooperative`)."""
    messages = []
    for message_id, command in enumerate(commands):
        messages.append((yield from _message(message_id, command, database, options)))
    return Encoded(b"".join(messages), len(messages))


def _message(message_id: int, command: Command, database: str, options: CodecOptions[Any]) -> Generator[None, None, bytes]:
    documents = []
    for document in command.documents:
        documents.append(encoded(document, options))
        yield
    parts = [_NO_FLAGS, _BODY, bson.encode({**command.body, "$db": database}, codec_options=options)]
    if command.field:
        name = command.field.encode() + b"\0"
        size = _LENGTH.size + len(name) + sum(map(len, documents))
        parts += [_SEQUENCE, _LENGTH.pack(size), name, *documents]
    length = _HEADER.size + sum(map(len, parts))
    if length > MAX_MESSAGE_BYTES or any(len(document) > MAX_DOCUMENT_BYTES for document in documents):
        raise DocumentTooLarge("A document, or all of a batch, is larger than MongoDB takes.")
    return b"".join([_HEADER.pack(length, message_id, 0, _OP_MSG), *parts])


def take_reply(received: bytearray, options: CodecOptions[Any]) -> Reply | None:
    """Remove the first reply from `received` and return it; None while it is incomplete.

    Raises `ValueError` for bytes that are no reply.
    """
    if len(received) < _HEADER.size:
        return None
    length, _, to, kind = _HEADER.unpack_from(received)
    if kind != _OP_MSG or length <= _REPLY_BODY:
        raise ValueError("MongoDB sent bytes that are no reply")
    if len(received) < length:
        return None
    document = bson.decode(bytes(received[_REPLY_BODY:length]), codec_options=options)
    del received[:length]
    return Reply(to, document)
