"""Refused requests, kept as deliveries.

A refusal is put into a bounded queue after its answer is out, and written in batches by one worker: neither MongoDB nor a flood
of refusals delays an answer. What the queue or the rate of its source does not admit is dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from tether_rt.auth.credentials import Keyring
from tether_rt.auth.rate_limits import RateLimit
from tether_rt.domain.delivery import MAX_REFUSED, MAX_REFUSED_BYTES, Kind, expires_at, refusal_of
from tether_rt.domain.source import Source
from tether_rt.errors import TetherError
from tether_rt.ingest.delivery_bodies import Body, DeliveryBodies, FilePart, file_part
from tether_rt.mongo.client import unavailable
from tether_rt.mongo.deliveries import Deliveries, Refusal
from tether_rt.mongo.documents import DeliveryDocument
from tether_rt.runtime.backoff import Backoff
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics, labelled

KEPT_STATUSES: Final = frozenset((400, 404, 413, 415))
"""Refusals that the vendor will not repeat. One of 429 or 503 is sent again by whoever was told so."""
MAX_WAITING: Final = 2_048
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
"""Of bodies of refused requests in memory, until they are written."""
MAX_BATCH: Final = 128
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024
BURST: Final = 2_000
INTERVAL_S: Final = 0.05
"""A source may have so many refusals kept at once, and one more in every interval; each `BYTES_PER_USE` of a body count as
another one."""
BYTES_PER_USE: Final = 64 * 1024
_PAUSE_S: Final = 0.05
"""After a batch: a flood shares batches, which cost it less, and leaves MongoDB to calls."""
_BACKOFF: Final = Backoff(0.1, 5.0)
SWEEP_EVERY_S: Final = 30.0
_SWEPT_AT_ONCE: Final = 100
_LOG: Final = logging.getLogger("tether.deliveries")


class RefusedRequest(NamedTuple):
    """A request that was refused; `raw` is its body, None where that was not read, and `target` the call that it named."""

    source: Source
    request_id: str
    at: datetime
    kind: Kind
    target: str | None
    error: TetherError
    raw: bytes | bytearray | None
    size_bytes: int


class _Batch(NamedTuple):
    """Refusals by delivery, and the bodies of those that have one."""

    refusals: dict[str, Refusal]
    bodies: dict[str, Body]


class DeliveryKeeper:
    """Keeps refused requests; one for the process. `run` writes them, under the supervisor."""

    def __init__(
        self,
        deliveries: Deliveries,
        bodies: DeliveryBodies,
        keyring: Keyring,
        metrics: Metrics,
        *,
        max_refused: int = MAX_REFUSED,
        max_refused_bytes: int = MAX_REFUSED_BYTES,
        sweep_every_s: float = SWEEP_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deliveries = deliveries
        self._bodies = bodies
        self._keyring = keyring
        self._metrics = metrics
        self._max_refused = max_refused
        self._max_refused_bytes = max_refused_bytes
        self._sweep_every_s = sweep_every_s
        self._rate = RateLimit[str](BURST, INTERVAL_S, clock=clock)
        self._waiting: deque[RefusedRequest] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        metrics.deliveries_waiting.set_function(lambda: len(self._waiting))
        metrics.deliveries_waiting_bytes.set_function(lambda: self._waiting_bytes)

    def keep(self, refused: RefusedRequest) -> None:
        """Put a refused request into the queue, or drop it. Takes no time."""
        held_bytes = len(refused.raw) if refused.raw is not None else 0
        if self._rate.take(refused.source.id, 1 + held_bytes // BYTES_PER_USE):
            self._drop("rate")
        elif len(self._waiting) >= MAX_WAITING or self._waiting_bytes + held_bytes > MAX_WAITING_BYTES:
            self._drop("queue")
        else:
            self._waiting.append(refused)
            self._waiting_bytes += held_bytes
            self._idle.clear()
            self._wake.set()

    async def run(self) -> None:
        """Write what waits and remove what has expired, until cancelled."""
        swept_s = 0.0
        while True:
            try:
                async with asyncio.timeout(self._sweep_every_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
            while self._waiting:
                await self._write(self._next_batch())
                await asyncio.sleep(_PAUSE_S)
            self._wake.clear()
            self._idle.set()
            if time.monotonic() - swept_s > self._sweep_every_s:
                await self._removing(self._sweep())
                swept_s = time.monotonic()

    async def drain(self) -> None:
        """Return when nothing waits."""
        await self._idle.wait()

    # ------------------------------------------------------------------

    def _drop(self, cause: str, count: int = 1) -> None:
        labelled(self._metrics.deliveries_dropped, cause).inc(count)

    def _next_batch(self) -> list[RefusedRequest]:
        batch: list[RefusedRequest] = []
        size_bytes = 0
        while self._waiting and len(batch) < MAX_BATCH:
            size_bytes += self._waiting[0].size_bytes
            if batch and size_bytes > MAX_BATCH_BYTES:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _write(self, batch: list[RefusedRequest]) -> None:
        """Write a batch, again and again while MongoDB is away."""
        failures = 0
        refusals, bodies = await asyncio.to_thread(self._digested, batch)
        while True:
            try:
                await self._store(refusals, bodies)
                self._metrics.deliveries_kept.inc(len(batch))
                self._metrics.delivery_bytes.inc(sum(len(body.raw) for body in bodies.values()))
                break
            except Exception as error:
                if unavailable(error) is None:
                    _LOG.exception("deliveries_not_kept")
                    self._drop("failed", len(batch))
                    break
                failures += 1
                if failures == 1:
                    log(_LOG, logging.WARNING, "deliveries_wait", count=len(batch), reason=str(unavailable(error)))
                await asyncio.sleep(_BACKOFF.wait_s(failures))
        self._waiting_bytes -= sum(len(refused.raw) for refused in batch if refused.raw is not None)
        await self._removing(self._trim(refusals.values()))

    async def _store(self, refusals: dict[str, Refusal], bodies: dict[str, Body]) -> None:
        stored = await self._deliveries.with_body(bodies)
        if stored:
            until = max(bodies[delivery_id].expires_at for delivery_id in stored)
            await self._deliveries.prolong_bodies(stored, until)
        await self._bodies.add([body for delivery_id, body in bodies.items() if delivery_id not in stored])
        await self._deliveries.add(list(refusals.values()))

    async def _trim(self, refusals: Iterable[Refusal]) -> None:
        """Remove the oldest deliveries of the sources that have too many now."""
        for organization_id, source_id in {(refusal.organization_id, refusal.source_id) for refusal in refusals}:
            excess = await self._deliveries.excess(organization_id, source_id, self._max_refused, self._max_refused_bytes)
            await self._remove(excess)

    def _digested(self, batch: list[RefusedRequest]) -> _Batch:
        """Return the batch with the refusals that are the same put together. Hashes the bodies: call it in a thread."""
        digested = _Batch({}, {})
        for refused in batch:
            source, error, raw = refused.source, refused.error, refused.raw
            part = file_part(raw) if raw is not None else FilePart(0, 0)
            digest = self._keyring.body_digest()
            for word in (source.id, refused.kind, refused.target, error.code, error.field, str(refused.size_bytes)):
                digest.update(f"{word}\0".encode())
            digest.update(raw or b"")
            delivery_id = digest.hexdigest()[:24]
            earlier = digested.refusals.get(delivery_id)
            result = refusal_of(error)
            digested.refusals[delivery_id] = Refusal(
                delivery_id=delivery_id,
                organization_id=source.organization_id,
                source_id=source.id,
                request_id=refused.request_id,
                at=refused.at,
                kind=refused.kind,
                target=refused.target,
                result=result,
                size_bytes=refused.size_bytes,
                kept_bytes=len(raw) if raw is not None else 0,
                has_file=part.end > 0,
                times=earlier.times + 1 if earlier is not None else 1,
            )
            if raw is not None:
                until = expires_at(refused.at, result.verdict)
                digested.bodies[delivery_id] = Body(source.organization_id, delivery_id, raw, part, until)
        return digested

    # ------------------------------------------------------------------ what is over

    async def _sweep(self) -> None:
        """Remove files whose time is over, with the bodies that name them."""
        bodies = await self._deliveries.expired_files(datetime.now(UTC), _SWEPT_AT_ONCE)
        for body in bodies:
            await self._bodies.remove_file(body["organizationId"], body["_id"])
        if bodies:
            await self._deliveries.remove_bodies([body["_id"] for body in bodies])

    async def _remove(self, deliveries: Sequence[DeliveryDocument]) -> None:
        """Remove files, then bodies, then deliveries: whatever is left after a crash is still named by its delivery."""
        for delivery in deliveries:
            if delivery["hasFile"]:
                await self._bodies.remove_file(delivery["organizationId"], delivery["_id"])
        if deliveries:
            await self._deliveries.remove([delivery["_id"] for delivery in deliveries])

    async def _removing(self, work: Coroutine[None, None, None]) -> None:
        """Wait for a removal; what MongoDB or the store does not do now is done the next time."""
        try:
            await work
        except Exception as error:
            away = unavailable(error)
            if away is None:
                raise
            log(_LOG, logging.WARNING, "deliveries_not_removed", reason=str(away))
