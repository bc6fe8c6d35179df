"""A connection to MongoDB for the event loop's own use: what is on every call's way waits for no thread.

The driver's operations block, so each of them goes to a thread and back: two wake-ups more, and on a busy server two turns of
the interpreter. The few that every call needs are sent and received here, as the wire protocol has them (`opmsg`). From the
driver comes the connection (found, encrypted, signed in, watched) and what an answer means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from pymongo.database import Database as BlockingDatabase
from pymongo.errors import AutoReconnect, ConnectionFailure, NetworkTimeout, PyMongoError
from pymongo.helpers_shared import _check_command_response, _check_write_command_response
from pymongo.ssl_support import BLOCKING_IO_ERRORS
from pymongo.synchronous.pool import Connection

from tether_rt.mongo.client import SOCKET_MS, Document
from tether_rt.mongo.wire import op_msg
from tether_rt.mongo.wire.op_msg import Command, Encoded

_READ_BYTES: Final = 64 * 1024
_SEND_BYTES: Final = 256 * 1024
"""At a time, so that encrypting a large batch leaves the event loop its turns."""
_WOULD_BLOCK: Final = (BlockingIOError, *BLOCKING_IO_ERRORS)


class LoopConnection:
    """One connection of the driver's pool, taken when it is first needed and again after it was in trouble.

    It is kept meanwhile, and closed rather than given back.
    """

    def __init__(self, database: BlockingDatabase[Document], exchange_s: float = SOCKET_MS / 1000) -> None:
        """Take the limit of one round trip, in seconds."""
        self._database = database
        self._exchange_s = exchange_s
        self._turn = asyncio.Lock()
        self._lease: AbstractContextManager[Connection] | None = None
        self._connection: Connection | None = None
        self._socket: Any = None
        self._is_encrypted = False
        """Then there may be more in memory, of which epoll knows nothing."""
        self._trouble: Exception | None = None
        self._received = bytearray()
        self._answers: list[Document] = []
        self._awaited = 0
        self._done: asyncio.Future[None] | None = None

    @property
    def is_connected(self) -> bool:
        """Say if there is a connection that is in no trouble."""
        return self._connection is not None

    async def close(self) -> None:
        """Close the connection; idempotent."""
        self._drop(None)
        await asyncio.to_thread(self._release)

    async def ask(self, commands: Sequence[Command]) -> list[Document]:
        """Carry the commands out, in this order and in one round trip; return their answers.

        Raises what the first that failed says, as the driver would: `OperationFailure`, `ConnectionFailure` where it is
        doubtful what was carried out, and for what cannot be sent what `op_msg.encode` says.
        """
        return await self.exchange(op_msg.encode(commands, self._database.name, self._database.codec_options))

    async def exchange(self, encoded: Encoded) -> list[Document]:
        """Do what `ask` does, with commands that are encoded already."""
        async with self._turn:
            if self._connection is None:
                await self._connect()
            try:
                answers = await self._exchange(encoded)
                _check(answers)
            except ConnectionFailure as error:  # which says, too, that this is not the primary any more
                self._drop(error)
                raise
            except asyncio.CancelledError:
                self._drop(None)
                raise
            return answers

    async def _connect(self) -> None:
        await asyncio.to_thread(self._release)
        taking = asyncio.ensure_future(asyncio.to_thread(self._take))
        try:
            self._connection = await asyncio.shield(taking)
        except asyncio.CancelledError:
            await asyncio.wait({taking})  # a thread cannot be called off; what it took is given back later, as any
            taking.exception()
            raise
        self._socket = self._connection.conn.get_conn
        self._socket.settimeout(0)
        self._is_encrypted = hasattr(self._socket, "pending")
        self._received.clear()
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)

    def _take(self) -> Connection:
        lease = self._database.client._conn_for_writes(None, "line")
        connection = lease.__enter__()
        self._lease = lease  # not before: one that could not be had is not to be given back
        return connection

    def _drop(self, error: Exception | None) -> None:
        """Use the connection no more; the driver is told why when it is given back."""
        if self._connection is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket.fileno())
            loop.remove_writer(self._socket.fileno())
            self._connection.close_conn(None)
            self._connection, self._trouble = None, error
        if self._done is not None and not self._done.done():
            self._done.set_exception(error or AutoReconnect("hung up"))

    def _release(self) -> None:
        if self._lease is not None:
            lease, self._lease = self._lease, None
            trouble, self._trouble = self._trouble, None
            lease.__exit__(type(trouble) if trouble else None, trouble, None)

    async def _exchange(self, encoded: Encoded) -> list[Document]:
        loop = asyncio.get_running_loop()
        self._answers, self._awaited = [], encoded.number
        done = self._done = loop.create_future()
        # A timer of its own costs 10 µs less than a time limit on the task, three times for each batch.
        timer = loop.call_later(self._exchange_s, self._too_late)
        try:
            await self._send(encoded.messages, done)
            await done
        except PyMongoError:
            raise
        except Exception as error:  # of the socket, of TLS
            raise AutoReconnect(str(error)) from error
        finally:
            timer.cancel()
            self._done = None
            done.cancel()
        return self._answers

    def _too_late(self) -> None:
        self._drop(NetworkTimeout("MongoDB did not answer in time"))

    async def _send(self, messages: bytes, done: asyncio.Future[None]) -> None:
        left = memoryview(messages)
        while left:
            try:
                left = left[self._socket.send(left[:_SEND_BYTES]) :]
            except _WOULD_BLOCK:
                await self._writable(done)

    async def _writable(self, done: asyncio.Future[None]) -> None:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        descriptor = self._socket.fileno()
        loop.add_writer(descriptor, _settle, ready)
        try:
            await asyncio.wait({ready, done}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if self._connection is not None:
                loop.remove_writer(descriptor)
        if done.done():
            await done

    def _read(self) -> None:
        try:
            while True:
                piece = self._socket.recv(_READ_BYTES)
                if not piece:
                    raise ConnectionError("MongoDB closed the connection")
                self._received += piece
                self._take_answers()
                if len(piece) < _READ_BYTES and not self._is_encrypted:
                    return
        except _WOULD_BLOCK:
            return
        except Exception as error:  # whatever it is, nothing more can be understood on this connection
            trouble = AutoReconnect(str(error))
            trouble.__cause__ = error
            self._drop(trouble)

    def _take_answers(self) -> None:
        while (answer := op_msg.take_answer(self._received, self._database.codec_options)) is not None:
            if answer.to != len(self._answers) or self._done is None or self._done.done():
                raise ValueError("MongoDB answered what was not asked")
            self._answers.append(answer.document)
            if len(self._answers) == self._awaited:
                self._done.set_result(None)


def _check(answers: Sequence[Document]) -> None:
    """Raise what the first that failed says."""
    for answer in answers:
        _check_command_response(answer, None)
        _check_write_command_response(answer)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
