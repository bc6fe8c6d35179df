"""A transaction whose commands share round trips.

MongoDB works through the messages of a connection in their order, so commands that do not need each other's answers can be sent
together. To wait for an answer costs two wake-ups, which for a small batch is more than what the commands do.

A command that fails ends its transaction, and those behind it hear so. Not one that MongoDB refuses unread, though, because it
is too large, say, or not allowed: the others are carried out. So nothing is sent together with the commit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import asynccontextmanager, suppress

from bson import Int64
from pymongo.database import Database as BlockingDatabase
from pymongo.errors import PyMongoError

from tether_rt.mongo.client import DURABLE, Document
from tether_rt.mongo.wire import op_msg
from tether_rt.mongo.wire.loop_connection import LoopConnection
from tether_rt.mongo.wire.op_msg import Command, Encoded
from tether_rt.runtime.cooperative import run_to_completion


class Session:
    """A logical session, for one transaction after another.

    It is kept for life on purpose: a transaction that a lost connection left open is aborted by the server as soon as the same
    session begins its next one, instead of holding the organization's lock until MongoDB's own limit (60 s).
    """

    def __init__(self, database: BlockingDatabase[Document], exchange_s: float) -> None:
        """Take the limit of one round trip, in seconds."""
        self._database = database
        self.connection = LoopConnection(database, exchange_s)
        self._id = op_msg.logical_session()
        self._transactions = 0

    async def close(self) -> None:
        """Close its connection; idempotent."""
        await self.connection.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Begin a transaction, which is given up unless it is committed."""
        self._transactions += 1
        fields = {"lsid": self._id, "txnNumber": Int64(self._transactions), "autocommit": False}
        transaction = Transaction(self.connection, self._database, fields)
        try:
            yield transaction
        except BaseException:
            await transaction.abort()
            raise


class Transaction:
    """One transaction; its methods raise what `LoopConnection.ask` does."""

    def __init__(self, line: LoopConnection, database: BlockingDatabase[Document], fields: Document) -> None:
        self._connection = line
        self._database = database
        self._fields = fields
        self._begun = False

    async def run(self, commands: Sequence[Command]) -> list[Document]:
        """Carry the commands out in one round trip; return their answers, or raise what the first that failed says."""
        return await self._connection.exchange(run_to_completion(self.encoding(commands)))

    def encoding(self, commands: Sequence[Command]) -> Generator[None, None, Encoded]:
        """Return what `send_and_commit` takes, in steps: it may take its time. The first call begins the transaction."""
        within = [Command({**one.body, **self._fields}, one.field, one.documents) for one in commands]
        if not self._begun:
            self._begun = within[0].body["startTransaction"] = True
        return op_msg.encoding(within, self._database.name, self._database.codec_options)

    async def send(self, encoded: Encoded) -> list[Document]:
        """Do what `run` does, with commands that `encoding` has encoded."""
        return await self._connection.exchange(encoded)

    async def commit(self) -> None:
        """Make it durable; when this raises, it is doubtful whether it is."""
        await self._end("commitTransaction")

    async def abort(self) -> None:
        """Give it up where MongoDB has not done so by itself, and there is still somebody to tell."""
        if self._begun and self._connection.is_connected:
            with suppress(PyMongoError):
                await self._end("abortTransaction")

    async def _end(self, how: str) -> None:
        await self._connection.exchange(self._ending(how))

    def _ending(self, how: str) -> Encoded:
        ending = Command({how: 1, **self._fields, "writeConcern": DURABLE.document})
        return op_msg.encode([ending], "admin", self._database.codec_options)
