"""Replays: a kept delivery goes through the pipeline again, as a request of its source, by the rules of today.

A delivery is replayed by one process at a time, which holds a lease on it, and a body without an `externalCallId` has the
delivery's id as its call's id: two replays at once, or one after a kill, store one call.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from tether_rt.auth.sealed_bodies import SealBroken
from tether_rt.domain.delivery import Kind, Result, refusal_of
from tether_rt.domain.source import Source
from tether_rt.errors import TetherError, Unavailable
from tether_rt.http.context import BodyBudget
from tether_rt.ingest.amending import Amending
from tether_rt.ingest.deliveries import KEPT_STATUSES
from tether_rt.ingest.delivery_bodies import DeliveryBodies
from tether_rt.ingest.pipeline import Pipeline
from tether_rt.ingest.webhooks import Webhooks
from tether_rt.mongo.batch_plan import Created
from tether_rt.mongo.calls import Calls
from tether_rt.mongo.client import new_id
from tether_rt.mongo.deliveries import LEASE_S, Deliveries, DeliveryFilter
from tether_rt.mongo.documents import DeliveryDocument
from tether_rt.runtime.deadlines import Deadline

AT_ONCE: Final = 4
"""Replays that run beside each other when many are asked for."""
_WAIT_FOR_OTHER_S: Final = 20.0
_ASK_AGAIN_S: Final = 0.1
_COPIES: Final = 2
"""Of a body in memory while it is opened."""

Take = Callable[[bytearray, Source, DeliveryDocument], Awaitable[Result]]
"""Takes the body of a delivery as a request of its source, and returns what became of it; raises as the request would."""

FindSource = Callable[[str, str], Awaitable[Source | None]]
"""Returns the source of an organization with an id."""


def take_call(pipeline: Pipeline, calls: Calls) -> Take:
    """Return what replays a call that was posted."""

    async def take(raw: bytearray, source: Source, delivery: DeliveryDocument) -> Result:
        if await calls.exists(source.organization_id, delivery["_id"]):  # its recording need not be stored once more
            return Result("duplicate", call_id=delivery["_id"])
        outcome = await pipeline.take(raw, source, Deadline(), delivery["_id"])
        if isinstance(outcome, Created):
            return Result("created", call_id=outcome.ids.call_id)
        return Result("duplicate", call_id=outcome.call_id)

    return take


def take_change(amending: Amending) -> Take:
    """Return what replays a change of a call."""

    async def take(raw: bytearray, source: Source, delivery: DeliveryDocument) -> Result:
        amended = await amending.take(raw, source, delivery.get("target"), Deadline())
        return Result("merged", call_id=amended.call_id)

    return take


def take_event(webhooks: Webhooks) -> Take:
    """Return what replays a vendor's event."""

    async def take(raw: bytearray, source: Source, delivery: DeliveryDocument) -> Result:
        return await webhooks.replay(raw, source, delivery)

    return take


class Replays:
    """Replays deliveries; one for the process."""

    def __init__(
        self,
        deliveries: Deliveries,
        bodies: DeliveryBodies,
        takes: Mapping[Kind, Take],
        find_source: FindSource,
        budget: BodyBudget,
    ) -> None:
        self._deliveries = deliveries
        self._bodies = bodies
        self._takes = takes
        self._find_source = find_source
        self._budget = budget

    async def replay(self, organization_id: str, delivery_id: str, by: str) -> Result | None:
        """Replay a delivery of the organization and note what became of it; return None if there is none.

        Raises `Unavailable` when something that it needs is away, or when another process takes long with the same delivery.
        """
        async with self._leased(organization_id, delivery_id) as delivery:
            if delivery is None:
                return None
            result = await self._tried(delivery)
            await self._deliveries.note_attempt(delivery, result, datetime.now(UTC), by)
            return result

    async def each(
        self, organization_id: str, chosen: DeliveryFilter, by: str
    ) -> AsyncGenerator[tuple[DeliveryDocument, Result], None]:
        """Replay the deliveries, the oldest first, some beside each other; yield each with what became of it, in that order.

        Raises as `replay`; those that had begun are finished before. Use `contextlib.aclosing` to stop early.
        """
        running: deque[tuple[DeliveryDocument, asyncio.Task[Result | None]]] = deque()
        try:
            async with contextlib.aclosing(self._deliveries.oldest_first(organization_id, chosen)) as deliveries:
                async for delivery in deliveries:
                    replaying = asyncio.create_task(self.replay(organization_id, delivery["_id"], by))
                    running.append((delivery, replaying))
                    if len(running) >= AT_ONCE and (done := await _first(running)) is not None:
                        yield done
            while running:
                if (done := await _first(running)) is not None:
                    yield done
        finally:
            await asyncio.gather(*(task for _, task in running), return_exceptions=True)

    async def _tried(self, delivery: DeliveryDocument) -> Result:
        organization_id, delivery_id = delivery["organizationId"], delivery["_id"]
        source = await self._find_source(organization_id, delivery["sourceId"])
        if source is None:
            return Result("refused", "source_gone", None, "The source of this delivery no longer exists.")
        reserved_bytes = delivery["keptBytes"] * _COPIES
        self._budget.reserve(reserved_bytes)
        try:
            raw = await self._bodies.read(organization_id, delivery_id)
            if raw is None:
                return Result("refused", "body_not_kept", None, "The body of this delivery was not kept: send it again.")
            return await self._takes[delivery["kind"]](raw, source, delivery)
        except SealBroken:
            return Result("refused", "body_not_readable", None, "The body was encrypted with another secret: send it again.")
        except TetherError as error:
            if error.status not in KEPT_STATUSES:
                raise
            return refusal_of(error)
        finally:
            self._budget.release(reserved_bytes)

    @asynccontextmanager
    async def _leased(self, organization_id: str, delivery_id: str) -> AsyncIterator[DeliveryDocument | None]:
        """Hold the delivery's lease; yield None if there is no such delivery."""
        holder = new_id()
        delivery = await self._claimed(organization_id, delivery_id, holder)
        if delivery is None:
            yield None
            return
        renewing = asyncio.create_task(self._renew(delivery_id, holder))
        try:
            yield delivery
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            await self._deliveries.release(delivery_id, holder)

    async def _claimed(self, organization_id: str, delivery_id: str, holder: str) -> DeliveryDocument | None:
        """Return the delivery once it is leased to `holder`, None if there is none."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + _WAIT_FOR_OTHER_S
        while (delivery := await self._deliveries.claim(organization_id, delivery_id, holder)) is None:
            if await self._deliveries.find(organization_id, delivery_id) is None:
                return None
            if loop.time() > until_s:
                raise Unavailable("This delivery is being replayed just now; ask again shortly.")
            await asyncio.sleep(_ASK_AGAIN_S)
        return delivery

    async def _renew(self, delivery_id: str, holder: str) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 3)
            await self._deliveries.renew(delivery_id, holder)


async def _first(
    running: deque[tuple[DeliveryDocument, asyncio.Task[Result | None]]],
) -> tuple[DeliveryDocument, Result] | None:
    """Wait for the first replay and return it; None if its delivery has expired meanwhile."""
    delivery, replaying = running.popleft()
    result = await replaying
    return (delivery, result) if result is not None else None
