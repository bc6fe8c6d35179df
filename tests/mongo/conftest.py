"""An own database on the shared mongod for each test of `store/`."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from tether_rt.mongo import client as store
from tether_rt.mongo.batch_writer import BatchWriter
from tether_rt.mongo.indexes import create_indexes


@pytest.fixture
async def database(mongodb_uri: str) -> AsyncIterator[store.Database]:
    """An empty database with every collection and index."""
    client = store.connect(mongodb_uri)
    database = store.database(client, f"t{uuid.uuid4().hex[:12]}")
    await create_indexes(database, 7)
    yield database
    await client.drop_database(database.name)
    client.close()


@pytest.fixture
async def writer(database: store.Database) -> AsyncIterator[BatchWriter]:
    writer = BatchWriter(database)
    yield writer
    await writer.close()
