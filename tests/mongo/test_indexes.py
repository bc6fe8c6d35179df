"""Indexes are made once, by whichever process is first, and every query that somebody waits for has one."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.entries import caller, entry, recording
from tests.support.indexing import index_all
from tether_rt.domain.audit import Actor
from tether_rt.domain.periods import offsets
from tether_rt.mongo import client as store
from tether_rt.mongo.audit import AuditFilter, AuditLog
from tether_rt.mongo.batch_writer import BatchWriter
from tether_rt.mongo.call_figures import CallFigures
from tether_rt.mongo.call_history import CallFilter, CallHistory
from tether_rt.mongo.calls import Calls
from tether_rt.mongo.contacts import Contacts
from tether_rt.mongo.deliveries import Deliveries
from tether_rt.mongo.feed import Feed
from tether_rt.mongo.indexes import create_indexes
from tether_rt.mongo.lookups import Lookups
from tether_rt.mongo.read_tokens import ReadTokenChanges, ReadTokenQueries
from tether_rt.mongo.search_index import SearchIndex
from tether_rt.mongo.sessions import Sessions
from tether_rt.mongo.sources import Sources
from tether_rt.mongo.users import Users
from tether_rt.mongo.waveforms import Waveforms
from tether_rt.mongo.wire.loop_connection import LoopConnection

WHOSE = caller()
DAY_S = 86_400
BEFORE, AFTER = (datetime.now(UTC) + timedelta(days=days) for days in (-1, 1))


@dataclass(frozen=True, slots=True)
class Filled:
    """A database with calls of two organizations, and the ids of one of them."""

    database: store.Database
    contact_id: str
    conversation_id: str
    message_id: str
    call_id: str


@pytest.fixture(scope="module")
async def filled(mongodb_uri: str) -> AsyncIterator[Filled]:
    client = store.connect(mongodb_uri)
    database = store.database(client, f"t{uuid.uuid4().hex[:12]}")
    await create_indexes(database, 7)
    writer = BatchWriter(database)
    for whose in (WHOSE, caller()):
        for number in range(3):
            changes: dict[str, Any] = {"externalCallId": str(number), "agentName": "Alex", "callerName": "Tom"}
            await writer.write([entry(whose, voice=recording(), **changes)])
    await writer.close()
    await index_all(database)
    message = await database["messages"].find_one({"organizationId": WHOSE.organization_id})
    assert message is not None
    yield Filled(database, message["contactId"], message["conversationId"], message["_id"], message["callId"])
    await client.drop_database(database.name)
    client.close()


COLLECTIONS = {
    *("organizations", "users", "sources", "tokens", "sessions", "counters"),
    *("contacts", "conversations", "calls", "messages", "call_changes", "peaks", "feed"),
    *("deliveries", "delivery_bodies", "pending_recordings", "audit", "recording_copies"),
    *("search", "search_positions", "leases"),
    *("erasures", "erasure_files", "erased_calls", "digest_keys"),
}


async def plans(database: store.Database, run: Awaitable[Any]) -> list[dict[str, Any]]:
    """Return what MongoDB's profiler saw while `run` ran."""
    await database["system.profile"].drop()
    await database.command("profile", 2)
    try:
        await run
    finally:
        await database.command("profile", 0)
    seen = await database["system.profile"].find({"ns": {"$ne": f"{database.name}.system.profile"}}).to_list(None)
    return [plan for plan in seen if "planSummary" in plan]


async def indexes_of(database: store.Database) -> dict[str, Any]:
    names = await database.list_collection_names()
    return {name: await database[name].index_information() for name in sorted(names)}


async def test_making_them_again_changes_nothing(database: store.Database) -> None:
    before = await indexes_of(database)
    await create_indexes(database, 7)
    assert await indexes_of(database) == before
    assert set(before) == COLLECTIONS


async def test_processes_that_start_together_make_them_together(mongodb_uri: str) -> None:
    clients = [store.connect(mongodb_uri) for _ in range(4)]
    name = f"t{uuid.uuid4().hex[:12]}"
    try:
        await asyncio.gather(*[create_indexes(store.database(client, name), 7) for client in clients])
        found = await indexes_of(store.database(clients[0], name))
        assert set(found) == COLLECTIONS
        assert found["feed"]["retention"]["expireAfterSeconds"] == 7 * DAY_S
    finally:
        await clients[0].drop_database(name)
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    ("collection", "keys"),
    [
        ("calls", [("organizationId", 1), ("terms", 1)]),
        ("calls", [("organizationId", 1), ("numbers", 1), ("startTime", -1), ("_id", -1)]),
        ("calls", [("unindexed", 1)]),
        ("calls", [("organizationId", 1), ("terms", 1), ("startTime", -1)]),
        ("calls", [("organizationId", 1), ("startTime", -1), ("_id", -1)]),
        ("calls", [("organizationId", 1), ("contactId", 1), ("startTime", -1), ("_id", -1)]),
        ("calls", [("organizationId", 1), ("startTime", 1), ("status", 1), ("duration", 1), ("agentName", 1)]),
        ("deliveries", [("organizationId", 1), ("sourceId", 1), ("at", -1), ("_id", -1)]),
    ],
)
async def test_an_index_that_was_replaced_goes(database: store.Database, collection: str, keys: list[tuple[str, int]]) -> None:
    before = await indexes_of(database)
    name = await database[collection].create_index(keys)
    assert name in (await indexes_of(database))[collection]
    await create_indexes(database, 7)
    assert await indexes_of(database) == before


async def test_an_earlier_versions_index_of_numbers_makes_way_for_contacts_without_one(
    database: store.Database, writer: BatchWriter
) -> None:
    before = await indexes_of(database)
    await database["contacts"].drop_index("number")
    await database["contacts"].create_index([("organizationId", 1), ("number", 1)], unique=True)
    await writer.write([entry(WHOSE, fromNumber="+442079460958")])
    for _ in range(2):
        await create_indexes(database, 7)
        assert await indexes_of(database) == before
        await writer.write([entry(WHOSE, fromNumber="anonymous"), entry(WHOSE, fromNumber="+442079460958")])
    assert await database["contacts"].count_documents({"number": {"$exists": False}}) == 2
    assert await database["contacts"].count_documents({"number": "+442079460958"}) == 1


async def test_making_them_again_waits_for_no_transaction(database: store.Database) -> None:
    async with await database.client.start_session() as session, session.start_transaction():
        await database["calls"].insert_one({"_id": "of a process that was killed"}, session=session)
        async with asyncio.timeout(3):
            await create_indexes(database, 7)
        await session.abort_transaction()


@pytest.mark.parametrize("days", [1, 30])
async def test_the_feeds_retention_follows_the_setting(database: store.Database, days: int) -> None:
    await create_indexes(database, days)
    assert (await database["feed"].index_information())["retention"]["expireAfterSeconds"] == days * DAY_S


Query = Callable[[Filled], Awaitable[Any]]


def history(**narrowed: Any) -> Query:
    return lambda filled: CallHistory(filled.database).page(WHOSE.organization_id, CallFilter(**narrowed), limit=50)


def statistics(filled: Filled) -> Awaitable[Any]:
    return CallFigures(filled.database).statistics(WHOSE.organization_id, CallFilter(start=BEFORE, end=AFTER))


def all_statistics(filled: Filled) -> Awaitable[Any]:
    return CallFigures(filled.database).statistics(WHOSE.organization_id, CallFilter())


def counts(filled: Filled) -> Awaitable[Any]:
    clocks = offsets(ZoneInfo("Asia/Kathmandu"), BEFORE, AFTER)
    return CallFigures(filled.database).counts(WHOSE.organization_id, BEFORE, AFTER, clocks)


def contacts(search: str | None) -> Query:
    return lambda filled: Contacts(filled.database).contacts(WHOSE.organization_id, search=search, skip=0, limit=50)


def messages(before: Callable[[Filled], datetime | str | None]) -> Query:
    return lambda filled: Contacts(filled.database).messages(
        WHOSE.organization_id, filled.conversation_id, before=before(filled), limit=50
    )


def known(query: Callable[[Lookups], Awaitable[object]]) -> Query:
    async def run(filled: Filled) -> None:
        known = Lookups(LoopConnection(filled.database))
        await query(known)
        await known.close()

    return run


async def batch(filled: Filled) -> None:
    writer = BatchWriter(filled.database)
    await writer.write([entry(whose, fromNumber="+14165550100") for whose in (WHOSE, caller())])
    await writer.close()


SORTED: dict[str, Query] = {
    "history": history(),
    "history of a span": history(start=BEFORE, end=AFTER),
    "history of a contact": history(contact_id="c"),
    "history of a user": history(user_id=WHOSE.id),
    "history of a status": history(status="busy"),
    "history of a direction": history(direction="inbound"),
    "history of an agent": history(agent_name="Alex"),
    "contacts": contacts(None),
    "messages": messages(lambda filled: None),
    "messages before a time": messages(lambda filled: AFTER),
    "messages before another": messages(lambda filled: filled.message_id),
    "audit of one token or user": lambda filled: AuditLog(filled.database).page(
        WHOSE.organization_id, AuditFilter(who=WHOSE.id), limit=50
    ),
    "audit of one token about one call": lambda filled: AuditLog(filled.database).page(
        WHOSE.organization_id, AuditFilter(who=WHOSE.id, call_id="a" * 24), limit=50
    ),
    "newest events": lambda filled: Feed(filled.database).newest(WHOSE.organization_id, 10),
    "oldest event": lambda filled: Feed(filled.database).oldest_number_after(WHOSE.organization_id, 3),
    "events between": lambda filled: Feed(filled.database).between(WHOSE.organization_id, 1, 9, 10),
}


async def verdicts(filled: Filled) -> None:
    source_id = store.new_id()
    own = {"organizationId": WHOSE.organization_id, "sourceId": source_id, "at": BEFORE}
    sent = [{**own, "_id": store.new_id(), "verdict": "created" if at % 3 else "dead"} for at in range(9)]
    await filled.database["deliveries"].insert_many([*sent, {**sent[0], "_id": store.new_id(), "sourceId": "a"}])
    counts = await Deliveries(filled.database).verdicts(WHOSE.organization_id, source_id, BEFORE - timedelta(days=1))
    assert counts == {"created": 6, "dead": 3}
    assert await Deliveries(filled.database).verdicts(WHOSE.organization_id, source_id, AFTER) == {}


COUNTED: dict[str, Query] = {
    "statistics": statistics,
    "all statistics": all_statistics,
    "figures by day and hour": counts,
    "figures by agent": lambda filled: CallFigures(filled.database).agents(WHOSE.organization_id, BEFORE, AFTER, 3),
    "figures of a contact": lambda filled: CallFigures(filled.database).of_contact(WHOSE.organization_id, filled.contact_id),
    "figures by minute": lambda filled: CallFigures(filled.database).by_minute(WHOSE.organization_id, BEFORE, AFTER),
    "verdicts of a source's deliveries": verdicts,
}
FOUND: dict[str, Query] = {
    "history found": history(search="alex 4165"),
    "calls behind the index": lambda filled: SearchIndex(filled.database).behind(WHOSE.organization_id),
    "entries forgotten": lambda filled: SearchIndex(filled.database).forget(WHOSE.organization_id, ["a" * 24]),
    "contacts found": contacts("4165"),
    "duplicates": known(lambda known: known.calls([(WHOSE.id, "1"), (WHOSE.id, "2"), ("u", "1")])),
    "committed": known(lambda known: known.committed(["a" * 24, "b" * 24])),
    "history before a call": lambda filled: CallHistory(filled.database).page(
        WHOSE.organization_id, CallFilter(), limit=50, before=filled.call_id
    ),
    "export": lambda filled: anext(CallHistory(filled.database).every(WHOSE.organization_id, CallFilter())),
    "agents": lambda filled: CallHistory(filled.database).agents(WHOSE.organization_id, 200),
    "one call with its recording": lambda filled: Calls(filled.database).with_recording_key(WHOSE.organization_id, "a" * 24),
    "one waveform": lambda filled: Waveforms(filled.database).find("a" * 24, 1),
    "one contact": lambda filled: Contacts(filled.database).contact(WHOSE.organization_id, filled.contact_id),
    "one call": lambda filled: CallHistory(filled.database).get(WHOSE.organization_id, "a" * 24),
    "one recording": lambda filled: Calls(filled.database).recording("a" * 24),
    "a batch": batch,
    "conversations": lambda filled: Contacts(filled.database).conversations(WHOSE.organization_id, filled.contact_id),
    "user by address": lambda filled: Users(filled.database).by_email("a@example.com"),
    "user": lambda filled: Users(filled.database).by_id(WHOSE.id),
    "API key": lambda filled: Users(filled.database).sealed_key(WHOSE.id),
    "owners of API keys": lambda filled: Users(filled.database).sources_by_key_digest(["d" * 64]),
    "sources of API keys": lambda filled: Sources(filled.database).by_key_digest(["d" * 64], AFTER),
    "sources": lambda filled: Sources(filled.database).every(WHOSE.organization_id),
    "sources counted": lambda filled: Sources(filled.database).count(WHOSE.organization_id),
    "a source": lambda filled: Sources(filled.database).one(WHOSE.organization_id, "a" * 24),
    "a source changed": lambda filled: Sources(filled.database).change(WHOSE.organization_id, "a" * 24, {"name": "A"}),
    "sources seen": lambda filled: Sources(filled.database).seen(["a" * 24], AFTER),
    "sources of vendors": lambda filled: Sources(filled.database).of_vendors(["a" * 24]),
    "sources of secrets": lambda filled: Sources(filled.database).by_secret_digest("elevenlabs", ["d" * 64]),
    "read tokens": lambda filled: ReadTokenQueries(filled.database).every(WHOSE.organization_id),
    "read tokens by their digests": lambda filled: ReadTokenQueries(filled.database).by_digest(["d" * 64]),
    "read tokens that hold": lambda filled: ReadTokenQueries(filled.database).live(["a" * 24]),
    "read tokens used": lambda filled: ReadTokenQueries(filled.database).seen(["a" * 24], AFTER),
    "a read token revoked": lambda filled: ReadTokenChanges(filled.database, AuditLog(filled.database)).revoke(
        WHOSE.organization_id, "a" * 24, Actor(None)
    ),
    "API key replaced": lambda filled: Users(filled.database).replace_key(WHOSE.id, "d" * 64, "sealed"),
    "live sessions": lambda filled: Sessions(filled.database).live(["5" * 24]),
    "session ended": lambda filled: Sessions(filled.database).end("5" * 24),
    "last numbers": lambda filled: Feed(filled.database).last_numbers([WHOSE.organization_id]),
}


@pytest.mark.parametrize("name", [*SORTED, *COUNTED, *FOUND])
async def test_no_query_reads_a_whole_collection(filled: Filled, name: str) -> None:
    seen = await plans(filled.database, {**SORTED, **COUNTED, **FOUND}[name](filled))
    assert seen
    assert [plan["planSummary"] for plan in seen if "COLLSCAN" in plan["planSummary"]] == []


@pytest.mark.parametrize("name", SORTED)
async def test_no_page_is_sorted_in_memory(filled: Filled, name: str) -> None:
    seen = await plans(filled.database, SORTED[name](filled))
    assert [plan["command"] for plan in seen if plan.get("hasSortStage")] == []


@pytest.mark.parametrize("name", COUNTED)
async def test_figures_are_counted_without_reading_a_call(filled: Filled, name: str) -> None:
    seen = await plans(filled.database, COUNTED[name](filled))
    assert seen
    assert [plan["planSummary"] for plan in seen if plan["docsExamined"]] == []
