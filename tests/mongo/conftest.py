"""A batch writer on an own database, for each test of `mongo/`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tether_rt.mongo import client as store
from tether_rt.mongo.batch_writer import BatchWriter


@pytest.fixture
async def writer(database: store.Database) -> AsyncIterator[BatchWriter]:
    writer = BatchWriter(database)
    yield writer
    await writer.close()
