"""Transactions that a killed process left open: found and ended, so that they do not hold an organization's lock.

MongoDB keeps such a transaction for `transactionLifetimeLimitSeconds`, 60 s by default, and meanwhile every other process runs
into a write conflict at the counter it had changed. Ours are never idle between two statements for more than a moment, so one
that is belongs to nobody. Should it belong to a process that hangs, that one is told so (NoSuchTransaction) and tries again.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from bson import Binary
from pymongo.errors import OperationFailure, PyMongoError

from tether_rt.mongo.client import APP_NAME, Client, Document
from tether_rt.runtime.logs import log

_IDLE_MICROS: Final = 2_000_000
_LOOK_EVERY_S: Final = 0.5

_LOG: Final = logging.getLogger("tether.store")


class AbandonedTransactions:
    """Ends orphaned transactions when asked, at most twice a second."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._looked_s = 0.0

    async def end(self) -> None:
        """End the transactions of this program's processes that have been idle for 2 s; what stands in the way is logged.

        With access control, MongoDB lets a user see and end the sessions of the same user without a further privilege.
        """
        now_s = time.monotonic()
        if now_s - self._looked_s < _LOOK_EVERY_S:
            return
        self._looked_s = now_s
        idle = {
            "active": False,
            "appName": APP_NAME,
            "transaction.timeInactiveMicros": {"$gt": _IDLE_MICROS},
        }
        pipeline: list[Document] = [{"$currentOp": {"idleSessions": True, "allUsers": False}}, {"$match": idle}]
        try:
            sessions = [operation["lsid"]["id"] async for operation in self._client.admin.aggregate(pipeline)]
            if sessions:
                await self._client.admin.command("killSessions", [{"id": Binary.from_uuid(one)} for one in sessions])
        except PyMongoError as error:
            details = error.details if isinstance(error, OperationFailure) else None
            log(_LOG, logging.WARNING, "orphans_not_ended", reason=(details or {}).get("codeName") or type(error).__name__)
            return
        if sessions:
            log(_LOG, logging.WARNING, "orphans_ended", transactions=len(sessions))
