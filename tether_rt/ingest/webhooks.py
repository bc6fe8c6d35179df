"""What happens to a vendor's event whose origin is proven: kept as a delivery, adapted, committed or parked.

The delivery is durable before anything else, so the vendor can be answered whatever becomes of it (`call_parts`). An event that
waits for other parts of its call is looked at again when one of them comes, and when its time is over, by any process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import orjson

from tether_rt.domain.call import CompletedCall, Recording
from tether_rt.domain.delivery import SENDER, Result, expires_at
from tether_rt.domain.source import Source
from tether_rt.errors import BadRequest, TetherError
from tether_rt.ingest.call_parts import (
    MAX_BATCH,
    READ_IN_THREAD_BYTES,
    CallParts,
    call_id_of,
    call_of,
    contract_fault,
    read_off_loop,
    result_of,
)
from tether_rt.ingest.delivery_bodies import Body, DeliveryBodies, file_part
from tether_rt.ingest.later_recordings import FindSource
from tether_rt.ingest.pipeline import Pipeline
from tether_rt.ingest.vendors.assembly import Arrived, Waits, assemble
from tether_rt.ingest.vendors.parts import Dead, Part
from tether_rt.ingest.vendors.reading import Unusable
from tether_rt.ingest.vendors.registry import Reading
from tether_rt.mongo.calls import recording_document
from tether_rt.mongo.client import new_id, unavailable
from tether_rt.mongo.deliveries import Deliveries, attempt_of
from tether_rt.mongo.documents import DeliveryDocument
from tether_rt.recordings.intake import RecordingIntake
from tether_rt.recordings.streamed_audio import Streamed
from tether_rt.recordings.uploads import Uploads
from tether_rt.runtime.batching import Batcher
from tether_rt.runtime.deadlines import Deadline
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics, labelled

LOOK_AGAIN: Final = timedelta(seconds=20)
"""When another process looks at a delivery whose process did not finish with it."""
POLL_S: Final = 1.0
_MAX_NOTES: Final = 500
_LOG: Final = logging.getLogger("tether.webhooks")


class Event(NamedTuple):
    """A webhook's request whose origin is proven. `raw` is its body, without the audio that was lifted out of it."""

    source: Source
    request_id: str
    raw: bytes | bytearray
    size_bytes: int
    streamed: Streamed | None = None
    """The body with the audio that was lifted out of it, where that was looked for."""
    webhook_id: str | None = None
    """The vendor's id of the event, the same whenever it sends that again."""


class Rehearsal(NamedTuple):
    """What would become of an event: nothing was stored."""

    result: Result
    reading: Reading
    call: CompletedCall | None = None


class _Kept(NamedTuple):
    """A delivery that is to be written, with its body."""

    body: Body
    delivery: DeliveryDocument


class Webhooks:
    """Takes vendors' events; one for the process. `run` looks after those that wait."""

    def __init__(
        self,
        deliveries: Deliveries,
        bodies: DeliveryBodies,
        intake: RecordingIntake,
        uploads: Uploads,
        parts: CallParts,
        pipeline: Pipeline,
        find_source: FindSource,
        metrics: Metrics,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take the parts that it uses; `now` is the clock."""
        self._deliveries = deliveries
        self._bodies = bodies
        self._intake = intake
        self._uploads = uploads
        self._parts = parts
        self._pipeline = pipeline
        self._find_source = find_source
        self._metrics = metrics
        self._now = now
        self._writing = Batcher[_Kept, None](self._write, max_items=MAX_BATCH)

    async def close(self) -> None:
        """Stop writing; idempotent."""
        await self._writing.close()
        await self._parts.close()

    async def take(self, event: Event, deadline: Deadline) -> str | None:
        """Keep an event and do what is to be done with it; return the id of its call if that is there.

        Raises `Unavailable` if it could not be kept. What fails after that is done later, by `run`.
        """
        at = self._now()
        reading = await read_off_loop(event.raw, event.source, at)
        recording = None
        if isinstance(reading.adapted, Part) and reading.adapted.audio is not None:
            reading, recording = await self._with_audio(event, reading.adapted, reading)
        with self._uploads.deciding(recording.key if recording is not None else None) as upload:
            delivery = await self._keep(event, reading, recording, at)
            upload.keep()
        if not isinstance(reading.adapted, Part):
            return None
        try:
            return await self._advance(event.source, delivery, reading, deadline)
        except Exception as error:
            _log_put_off(error, delivery)
            return None

    async def replay(self, raw: bytearray, source: Source, delivery: DeliveryDocument) -> Result:
        """Return what becomes of a kept event by the rules of today."""
        reading = await read_off_loop(raw, source, delivery["at"])
        if not isinstance(reading.adapted, Part):
            return result_of(reading.adapted)
        return await self._parts.judge(source, delivery, reading, Deadline())

    async def rehearse(self, raw: bytes | bytearray, source: Source) -> Rehearsal:
        """Return what would become of an event that came alone."""
        now = self._now()
        reading = await read_off_loop(raw, source, now)
        part = reading.adapted
        if not isinstance(part, Part):
            return Rehearsal(result_of(part), reading)
        try:
            if part.is_own_body:
                rehearsed = await self._pipeline.rehearse(bytearray(orjson.dumps(part.fields)), source, Deadline())
                if rehearsed.faults:
                    return Rehearsal(contract_fault(BadRequest.of(rehearsed.faults)), reading)
                return Rehearsal(Result("created" if rehearsed.call else "duplicate"), reading, rehearsed.call)
            assembled = assemble([Arrived("0" * 24, now, part)], now)
            if isinstance(assembled, Waits):
                return Rehearsal(Result("waiting", assembled.code), reading)
            return Rehearsal(Result("created"), reading, call_of(source, part.call_key, assembled, {}, None, now))
        except (BadRequest, Unusable) as refusal:
            return Rehearsal(contract_fault(refusal), reading)

    async def run(self) -> None:
        """Look after deliveries that wait, when their time has come, until cancelled."""
        while True:
            try:
                while await self._look_after_one():
                    pass
            except Exception as error:
                if unavailable(error) is None:
                    raise
            await asyncio.sleep(POLL_S)

    async def _look_after_one(self) -> bool:
        now = self._now()
        delivery = await self._deliveries.next_due(now, now + LOOK_AGAIN)
        if delivery is None:
            return False
        source = await self._find_source(delivery["organizationId"], delivery["sourceId"])
        raw = await self._bodies.read(delivery["organizationId"], delivery["_id"]) if source is not None else None
        if source is None or raw is None:
            said = "Its source is gone." if source is None else "Its body is gone."
            await self._parts.settle(delivery, Result("dead", "expired", None, said))
            return True
        try:
            await self._advance(source, delivery, await read_off_loop(raw, source, delivery["at"]), Deadline())
        except Exception as error:
            _log_put_off(error, delivery)
        return True

    # ------------------------------------------------------------------ kept

    async def _with_audio(self, event: Event, part: Part, reading: Reading) -> tuple[Reading, Recording | None]:
        """Store the audio that an event carried under the call's key; an event whose audio is none is dead."""
        organization_id, call_id, streamed = (
            event.source.organization_id,
            call_id_of(event.source, part.call_key),
            event.streamed,
        )
        try:
            if streamed is None or streamed.placeholder != part.audio:
                return reading, await self._intake.take(part.audio or "", organization_id, call_id, is_first=False)
            if streamed.audio is None:
                raise streamed.fault or BadRequest("recording is empty")
            return reading, await self._intake.take_file(streamed.audio, organization_id, call_id)
        except BadRequest as refusal:
            dead = Dead("recording_unusable", str(refusal), None, part.call_key, part.notes)
            return Reading(dead, reading.root), None

    async def _keep(self, event: Event, reading: Reading, recording: Recording | None, at: datetime) -> DeliveryDocument:
        """Make the delivery durable: its body, then the delivery itself."""
        adapted = reading.adapted
        result = Result("waiting", adapted.waiting_code) if isinstance(adapted, Part) else result_of(adapted)
        part = await asyncio.to_thread(file_part, event.raw) if len(event.raw) > READ_IN_THREAD_BYTES else file_part(event.raw)
        delivery_id = new_id()
        until = expires_at(at, result.verdict)
        body = Body(event.source.organization_id, delivery_id, event.raw, part, until)
        attempt = attempt_of(result, at, SENDER)
        delivery = DeliveryDocument(
            _id=delivery_id,
            organizationId=event.source.organization_id,
            sourceId=event.source.id,
            at=at,
            requestId=event.request_id,
            kind="webhook",
            target=adapted.call_key or None,
            verdict=result.verdict,
            code=result.code,
            field=result.field,
            error=result.error,
            errors=[],
            callId=None,
            bytes=event.size_bytes,
            keptBytes=len(event.raw),
            times=1,
            attempts=[attempt],
            notes=[note._asdict() for note in adapted.notes[:_MAX_NOTES]],
            hasFile=part.end > 0,
            expiresAt=until,
        )
        if isinstance(adapted, Part):
            delivery["callKey"] = adapted.call_key or event.webhook_id or delivery_id
            delivery["nextAt"] = at + LOOK_AGAIN
        if recording is not None:
            delivery["audio"] = recording_document(recording)
        kept = _Kept(body, delivery)
        # One whose file the store does not take fails alone.
        await (self._write([kept]) if part.end else self._writing.submit(kept))
        labelled(self._metrics.webhooks, event.source.kind, result.verdict).inc()
        return delivery

    async def _write(self, kept: list[_Kept]) -> list[None]:
        await self._bodies.add([one.body for one in kept], must_be_whole=True)
        await self._deliveries.add_webhooks([one.delivery for one in kept])
        return [None] * len(kept)

    # ------------------------------------------------------------------ what becomes of it

    async def _advance(self, source: Source, delivery: DeliveryDocument, reading: Reading, deadline: Deadline) -> str | None:
        """Do what is to be done with a delivery and note what became of it; return the id of its call if that is there."""
        result = await self._parts.judge(source, delivery, reading, deadline)
        if result.verdict != "waiting":
            await self._parts.settle(delivery, result)
        return result.call_id


def _log_put_off(error: Exception, delivery: DeliveryDocument) -> None:
    """Log that a delivery is looked at again later; what is not expected with its traceback."""
    away = error if isinstance(error, TetherError) else unavailable(error)
    if away is None:
        _LOG.exception("unexpected_error", extra={"fields": {"task": "webhooks", "deliveryId": delivery["_id"]}})
    else:
        log(_LOG, logging.WARNING, "webhook_put_off", deliveryId=delivery["_id"], reason=str(away))
