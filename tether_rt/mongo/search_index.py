"""The search index: for each call an entry in `search`, and for each organization how far its log was read into it.

An entry holds what a call is found by (`terms`), and a copy of what lists filter and order by, so that a search is answered
from entries alone. Entries are written by one reader of the feed (`search_feeder`); calls know nothing of it. The position in
the feed is stored in the same transaction as the entries, so neither a killed process nor two at once can leave an entry out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, NotRequired, TypedDict, cast

import orjson
from bson.raw_bson import RawBSONDocument

from tether_rt.domain.call import parse_time
from tether_rt.domain.call_match import CallTexts
from tether_rt.domain.entry_terms import making_call_terms
from tether_rt.domain.events import HEAD_CHARS, event_head
from tether_rt.domain.party import WITHHELD, is_number
from tether_rt.mongo.client import Database, Document
from tether_rt.mongo.free_form import RAW, as_stored

INDEX_VERSION: Final = 1
"""Of what `entry` makes of a call: an index of another version is built anew while it goes on being used."""
MAX_BEHIND_CALLS: Final = 20_000
"""Calls behind the position that a search looks at, the newest: the reader does not rest any more when so many wait."""
_SEGMENTS_AT_ONCE: Final = 64
_IN_THREAD_BYTES: Final = 16_384
_COPIED: Final = ("organizationId", "contactId", "userId", "status", "direction", "agentName", "startTime", "duration")
"""Fields of a call that its entry has, too: those of `CallFilter`."""

OWN_FIELDS: Final = dict.fromkeys(
    (*_COPIED, "conversationId", "contactName", "callerName", "from", "to", "summary", "providerCallId"), 1
)
"""A projection of a call to what it is found by, but for what was said and its metadata."""
SPOKEN_FIELDS: Final = {**OWN_FIELDS, "spoken": "$transcription.message"}
"""With what was said, as plain strings: the driver decodes them in a ninth of the time that the turns would take."""


class EntryDocument(TypedDict):
    """What a call is found by; the id is the call's. The other fields are those of `CallDocument`."""

    _id: str
    organizationId: str
    contactId: str
    userId: str
    status: str
    direction: str
    agentName: str | None
    startTime: datetime
    duration: float
    terms: list[str]


class BuiltTo(TypedDict):
    """The call at which the building of an index has arrived; it goes from the newest to the oldest."""

    startTime: datetime
    callId: str


class PositionDocument(TypedDict):
    """How far an organization's feed was read into the index; the id is the organization's.

    `version` is that of its entries (`INDEX_VERSION`), `writes` counts its changes. While the calls from before `seq` are still
    being indexed, `building` is True, and `builtTo` where that has arrived.
    """

    _id: str
    seq: int
    version: int
    writes: NotRequired[int]
    building: NotRequired[bool]
    builtTo: NotRequired[BuiltTo]


class Behind(NamedTuple):
    """Calls that changed behind the position, newest first, and whether those are all."""

    call_ids: list[str]
    is_all: bool
    is_building: bool
    """Whether older calls are still being indexed."""


class SearchIndex:
    """What is stored of the index, and what is not in it yet."""

    def __init__(self, database: Database) -> None:
        self._entries = database["search"]
        self._positions = database["search_positions"]
        self._counters = database["counters"]
        self._feed = database["feed"]
        self._calls = database["calls"]

    async def forget(self, organization_id: str, call_ids: Iterable[str]) -> int:
        """Remove the entries of calls that are erased; return how many there were.

        Call it after the calls' documents are gone: one that is indexed at this moment is removed again when `call_deleted`
        is read from the feed.
        """
        deleted = await self._entries.delete_many({"_id": {"$in": list(call_ids)}, "organizationId": organization_id})
        return int(deleted.deleted_count)

    async def forget_before(self, organization_id: str, before: datetime) -> None:
        """Remove the entries of all calls that began before a time: all of those are erased."""
        await self._entries.delete_many({"organizationId": organization_id, "startTime": {"$lt": before}})

    async def forget_all(self) -> None:
        """Remove all entries and positions: the next reader builds every organization's index anew."""
        await self._positions.delete_many({})
        await self._entries.delete_many({})

    async def behind(self, organization_id: str) -> Behind:
        """Return the calls with events behind the position: at most `MAX_BEHIND_CALLS`, the newest."""
        # The position first: what is indexed in between is found twice, never not at all.
        position = await self._positions.find_one({"_id": organization_id})
        counter = await self._counters.find_one({"_id": organization_id}, {"seq": 1})
        last = counter["seq"] if counter is not None else 0
        seq = position["seq"] if position is not None else 0
        is_building = position is not None and position.get("building", False)
        found: dict[str, None] = {}
        contact_ids: set[str] = set()
        while last > seq:
            query = {"organizationId": organization_id, "last": {"$gt": seq, "$lte": last}}
            heads = {"$map": {"input": "$events", "in": {"$substrCP": ["$$this", 0, HEAD_CHARS]}}}
            cursor = self._feed.find(query, {"first": 1, "heads": heads}).sort("last", -1).limit(_SEGMENTS_AT_ONCE)
            segments = await cursor.to_list(None)
            if not segments:
                is_building = True  # those calls' events are not kept any more
                break
            for segment in segments:
                found.update(dict.fromkeys(reversed(call_ids_of(segment["heads"]))))
                contact_ids |= contact_ids_of(segment["heads"])
                if len(found) >= MAX_BEHIND_CALLS:
                    return Behind(list(found), False, is_building)
            last = segments[-1]["first"] - 1
        if contact_ids:
            query = {"organizationId": organization_id, "contactId": {"$in": list(contact_ids)}}
            cursor = self._calls.find(query, {"_id": 1}).sort("startTime", -1).limit(MAX_BEHIND_CALLS)
            found.update(dict.fromkeys([call["_id"] for call in await cursor.to_list(None)]))
        return Behind(list(found), True, is_building)


class SearchedCalls:
    """Reads what is searched of calls."""

    def __init__(self, database: Database) -> None:
        self._calls = database["calls"]
        self._raw_calls = database.get_collection("calls", codec_options=RAW)
        self._contacts = database["contacts"]

    async def sizes(self, organization_id: str, call_ids: Sequence[str]) -> dict[str, int]:
        """Return how many bytes the documents of calls have; those that do not exist are left out."""
        query = {"_id": {"$in": list(call_ids)}, "organizationId": organization_id}
        found = await self._calls.find(query, {"bytes": {"$bsonSize": "$$ROOT"}}).to_list(None)
        return {call["_id"]: call["bytes"] for call in found}

    async def read_own(self, organization_id: str, call_ids: Sequence[str]) -> list[tuple[Document, CallTexts]]:
        """Return calls as `OWN_FIELDS` has them, and these texts, with the contact's present name."""
        query = {"_id": {"$in": list(call_ids)}, "organizationId": organization_id}
        calls = await self._calls.find(query, OWN_FIELDS).to_list(None)
        names = await self._names(calls)
        return [(call, texts_of(call, names.get(call["contactId"]))) for call in calls]

    async def _names(self, calls: Sequence[Document]) -> dict[str, str]:
        """Return the present names of the calls' contacts, by id."""
        contacts = self._contacts.find({"_id": {"$in": list({call["contactId"] for call in calls})}}, {"name": 1})
        return {contact["_id"]: contact["name"] for contact in await contacts.to_list(None)}

    async def read(self, call_ids: Sequence[str]) -> AsyncIterator[tuple[Document, CallTexts]]:
        """Yield calls as `SPOKEN_FIELDS` has them, and all their texts, with the contact's present name."""
        if not call_ids:
            return
        these: Document = {"_id": {"$in": list(call_ids)}}
        calls = await self._calls.find(these, SPOKEN_FIELDS).to_list(None)
        names = await self._names(calls)
        with_metadata = {**these, "providerMetadata.metadata": {"$nin": [None, {}]}}
        raw = await self._raw_calls.find(with_metadata, {"providerMetadata.metadata": 1}).to_list(None)
        stored = {call["_id"]: call["providerMetadata"]["metadata"] for call in raw}
        for call in calls:
            metadata = stored.get(call["_id"])
            if isinstance(metadata, RawBSONDocument):
                is_large = len(metadata.raw) > _IN_THREAD_BYTES  # six megabytes of small objects take a second
                metadata = await asyncio.to_thread(as_stored, metadata) if is_large else as_stored(metadata)
            yield call, texts_of(call, names.get(call["contactId"]), metadata)


def call_ids_of(events: Iterable[str]) -> list[str]:
    """Return the ids of the calls that events are about, in their order."""
    heads = (event_head(text) for text in events)
    return list(dict.fromkeys(subject for name, subject in filter(None, heads) if name not in _OF_CONTACTS))


def contact_ids_of(events: Iterable[str]) -> set[str]:
    """Return the ids of the contacts that changed or are gone, all of whose calls are to be looked at."""
    heads = (event_head(text) for text in events)
    return {subject for name, subject in filter(None, heads) if name in _OF_CONTACTS}


def expired_before(events: Iterable[str]) -> datetime | None:
    """Return the time before which all calls were erased, of the last event that says so."""
    times = [orjson.loads(text)["data"]["before"] for text in events if text.startswith(_EXPIRED)]
    return parse_time(times[-1]) if times else None


_EXPIRED: Final = '{"event":"calls_expired",'
_OF_CONTACTS: Final = frozenset(("contact_updated", "contact_deleted"))


def texts_of(call: Document, contact_name: str | None = None, metadata: Any = None) -> CallTexts:
    """Return what is searched of a call that was read with `OWN_FIELDS` or `SPOKEN_FIELDS`."""
    addresses = (call["from"] or WITHHELD, call["to"])
    return CallTexts(
        texts=(call["summary"], *call.get("spoken", ())),
        names=(contact_name, call["contactName"], call.get("callerName"), *(one for one in addresses if not is_number(one))),
        numbers=[one for one in addresses if is_number(one)],
        agent_name=call["agentName"],
        ids=(call["_id"], call.get("providerCallId"), call["conversationId"]),
        metadata=metadata,
    )


def making_entry(call: Document, texts: CallTexts) -> Generator[None, None, EntryDocument]:
    """Return a call's entry, some text a step (`cooperative`)."""
    terms = yield from making_call_terms(texts)
    copied = {name: call[name] for name in _COPIED}
    return cast(EntryDocument, {"_id": call["_id"], **copied, "terms": terms})
