"""Fixtures for all tests: a mongod, an S3 server, and a server on each kind of recording store."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import hypothesis
import pytest

from tests.support.proxy import Proxy, proxy_to_unix
from tests.support.s3 import S3Server, s3_server  # noqa: F401 - a fixture
from tests.support.service import SECRET, ServerProcess, Service, Tenant, running
from tether_rt.mongo import client as store
from tether_rt.mongo.indexes import create_indexes
from tether_rt.mongo.private_mongod import PrivateMongod
from tether_rt.settings import Settings

# How long an example takes to make and to try depends on the machine: no test judges a time.
hypothesis.settings.register_profile("any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="session", autouse=True)
def no_server_is_left() -> Iterator[None]:
    """End the servers that failed tests left running, each with the mongod that it may have."""
    yield
    for process in ServerProcess.started:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="session")
def mongodb_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a mongod that runs until the tests end."""
    mongod = PrivateMongod(tmp_path_factory.mktemp("mongod"))
    yield asyncio.run(mongod.start())
    asyncio.run(mongod.stop())


def settings_on(mongodb_uri: str, data_dir: Path, **changes: object) -> Settings:
    """Return settings for a server with its own database on the shared mongod."""
    values = {
        "port": 0,
        "data_dir": data_dir,
        "mongodb_uri": mongodb_uri,
        "database": f"t{uuid.uuid4().hex[:12]}",
        "secret": SECRET,
        **changes,
    }
    return Settings.from_values(values)


def r2_settings(server: S3Server) -> dict[str, str]:
    """Return the settings of an empty bucket on the S3 server."""
    return {
        "r2_endpoint_url": server.endpoint_url,
        "r2_access_key_id": S3Server.ACCESS_KEY_ID,
        "r2_secret_access_key": S3Server.SECRET_ACCESS_KEY,
        "r2_bucket": server.create_bucket(),
    }


@pytest.fixture(scope="session")
async def service_on_disk(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """A running server with recordings on disk."""
    async with running(settings_on(mongodb_uri, tmp_path_factory.mktemp("data"))) as service:
        yield service


@pytest.fixture(scope="session")
async def service_on_r2(
    mongodb_uri: str,
    tmp_path_factory: pytest.TempPathFactory,
    s3_server: S3Server,  # noqa: F811
) -> AsyncIterator[Service]:
    """A running server with recordings in R2."""
    async with running(settings_on(mongodb_uri, tmp_path_factory.mktemp("data"), **r2_settings(s3_server))) as service:
        yield service


@pytest.fixture(scope="session", params=["disk", "r2"])
def service(request: pytest.FixtureRequest) -> Service:
    """A running server. Every test that uses it runs once with recordings on disk and once in R2.

    Both servers run until the tests end: a fixture with parameters of its own would be made anew for each change of them.
    """
    service: Service = request.getfixturevalue(f"service_on_{request.param}")
    return service


@pytest.fixture
async def tenant(service: Service) -> Tenant:
    """A user of a new organization."""
    return await service.tenant()


@pytest.fixture
async def other(service: Service) -> Tenant:
    """A user of another new organization."""
    return await service.tenant()


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
