"""What a dashboard receives: hello, then every event once and in order, wherever it starts and whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import json
import random
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.hub.harness import Dashboard, Process, RawClient, SignedIn, World, event, process_in
from tests.support.certificate import contexts
from tests.support.waiting import eventually
from tether_rt.hub.frames import text_frame
from tether_rt.hub.protocol import EXPIRED, FROM_THE_FUTURE
from tether_rt.hub.room import MAX_RECENT_BYTES, Room
from tether_rt.mongo.client import new_id


async def room_of(process: Process, organization: str) -> Room:
    return process.hub.rooms[organization]


def resync(dashboard: Dashboard, seq: int, reason: str) -> dict[str, Any]:
    """Return what a dashboard is told when events cannot be had, in the epoch of its hello."""
    return {"event": "resync", "epoch": dashboard.hello["epoch"], "seq": seq, "reason": reason}


async def test_hello_says_where_the_stream_starts(process: Process, world: World, agent: SignedIn, organization: str) -> None:
    dashboard = await process.dashboard(agent)
    epoch = dashboard.hello["epoch"]
    assert re.fullmatch("[0-9a-f]{32}", epoch)
    assert dashboard.hello == {
        "event": "hello", "epoch": epoch, "seq": 0, "head": 0, "organizationId": organization, "heartbeat": 20,
    }  # fmt: skip
    assert dashboard.socket.protocol == "tether.v1"
    await world.commit(organization, events=4)
    await dashboard.numbers(4)
    later = await process.dashboard(agent)
    assert (later.hello["epoch"], later.hello["seq"], later.hello["head"]) == (epoch, 4, 4)


async def test_events_arrive_byte_for_byte_as_they_were_committed(
    process: Process, world: World, agent: SignedIn, organization: str
) -> None:
    client = await RawClient.connect(process, agent)
    await client.frame()
    for size in (100, 5000, 70_000):  # a frame of each length form
        last = await world.commit(organization, events=2, size=size)
        expected = b"".join(text_frame(event(organization, seq, size).encode()) for seq in (last - 1, last))
        assert await client.reader.readexactly(len(expected)) == expected


async def test_the_same_bytes_go_through_tls(world: World, agent: SignedIn, organization: str, tmp_path: Path) -> None:
    server, _ = contexts(tmp_path)
    async with process_in(world, tls=server) as process:
        browser, client = await process.dashboard(agent), await RawClient.connect(process, agent)
        await client.frame()
        for size in (100, 5000, 300_000):
            last = await world.commit(organization, events=2, size=size)
            expected = b"".join(text_frame(event(organization, seq, size).encode()) for seq in (last - 1, last))
            assert await client.reader.readexactly(len(expected)) == expected
        late = await process.dashboard(agent, 0)
        assert await browser.numbers(6) == await late.numbers(6) == list(range(1, 7))


async def test_every_dashboard_of_the_organization_gets_every_event(
    process: Process, world: World, agent: SignedIn, organization: str
) -> None:
    colleague = await world.session(organization)
    dashboards = [await process.dashboard(who) for who in (agent, agent, colleague)]
    for _ in range(3):
        await world.commit(organization)
    for dashboard in dashboards:
        assert await dashboard.numbers(12) == list(range(1, 13))


async def test_organizations_never_see_each_other(process: Process, world: World) -> None:
    organizations = [new_id() for _ in range(3)]
    dashboards = {name: await process.dashboard(await world.session(name)) for name in organizations}
    for _ in range(5):
        await asyncio.gather(*(world.commit(name) for name in organizations))
    for name, dashboard in dashboards.items():
        for seq in range(1, 21):
            message = await dashboard.next()
            assert (message["seq"], message["data"]["organization"]) == (seq, name)


async def test_nothing_is_kept_for_organizations_without_dashboards(
    process: Process, world: World, agent: SignedIn, organization: str
) -> None:
    dashboard = await process.dashboard(agent)
    for _ in range(10):
        await world.commit(new_id())
    await world.commit(organization)
    await dashboard.numbers(4)
    assert set(process.hub.rooms) == {organization}
    await dashboard.socket.close()
    await eventually(lambda: not process.hub.dashboards)
    assert process.hub.rooms == {}


# ---------------------------------------------------------------------- resume


@pytest.mark.parametrize("after", [0, 1, 3, 4, 6, 8, 11, 12])
async def test_a_client_that_says_its_epoch_resumes_as_well(
    process: Process, world: World, agent: SignedIn, organization: str, after: int
) -> None:
    dashboard = await process.dashboard(agent)
    for _ in range(3):
        await world.commit(organization)
    await dashboard.numbers(12)
    back = await process.dashboard(agent, f"{dashboard.hello['epoch']}.{after}")
    assert (back.hello["seq"], back.hello["head"]) == (after, 12)
    await world.commit(organization)
    assert await back.numbers(16) == list(range(after + 1, 17))


@pytest.mark.parametrize("after", [0, 1, 3, 4, 6, 8, 11, 12])
async def test_resume_from_memory(process: Process, world: World, agent: SignedIn, organization: str, after: int) -> None:
    witness = await process.dashboard(agent)
    for _ in range(3):
        await world.commit(organization)
    await witness.numbers(12)
    await world.forget(organization, 12)  # so that it can come from nowhere else
    dashboard = await process.dashboard(agent, after)
    assert (dashboard.hello["seq"], dashboard.hello["head"]) == (after, 12)
    await world.commit(organization)
    assert await dashboard.numbers(16) == list(range(after + 1, 17))


@pytest.mark.parametrize("after", [0, 1, 3, 4, 399])
async def test_resume_from_feed(process: Process, world: World, agent: SignedIn, organization: str, after: int) -> None:
    for _ in range(100):
        await world.commit(organization)
    witness = await process.dashboard(agent)
    (await room_of(process, organization)).forget_oldest(0)
    dashboard = await process.dashboard(agent, after)
    assert (dashboard.hello["seq"], dashboard.hello["head"]) == (after, 400)
    await world.commit(organization)
    assert await dashboard.numbers(404) == list(range(after + 1, 405))
    assert await witness.numbers(404) == [401, 402, 403, 404]


async def test_a_room_opens_warm(process: Process, world: World, agent: SignedIn, organization: str) -> None:
    """After a restart everybody comes back at once; nobody who missed a little costs a read of its own."""
    for _ in range(3):
        await world.commit(organization)
    await process.dashboard(agent, 12)
    await world.forget(organization, 12)
    dashboard = await process.dashboard(agent, 2)
    assert await dashboard.numbers(12) == list(range(3, 13))


async def test_more_than_memory_holds_comes_from_feed_then_memory_then_live(
    process: Process, world: World, agent: SignedIn, organization: str
) -> None:
    witness = await process.dashboard(agent)
    events = MAX_RECENT_BYTES // 40_000 + 40
    for last in range(4, events + 4, 4):
        await world.commit(organization, size=40_000)
        await witness.numbers(last)
    room = await room_of(process, organization)
    assert room.recent[0].first > 1
    assert room.recent_bytes <= MAX_RECENT_BYTES
    dashboard = await process.dashboard(agent, 0)
    end = room.last_published + 4
    await world.commit(organization)
    assert await dashboard.numbers(end) == list(range(1, end + 1))


async def test_past_the_retention_is_a_resync(process: Process, world: World, agent: SignedIn, organization: str) -> None:
    for _ in range(50):
        await world.commit(organization)
    await world.forget(organization, 100)
    gone = await process.dashboard(agent, 99)
    assert (gone.hello["seq"], gone.hello["head"]) == (200, 200)
    assert await gone.next() == resync(gone, 200, EXPIRED)
    kept = await process.dashboard(agent, 100)
    assert kept.hello["seq"] == 100
    await world.commit(organization)
    assert await gone.numbers(204) == [201, 202, 203, 204]
    assert await kept.numbers(204) == list(range(101, 205))


async def test_a_feed_that_is_gone_altogether_is_a_resync(
    process: Process, world: World, agent: SignedIn, organization: str
) -> None:
    await world.commit(organization)
    await world.forget(organization, 4)
    dashboard = await process.dashboard(agent, 2)
    assert dashboard.hello["seq"] == 4
    assert await dashboard.next() == resync(dashboard, 4, EXPIRED)
    current = await process.dashboard(agent, 4)
    await world.commit(organization)
    assert await dashboard.numbers(8) == await current.numbers(8) == [5, 6, 7, 8]


@pytest.mark.parametrize("after", [1, 5, 2**53])
async def test_the_future_is_a_resync(process: Process, world: World, agent: SignedIn, organization: str, after: int) -> None:
    if after == 5:
        await world.commit(organization)
    last = 4 if after == 5 else 0
    dashboard = await process.dashboard(agent, after)
    assert dashboard.hello["seq"] == last
    assert await dashboard.next() == resync(dashboard, last, FROM_THE_FUTURE)
    await world.commit(organization)
    assert await dashboard.numbers(last + 4) == list(range(last + 1, last + 5))


# ---------------------------------------------------------------------- two processes, a storm


async def test_two_processes_behave_as_one(process: Process, world: World, agent: SignedIn, organization: str) -> None:
    async with process_in(world) as other:
        dashboards = [await each.dashboard(agent) for each in (process, other)]
        for _ in range(10):
            await world.commit(organization)
        for dashboard in dashboards:
            assert await dashboard.numbers(40) == list(range(1, 41))


@pytest.mark.parametrize("after", [3, 8])
async def test_a_client_ahead_of_this_process_is_waited_for(
    world: World, process: Process, agent: SignedIn, organization: str, after: int
) -> None:
    """It was connected to a process whose tail is faster; its number is from the present, not from the future."""
    async with process_in(world) as behind:
        witness = await behind.dashboard(agent)
        await behind.supervisor.close()  # its tail stands still
        await world.commit(organization)
        await world.commit(organization)
        assert (await room_of(behind, organization)).last_published == 0
        dashboard = await behind.dashboard(agent, after)
        assert dashboard.hello["seq"] == after
        behind.supervisor.add("hub", behind.hub.run)
        await behind.healthy()
        await world.commit(organization)
        assert await dashboard.numbers(12) == list(range(after + 1, 13))
        assert await witness.numbers(12) == list(range(1, 13))


async def test_resume_in_a_storm_of_commits_has_no_gap_and_no_repeat(world: World, agent: SignedIn, organization: str) -> None:
    """Clients join at random places, some leave and come back with the last number they saw, while commits never pause."""
    choice = random.Random(7)
    storm_over = asyncio.Event()
    committed = 0

    async def storm() -> None:
        nonlocal committed
        for _ in range(150):
            events, size = choice.choice((1, 3, 4, 4, 40)), choice.choice((10, 200, 3000))
            if choice.random() < 0.05:
                events, size = 30, 30_000  # larger than what is sent at once
            committed = await world.commit(organization, events=events, size=size)
        storm_over.set()

    async def client(target: Process) -> None:
        await asyncio.sleep(choice.random() * 0.5)
        start = seq = choice.randint(0, committed)
        received: list[int] = []
        while not storm_over.is_set() or seq < committed:
            dashboard = await target.dashboard(agent, seq)
            assert dashboard.hello["seq"] == seq
            for _ in range(choice.randint(1, 400)):
                if storm_over.is_set() and seq == committed:
                    break
                try:
                    message = await dashboard.socket.receive(0.5)
                except TimeoutError:
                    break
                if message.type is not aiohttp.WSMsgType.TEXT:
                    assert dashboard.socket.close_code == 4408  # everything shares one loop here: now and then too slow
                    break
                said = json.loads(message.data)
                assert said["event"] == "call_ended", said
                seq = said["seq"]
                received.append(seq)
            await dashboard.close()
        assert received == list(range(start + 1, committed + 1))

    little_memory: dict[str, Any] = {"max_recent_bytes_per_room": 20_000}  # most of the past is in feed alone
    async with process_in(world, **little_memory) as one, process_in(world, **little_memory) as other:
        tasks = [asyncio.create_task(client((one, other)[index % 2])) for index in range(30)]
        await asyncio.gather(storm(), *tasks)


async def test_many_that_come_back_at_once_miss_nothing(
    process: Process, world: World, agent: SignedIn, organization: str
) -> None:
    for _ in range(200):
        await world.commit(organization)
    places = [random.Random(index).randint(0, 800) for index in range(200)]
    dashboards = await asyncio.gather(*(process.dashboard(agent, place) for place in places))
    await world.commit(organization)
    for place, dashboard in zip(places, dashboards, strict=True):
        assert await dashboard.numbers(804) == list(range(place + 1, 805))


# ---------------------------------------------------------------------- slow readers


async def stalled(process: Process, agent: SignedIn, path: str = "/ws") -> RawClient:
    """A client that has read its hello and reads no more."""
    client = await RawClient.connect(process, agent, path, receive_buffer=4096)
    assert (await client.message())["event"] == "hello"
    client.pause()
    return client


async def test_a_slow_reader_is_closed_and_the_others_are_not(
    process: Process, world: World, agent: SignedIn, organization: str
) -> None:
    slow, reader = await stalled(process, agent), await process.dashboard(agent)
    room = await room_of(process, organization)
    closed_before = process.metric("tether_dashboard_closes_total", code="4408")
    seq = 0
    while len(room.live) == 2:
        seq = await world.commit(organization, events=1, size=100_000)
        assert (await reader.numbers(seq))[-1] == seq
    assert seq < 20  # 1 MiB, the kernel's share and what the client's side takes
    after = await world.commit(organization)
    assert (await reader.numbers(after))[-1] == after
    slow.resume()  # within the 5 s of the goodbye: then it hears why
    assert await slow.close_code() == 4408
    assert process.metric("tether_dashboard_closes_total", code="4408") == closed_before + 1


async def test_a_burst_larger_than_the_limit_closes_nobody_who_reads(
    process: Process, world: World, agent: SignedIn, organization: str
) -> None:
    """While the tail stands still more gathers than a dashboard may leave unsent; then it is let out in steps."""
    dashboards: list[Dashboard] = [await process.dashboard(agent) for _ in range(3)]
    await process.supervisor.close()
    last = 0
    for _ in range(40):
        last = await world.commit(organization, events=1, size=100_000)
    process.supervisor.add("hub", process.hub.run)
    await process.healthy()
    received = await asyncio.gather(*(dashboard.numbers(last) for dashboard in dashboards))
    assert received == [list(range(1, 41))] * 3


async def test_one_commit_larger_than_the_limit_closes_nobody_who_reads(
    process: Process, world: World, agent: SignedIn, organization: str
) -> None:
    dashboards = [await process.dashboard(agent) for _ in range(3)]
    receiving = [asyncio.ensure_future(dashboard.numbers(80)) for dashboard in dashboards]
    await world.commit(organization, events=80, size=100_000)
    assert await asyncio.gather(*receiving) == [list(range(1, 81))] * 3
    assert (await room_of(process, organization)).recent_bytes <= MAX_RECENT_BYTES
    for after in (0, 37, 79):
        late = await process.dashboard(agent, after)
        assert await late.numbers(80) == list(range(after + 1, 81))


async def test_a_replay_does_not_overtake_its_room(process: Process, world: World, agent: SignedIn, organization: str) -> None:
    """While a large commit goes out in steps, a replay that reads it from feed stops where the room is."""
    await process.dashboard(agent)
    await world.commit(organization, events=40, size=50_000)
    room = await room_of(process, organization)
    await eventually(lambda: room.last_published == 40)
    for segment in room.recent:
        assert (await room.reader().read(0, segment.last))[-1].last == segment.last


async def test_a_replay_is_never_far_ahead_of_its_reader(
    process: Process, world: World, agent: SignedIn, organization: str
) -> None:
    for _ in range(60):
        await world.commit(organization, events=1, size=100_000)
    before = process.metric("tether_frame_bytes_sent_total")
    slow = await stalled(process, agent, "/ws?after=0")
    reader = await process.dashboard(agent, 0)
    assert await reader.numbers(60) == list(range(1, 61))
    room = await room_of(process, organization)
    assert len(room.live) == 1
    handed_over = process.metric("tether_frame_bytes_sent_total") - before - 60 * 100_000
    assert handed_over < 1_500_000  # the kernel's share on both sides, and one step
    slow.resume()
    for seq in range(1, 61):
        assert (await slow.message())["seq"] == seq


async def test_memory_of_all_rooms_together_is_bounded(world: World) -> None:
    async with process_in(world, heartbeat_s=1, max_recent_bytes=100_000) as process:
        agents = [await world.session(new_id()) for _ in range(5)]
        dashboards = [await process.dashboard(agent) for agent in agents]
        receiving = [asyncio.ensure_future(dashboard.numbers(40)) for dashboard in dashboards]
        for agent in agents:
            for _ in range(10):
                await world.commit(agent.claims.organization_id, size=1000)
        await asyncio.gather(*receiving)
        # The metric is as old as the last heartbeat, so the rooms are looked at first.
        await eventually(lambda: sum(room.recent_bytes for room in process.hub.rooms.values()) <= 100_000)
        await eventually(lambda: 0 < process.metric("tether_recent_events_bytes") <= 100_000)
        for agent in agents:
            assert await (await process.dashboard(agent, 0)).numbers(40) == list(range(1, 41))
