"""Which calls are stored already. Blocking, for the threads that look up and write batches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pymongo.database import Database as BlockingDatabase

from tether_rt.events import CallIds
from tether_rt.store.client import MAJORITY, Document

CallKey = tuple[str, str]
"""What makes a call unique: the API key's user and `externalCallId`."""


@dataclass(frozen=True, slots=True)
class StoredCall:
    """As much of a stored call as a duplicate's answer needs."""

    call_id: str
    fingerprint: str


class Known:
    """Look-ups of many keys in one query each; they block and raise the driver's errors.

    Calls are read so that what is seen can no longer be rolled back: a caller who hears that one is there need not come again.
    """

    def __init__(self, database: BlockingDatabase[Document]) -> None:
        self._calls = database.get_collection("calls", read_concern=MAJORITY)

    def calls(self, keys: Iterable[CallKey]) -> dict[CallKey, StoredCall]:
        """Return the calls that are stored under these keys."""
        by_user = grouped(keys)
        if not by_user:
            return {}
        any_of = [{"userId": user_id, "providerCallId": {"$in": ids}} for user_id, ids in by_user.items()]
        found = self._calls.find({"$or": any_of}, {"userId": 1, "providerCallId": 1, "fingerprint": 1})
        return {(one["userId"], one["providerCallId"]): StoredCall(one["_id"], one["fingerprint"]) for one in found}

    def committed(self, call_ids: list[str]) -> dict[str, CallIds]:
        """Return the calls that are stored with these ids."""
        found = self._calls.find({"_id": {"$in": call_ids}}, {"contactId": 1, "conversationId": 1})
        return {one["_id"]: CallIds(one["_id"], one["contactId"], one["conversationId"]) for one in found}


def grouped(keys: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return what belongs to each owner, from pairs of owner and what is theirs."""
    groups: dict[str, list[str]] = {}
    for whose, which in keys:
        groups.setdefault(whose, []).append(which)
    return groups
