"""What happens to a vendor's event whose origin is proven: kept as a delivery, adapted, committed or parked.

The delivery is durable before anything else, so the vendor can be answered whatever becomes of it. Its verdict is derived from
the call, which names the deliveries that made it: whoever looks next, after a kill at any moment, finds the same one. An event
that waits for other parts of its call is looked at again when one of them comes, and when its time is over, by any process.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import orjson

from tether_rt.domain.call import CompletedCall, Recording, completed_call
from tether_rt.domain.delivery import MAX_ERROR_CHARS, SENDER, Result, expires_at
from tether_rt.domain.fingerprint import fingerprint
from tether_rt.domain.masking import masked_payload
from tether_rt.domain.source import Source
from tether_rt.domain.warnings import recording_warnings
from tether_rt.errors import BadRequest, TetherError, Unavailable
from tether_rt.ingest.amending import Also, amendment_of
from tether_rt.ingest.delivery_bodies import Body, DeliveryBodies, file_part
from tether_rt.ingest.group_commit import MAX_WAITING_CALLS, GroupCommit
from tether_rt.ingest.later_recordings import FindSource, LaterRecordings
from tether_rt.ingest.pipeline import Pipeline
from tether_rt.ingest.vendors.assembly import Arrived, Assembled, Waits, assemble, lacking, missing_of
from tether_rt.ingest.vendors.parts import Dead, Ignored, Part
from tether_rt.ingest.vendors.reading import Unusable
from tether_rt.ingest.vendors.registry import Reading, read_event
from tether_rt.mongo.amendable_calls import AmendableCall, AmendableCalls
from tether_rt.mongo.amendments import Stale
from tether_rt.mongo.batch_plan import Created, Entry
from tether_rt.mongo.calls import call_elements, recording_document
from tether_rt.mongo.client import new_id, unavailable
from tether_rt.mongo.deliveries import Deliveries, attempt_of
from tether_rt.mongo.documents import DeliveryDocument, RecordingDocument
from tether_rt.recordings.fetch.slots import KeyedSemaphore
from tether_rt.recordings.intake import RecordingIntake
from tether_rt.recordings.streamed_audio import Streamed
from tether_rt.recordings.uploads import Uploads
from tether_rt.runtime.deadlines import Deadline
from tether_rt.runtime.logs import log
from tether_rt.runtime.metrics import Metrics, labelled

MAX_PARTS: Final = 100
"""Waiting deliveries of one call that are looked at together; the oldest ones come first."""
LOOK_AGAIN: Final = timedelta(seconds=20)
"""When another process looks at a delivery whose process did not finish with it."""
POLL_S: Final = 1.0
_IN_THREAD_BYTES: Final = 64 * 1024
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


def call_id_of(source: Source, call_key: str) -> str:
    """Return the id of a vendor's call, known from its first part on: audio that comes first is stored under it."""
    return hashlib.sha256(f"{source.id}\0{call_key}".encode(errors="surrogatepass")).hexdigest()[:24]


class Webhooks:
    """Takes vendors' events; one for the process. `run` looks after those that wait."""

    def __init__(
        self,
        deliveries: Deliveries,
        bodies: DeliveryBodies,
        calls: AmendableCalls,
        intake: RecordingIntake,
        uploads: Uploads,
        later: LaterRecordings,
        group_commit: GroupCommit,
        pipeline: Pipeline,
        find_source: FindSource,
        remove: Callable[[str], Awaitable[None]],
        metrics: Metrics,
        announce: Callable[[Recording], None] = lambda recording: None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`remove` removes a recording by its key, `announce` is called with one that is its call's now; `now` is the clock."""
        self._deliveries = deliveries
        self._bodies = bodies
        self._calls = calls
        self._intake = intake
        self._uploads = uploads
        self._later = later
        self._group_commit = group_commit
        self._pipeline = pipeline
        self._find_source = find_source
        self._remove = remove
        self._metrics = metrics
        self._announce = announce
        self._now = now
        self._of_call = KeyedSemaphore(MAX_WAITING_CALLS, 1, 30.0)

    async def take(self, event: Event, deadline: Deadline) -> str | None:
        """Keep an event and do what is to be done with it; return the id of its call if that is there.

        Raises `Unavailable` if it could not be kept. What fails after that is done later, by `run`.
        """
        at = self._now()
        reading = await _read(event.raw, event.source, at)
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
        reading = await _read(raw, source, delivery["at"])
        if not isinstance(reading.adapted, Part):
            return _result_of(reading.adapted)
        return await self._judged(source, delivery, reading, Deadline())

    async def rehearse(self, raw: bytes | bytearray, source: Source) -> Rehearsal:
        """Return what would become of an event that came alone."""
        now = self._now()
        reading = await _read(raw, source, now)
        part = reading.adapted
        if not isinstance(part, Part):
            return Rehearsal(_result_of(part), reading)
        try:
            if part.is_own_body:
                rehearsed = await self._pipeline.rehearse(bytearray(orjson.dumps(part.fields)), source, Deadline())
                if rehearsed.faults:
                    return Rehearsal(_contract_fault(BadRequest.of(rehearsed.faults)), reading)
                return Rehearsal(Result("created" if rehearsed.call else "duplicate"), reading, rehearsed.call)
            assembled = assemble([Arrived("0" * 24, now, part)], now)
            if isinstance(assembled, Waits):
                return Rehearsal(Result("waiting", assembled.code), reading)
            return Rehearsal(Result("created"), reading, _call(source, part.call_key, assembled, {}, None, now))
        except (BadRequest, Unusable) as refusal:
            return Rehearsal(_contract_fault(refusal), reading)

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
            await self._settle(delivery, Result("dead", "expired", None, said))
            return True
        try:
            await self._advance(source, delivery, await _read(raw, source, delivery["at"]), Deadline())
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
        result = Result("waiting", adapted.waiting_code) if isinstance(adapted, Part) else _result_of(adapted)
        part = await asyncio.to_thread(file_part, event.raw) if len(event.raw) > _IN_THREAD_BYTES else file_part(event.raw)
        delivery_id = new_id()
        until = expires_at(at, "dead" if isinstance(adapted, Part) else result.verdict)
        body = Body(event.source.organization_id, delivery_id, event.raw, part, until)
        await self._bodies.add([body], must_be_whole=True)
        attempt = attempt_of(result, at, SENDER)
        delivery = DeliveryDocument(
            _id=delivery_id,
            organizationId=event.source.organization_id,
            sourceId=event.source.id,
            at=at,
            requestId=event.request_id,
            kind="webhook",
            target=None,
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
        await self._deliveries.add_webhook(delivery)
        labelled(self._metrics.webhooks, event.source.kind, result.verdict).inc()
        return delivery

    async def _settle(self, delivery: DeliveryDocument, result: Result) -> None:
        audio = delivery.get("audio")
        if audio is not None and result.verdict in ("duplicate", "dead"):
            await self._remove(audio["key"])
        await self._deliveries.settle(delivery, result)

    # ------------------------------------------------------------------ what becomes of it

    async def _advance(self, source: Source, delivery: DeliveryDocument, reading: Reading, deadline: Deadline) -> str | None:
        """Do what is to be done with a delivery and note what became of it; return the id of its call if that is there."""
        result = await self._judged(source, delivery, reading, deadline)
        if result.verdict != "waiting":
            await self._settle(delivery, result)
        return result.call_id

    async def _judged(self, source: Source, delivery: DeliveryDocument, reading: Reading, deadline: Deadline) -> Result:
        """Do what is to be done with a delivery, and with those that waited for it; return what became of it."""
        part = reading.adapted
        if not isinstance(part, Part):
            return _result_of(part)
        if part.audio is not None and "audio" not in delivery:
            return Result("dead", "recording_unusable", None, "Its audio was not kept: have it sent again.")
        if part.is_own_body:
            return await self._own_body(source, delivery, part, deadline)
        async with self._of_call.slot(f"{source.id} {part.call_key}"):
            waiting = await self._waiting(source, part.call_key, _Waiting(delivery, reading))
            if await self._calls.find(source, None, part.call_key, ()) is None:
                result = await self._make(source, part.call_key, waiting, deadline)
                if result is not None:
                    return result.get(delivery["_id"], Result("waiting", part.waiting_code))
            for other in waiting[:-1]:
                await self._settle(other.delivery, await self._joined(source, other, part.call_key, deadline))
            return await self._joined(source, waiting[-1], part.call_key, deadline)

    async def _own_body(self, source: Source, delivery: DeliveryDocument, part: Part, deadline: Deadline) -> Result:
        """Take a body of the contract, as the ingest does, but for its recording, which is fetched later."""
        raw = bytearray(await asyncio.to_thread(orjson.dumps, part.fields))
        call_id = call_id_of(source, delivery.get("callKey") or delivery["_id"])
        try:
            outcome = await self._pipeline.take(raw, source, deadline, call_id, later=True)
        except BadRequest as refusal:
            return _contract_fault(refusal)
        if isinstance(outcome, Created):
            return Result("created", call_id=outcome.ids.call_id)
        return Result("duplicate", call_id=outcome.call_id)

    async def _waiting(self, source: Source, call_key: str, arrived: _Waiting) -> list[_Waiting]:
        """Return the deliveries that wait for the call, in the order of their arrival, but the one that is looked at last."""
        others: list[_Waiting] = []
        for delivery in await self._deliveries.waiting(source.id, call_key, MAX_PARTS):
            if delivery["_id"] == arrived.delivery["_id"]:
                continue
            raw = await self._bodies.read(source.organization_id, delivery["_id"])
            reading = await _read(raw, source, delivery["at"]) if raw is not None else None
            if reading is not None and isinstance(reading.adapted, Part):
                others.append(_Waiting(delivery, reading))
            else:
                gone = Result("dead", "expired", None, "Its body is gone.")
                await self._settle(delivery, _result_of(reading.adapted) if reading is not None else gone)
        return [*others, arrived]

    async def _make(
        self, source: Source, call_key: str, waiting: Sequence[_Waiting], deadline: Deadline
    ) -> dict[str, Result] | None:
        """Store the call that the deliveries make together; return None then, otherwise what becomes of some of them."""
        now = self._now()
        if over := [one for one in waiting if one.arrived.ends_at <= now]:
            said = "The facts of its call did not come within 24 hours."
            results = {one.delivery["_id"]: Result("dead", "expired", None, said) for one in over}
            for one in over:
                await self._settle(one.delivery, results[one.delivery["_id"]])
            return results
        assembled = assemble([one.arrived for one in waiting], now)
        if isinstance(assembled, Waits):
            for one in waiting:
                held_until = assembled.until if one.arrived.part.has_facts else one.arrived.ends_at
                await self._deliveries.wait_on(one.delivery["_id"], one.arrived.part.waiting_code, held_until)
            return {}
        facts = next(one for one in waiting if one.delivery["_id"] == assembled.facts.delivery_id)
        sounds = (one.delivery.get("audio") for one in waiting if one.delivery["_id"] in assembled.delivery_ids)
        audio = next((sound for sound in sounds if sound is not None), None)
        recording = _recording_of(audio) if audio is not None else None
        try:
            call = await asyncio.to_thread(_call, source, call_key, assembled, facts.reading.root, recording, now)
            url = assembled.fields.get("recording") if recording is None else None
            elements = await asyncio.to_thread(call_elements, call, recording, is_pending=url is not None)
            sealed_url = await self._later.admit(url, source.organization_id) if url is not None else None
            entry = Entry(call_id_of(source, call_key), call, recording, elements, sealed_url=sealed_url)
            outcome = await self._group_commit.submit(entry, deadline.remaining_s)
        except (BadRequest, Unusable) as refusal:
            result = _contract_fault(refusal)
            await self._settle(facts.delivery, result)
            return {facts.delivery["_id"]: result}
        if isinstance(outcome, Created):
            if recording is not None:
                self._announce(recording)
            if sealed_url is not None:
                self._later.wake()
        return None

    async def _joined(self, source: Source, one: _Waiting, call_key: str, deadline: Deadline) -> Result:
        """Add what a delivery brings to its call, which is there; return what became of it."""
        part, delivery_id, audio = one.arrived.part, one.delivery["_id"], one.delivery.get("audio")
        while True:
            stored = await self._calls.find(source, None, call_key, ())
            if stored is None:
                raise Unavailable("The call is not there any more.")
            call_id, made_by = stored.document["_id"], stored.document.get("deliveries", [])
            if delivery_id in made_by:
                return Result("created" if delivery_id == made_by[0] else "merged", call_id=call_id)
            patch = _patch(stored, part)
            recording = _recording_of(audio) if audio is not None and not stored.document["recordings"] else None
            also = await self._also(stored, part, patch, recording, one)
            try:
                merged = completed_call({**stored.body, **patch}, source, now=self._now(), fingerprint="")
            except BadRequest as refusal:
                return _contract_fault(refusal)
            amendment = amendment_of(stored, merged, patch, recording, source, also)
            if amendment is None:
                return Result("duplicate", call_id=call_id)
            outcome = await self._group_commit.submit(amendment, deadline.remaining_s)
            if isinstance(outcome, Stale):
                continue
            if recording is not None:
                self._announce(recording)
            if also.sealed_url is not None:
                self._later.wake()
            return Result("merged", call_id=call_id)

    async def _also(
        self, stored: AmendableCall, part: Part, patch: dict[str, Any], recording: Recording | None, one: _Waiting
    ) -> Also:
        """Return what a part changes beside the contract's fields; nothing where it brings nothing at all."""
        call = stored.document
        values: dict[str, Any] = {}
        changed: list[str] = []
        sealed_url = None
        if more := lacking(call.get("outcome", {}), part.outcome):
            values["outcome"] = {**call.get("outcome", {}), **more}
            changed.append("outcome")
        url = part.fields.get("recording")
        if url is not None and not call["recordings"] and call.get("recordingStatus") != "pending":
            sealed_url = await self._later.admit(url, call["organizationId"])
            values |= {"recordingStatus": "pending", "recordingError": None}
            changed.append("recordingStatus")
        if not (patch or changed or recording):
            return Also()
        brought = {*patch, *(("recording",) if recording or sealed_url else ())}
        values["missing"] = [name for name in call.get("missing", ()) if name not in brought]
        values["deliveries"] = [*call.get("deliveries", ()), one.delivery["_id"]]
        return Also(values, changed, sealed_url)


class _Waiting(NamedTuple):
    """A delivery that waits, and what was read of it."""

    delivery: DeliveryDocument
    reading: Reading

    @property
    def arrived(self) -> Arrived:
        part = self.reading.adapted
        assert isinstance(part, Part)
        return Arrived(self.delivery["_id"], self.delivery["at"], part)


async def _read(raw: bytes | bytearray, source: Source, at: datetime) -> Reading:
    is_large = len(raw) > _IN_THREAD_BYTES
    return await asyncio.to_thread(read_event, raw, source, at) if is_large else read_event(raw, source, at)


def _call(
    source: Source, call_key: str, assembled: Assembled, root: Any, recording: Recording | None, now: datetime
) -> CompletedCall:
    """Return the call that parts make; raises `BadRequest` for a rule that it breaks, `Unusable` without a direction."""
    fields = {name: value for name, value in assembled.fields.items() if name != "recording"}
    if "direction" not in fields:
        said = "Nothing says whether the call came in or went out: give the source its own numbers"
        raise Unusable("direction_unknown", said)
    body = {**fields, "externalCallId": call_key}
    call = completed_call(body, source, now=now, fingerprint=fingerprint(body) or "")
    has_recording = recording is not None or "recording" in assembled.fields
    lacks = missing_of(fields, has_recording=has_recording, expects=assembled.expects) if call.status == "completed" else ()
    warnings = list(call.warnings)
    if recording is not None:
        warnings += recording_warnings(call.duration_s, recording.duration_s, recording.kind, recording.is_playable)
    return call._replace(
        extra=masked_payload(root),
        outcome=dict(assembled.outcome),
        missing=lacks,
        delivery_ids=assembled.delivery_ids,
        warnings=tuple(warnings),
    )


def _patch(stored: AmendableCall, part: Part) -> dict[str, Any]:
    """Return the fields of the contract that a part adds to a call that lacks them."""
    may_be_added = {
        name: part.fields[name] for name in ("transcript", "summary", "agentName", "callerName") if name in part.fields
    }
    patch = lacking(stored.values, may_be_added)
    if part.outcome.get("voicemail") and stored.document["status"] == "completed":
        patch["status"] = "no-answer"
    return patch


def _recording_of(document: RecordingDocument) -> Recording:
    return Recording(
        document["recordingId"],
        document["key"],
        document["contentType"],
        document["bytes"],
        document["sha256"],
        document["duration"],
        document.get("kind", "MP3"),
        document.get("playable", True),
    )


def _result_of(adapted: Part | Ignored | Dead) -> Result:
    """Return what became of an event that is no part of a call."""
    assert not isinstance(adapted, Part)
    if isinstance(adapted, Dead):
        return Result("dead", adapted.code, adapted.field, adapted.error[:MAX_ERROR_CHARS])
    return Result("ignored", adapted.code, None, adapted.error[:MAX_ERROR_CHARS])


def _contract_fault(refusal: BadRequest | Unusable) -> Result:
    """Return what becomes of an event whose call breaks a rule of the contract, or lacks a direction."""
    if isinstance(refusal, Unusable):
        return Result("dead", refusal.code, refusal.place, str(refusal))
    return Result("dead", "contract", refusal.field, str(refusal)[:MAX_ERROR_CHARS], faults=refusal.faults)


def _log_put_off(error: Exception, delivery: DeliveryDocument) -> None:
    """Log that a delivery is looked at again later; what is not expected with its traceback."""
    away = error if isinstance(error, TetherError) else unavailable(error)
    if away is None:
        _LOG.exception("unexpected_error", extra={"fields": {"task": "webhooks", "deliveryId": delivery["_id"]}})
    else:
        log(_LOG, logging.WARNING, "webhook_put_off", deliveryId=delivery["_id"], reason=str(away))
