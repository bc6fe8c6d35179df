"""No organization waits for another whose calls cannot be stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from tests.conftest import settings_on
from tests.support.service import Service, missed, running
from tests.support.verify import verify


@pytest.fixture
async def service(mongodb_uri: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with running(settings_on(mongodb_uri, tmp_path)) as service:
        yield service


async def test_one_organizations_held_counter_delays_no_other(service: Service, mongodb_uri: str) -> None:
    """An operator's open transaction, or another process', holds the counter of the first organization."""
    held, free = await service.tenant(), await service.tenant()
    assert (await held.post_call(missed())).status == 201
    async with AsyncMongoClient[dict[str, Any]](mongodb_uri) as operator, operator.start_session() as session:
        counters = operator[service.database.name]["counters"]
        async with await session.start_transaction():
            await counters.update_one({"_id": held.organization_id}, {"$set": {"heldBy": "an operator"}}, session=session)
            waiting = [asyncio.create_task(held.post_call(missed())) for _ in range(40)]
            # Round after round of the other organization is stored before the callers of the first have waited for too long.
            assert [(await free.post_call(missed())).status for _ in range(20)] == [201] * 20
            assert not any(task.done() for task in waiting), "their counter is held"
            await session.abort_transaction()
        assert {answer.status for answer in await asyncio.gather(*waiting)} == {201}
    await verify(service.database)


async def test_what_one_organization_cannot_store_touches_no_others_calls(service: Service) -> None:
    refused, free = await service.tenant(), await service.tenant()
    long = "x" * (5 << 20)
    posts = [refused.post_call(missed(metadata={"a": long}, summary=long)) for _ in range(3)]
    answers = await asyncio.gather(*posts, *(free.post_call(missed()) for _ in range(20)))
    assert [answer.status for answer in answers] == [400] * 3 + [201] * 20
    await verify(service.database)
