"""Fills a database with calls as the server would have stored them, made by its own code, but in bulk and without waiting."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from datetime import UTC, datetime
from typing import Any, Final

import bson
import pymongo
from pymongo import WriteConcern

from bench.payloads import ID_BYTES, templates
from tether_rt.domain.call import CompletedCall, Recording, completed_call
from tether_rt.domain.events import CallIds
from tether_rt.domain.source import Source
from tether_rt.mongo import client as store
from tether_rt.mongo.batch_plan import Entry, Plan
from tether_rt.mongo.calls import call_document, call_elements
from tether_rt.mongo.indexes import create_indexes
from tether_rt.mongo.search_index import INDEX_VERSION, making_entry, texts_of
from tether_rt.mongo.wire.op_msg import encoded
from tether_rt.runtime.cooperative import run_to_completion

_BATCH: Final = 128
_KINDS: Final = 2_000
_LARGE: Final = ("calls", "messages", "feed", "search")


def fill(mongodb_uri: str, database: str, source: Source, count: int) -> None:
    """Add `count` calls, their contacts, conversations, messages and feed, for an organization that has none."""
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri, tz_aware=True) as client:
        db = client.get_database(database, write_concern=WriteConcern(1, j=False))
        for name in _LARGE:
            db[name].drop_indexes()  # building them afterwards is many times faster
        number = _Filling(db, source).add(count)
        db["counters"].update_one({"_id": source.organization_id}, {"$set": {"seq": number, "calls": count}}, upsert=True)
        # With its search index: a server would begin by building it.
        position = {"_id": source.organization_id, "seq": number, "version": INDEX_VERSION}
        db["search_positions"].replace_one({"_id": source.organization_id}, position, upsert=True)
    asyncio.run(_index(mongodb_uri, database))


async def _index(mongodb_uri: str, database: str) -> None:
    client = store.connect(mongodb_uri, patient=True)
    try:
        await create_indexes(store.database(client, database), 7)
    finally:
        client.close()


class _Filling:
    def __init__(self, db: pymongo.database.Database[dict[str, Any]], source: Source) -> None:
        self._db = db
        self._calls = [_call(body, source) for body in _bodies()]
        self._contacts: list[dict[str, Any]] = []
        self._number = 0

    def add(self, count: int) -> int:
        """Write the calls and return the last event's number."""
        dice = random.Random(1)
        for done in range(0, count, _BATCH):
            chosen = dice.choices(self._calls, k=min(_BATCH, count - done))
            self._write([_entry(call) for call in chosen])
        return self._number

    def _write(self, entries: list[Entry]) -> None:
        plan = Plan(entries, datetime.now(UTC))
        run_to_completion(plan.fill(self._contacts))
        self._number += plan.event_count
        for command in plan.commands(self._number, plan.now):
            collection = command.body.get("insert")
            if collection is None:
                continue
            documents = [bson.decode(encoded(one, store.CODEC), codec_options=store.CODEC) for one in command.documents]
            self._db[collection].insert_many(documents, ordered=False)
            if collection == "calls":
                self._db["search"].insert_many([_search_entry(call) for call in documents], ordered=False)
            if collection == "contacts":
                self._contacts += documents


def _search_entry(call: dict[str, Any]) -> dict[str, Any]:
    spoken = [turn["message"] for turn in call["transcription"]]
    texts = texts_of({**call, "spoken": spoken}, call["contactName"], call["providerMetadata"]["metadata"])
    return dict(run_to_completion(making_entry(call, texts)))


def entry_source(call: CompletedCall, call_id: str, contact_name: str) -> dict[str, Any]:
    """Return the document of a call, with what was said, as the search index reads it."""
    ids = CallIds(call_id, "c" * 24, "d" * 24)
    document = call_document(call_elements(call, None), ids, contact_name, datetime.now(UTC))
    decoded = bson.decode(encoded(document, store.CODEC), codec_options=store.CODEC)
    return {**decoded, "spoken": [turn["message"] for turn in decoded["transcription"]]}


def _bodies() -> list[dict[str, Any]]:
    return [json.loads(bytes(ID_BYTES).replace(b"\0", b"a").join(call)) for call in templates(_KINDS)]


def _call(body: dict[str, Any], source: Source) -> CompletedCall:
    return completed_call(body, source, now=datetime.now(UTC), fingerprint=uuid.uuid4().hex * 2)


def _entry(call: CompletedCall) -> Entry:
    unique = call._replace(external_call_id=uuid.uuid4().hex)
    recording = None
    if call.status == "completed":
        sha256 = uuid.uuid4().hex * 2
        key = f"recordings/{call.organization_id}/{sha256}.mp3"
        recording = Recording(store.new_id(), key, "audio/mpeg", 4_170, sha256, 0.26)
    return Entry(store.new_id(), unique, recording, call_elements(unique, recording))
