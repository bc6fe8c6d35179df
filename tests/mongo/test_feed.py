"""The queries on `feed` and `counters`, and the stream over what is committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from pymongo.errors import OperationFailure

from tests.hub.harness import World, segment, world_on
from tether_rt.domain.events import FeedSegment
from tether_rt.errors import Unavailable
from tether_rt.mongo.client import new_id
from tether_rt.mongo.feed import Feed, FeedStream


@pytest.fixture(scope="module")
async def world(mongodb_uri: str) -> AsyncIterator[World]:
    async with world_on(mongodb_uri) as world:
        yield world


@pytest.fixture
def feed(world: World) -> Feed:
    return Feed(world.database)


@pytest.fixture
def organization() -> str:
    return new_id()


def spans(documents: list[FeedSegment]) -> list[tuple[int, int]]:
    return [(document["first"], document["last"]) for document in documents]


async def test_last_numbers(feed: Feed, world: World, organization: str) -> None:
    assert await feed.last_number(organization) == 0
    await world.commit(organization)
    await world.commit(organization, events=3)
    assert await feed.last_number(organization) == 7
    assert await feed.last_numbers([organization, new_id()]) == {organization: 7}
    assert await feed.last_numbers([]) == {}


async def test_segments_are_found_by_what_they_hold(feed: Feed, world: World, organization: str) -> None:
    other = new_id()
    for _ in range(5):
        await world.commit(organization)
        await world.commit(other)
    assert spans(await feed.newest(organization, 2)) == [(13, 16), (17, 20)]
    assert spans(await feed.newest(new_id(), 2)) == []
    assert spans(await feed.between(organization, 0, 20, 2)) == [(1, 4), (5, 8)]
    assert spans(await feed.between(organization, 4, 20, 10)) == [(5, 8), (9, 12), (13, 16), (17, 20)]
    assert spans(await feed.between(organization, 5, 12, 10)) == [(5, 8), (9, 12)]
    assert spans(await feed.between(organization, 5, 9, 10)) == [(5, 8), (9, 12)]
    assert spans(await feed.between(organization, 20, 20, 10)) == []
    assert await feed.oldest_number_after(organization, 0) == 1
    assert await feed.oldest_number_after(organization, 6) == 5
    assert await feed.oldest_number_after(organization, 20) is None
    await world.forget(organization, 8)
    assert await feed.oldest_number_after(organization, 3) == 9


@pytest.mark.parametrize(
    ("query", "sort"),
    [
        ({"organizationId": "o", "last": {"$gt": 5}, "first": {"$lte": 9}}, [("last", 1)]),
        ({"organizationId": "o", "last": {"$gt": 5}}, [("last", 1)]),
        ({"organizationId": "o"}, [("last", -1)]),
    ],
)
async def test_every_read_of_feed_walks_the_index(world: World, query: dict[str, object], sort: list[tuple[str, int]]) -> None:
    explained = await world.database["feed"].find(query).sort(sort).explain()
    stages: list[str] = []
    stage = explained["queryPlanner"]["winningPlan"]
    while stage:
        stages.append(stage["stage"])
        stage = stage.get("inputStage")
    assert stages == ["FETCH", "IXSCAN"]


async def delivered(stream: FeedStream, count: int, organizations: set[str]) -> list[FeedSegment]:
    """Return the next `count` segments of the organizations; the stream begins with what others committed just before."""
    found: list[FeedSegment] = []
    while len(found) < count:
        batch = await stream.batch()
        assert len(batch) <= 64
        found += [document for document in batch if document["organizationId"] in organizations]
    return found


async def test_the_stream_begins_where_the_numbers_end(feed: Feed, world: World, organization: str) -> None:
    """Whatever is committed around the opening is in the numbers or in the stream."""
    committing = asyncio.create_task(commit_many(world, organization, 400))
    while not committing.done():
        async with feed.stream() as stream:
            expected = (await stream.last_numbers([organization])).get(organization, 0) + 1
            for document in await stream.batch():
                if document["organizationId"] == organization and document["last"] >= expected:
                    assert document["first"] == expected
                    expected = document["last"] + 1
    await committing


async def commit_many(world: World, organization: str, count: int) -> None:
    for _ in range(count):
        await world.commit(organization)


async def test_the_stream_hands_out_whole_segments_in_order(feed: Feed, world: World) -> None:
    one, two = new_id(), new_id()
    async with feed.stream() as stream:
        for _ in range(50):
            await world.commit(one)
            await world.commit(two)
        found = await delivered(stream, 100, {one, two})
        for organization in (one, two):
            own = [document for document in found if document["organizationId"] == organization]
            assert spans(own) == [(first, first + 3) for first in range(1, 201, 4)]
            assert set(own[0]) == {"_id", "organizationId", "first", "last", "at", "events"}
        assert await stream.batch() == []


async def test_an_aborted_transaction_is_never_seen(feed: Feed, world: World, organization: str) -> None:
    async with feed.stream() as stream:
        async with await world.client.start_session() as session:
            session.start_transaction()
            await world.database["feed"].insert_one(dict(segment(organization, 1)), session=session)
            await session.abort_transaction()
        await world.commit(organization)
        assert spans(await delivered(stream, 1, {organization})) == [(1, 4)]
        assert spans(await feed.newest(organization, 9)) == [(1, 4)]


async def test_a_stream_whose_collection_is_dropped_ends(mongodb_uri: str) -> None:
    async with world_on(mongodb_uri) as world, Feed(world.database).stream() as stream:
        await world.database["feed"].drop()
        with pytest.raises((Unavailable, OperationFailure)):
            await read_to_the_end(stream)


async def read_to_the_end(stream: FeedStream) -> None:
    while True:
        await stream.batch()


async def test_leaving_a_stream_while_it_waits_is_clean(feed: Feed, world: World, organization: str) -> None:
    async def wait(is_open: asyncio.Event) -> None:
        async with feed.stream() as stream:
            is_open.set()
            await read_to_the_end(stream)

    for _ in range(3):
        is_open = asyncio.Event()
        waiting = asyncio.create_task(wait(is_open))
        await is_open.wait()
        waiting.cancel()
        assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], asyncio.CancelledError)
    await world.commit(organization)
    assert await feed.last_number(organization) == 4
