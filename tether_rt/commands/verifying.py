"""The command that checks what is stored: every call has its recording, every number its event, every contact its calls.

It reads everything once, some hundreds of documents at a time, beside a server that goes on taking calls.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tether_rt.errors import NotFound
from tether_rt.mongo.client import Database, Document
from tether_rt.recordings.store import RecordingStore

_PAGE: Final = 500
_READS_AT_ONCE: Final = 16
_CALL_FIELDS: Final = ("organizationId", "contactId", "conversationId", "recordings", "copies")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it must be: what is wrong in one sentence, and the ids that it is about."""

    sentence: str
    ids: dict[str, Any]


async def faults(database: Database, store: RecordingStore, checked: Counter[str]) -> AsyncGenerator[Fault, None]:
    """Yield every fault of all organizations, and count in `checked` how much of what was looked at.

    Raises the driver's errors, and `Unavailable` when the store is away: what could not be looked at is no fault.
    """
    for part in (_of_calls(database, store, checked), _of_feed(database, checked), _of_contacts(database, checked)):
        async with aclosing(part) as found:
            async for fault in found:
                yield fault


async def _of_calls(database: Database, store: RecordingStore, checked: Counter[str]) -> AsyncGenerator[Fault, None]:
    async for calls in _pages(database, "calls", _CALL_FIELDS):
        suspects = [fault async for fault in _of_page(database, store, calls)]
        checked["calls"] += len(calls)
        checked["recordings"] += sum(len(call["recordings"]) for call in calls)
        # A call may have been erased, or been given another recording, since it was read.
        again = await _found(database, "calls", [fault.ids["callId"] for fault in suspects], _CALL_FIELDS)
        before = {call["_id"]: call for call in calls}
        for fault in suspects:
            if again.get(fault.ids["callId"]) == before[fault.ids["callId"]]:
                yield fault


async def _of_page(database: Database, store: RecordingStore, calls: list[Document]) -> AsyncIterator[Fault]:
    contacts = await _found(database, "contacts", {call["contactId"] for call in calls}, ("organizationId", "conversationId"))
    conversations = {call["conversationId"] for call in calls}
    messages = database["messages"].find({"conversationId": {"$in": [*conversations]}}, {"callId": 1})
    spoken_of = Counter([message["callId"] async for message in messages])
    for call in calls:
        about = {"callId": call["_id"], "organizationId": call["organizationId"]}
        contact = contacts.get(call["contactId"])
        if contact is None or contact["organizationId"] != call["organizationId"]:
            yield Fault("the call's contact is missing", {**about, "contactId": call["contactId"]})
        elif contact["conversationId"] != call["conversationId"]:
            yield Fault("the call is in another conversation than its contact", {**about, "contactId": call["contactId"]})
        if spoken_of[call["_id"]] != 1:
            yield Fault(f"the call has {spoken_of[call['_id']]} messages instead of one", about)
    files = [(call, file) for call in calls for file in (*call["recordings"], *call.get("copies", ()))]
    places = asyncio.Semaphore(_READS_AT_ONCE)
    found = await asyncio.gather(*(_is_there(store, file, places) for _, file in files))
    for (call, file), is_there in zip(files, found, strict=True):
        if not is_there:
            yield Fault(
                "the call's recording is missing, or shorter than it was",
                {"callId": call["_id"], "organizationId": call["organizationId"], "key": file["key"]},
            )


async def _is_there(store: RecordingStore, file: Document, places: asyncio.Semaphore) -> bool:
    """Return whether a recording's last byte can be read."""
    async with places:
        try:
            async with aclosing(store.read(file["key"], file["bytes"] - 1, file["bytes"])) as pieces:
                return [piece async for piece in pieces] != []
        except NotFound:
            return False


async def _of_feed(database: Database, checked: Counter[str]) -> AsyncGenerator[Fault, None]:
    # Counters first: what is committed meanwhile makes the feed longer than they say, never shorter.
    counters = {each["_id"]: each["seq"] async for each in database["counters"].find({"seq": {"$gt": 0}})}
    for organization_id, number in counters.items():
        about = {"organizationId": organization_id}
        expected = None  # older events are removed after the retention
        last = 0
        async for segment in database["feed"].find({"organizationId": organization_id}).sort("last", 1):
            first, last = segment["first"], segment["last"]
            checked["events"] += last - first + 1
            if expected is not None and first != expected:
                yield Fault(f"the events {expected} to {first - 1} are missing", about)
            if [*_numbers(segment["events"])] != [*range(first, last + 1)]:
                yield Fault(f"the events {first} to {last} do not have these numbers", about)
            expected = last + 1
            await asyncio.sleep(0)
        if expected is not None and last < number:
            yield Fault(f"the events {expected} to {number} are missing", about)


def _numbers(texts: Iterable[str]) -> Iterator[int]:
    for text in texts:
        yield orjson.loads(text)["seq"]


async def _of_contacts(database: Database, checked: Counter[str]) -> AsyncGenerator[Fault, None]:
    async for contacts in _pages(database, "contacts", ("organizationId", "conversationId")):
        checked["contacts"] += len(contacts)
        for contact in await _without_calls(database, contacts):
            # It may have been erased since it was read.
            if await database["contacts"].find_one({"_id": contact["_id"]}, {"_id": 1}) is not None:
                about = {"contactId": contact["_id"], "organizationId": contact["organizationId"]}
                yield Fault("the contact has no calls", about)


async def _without_calls(database: Database, contacts: list[Document]) -> list[Document]:
    named = {
        "organizationId": {"$in": [*{contact["organizationId"] for contact in contacts}]},
        "contactId": {"$in": [contact["_id"] for contact in contacts]},
    }
    called = await database["calls"].distinct("contactId", named)
    return [contact for contact in contacts if contact["_id"] not in {*called}]


async def _pages(database: Database, collection: str, fields: Iterable[str]) -> AsyncIterator[list[Document]]:
    """Yield all documents of a collection by their id: a cursor might end while the recordings of a page are looked at."""
    query: Document = {}
    projection = dict.fromkeys(fields, 1)
    while page := await database[collection].find(query, projection).sort("_id", 1).limit(_PAGE).to_list(_PAGE):
        yield page
        query = {"_id": {"$gt": page[-1]["_id"]}}


async def _found(database: Database, collection: str, ids: Iterable[str], fields: Iterable[str]) -> dict[str, Document]:
    cursor = database[collection].find({"_id": {"$in": [*ids]}}, dict.fromkeys(fields, 1))
    return {document["_id"]: document async for document in cursor}
