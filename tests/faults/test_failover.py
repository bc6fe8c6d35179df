"""A replica set of three loses its primary under load: no acknowledged call is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.load import load_on
from tests.support.program import program
from tests.support.replica_set import ReplicaSet, replica_set


@pytest.fixture
async def members(tmp_path: Path) -> AsyncIterator[ReplicaSet]:
    async with replica_set(tmp_path / "members") as members:
        yield members


async def test_a_primary_that_is_killed_is_replaced_and_no_acknowledged_call_is_lost(
    members: ReplicaSet, tmp_path: Path
) -> None:
    async with program(tmp_path, members.uri, processes=2) as running, load_on(running) as load:
        primary = await members.primary()
        assert primary is not None
        await members.kill_member(primary)
        await load.acknowledged_more(20)
        members.start_member(primary)
        await running.ready()


@pytest.mark.soak
async def test_a_primary_that_freezes_is_replaced_and_what_it_had_alone_was_never_acknowledged(
    members: ReplicaSet, tmp_path: Path
) -> None:
    async with program(tmp_path, members.uri, processes=2) as running, load_on(running) as load:
        for _ in range(3):
            primary = await members.primary()
            assert primary is not None
            members.pause_member(primary)
            try:
                await load.acknowledged_more(100)
                await asyncio.sleep(5)
            finally:
                members.resume_member(primary)
            await load.acknowledged_more(100)


@pytest.mark.soak
async def test_a_primary_that_steps_down_over_and_over_costs_retries_and_nothing_else(
    members: ReplicaSet, tmp_path: Path
) -> None:
    async with program(tmp_path, members.uri, processes=2) as running, load_on(running) as load:
        for _ in range(10):
            await members.step_down()
            await load.acknowledged_more(60)
            await running.ready()
