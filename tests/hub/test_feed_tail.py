"""The stream over `feed` ends in every way it can; dashboards see no gap, no repeat, and are told when something is gone."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub.harness import Process, SignedIn, World, eventually, process_in, segment, world_on
from tether_rt.errors import Unavailable
from tether_rt.hub.feed_tail import RESTORED
from tether_rt.hub.protocol import EXPIRED
from tether_rt.mongo.private_mongod import PrivateMongod
from tether_rt.runtime.deadlines import Deadline


@pytest.fixture
async def own(world: World) -> AsyncIterator[Process]:
    """A process whose tail the test may stop."""
    async with process_in(world) as process:
        yield process


async def stop_tail(process: Process) -> None:
    await process.supervisor.close()


async def start_tail(process: Process) -> None:
    process.supervisor.add("hub", process.hub.run)
    await process.healthy()


async def kill_change_streams(world: World) -> int:
    """Kill every change stream's cursor on the database, from outside; return how many there were."""
    namespace = f"{world.database.name}.feed"
    stages: list[dict[str, Any]] = [
        {"$currentOp": {"idleCursors": True, "allUsers": True}},
        {"$match": {"ns": namespace, "cursor": {"$exists": True}}},
    ]
    found = [each["cursor"]["cursorId"] async for each in world.client.admin.aggregate(stages)]
    await world.database.command("killCursors", "feed", cursors=found)
    return len(found)


async def test_a_killed_stream_leaves_no_gap(own: Process, world: World, agent: SignedIn, organization: str) -> None:
    dashboards = [await own.dashboard(agent) for _ in range(3)]
    killed = 0
    for _ in range(10):
        await asyncio.gather(world.commit(organization), world.commit(organization))
        killed += await kill_change_streams(world)
        await world.commit(organization)
        await own.healthy()
    assert killed
    assert await asyncio.gather(*(dashboard.numbers(120) for dashboard in dashboards)) == [list(range(1, 121))] * 3
    assert own.metric("tether_feed_restarts_total") > 0


async def test_what_was_committed_while_nobody_read_arrives(
    own: Process, world: World, agent: SignedIn, organization: str
) -> None:
    dashboard = await own.dashboard(agent)
    await stop_tail(own)
    with pytest.raises(Unavailable):
        await own.hub.check()
    for _ in range(30):
        await world.commit(organization)
    late = await own.dashboard(agent, 100)
    await start_tail(own)
    await own.hub.check()
    await world.commit(organization)
    assert await dashboard.numbers(124) == list(range(1, 125))
    assert await late.numbers(124) == list(range(101, 125))


async def test_a_room_that_opens_while_the_tail_is_down_misses_nothing(
    own: Process, world: World, agent: SignedIn, organization: str
) -> None:
    await stop_tail(own)
    await world.commit(organization)
    dashboard = await own.dashboard(agent)
    assert dashboard.hello["seq"] == 4
    await world.commit(organization)
    await start_tail(own)
    assert await dashboard.numbers(8) == [5, 6, 7, 8]


async def test_a_segment_that_the_tail_never_delivered_is_noticed(
    own: Process, world: World, agent: SignedIn, organization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is known that would lose one. If something did, the next one shows it, or else the regular comparison."""
    dashboard = await own.dashboard(agent)
    offer = own.hub.rooms[organization].offer
    monkeypatch.setattr(own.hub.rooms[organization], "offer", lambda documents: None)
    await world.commit(organization)
    lag = own.metric("tether_feed_lag_seconds_count")
    await eventually(lambda: own.metric("tether_feed_lag_seconds_count") > lag - 1)
    monkeypatch.setattr(own.hub.rooms[organization], "offer", offer)
    await own.hub.tail.verify()
    assert await dashboard.numbers(4) == [1, 2, 3, 4]


async def test_a_gap_is_mended_and_repeats_are_ignored(own: Process, world: World, agent: SignedIn, organization: str) -> None:
    dashboard = await own.dashboard(agent)
    await stop_tail(own)
    for _ in range(4):
        await world.commit(organization)
    room = own.hub.rooms[organization]
    one, two, three, four = [segment(organization, first) for first in (1, 5, 9, 13)]
    room.offer([one])
    assert room.last == 4
    room.offer([one])  # a repeat
    assert room.last == 4
    room.offer([three])  # a gap: 5 to 8 come from feed, and so does this
    assert room.last == 4
    room.offer([four])  # while it catches up
    room.offer([one, two])
    assert await dashboard.numbers(16) == list(range(1, 17))
    room.offer([three, four])
    assert room.last == 16
    assert [(each.first, each.last) for each in room.recent] == [(1, 4), (5, 8), (9, 12), (13, 16)]


async def test_a_large_batch_goes_out_in_steps(own: Process, world: World, agent: SignedIn, organization: str) -> None:
    dashboards = [await own.dashboard(agent) for _ in range(2)]
    await stop_tail(own)
    for _ in range(12):
        await world.commit(organization, events=1, size=200_000)
    documents = [segment(organization, seq, events=1, size=200_000) for seq in range(1, 13)]
    own.hub.rooms[organization].offer(documents)
    assert 1 <= own.hub.rooms[organization].last < 12
    assert await asyncio.gather(*(dashboard.numbers(12) for dashboard in dashboards)) == [list(range(1, 13))] * 2


async def test_a_hole_is_told_as_resync(own: Process, world: World, agent: SignedIn, organization: str) -> None:
    """What the retention took while the process could not read is gone; everybody is told, and the stream goes on."""
    dashboard = await own.dashboard(agent)
    await stop_tail(own)
    for _ in range(4):
        await world.commit(organization)
    await world.database["feed"].delete_one({"organizationId": organization, "first": 5})
    await start_tail(own)
    assert await dashboard.numbers(4) == [1, 2, 3, 4]
    assert await dashboard.next() == {"event": "resync", "seq": 8, "reason": EXPIRED}
    assert await dashboard.numbers(16) == list(range(9, 17))
    await world.commit(organization)
    assert await dashboard.numbers(20) == [17, 18, 19, 20]


async def test_a_feed_that_was_dropped_ends_the_stream_and_goes_on(mongodb_uri: str) -> None:
    async with world_on(mongodb_uri) as world, process_in(world) as process:
        agent = await world.session("organization")
        dashboard = await process.dashboard(agent)
        await world.commit("organization")
        assert await dashboard.numbers(4) == [1, 2, 3, 4]
        restarts = process.metric("tether_feed_restarts_total")
        await world.database["feed"].drop()
        await eventually(lambda: process.metric("tether_feed_restarts_total") > restarts)
        await process.healthy()
        await world.commit("organization")
        assert await dashboard.numbers(8) == [5, 6, 7, 8]


async def test_a_database_put_back_is_told_as_resync(own: Process, world: World, agent: SignedIn, organization: str) -> None:
    dashboard = await own.dashboard(agent)
    for _ in range(3):
        await world.commit(organization)
    assert await dashboard.numbers(12) == list(range(1, 13))
    await stop_tail(own)
    await world.database["counters"].update_one({"_id": organization}, {"$set": {"seq": 8}})
    await world.database["feed"].delete_many({"organizationId": organization, "last": {"$gt": 8}})
    await start_tail(own)
    assert await dashboard.next() == {"event": "resync", "seq": 8, "reason": RESTORED}
    await world.commit(organization)
    assert await dashboard.numbers(12) == [9, 10, 11, 12]


async def test_a_killed_mongod_comes_back_and_nothing_is_missing(tmp_path: Path) -> None:
    mongod = PrivateMongod(tmp_path)
    uri = await mongod.start()
    running = asyncio.create_task(mongod.run())
    try:
        async with world_on(uri) as world, process_in(world) as process:
            agent = await world.session("organization")
            dashboard = await process.dashboard(agent)
            await world.commit("organization")
            assert await dashboard.numbers(4) == [1, 2, 3, 4]
            pid = mongod.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await eventually(lambda: mongod.pid not in (None, pid))
            await process.healthy()
            await world.commit("organization")
            assert await dashboard.numbers(8) == [5, 6, 7, 8]
            late = await process.dashboard(agent, 2)
            assert await late.numbers(8) == list(range(3, 9))
    finally:
        await mongod.stop()
        await running


async def test_a_frozen_mongod_refuses_newcomers_in_time_and_forgets_them(tmp_path: Path) -> None:
    mongod = PrivateMongod(tmp_path)
    uri = await mongod.start()
    try:
        async with world_on(uri) as world, process_in(world) as process:
            agent = await world.session("organization")
            assert await process.identity.session(agent.token, Deadline()) is not None  # from now on remembered
            assert mongod.pid is not None
            os.kill(mongod.pid, signal.SIGSTOP)
            try:
                found, body, headers = await process.refusal(Authorization=f"Bearer {agent.token}")
            finally:
                os.kill(mongod.pid, signal.SIGCONT)
            assert (found, body["success"]) == (503, False)
            assert headers["Retry-After"]
            assert process.hub.rooms == {}
            assert process.hub.dashboards == {}
            assert (await process.dashboard(agent)).hello["seq"] == 0
    finally:
        await mongod.stop()


async def test_a_room_that_cannot_open_is_refused_and_forgotten(tmp_path: Path, world: World, agent: SignedIn) -> None:
    async with process_in(world) as process:
        await stop_tail(process)
        process.client.close()
        for _ in range(2):
            with pytest.raises(Exception, match="Cannot use MongoClient after close"):
                await process.hub.admit(agent.claims, None)
            assert process.hub.rooms == {}
            assert process.hub.dashboards == {}
