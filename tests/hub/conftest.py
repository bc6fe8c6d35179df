"""Fixtures: one database and one process for all these tests, an organization of its own for each."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.hub.harness import Process, SignedIn, World, process_in, world_on
from tether_rt.mongo.client import new_id


@pytest.fixture(scope="session")
async def world(mongodb_uri: str) -> AsyncIterator[World]:
    async with world_on(mongodb_uri) as world:
        yield world


@pytest.fixture(scope="session")
async def shared_process(world: World) -> AsyncIterator[Process]:
    async with process_in(world) as process:
        yield process


@pytest.fixture
async def process(shared_process: Process) -> AsyncIterator[Process]:
    """A process without dashboards."""
    yield shared_process
    await shared_process.empty()


@pytest.fixture
def organization() -> str:
    return new_id()


@pytest.fixture
async def agent(world: World, organization: str) -> SignedIn:
    return await world.session(organization)
