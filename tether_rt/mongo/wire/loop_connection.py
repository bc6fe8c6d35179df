"""A connection to MongoDB whose commands are sent and received by the event loop, without a thread.

The socket comes from the driver's pool, connected, encrypted and authenticated. The driver also turns error replies into its
exceptions. Messages are made and read by `op_msg`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from pymongo.errors import AutoReconnect, ConnectionFailure, NetworkTimeout, PyMongoError
from pymongo.helpers_shared import _check_command_response, _check_write_command_response
from pymongo.ssl_support import BLOCKING_IO_ERRORS
from pymongo.synchronous.pool import Connection

from tether_rt.mongo.client import SOCKET_MS, Database, Document
from tether_rt.mongo.wire import op_msg
from tether_rt.mongo.wire.op_msg import Command, Encoded

_READ_BYTES: Final = 64 * 1024
_SEND_BYTES: Final = 256 * 1024
"""How much is sent at a time: encrypting more in one go would hold up the event loop."""
_WOULD_BLOCK: Final = (BlockingIOError, *BLOCKING_IO_ERRORS)


class LoopConnection:
    """One connection of the driver's pool, checked out at the first command and kept.

    After an error it is closed, and the next command checks out another one.
    """

    def __init__(self, database: Database, exchange_s: float = SOCKET_MS / 1000) -> None:
        """Commands go to `database`; a round trip fails after `exchange_s` seconds."""
        self._database = database
        self._exchange_s = exchange_s
        self._lock = asyncio.Lock()
        """Held during an exchange: the replies on a connection come in the order of its messages."""
        self._checkout: AbstractContextManager[Connection] | None = None
        """Returns the connection to the pool when it is exited."""
        self._connection: Connection | None = None
        self._socket: Any = None
        self._is_encrypted = False
        """If so, more may have been received and decrypted although the socket has nothing to read."""
        self._error: Exception | None = None
        """Why the connection was dropped; reported to the pool, which may then look for another primary."""
        self._received = bytearray()
        self._replies: list[Document] = []
        self._expected = 0
        """The number of replies after which the exchange is done."""
        self._done: asyncio.Future[None] | None = None
        """The exchange under way; fails when the connection is dropped."""

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, and nothing is known to be wrong with it."""
        return self._connection is not None

    async def close(self) -> None:
        """Close the connection; an exchange under way fails with `AutoReconnect`. Idempotent."""
        self._drop(None)
        async with self._lock:
            self._drop(None)  # one that was being made meanwhile
            await asyncio.to_thread(self._check_in)

    async def ask(self, commands: Sequence[Command]) -> list[Document]:
        """Run the commands in this order and in one round trip; return their replies.

        Raises for the first that failed what the driver would: `OperationFailure`, `ConnectionFailure` when it is unknown which
        of them ran, and what `op_msg.encode` raises.
        """
        return await self.exchange(op_msg.encode(commands, self._database.name, self._database.codec_options))

    async def exchange(self, encoded: Encoded) -> list[Document]:
        """Run commands that are encoded already; return their replies, or raise as `ask` does."""
        async with self._lock:
            if self._connection is None:
                await self._connect()
            try:
                replies = await self._exchange(encoded)
                _raise_for_error(replies)
            except ConnectionFailure as error:  # also the reply of a mongod that is no longer the primary
                self._drop(error)
                raise
            except asyncio.CancelledError:
                self._drop(None)
                raise
            return replies

    async def _connect(self) -> None:
        await asyncio.to_thread(self._check_in)
        checking_out = asyncio.ensure_future(asyncio.to_thread(self._check_out))
        try:
            connection = await asyncio.shield(checking_out)
        except asyncio.CancelledError:
            await asyncio.wait({checking_out})  # a thread cannot be cancelled; the next `_check_in` returns what it got
            checking_out.exception()
            raise
        self._socket = connection.conn.get_conn
        self._socket.settimeout(0)
        self._is_encrypted = hasattr(self._socket, "pending")
        self._received.clear()
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)
        self._connection = connection

    def _check_out(self) -> Connection:
        checkout = self._database.delegate.client._conn_for_writes(None, "wire")
        connection: Connection = checkout.__enter__()
        self._checkout = checkout  # not before `__enter__`: what was not entered must not be exited
        return connection

    def _check_in(self) -> None:
        if self._checkout is not None:
            checkout, self._checkout = self._checkout, None
            error, self._error = self._error, None
            checkout.__exit__(type(error) if error else None, error, None)

    def _drop(self, error: Exception | None) -> None:
        """Close the connection, and let the exchange under way fail with `error`."""
        if self._connection is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket.fileno())
            loop.remove_writer(self._socket.fileno())
            self._connection.close_conn(None)
            self._connection, self._error = None, error
        if self._done is not None and not self._done.done():
            self._done.set_exception(error or AutoReconnect("the connection was closed"))

    async def _exchange(self, encoded: Encoded) -> list[Document]:
        loop = asyncio.get_running_loop()
        self._replies, self._expected = [], encoded.number
        done = self._done = loop.create_future()
        # 10 µs less than `asyncio.timeout`, and a batch has three exchanges.
        timer = loop.call_later(self._exchange_s, self._time_out)
        try:
            await self._send(encoded.messages, done)
            await done
        except PyMongoError:
            raise
        except Exception as error:  # of the socket, or of TLS
            raise AutoReconnect(str(error)) from error
        finally:
            timer.cancel()
            self._done = None
            done.cancel()
        return self._replies

    def _time_out(self) -> None:
        self._drop(NetworkTimeout("MongoDB did not answer in time"))

    async def _send(self, messages: bytes, done: asyncio.Future[None]) -> None:
        unsent = memoryview(messages)
        while unsent:
            try:
                unsent = unsent[self._socket.send(unsent[:_SEND_BYTES]) :]
            except _WOULD_BLOCK:
                await self._wait_until_writable(done)

    async def _wait_until_writable(self, done: asyncio.Future[None]) -> None:
        """Return when the socket takes more; raise what `done` raises when the connection is dropped first."""
        loop = asyncio.get_running_loop()
        writable: asyncio.Future[None] = loop.create_future()
        descriptor = self._socket.fileno()
        loop.add_writer(descriptor, _complete, writable)
        try:
            await asyncio.wait({writable, done}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # `_drop` has done so already, and the descriptor may belong to another file by now.
            if self._connection is not None:
                loop.remove_writer(descriptor)
        if done.done():
            done.result()

    def _read(self) -> None:
        try:
            while True:
                piece = self._socket.recv(_READ_BYTES)
                if not piece:
                    raise ConnectionError("MongoDB closed the connection")
                self._received += piece
                self._take_replies()
                if len(piece) < _READ_BYTES and not self._is_encrypted:
                    return
        except _WOULD_BLOCK:
            return
        except Exception as error:  # whatever it is, the rest of what is received cannot be understood
            dropped = AutoReconnect(str(error))
            dropped.__cause__ = error
            self._drop(dropped)

    def _take_replies(self) -> None:
        while (reply := op_msg.take_reply(self._received, self._database.codec_options)) is not None:
            if reply.to != len(self._replies) or self._done is None or self._done.done():
                raise ValueError("MongoDB sent a reply that was not asked for")
            self._replies.append(reply.document)
            if len(self._replies) == self._expected:
                self._done.set_result(None)


def _raise_for_error(replies: Sequence[Document]) -> None:
    """Raise the error of the first reply that is one."""
    for reply in replies:
        _check_command_response(reply, None)
        _check_write_command_response(reply)


def _complete(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
