"""Changes of an organization's people and read tokens: one after another, each together with its entry of the audit log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from motor.motor_asyncio import AsyncIOMotorClientSession as ClientSession

from tether_rt.errors import NotFound
from tether_rt.mongo.client import DURABLE, MAJORITY, Database

_Result = TypeVar("_Result")


async def alone(database: Database, organization_id: str, work: Callable[[ClientSession], Awaitable[_Result]]) -> _Result:
    """Run `work` in a transaction beside which no other one changes people or read tokens of this organization.

    Raises `NotFound` if there is no such organization, and what `work` raises: then nothing is changed.
    """

    async def locked(session: ClientSession) -> _Result:
        own = {"_id": organization_id}
        if (await database["organizations"].update_one(own, {"$inc": {"changes": 1}}, session=session)).matched_count == 0:
            raise NotFound("There is no such organization.")
        return await work(session)

    async with await database.client.start_session() as session:
        return await session.with_transaction(locked, read_concern=MAJORITY, write_concern=DURABLE)
