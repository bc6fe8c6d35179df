"""An own database on the shared mongod for each test of `mongo/`, and a proxy through which it can be reached."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.support.proxy import Proxy, proxy_to_unix
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


@pytest.fixture
async def proxy(mongodb_uri: str) -> AsyncIterator[Proxy]:
    """A proxy in front of the shared mongod."""
    async with proxy_to_unix(Path(unquote(urlsplit(mongodb_uri).netloc))) as proxy:
        yield proxy


@pytest.fixture
async def proxied(proxy: Proxy, database: store.Database) -> AsyncIterator[store.Database]:
    """The same database, through the proxy."""
    client = store.connect(f"mongodb://localhost:{proxy.port}/?directConnection=true")
    yield store.database(client, database.name)
    client.close()
