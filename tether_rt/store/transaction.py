"""A transaction whose commands share round trips.

MongoDB works through the messages of a connection in their order, so commands that do not need each other's answers can be sent
together. To wait for an answer costs two wake-ups and, in a busy process, a turn of the interpreter; for a small batch that is
more than what the commands do. The driver sends one at a time. From it comes the connection (found, encrypted, signed in and
watched) and what an answer means.

A command that fails ends its transaction, and those behind it hear so. Not one that MongoDB refuses unread, though, because it
is too large, say, or not allowed: the others are carried out. So nothing is sent together with the commit.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from bson import Binary, Int64
from bson.errors import BSONError
from pymongo.database import Database as BlockingDatabase
from pymongo.errors import AutoReconnect, DocumentTooLarge, NetworkTimeout, PyMongoError
from pymongo.helpers_shared import _check_command_response, _check_write_command_response
from pymongo.synchronous.pool import Connection

from tether_rt.store import opmsg
from tether_rt.store.client import DURABLE, Document
from tether_rt.store.opmsg import Command

_READ_BYTES: Final = 64 * 1024


class Session:
    """A logical session, for one transaction after another; for one thread.

    It is kept for life on purpose: a transaction that a lost connection left open is aborted by the server as soon as the same
    session begins its next one, instead of holding the organization's lock until MongoDB's own limit (60 s).
    """

    def __init__(self, database: BlockingDatabase[Document]) -> None:
        self._database = database
        self._id = {"id": Binary.from_uuid(uuid.uuid4())}
        self._transactions = 0

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Begin a transaction, which is given up unless it is committed; raises the driver's errors."""
        self._transactions += 1
        fields = {"lsid": self._id, "txnNumber": Int64(self._transactions), "autocommit": False}
        with self._database.client._conn_for_writes(None, "transaction") as connection:
            transaction = Transaction(connection, self._database, fields)
            try:
                yield transaction
            except BaseException:
                transaction.abort()
                raise


class Transaction:
    """One transaction, on one connection; blocks, and raises the driver's errors."""

    def __init__(self, connection: Connection, database: BlockingDatabase[Document], fields: Document) -> None:
        self._connection = connection
        self._database = database
        self._fields = fields
        self._begun = False
        self._ids = itertools.count(1)
        self._received = bytearray()

    def run(self, commands: Sequence[Command]) -> list[Document]:
        """Carry the commands out in one round trip; return their answers, or raise what the first that failed says."""
        return self._ask([self._within(command) for command in commands])

    def commit(self) -> None:
        """Make it durable; when this raises, it is doubtful whether it is."""
        self._ask([self._ending("commitTransaction")])

    def abort(self) -> None:
        """Give it up where MongoDB has not done so by itself, and there is still somebody to tell."""
        if self._begun and not self._connection.closed:
            with suppress(PyMongoError):
                self._ask([self._ending("abortTransaction")])

    def _within(self, command: Command) -> Command:
        body = {**command.body, "$db": self._database.name, **self._fields}
        if not self._begun:
            self._begun = body["startTransaction"] = True
        return Command(body, command.field, command.documents)

    def _ending(self, name: str) -> Command:
        return Command({name: 1, "$db": "admin", **self._fields, "writeConcern": DURABLE.document})

    def _ask(self, commands: Sequence[Command]) -> list[Document]:
        ids = list(itertools.islice(self._ids, len(commands)))
        answers = self._exchange([self._encode(*each) for each in zip(commands, ids, strict=True)], ids)
        for answer in answers:
            _check_command_response(answer, self._connection.max_wire_version)
            _check_write_command_response(answer)
        return answers

    def _encode(self, command: Command, message_id: int) -> bytes:
        encoded = opmsg.encode(command, message_id, self._database.codec_options)
        # MongoDB would answer the one in other words, and end the connection for the other.
        if encoded.largest_bytes > self._connection.max_bson_size or len(encoded.message) > self._connection.max_message_size:
            raise DocumentTooLarge("A document, or all of a batch, is larger than MongoDB takes.")
        return encoded.message

    def _exchange(self, messages: Sequence[bytes], ids: Sequence[int]) -> list[Document]:
        try:
            socket = self._connection.conn.get_conn
            socket.sendall(b"".join(messages))
            return [self._receive(socket, one) for one in ids]
        except (OSError, ValueError, BSONError) as error:
            self._connection.close_conn(None)
            kind = NetworkTimeout if isinstance(error, TimeoutError) else AutoReconnect
            raise kind(str(error)) from error

    def _receive(self, socket: Any, message_id: int) -> Document:
        while (answer := opmsg.take_answer(self._received, self._database.codec_options)) is None:
            piece = socket.recv(_READ_BYTES)
            if not piece:
                raise ConnectionError("MongoDB closed the connection")
            self._received += piece
        if answer.to != message_id:
            raise ValueError("MongoDB answered something else")
        return answer.document
