"""Find and end transactions that a killed process left open, so that they do not hold an organization's lock.

MongoDB keeps such a transaction for `transactionLifetimeLimitSeconds`, 60 s by default; meanwhile every other process has a
write conflict at the counter that it changed. A running process leaves its transactions idle only for milliseconds, so one that
is idle for seconds is abandoned. If its process only hung, it gets NoSuchTransaction and tries again.
"""

from __future__ import annotations

import logging
import math
import time
from typing import Final

from bson import Binary
from pymongo.errors import OperationFailure, PyMongoError

from tether_rt.mongo.client import APP_NAME, Client, Document
from tether_rt.runtime.logs import log

_IDLE_US: Final = 2_000_000
_LOOK_EVERY_S: Final = 0.5

_LOG: Final = logging.getLogger("tether.store")


class AbandonedTransactions:
    """Ends abandoned transactions on request, at most twice a second."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._looked_at_s = -math.inf

    async def end(self) -> None:
        """End transactions of this program's processes that have been idle for 2 s; log a failure to do so.

        With access control, MongoDB lets a user list and end its own sessions without a further privilege.
        """
        now_s = time.monotonic()
        if now_s - self._looked_at_s < _LOOK_EVERY_S:
            return
        self._looked_at_s = now_s
        abandoned = {
            "active": False,
            "appName": APP_NAME,
            "transaction.timeInactiveMicros": {"$gt": _IDLE_US},
        }
        pipeline: list[Document] = [{"$currentOp": {"idleSessions": True, "allUsers": False}}, {"$match": abandoned}]
        try:
            session_ids = [operation["lsid"]["id"] async for operation in self._client.admin.aggregate(pipeline)]
            if session_ids:
                await self._client.admin.command("killSessions", [{"id": Binary.from_uuid(one)} for one in session_ids])
        except PyMongoError as error:
            details = error.details if isinstance(error, OperationFailure) else None
            log(_LOG, logging.WARNING, "orphans_not_ended", reason=(details or {}).get("codeName") or type(error).__name__)
            return
        if session_ids:
            log(_LOG, logging.WARNING, "orphans_ended", transactions=len(session_ids))
