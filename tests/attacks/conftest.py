"""What attackers have in common: a server, somebody to attack, and bytes that no library would send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pytest

from tests.conftest import settings_on
from tests.support.raw import RawAnswer, connection
from tests.support.service import Service, Tenant, running

_LAST: Final = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-Id: the-last-one\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="session")
async def service(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """A running server that keeps recordings on disk."""
    async with running(settings_on(mongodb_uri, tmp_path_factory.mktemp("attacked"))) as service:
        yield service


@pytest.fixture(scope="module")
async def tenant(service: Service) -> Tenant:
    """A user of an organization of its own, the same one in all tests of a module."""
    return await service.tenant()


@pytest.fixture(scope="module")
async def other(service: Service) -> Tenant:
    """A user of another organization."""
    return await service.tenant()


async def answers_to(service: Service, data: bytes) -> list[RawAnswer]:
    """Send bytes and return every answer, up to the one after which the server takes no more on that connection."""
    answers: list[RawAnswer] = []
    async with connection(service.base_url) as raw:
        await raw.send(data + _LAST)
        while not answers or answers[-1].headers.get("connection") != "close":
            try:
                answers.append(await raw.answer())
            except (asyncio.IncompleteReadError, ConnectionError):
                break
        if answers and answers[-1].headers.get("x-request-id") == "the-last-one":
            answers.pop()
        raw.writer.write_eof()
        assert await raw.ended() == b"", "and nothing after it"
    return answers
