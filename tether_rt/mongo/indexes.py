"""All collections and indexes. Creating them is idempotent and happens at each start."""

from __future__ import annotations

from typing import Final

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import CollectionInvalid, OperationFailure

from tether_rt.mongo.client import Database

AUDIT_RETENTION_DAYS: Final = 1095
_DAY_S: Final = 86_400
_AT_DESCENDING: Final = (("at", DESCENDING), ("_id", DESCENDING))

_INDEXES: Final[dict[str, list[IndexModel]]] = {
    "organizations": [IndexModel([("name", ASCENDING)], unique=True)],
    "users": [
        IndexModel([("email", ASCENDING)], unique=True),
        IndexModel([("apiKeyDigest", ASCENDING)], unique=True),
        IndexModel([("organizationId", ASCENDING)]),
        IndexModel([("link.digest", ASCENDING)], unique=True, sparse=True),
        IndexModel([("accessChangedAt", ASCENDING)], sparse=True),
    ],
    "sources": [
        IndexModel([("organizationId", ASCENDING)]),
        IndexModel([("keys.digest", ASCENDING)], unique=True, sparse=True),
        IndexModel([("secrets.digest", ASCENDING)], sparse=True),
    ],
    "tokens": [IndexModel([("organizationId", ASCENDING)]), IndexModel([("digest", ASCENDING)], unique=True)],
    "sessions": [IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0), IndexModel([("userId", ASCENDING)])],
    "contacts": [
        # Contacts of callers who withheld their number have none.
        IndexModel(
            [("organizationId", ASCENDING), ("number", ASCENDING)],
            name="number",
            unique=True,
            partialFilterExpression={"number": {"$exists": True}},
        ),
        IndexModel([("organizationId", ASCENDING), ("lastCallAt", DESCENDING), ("_id", DESCENDING)]),
        IndexModel([("organizationId", ASCENDING), ("terms", ASCENDING)], name="terms"),
    ],
    "conversations": [IndexModel([("contactId", ASCENDING), ("type", ASCENDING)], unique=True)],
    "messages": [IndexModel([("conversationId", ASCENDING), ("createdAt", DESCENDING), ("_id", DESCENDING)])],
    "calls": [
        IndexModel(
            [("userId", ASCENDING), ("providerCallId", ASCENDING)],
            unique=True,
            partialFilterExpression={"providerCallId": {"$exists": True}},
        ),
        # For lists. With the last three fields figures are counted from the index alone, without reading calls: a million
        # take a second.
        IndexModel(
            [
                ("organizationId", ASCENDING),
                ("startTime", DESCENDING),
                ("_id", DESCENDING),
                *((name, ASCENDING) for name in ("status", "duration", "agentName")),
            ]
        ),
        # With the status: so a contact's figures are counted from the index alone.
        IndexModel(
            [
                *((name, ASCENDING) for name in ("organizationId", "contactId")),
                *((name, DESCENDING) for name in ("startTime", "_id")),
                ("status", ASCENDING),
            ]
        ),
        IndexModel([("organizationId", ASCENDING), ("status", ASCENDING), ("startTime", DESCENDING), ("_id", DESCENDING)]),
        IndexModel([("organizationId", ASCENDING), ("agentName", ASCENDING), ("startTime", DESCENDING), ("_id", DESCENDING)]),
        IndexModel([("organizationId", ASCENDING), ("createdAt", ASCENDING)]),
        IndexModel([("recordings.recordingId", ASCENDING)], sparse=True),
    ],
    "search": [
        # Without the start time: so the calls of a word are in the order in which they were stored, and new ones go to the end.
        IndexModel([("organizationId", ASCENDING), ("terms", ASCENDING)], name="terms"),
        IndexModel([("organizationId", ASCENDING), ("startTime", DESCENDING), ("_id", DESCENDING)]),
    ],
    "call_changes": [IndexModel([("callId", ASCENDING), ("number", DESCENDING)])],
    "pending_recordings": [
        IndexModel([("nextAt", ASCENDING), ("organizationId", ASCENDING)]),
        IndexModel([("organizationId", ASCENDING), ("nextAt", ASCENDING)]),
        IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0),
    ],
    "recording_copies": [IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0)],
    "deliveries": [
        IndexModel([("organizationId", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)]),
        # With the verdict: so those of a source are counted from the index alone.
        IndexModel(
            [
                *((name, ASCENDING) for name in ("organizationId", "sourceId")),
                *((name, DESCENDING) for name in ("at", "_id")),
                ("verdict", ASCENDING),
            ]
        ),
        IndexModel([("organizationId", ASCENDING), ("verdict", ASCENDING), ("code", ASCENDING), ("at", DESCENDING)]),
        IndexModel([("organizationId", ASCENDING), ("callId", ASCENDING)]),
        IndexModel(
            [("sourceId", ASCENDING), ("callKey", ASCENDING), ("at", ASCENDING)],
            partialFilterExpression={"nextAt": {"$exists": True}},
        ),
        IndexModel([("nextAt", ASCENDING)], sparse=True),
        IndexModel([("audio.key", ASCENDING)], sparse=True),
        IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0),
    ],
    "delivery_bodies": [
        IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0),
        IndexModel([("fileExpiresAt", ASCENDING)], sparse=True),
    ],
    "feed": [IndexModel([("organizationId", ASCENDING), ("last", ASCENDING)], unique=True)],
    "audit": [
        IndexModel([("organizationId", ASCENDING), *_AT_DESCENDING]),
        *(IndexModel([("organizationId", ASCENDING), (name, ASCENDING), *_AT_DESCENDING]) for name in ("userId", "what")),
        *(
            IndexModel(
                [("organizationId", ASCENDING), (name, ASCENDING), *_AT_DESCENDING],
                partialFilterExpression={name: {"$exists": True}},
            )
            for name in ("callId", "callIds", "tokenId")
        ),
    ],
    "erasures": [
        IndexModel([("nextAt", ASCENDING)]),
        IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0),
    ],
    "erasure_files": [IndexModel([("erasureId", ASCENDING)])],
}

_REPLACED: Final = {
    "contacts": {"organizationId_1_number_1"},
    "calls": {
        "organizationId_1_terms_1",
        "organizationId_1_terms_1_startTime_-1",
        "terms",
        "organizationId_1_numbers_1_startTime_-1__id_-1",
        "unindexed_1",
        "organizationId_1_startTime_-1__id_-1",
        "organizationId_1_contactId_1_startTime_-1__id_-1",
        "organizationId_1_startTime_1_status_1_duration_1_agentName_1",
    },
    "deliveries": {"organizationId_1_sourceId_1_at_-1__id_-1"},
}
"""Indexes of earlier versions that no query uses any more."""
_INDEX_NOT_FOUND: Final = 27
_NAMESPACE_EXISTS: Final = 48


async def create_indexes(
    database: Database,
    feed_retention_days: int,
    audit_retention_days: int = AUDIT_RETENTION_DAYS,
    *,
    keep_retention: bool = False,
) -> None:
    """Create every collection and index that is missing, and set how long the feed and the audit log are kept.

    Read tokens that were revoked are kept as long as the audit log, which names them. `keep_retention` leaves alone what was
    set before.
    """
    existing = set(await database.list_collection_names())
    for name in (*_INDEXES, "counters", "peaks", "search_positions", "leases", "erased_calls", "digest_keys"):
        if name not in existing:
            # Not left to the first transaction: creating a collection takes a lock that conflicts with other transactions.
            await _create_collection(database, name)
    # Listed first: dropping an index, even one that does not exist, waits for all transactions, also for abandoned ones.
    outdated = {name: replaced & (await database[name].index_information()).keys() for name, replaced in _REPLACED.items()}
    for name, models in _INDEXES.items():
        await database[name].create_indexes(models)
    for name, indexes in outdated.items():
        for index in indexes:
            await _drop_index(database, name, index)
    for collection, field, days in (
        ("feed", "at", feed_retention_days),
        ("audit", "at", audit_retention_days),
        ("tokens", "revokedAt", audit_retention_days),
    ):
        await _set_retention(database, collection, field, days * _DAY_S, keep=keep_retention)


async def _create_collection(database: Database, name: str) -> None:
    try:
        await database.create_collection(name)
    except CollectionInvalid:
        return  # another process was faster
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:  # another process was faster
            raise


async def _drop_index(database: Database, collection: str, index: str) -> None:
    try:
        await database[collection].drop_index(index)
    except OperationFailure as error:
        if error.code != _INDEX_NOT_FOUND:  # another process was faster
            raise


async def _set_retention(database: Database, collection: str, field: str, seconds: int, *, keep: bool) -> None:
    information = await database[collection].index_information()
    current = information.get("retention")
    if current is None:
        await database[collection].create_index([(field, ASCENDING)], name="retention", expireAfterSeconds=seconds)
    elif not keep and current.get("expireAfterSeconds") != seconds:
        await database.command("collMod", collection, index={"name": "retention", "expireAfterSeconds": seconds})
