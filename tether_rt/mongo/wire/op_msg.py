"""Commands and answers as MongoDB's wire protocol has them: OP_MSG.

https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Generator, Sequence
from typing import Any, Final, NamedTuple

import bson
from bson import Binary
from bson.codec_options import CodecOptions
from pymongo.errors import DocumentTooLarge

from tether_rt.mongo.client import Document
from tether_rt.runtime.cooperative import run_to_completion

_OP_MSG: Final = 2013
_HEADER: Final = struct.Struct("<iiii")
"""Length of the whole message in bytes, its id, the id of what it answers, and what kind of message it is."""
_NO_FLAGS: Final = bytes(4)
_BODY: Final = b"\0"
_SEQUENCE: Final = b"\1"
_LENGTH: Final = struct.Struct("<i")
_END: Final = b"\0"
"""Of a document (bsonspec.org: its length, its elements, and this)."""
_ANSWER_BODY: Final = _HEADER.size + len(_NO_FLAGS) + len(_BODY)
_ALL: Final = 0x7FFF_FFFF
MAX_DOCUMENT_BYTES: Final = 16 * 1024 * 1024
MAX_MESSAGE_BYTES: Final = 48_000_000
"""What every MongoDB says in its `hello`: maxBsonObjectSize and maxMessageSizeBytes."""


class Spliced(NamedTuple):
    """A document, and behind its own elements some that were encoded before (`elements`)."""

    document: Document
    elements: bytes


class Command(NamedTuple):
    """A command's own fields, the first of which is its name, and the documents that go with it, under their field's name."""

    body: Document
    field: str = ""
    documents: Sequence[Document | Spliced] = ()


class Encoded(NamedTuple):
    """Messages as they are sent, one after the other, and how many; each has its place for an id, beginning with 0."""

    messages: bytes
    number: int


class Answer(NamedTuple):
    """What MongoDB said, and the id of the message that it said it to."""

    to: int
    document: Document


def logical_session() -> Document:
    """Return a new session's id, which goes with its commands as `lsid`."""
    return {"id": Binary.from_uuid(uuid.uuid4())}


def find_and_modify(collection: str, query: Document, change: list[Document]) -> Command:
    """Return the command that makes or changes one document and answers with what it became."""
    return Command({"findAndModify": collection, "query": query, "update": change, "upsert": True, "new": True})


def find(collection: str, query: Document, *fields: str, **more: Any) -> Command:
    """Return the command for all documents, with these fields; for as many as fit into one answer (16 MB)."""
    at_once = {"batchSize": _ALL, "singleBatch": True}
    return Command({"find": collection, "filter": query, "projection": dict.fromkeys(fields, 1), **at_once, **more})


def update(collection: str, updates: Sequence[Document], **more: Any) -> Command:
    """Return the command for updates, each {"q": filter, "u": change}."""
    return Command({"update": collection, **more}, "updates", updates)


def insert(collection: str, documents: Sequence[Document | Spliced]) -> Command:
    """Return the command for new documents."""
    return Command({"insert": collection}, "documents", documents)


def elements(document: Document, options: CodecOptions[Any]) -> bytes:
    """Return a document's elements, to be `Spliced`; raises what `encode` does, but for a document that is too large."""
    return bson.encode(document, codec_options=options)[_LENGTH.size : -len(_END)]


def encoded(document: Document | Spliced, options: CodecOptions[Any]) -> bytes:
    """Return a document as BSON; raises as `elements` does."""
    if not isinstance(document, Spliced):
        return bson.encode(document, codec_options=options)
    content = elements(document.document, options) + document.elements
    return b"".join((_LENGTH.pack(_LENGTH.size + len(content) + len(_END)), content, _END))


def encode(commands: Sequence[Command], database: str, options: CodecOptions[Any]) -> Encoded:
    """Return the messages for commands to a database.

    Raises `bson.errors.BSONError` and `OverflowError` for what BSON cannot hold, and `DocumentTooLarge` for what MongoDB would
    answer in other words, or with the end of the connection.
    """
    return run_to_completion(encoding(commands, database, options))


def encoding(commands: Sequence[Command], database: str, options: CodecOptions[Any]) -> Generator[None, None, Encoded]:
    """Do what `encode` does, a document at a step."""
    messages = []
    for each in enumerate(commands):
        messages.append((yield from _message(*each, database, options)))
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


def take_answer(received: bytearray, options: CodecOptions[Any]) -> Answer | None:
    """Remove the first answer from what was received and return it; None while it is not all there.

    Raises `ValueError` for what is no answer of this protocol.
    """
    if len(received) < _HEADER.size:
        return None
    length, _, to, kind = _HEADER.unpack_from(received)
    if kind != _OP_MSG or length <= _ANSWER_BODY:
        raise ValueError("MongoDB sent what is no answer")
    if len(received) < length:
        return None
    document = bson.decode(bytes(received[_ANSWER_BODY:length]), codec_options=options)
    del received[:length]
    return Answer(to, document)
