"""The connection to MongoDB: its options, which errors mean that it is unavailable, and ids."""

from __future__ import annotations

import re
import warnings
from typing import Any, Final

import pymongo.errors
from bson import ObjectId
from bson.codec_options import CodecOptions
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo import ReadPreference, WriteConcern
from pymongo.read_concern import ReadConcern

from tether_rt.errors import ConfigError, Unavailable

Document = dict[str, Any]
Client = AsyncIOMotorClient[Document]
Database = AsyncIOMotorDatabase[Document]
DriverError = pymongo.errors.PyMongoError
"""The base of all errors of the driver, for modules outside `mongo/`, which do not import the driver."""

CODEC: Final = CodecOptions[Document](tz_aware=True)
DURABLE: Final = WriteConcern("majority", j=True)
MAJORITY: Final = ReadConcern("majority")

APP_NAME: Final = "tether_rt"
SELECTION_MS: Final = 1_500
SOCKET_MS: Final = 3_500
"""Selecting a server and one operation take less than 5 s together: the time after which the contract answers 503."""

_UNAVAILABLE: Final = (
    pymongo.errors.ConnectionFailure,  # AutoReconnect, NotPrimaryError, NetworkTimeout, ServerSelectionTimeoutError
    pymongo.errors.ExecutionTimeout,
    pymongo.errors.WTimeoutError,
    pymongo.errors.WaitQueueTimeoutError,
    # A mongod that starts does not announce sessions until it has found its replica set. On a direct connection, as to the
    # private MongoDB, the driver then says that MongoDB does not support them. `require_replica_set` has checked that it does.
    pymongo.errors.ConfigurationError,
)
_UNAVAILABLE_CODES: Final = frozenset({
    6, 7, 89, 91, 133, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436,  # the retryable codes of MongoDB's specification
    11601, 50, 24, 112, 246, 251,  # interrupted, time limit, lock timeout, write conflict, snapshot gone, no such transaction
    43, 175, 237, 239, 279, 290, 46841,  # a cursor, snapshot or transaction that a restart, election or kill ended
})  # fmt: skip
_OUT_OF_DISK_SPACE: Final = 14031
_UNKNOWN: Final = 8
# An error without a code of its own has the storage engine's message: "28: No space left on device" (strerror).
_NO_SPACE: Final = re.compile(r"No space left on device|Disk quota exceeded")


def connect(uri: str, *, patient: bool = False) -> Client:
    """Return a client that connects when it is first used, and again when MongoDB was away.

    With `patient` an operation may take minutes, as building an index does. Raises `ConfigError` for an address that cannot be
    understood.
    """
    try:
        with warnings.catch_warnings():
            # The driver only warns about an option that it does not know, and ignores it: it might connect without TLS.
            warnings.simplefilter("error", UserWarning)
            return AsyncIOMotorClient(
                uri,
                appname=APP_NAME,
                tz_aware=True,
                serverSelectionTimeoutMS=SELECTION_MS,
                connectTimeoutMS=SELECTION_MS,
                socketTimeoutMS=None if patient else SOCKET_MS,
                waitQueueTimeoutMS=SELECTION_MS,
                heartbeatFrequencyMS=2_000,
                maxPoolSize=96,  # 32 lanes of the group commit keep one each
                uuidRepresentation="standard",
            )
    except (pymongo.errors.InvalidURI, ValueError) as error:
        # The driver's message may quote part of a password, which it took for a port.
        hint = "percent-encode special characters in its user and password." if "@" in uri else str(error)
        raise ConfigError(f"MONGODB_URI cannot be used: {hint}") from error
    except (pymongo.errors.ConfigurationError, UserWarning) as error:
        raise ConfigError(f"MONGODB_URI cannot be used: {error}") from error


def database(client: Client, name: str) -> Database:
    """Return a database whose writes are acknowledged by a majority and journaled, and whose reads come from the primary."""
    return client.get_database(
        name,
        codec_options=CODEC,
        write_concern=DURABLE,
        read_preference=ReadPreference.PRIMARY,
    )


async def require_replica_set(client: Client) -> None:
    """Raise `ConfigError` unless MongoDB answers and is a replica set (transactions and change streams need one)."""
    try:
        hello = await client.admin.command("hello")
    except pymongo.errors.OperationFailure as error:
        raise ConfigError("MONGODB_URI is refused by MongoDB: check its user and password.") from error
    except pymongo.errors.PyMongoError as error:
        raise ConfigError("MONGODB_URI cannot be reached: is MongoDB running at that address?") from error
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise ConfigError(
            "MONGODB_URI is not a replica set: start mongod with --replSet and run rs.initiate(), "
            "or leave MONGODB_URI out to use a private MongoDB."
        )


def unavailable(error: BaseException) -> Unavailable | None:
    """Return the error to answer with (503) if `error` means that MongoDB is temporarily unavailable, else None."""
    if isinstance(error, Unavailable):
        return error
    if isinstance(error, pymongo.errors.OperationFailure) and _is_full(error):
        return Unavailable("The database has no room left on its disk; send the request again later.", retry_after_s=30)
    is_unavailable = isinstance(error, _UNAVAILABLE) or (
        isinstance(error, pymongo.errors.OperationFailure) and (error.code in _UNAVAILABLE_CODES)
    )
    if not is_unavailable and isinstance(error, pymongo.errors.PyMongoError):
        is_unavailable = error.has_error_label("RetryableWriteError") or error.has_error_label("TransientTransactionError")
    return Unavailable("The database cannot be reached just now; send the request again.") if is_unavailable else None


def _is_full(error: pymongo.errors.OperationFailure) -> bool:
    details = error.details or {}
    problems = [{"code": error.code, "errmsg": details.get("errmsg")}, *details.get("writeErrors", ())]
    return any(
        problem.get("code") == _OUT_OF_DISK_SPACE
        or (problem.get("code") == _UNKNOWN and _NO_SPACE.search(str(problem.get("errmsg"))))
        for problem in problems
    )


def new_id() -> str:
    """Return a new id: 24 hexadecimal digits that grow with time (MongoDB's ObjectId)."""
    return str(ObjectId())
