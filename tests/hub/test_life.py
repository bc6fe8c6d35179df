"""How long a connection lasts: while the client answers pings, its session holds and the process runs."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from tornado.iostream import IOStream

from tests.hub.harness import Process, RawClient, SignedIn, World, process_in, proxy_in_front_of
from tests.support.waiting import eventually
from tether_rt.hub.websocket_handler import DashboardSocket
from tether_rt.mongo.client import new_id
from tether_rt.mongo.sessions import Sessions


@pytest.fixture
async def quick(world: World) -> AsyncIterator[Process]:
    """A process that pings ten times a second."""
    async with process_in(world, heartbeat_s=0.1) as process:
        yield process


@pytest.fixture
async def watchful(world: World) -> AsyncIterator[Process]:
    """A process that looks at sessions all the time."""
    async with process_in(world, heartbeat_s=4, session_check_s=0.05) as process:
        yield process


async def test_a_silent_peer_is_cut_off_and_one_that_answers_is_not(
    quick: Process, world: World, agent: SignedIn, organization: str
) -> None:
    answering = await quick.dashboard(agent)
    assert answering.hello["heartbeat"] == 0.1
    receiving = asyncio.ensure_future(answering.next())  # reading is what makes the client answer pings
    silent = await RawClient.connect(quick, agent)
    await silent.message()
    assert [await silent.frame(), await silent.frame()] == [(9, b"")] * 2
    with pytest.raises(asyncio.IncompleteReadError):
        await silent.frame()
    await world.commit(organization)
    assert (await receiving)["seq"] == 1
    assert quick.metric("tether_dashboard_closes_total", code="none") == 1


async def test_every_pong_counts(quick: Process, agent: SignedIn) -> None:
    client = await RawClient.connect(quick, agent)
    await client.message()
    for _ in range(8):
        assert await client.frame() == (9, b"")
        client.send(b"", 10)
    assert len(quick.hub.dashboards) == 1


async def test_an_expired_session_is_closed_with_4401(watchful: Process, world: World, organization: str) -> None:
    passing = await watchful.dashboard(await world.session(organization, timedelta(seconds=2)))
    staying = await watchful.dashboard(await world.session(organization))
    assert await passing.closed_with() == 4401
    await world.commit(organization)
    assert await staying.numbers(4) == [1, 2, 3, 4]


async def test_a_session_ended_elsewhere_is_closed_with_4401(watchful: Process, world: World, organization: str) -> None:
    ended, other = await world.session(organization), await world.session(organization)
    leaving = [await watchful.dashboard(ended) for _ in range(3)]
    staying = await watchful.dashboard(other)
    await Sessions(world.database).end(ended.claims.session_id)
    assert [await dashboard.closed_with() for dashboard in leaving] == [4401] * 3
    await world.commit(organization)
    assert await staying.numbers(4) == [1, 2, 3, 4]


async def test_a_session_ended_here_is_closed_at_once(process: Process, world: World, organization: str) -> None:
    ended, other = await world.session(organization), await world.session(organization)
    leaving, staying = await process.dashboard(ended), await process.dashboard(other)
    process.hub.end_session(ended.claims.session_id)
    assert await leaving.closed_with() == 4401
    await world.commit(organization)
    assert await staying.numbers(4) == [1, 2, 3, 4]


async def test_sessions_that_cannot_be_checked_stay(
    world: World, agent: SignedIn, organization: str, caplog: pytest.LogCaptureFixture
) -> None:
    def unchecked() -> int:
        return sum(record.getMessage() == "sessions_unchecked" for record in caplog.records)

    async with proxy_in_front_of(world) as (line, uri), process_in(world, uri=uri, session_check_s=0.05) as process:
        dashboard = await process.dashboard(agent)
        await line.refuse()
        await eventually(lambda: unchecked() > 2)
        await line.listen()
        await world.commit(organization)
        assert await dashboard.numbers(4) == [1, 2, 3, 4]


async def test_a_step_out_of_order_is_refused_by_the_names_of_the_states(process: Process, agent: SignedIn) -> None:
    dashboard = await process.hub.admit(agent.claims, None)
    with pytest.raises(RuntimeError, match="'admitted'"):
        await dashboard.read_client()
    process.hub.remove(dashboard)
    with closing(IOStream(socket.socket())) as stream, pytest.raises(RuntimeError, match="'admitted'; this one is 'closed'"):
        dashboard.start(stream, 20)


# ---------------------------------------------------------------------- shutdown


async def test_a_shutdown_says_1001_after_the_last_event(world: World, agent: SignedIn, organization: str) -> None:
    async with process_in(world) as process:
        dashboards = [await process.dashboard(agent) for _ in range(5)]
        last = 0
        for _ in range(20):
            last = await world.commit(organization)
        draining = asyncio.create_task(process.hub.drain())  # what the tail has not read yet is sent as well
        for dashboard in dashboards:
            assert await dashboard.numbers(last) == list(range(1, last + 1))
            assert await dashboard.closed_with() == 1001
        await draining


async def test_a_shutdown_waits_for_neither_the_tail_nor_a_replay(world: World, agent: SignedIn, organization: str) -> None:
    async with process_in(world) as process:
        for _ in range(30):
            await world.commit(organization, events=1, size=100_000)
        live, replaying = await process.dashboard(agent), await process.dashboard(agent, 0)
        await process.supervisor.close()  # the tail stands still
        await world.commit(organization, events=1)
        draining = asyncio.create_task(process.hub.drain())
        assert await live.numbers(31) == [31]
        assert await replaying.numbers(31) == list(range(1, 32))
        assert [await live.closed_with(), await replaying.closed_with()] == [1001, 1001]
        await draining


async def test_a_shutdown_admits_nobody_and_ends_with_those_who_do_not_answer(world: World, agent: SignedIn) -> None:
    async with process_in(world) as process:
        silent = await RawClient.connect(process, agent)
        await silent.message()
        draining = asyncio.create_task(process.hub.drain())
        assert await silent.close_code() == 1001
        status, body, headers = await process.refusal(Authorization=f"Bearer {agent.token}")
        assert (status, body["success"]) == (503, False)
        assert headers["Retry-After"]
        await draining
        assert len(process.hub.dashboards) == 1
        await process.hub.close()
        with pytest.raises(asyncio.IncompleteReadError):
            await silent.frame()
        await eventually(lambda: not process.hub.dashboards)
        await process.hub.close()


async def test_an_open_dashboard_keeps_nothing_of_the_request_that_opened_it(world: World, agent: SignedIn) -> None:
    requests: weakref.WeakSet[Any] = weakref.WeakSet()

    class Watched(DashboardSocket):
        def initialize(self, *args: Any, **parts: Any) -> None:
            super().initialize(*args, **parts)
            requests.update((self, self.request))

    def kept() -> int:
        gc.collect()
        return len(requests)

    async with process_in(world, socket_class=Watched) as process:
        dashboards = [await process.dashboard(agent) for _ in range(3)]
        await eventually(lambda: kept() == 0)
        assert len(process.hub.dashboards) == len(dashboards)


async def test_nothing_is_left_running(world: World) -> None:
    def running() -> list[str]:
        own = ("Hub.", "Room.", "Dashboard.", "FeedTail.")
        names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks() if not task.done()]
        return sorted(name for name in names if name.startswith(own))

    before = running()
    async with process_in(world) as process:
        for _ in range(5):
            who = await world.session(new_id())
            await world.commit(who.claims.organization_id)
            dashboard = await process.dashboard(who, 0)
            await dashboard.numbers(4)
            await dashboard.close()
        await process.hub.drain()
    await eventually(lambda: running() == before)
