"""The stream over `feed` ends in every way it can; dashboards see no gap, no repeat, and are told when something is gone."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub.harness import Process, RawClient, SignedIn, World, process_in, segment, world_on
from tests.support.waiting import eventually
from tether_rt.errors import Unavailable
from tether_rt.hub.protocol import EXPIRED, FROM_THE_FUTURE, RESTORED
from tether_rt.mongo.private_mongod import PrivateMongod


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


def mends(process: Process) -> dict[str, float]:
    """Return how often events were read from feed because the stream did not bring them, by cause."""
    return {cause: process.metric("tether_feed_mends_total", cause=cause) for cause in ("gap", "restart")}


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
    assert mends(own) == {"gap": 0, "restart": 1}
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


async def test_a_segment_that_the_stream_never_delivered_is_found_by_comparing(
    own: Process, world: World, agent: SignedIn, organization: str
) -> None:
    """Nothing is known that would lose one. If something did, the next one shows it, or else the regular comparison."""
    dashboard = await own.dashboard(agent)
    await stop_tail(own)
    await world.commit(organization)
    await own.hub.tail.compare()
    assert await dashboard.numbers(4) == [1, 2, 3, 4]


async def test_a_gap_is_mended_and_repeats_are_ignored(own: Process, world: World, agent: SignedIn, organization: str) -> None:
    dashboard = await own.dashboard(agent)
    await stop_tail(own)
    for _ in range(4):
        await world.commit(organization)
    room = own.hub.rooms[organization]
    one, two, three, four = [segment(organization, first) for first in (1, 5, 9, 13)]
    room.deliver([one])
    assert room.last_published == 4
    room.deliver([one])  # a repeat
    assert room.last_published == 4
    assert mends(own) == {"gap": 0, "restart": 0}
    room.deliver([three])  # a gap: 5 to 8 come from feed, and so does this
    assert room.last_published == 4
    room.deliver([four])  # while it catches up
    room.deliver([one, two])
    assert await dashboard.numbers(16) == list(range(1, 17))
    room.deliver([three, four])
    assert room.last_published == 16
    assert mends(own) == {"gap": 1, "restart": 0}
    assert [(each.first, each.last) for each in room.recent] == [(1, 4), (5, 8), (9, 12), (13, 16)]


async def test_a_large_batch_goes_out_in_steps(own: Process, world: World, agent: SignedIn, organization: str) -> None:
    dashboards = [await own.dashboard(agent) for _ in range(2)]
    await stop_tail(own)
    for _ in range(12):
        await world.commit(organization, events=1, size=200_000)
    documents = [segment(organization, seq, events=1, size=200_000) for seq in range(1, 13)]
    own.hub.rooms[organization].deliver(documents)
    assert 1 <= own.hub.rooms[organization].last_published < 12
    assert await asyncio.gather(*(dashboard.numbers(12) for dashboard in dashboards)) == [list(range(1, 13))] * 2
    assert mends(own) == {"gap": 0, "restart": 0}


async def test_a_hole_is_told_as_resync(own: Process, world: World, agent: SignedIn, organization: str) -> None:
    """What the retention took while the process could not read is gone; everybody is told, and the stream goes on."""
    dashboard = await own.dashboard(agent)
    await stop_tail(own)
    for _ in range(4):
        await world.commit(organization)
    await world.database["feed"].delete_one({"organizationId": organization, "first": 5})
    await start_tail(own)
    assert await dashboard.numbers(4) == [1, 2, 3, 4]
    assert await dashboard.next() == {"event": "resync", "epoch": dashboard.hello["epoch"], "seq": 8, "reason": EXPIRED}
    assert await dashboard.numbers(16) == list(range(9, 17))
    await world.commit(organization)
    assert await dashboard.numbers(20) == [17, 18, 19, 20]


async def test_a_feed_that_is_dropped_and_made_anew_is_told_as_resync_to_those_who_are_there(mongodb_uri: str) -> None:
    async with world_on(mongodb_uri) as world, process_in(world) as process:
        agent = await world.session("organization")
        dashboard = await process.dashboard(agent)
        await world.commit("organization")
        assert await dashboard.numbers(4) == [1, 2, 3, 4]
        restarts = process.metric("tether_feed_restarts_total")
        await world.database["feed"].drop()
        await eventually(lambda: process.metric("tether_feed_restarts_total") > restarts)
        await world.commit("organization")
        told = await dashboard.next()
        assert (told["event"], told["reason"]) == ("resync", RESTORED)
        assert told["seq"] in (4, 8), "before the commit above or behind it"
        assert told["epoch"] != dashboard.hello["epoch"]
        await world.commit("organization")
        assert await dashboard.numbers(12) == list(range(told["seq"] + 1, 13))


@pytest.mark.parametrize("since", ["nothing", "fewer events", "more events"])
async def test_a_client_that_comes_back_to_a_database_put_back_is_told_whatever_its_number(
    mongodb_uri: str, since: str
) -> None:
    async with world_on(mongodb_uri) as world:
        agent = await world.session("organization")
        async with process_in(world) as process:
            before = await process.dashboard(agent)
            for _ in range(3):
                await world.commit("organization")
            assert await before.numbers(12) == list(range(1, 13))
        await world.put_back("organization", 4)
        for _ in range({"nothing": 0, "fewer events": 1, "more events": 5}[since]):
            await world.commit("organization")
        async with process_in(world) as process:
            back = await process.dashboard(agent, f"{before.hello['epoch']}.12")
            epoch, seq = back.hello["epoch"], back.hello["seq"]
            assert epoch != before.hello["epoch"]
            assert await back.next() == {"event": "resync", "epoch": epoch, "seq": seq, "reason": RESTORED}
            # One that says no epoch is told only if its number is not there yet.
            plain = await process.dashboard(agent, 12)
            if since != "more events":
                assert await plain.next() == {"event": "resync", "epoch": epoch, "seq": seq, "reason": FROM_THE_FUTURE}
            await world.commit("organization")
            assert await back.numbers(seq + 4) == list(range(seq + 1, seq + 5))
            assert (await plain.numbers(seq + 4))[0] == (13 if since == "more events" else seq + 1)


async def test_a_database_that_is_put_back_meanwhile_is_told_to_the_live_and_to_those_who_catch_up(mongodb_uri: str) -> None:
    async with world_on(mongodb_uri) as world, process_in(world) as process:
        agent = await world.session("organization")
        for _ in range(60):
            await world.commit("organization", events=1, size=100_000)
        live = await process.dashboard(agent)
        behind = await RawClient.connect(process, agent, "/ws?after=0", receive_buffer=4096)
        assert (await behind.message())["seq"] == 0
        behind.pause()
        await world.put_back("organization", 2)
        for _ in range(60):
            await world.commit("organization", events=1)
        told = await live.next()
        assert (told["event"], told["reason"]) == ("resync", RESTORED)
        behind.resume()
        # It may have found already that what it was reading is not there any more.
        while (message := await behind.message())["event"] != "resync" or message["reason"] == EXPIRED:
            assert message["seq"] <= 60
        assert (message["epoch"], message["reason"]) == (told["epoch"], RESTORED)


async def test_smaller_numbers_in_the_same_feed_are_a_resync(
    own: Process, world: World, agent: SignedIn, organization: str
) -> None:
    dashboard = await own.dashboard(agent)
    for _ in range(3):
        await world.commit(organization)
    assert await dashboard.numbers(12) == list(range(1, 13))
    await stop_tail(own)
    await world.database["counters"].update_one({"_id": organization}, {"$set": {"seq": 8}})
    await world.database["feed"].delete_many({"organizationId": organization, "last": {"$gt": 8}})
    await start_tail(own)
    assert await dashboard.next() == {"event": "resync", "epoch": dashboard.hello["epoch"], "seq": 8, "reason": RESTORED}
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
            await (await process.dashboard(agent)).close()  # the session is remembered from now on
            await process.empty()
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
