"""Transactions whose commands share round trips.

MongoDB runs the messages of a connection in their order, so commands that do not need each other's replies can be sent
together. Waiting for a reply costs two wake-ups, which for a small batch is more than the commands themselves.

A command that fails aborts its transaction, and those behind it fail for that. A command that MongoDB refuses unread (unknown,
not allowed) does not: the others take effect. So the commit is sent only after all other replies were seen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import asynccontextmanager, suppress

from bson import Int64
from pymongo.errors import PyMongoError

from tether_rt.mongo.client import DURABLE, Database, Document
from tether_rt.mongo.wire import op_msg
from tether_rt.mongo.wire.loop_connection import LoopConnection
from tether_rt.mongo.wire.op_msg import Command, Encoded
from tether_rt.runtime.cooperative import run_to_completion


class Session:
    """A logical session, for one transaction after another, on a connection of its own.

    The session is kept for life: when a lost connection leaves a transaction open, the server aborts it as soon as the same
    session begins the next one. In a new session it would hold the organization's lock until MongoDB's time limit (60 s).
    """

    def __init__(self, database: Database, exchange_s: float) -> None:
        """A round trip fails after `exchange_s` seconds."""
        self._database = database
        self.connection = LoopConnection(database, exchange_s)
        self._id = op_msg.logical_session()
        self._transactions = 0

    async def close(self) -> None:
        """Close the connection; idempotent."""
        await self.connection.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Begin a transaction, which is aborted when the block raises."""
        self._transactions += 1
        fields = {"lsid": self._id, "txnNumber": Int64(self._transactions), "autocommit": False}
        transaction = Transaction(self.connection, self._database, fields)
        try:
            yield transaction
        except BaseException:
            await transaction.abort()
            raise


class Transaction:
    """One transaction; its methods raise what `LoopConnection.ask` raises."""

    def __init__(self, connection: LoopConnection, database: Database, fields: Document) -> None:
        """`fields` are those that make a command part of the transaction."""
        self._connection = connection
        self._database = database
        self._fields = fields
        self._begun = False

    async def run(self, commands: Sequence[Command]) -> list[Document]:
        """Run the commands in one round trip; return their replies, or raise for the first that failed."""
        return await self._connection.exchange(run_to_completion(self.encoding(commands)))

    def encoding(self, commands: Sequence[Command]) -> Generator[None, None, Encoded]:
        """Return the steps of encoding commands for `send`. The first commands encoded begin the transaction."""
        within = [Command({**one.body, **self._fields}, one.field, one.documents) for one in commands]
        if not self._begun:
            self._begun = within[0].body["startTransaction"] = True
        return op_msg.encoding(within, self._database.name, self._database.codec_options)

    async def send(self, encoded: Encoded) -> list[Document]:
        """Do what `run` does with commands that `encoding` has encoded."""
        return await self._connection.exchange(encoded)

    async def commit(self) -> None:
        """Make the transaction durable; when this raises, it is unknown whether it is."""
        await self._end("commitTransaction")

    async def abort(self) -> None:
        """Abort what MongoDB has not aborted by itself. On a lost connection nothing is done: the next transaction does it."""
        if self._begun and self._connection.is_connected:
            with suppress(PyMongoError):
                await self._end("abortTransaction")

    async def _end(self, command: str) -> None:
        await self._connection.exchange(self._encoded_end(command))

    def _encoded_end(self, command: str) -> Encoded:
        end = Command({command: 1, **self._fields, "writeConcern": DURABLE.document})
        return op_msg.encode([end], "admin", self._database.codec_options)
