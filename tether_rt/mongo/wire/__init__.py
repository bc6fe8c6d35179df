"""MongoDB's wire protocol on the event loop: the batch's transaction, look-ups of duplicates, the change stream.

Each of the driver's own operations is carried out in a thread (Motor), or passes several layers of asyncio code
(`AsyncMongoClient`). Calls/s with recordings on disk, on two cores, at 1, 16 and 128 connections:

| sessions and transactions by         |   1 |  16 |   128 |
| ------------------------------------ | --- | --- | ----- |
| PyMongo's `AsyncMongoClient`         |  97 | 580 | 1,040 |
| PyMongo in one thread                | 102 | 580 | 1,220 |
| Motor                                | 107 | 510 |   875 |
| this folder                          | 150 | 755 | 1,320 |

Half as many calls again is worth some 460 lines. What gains less than a tenth by this goes through Motor.

Of the driver this folder uses the pool of connections (discovery, TLS, authentication, monitoring) and the errors. Neither
has an interface for that in its documentation. `UNDOCUMENTED` lists all names that are used, and nothing else in `mongo/` uses
any. A test compares it with the code and with the installed driver; `setup.cfg` allows the versions with which that passed.
"""

from __future__ import annotations

from typing import Final

UNDOCUMENTED: Final = (
    "motor.motor_asyncio.AsyncIOMotorDatabase.delegate",
    "pymongo.helpers_shared._check_command_response",
    "pymongo.helpers_shared._check_write_command_response",
    "pymongo.ssl_support.BLOCKING_IO_ERRORS",
    "pymongo.synchronous.mongo_client.MongoClient._conn_for_writes",
    "pymongo.synchronous.pool.Connection",
    "pymongo.synchronous.pool.Connection.conn",
    "pymongo.synchronous.pool.Connection.close_conn",
    "pymongo.network_layer.NetworkingInterface.get_conn",
)
