"""Fault tests run the program in its own processes, which they may kill."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.database import OwnMongod, forgetful_mongod, own_mongod


@pytest.fixture(scope="session", autouse=True)
def room_for_sockets() -> None:
    """Allow as many open files as this account may have: a thousand dashboards need two each, here and in the server."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest.fixture
async def mongod(tmp_path: Path) -> AsyncIterator[OwnMongod]:
    """A mongod that the test may do anything to."""
    async with own_mongod(tmp_path / "own") as mongod:
        yield mongod


@pytest.fixture
async def forgetful(tmp_path: Path) -> AsyncIterator[OwnMongod]:
    """A mongod with a small oplog that removes expired documents every second."""
    async with own_mongod(tmp_path / "own", forgetful_mongod(tmp_path)) as mongod:
        yield mongod
