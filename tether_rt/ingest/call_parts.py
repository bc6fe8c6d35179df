"""What an event's part becomes: a call with the parts that wait for it, an addition to its call, or one more that waits.

A call names the deliveries that made it, the one that completed it first: from that each delivery's verdict is derived, so that
whoever looks next, after a kill at any moment, finds the same one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

from tether_rt.domain.call import CompletedCall, Recording, completed_call
from tether_rt.domain.delivery import MAX_ERROR_CHARS, Result, expires_at
from tether_rt.domain.fingerprint import fingerprint
from tether_rt.domain.masking import masked_payload
from tether_rt.domain.source import Source
from tether_rt.domain.warnings import recording_warnings
from tether_rt.errors import BadRequest, Unavailable
from tether_rt.ingest.amending import Also, amendment_of
from tether_rt.ingest.delivery_bodies import DeliveryBodies
from tether_rt.ingest.group_commit import MAX_WAITING_CALLS, GroupCommit
from tether_rt.ingest.later_recordings import LaterRecordings
from tether_rt.ingest.pipeline import Pipeline
from tether_rt.ingest.vendors.assembly import Arrived, Assembled, Waits, assemble, lacking, missing_of
from tether_rt.ingest.vendors.parts import Dead, Ignored, Part
from tether_rt.ingest.vendors.reading import Unusable
from tether_rt.ingest.vendors.registry import Reading, read_event
from tether_rt.mongo.amendable_calls import AmendableCall, AmendableCalls
from tether_rt.mongo.amendments import Stale
from tether_rt.mongo.batch_plan import Created, Entry
from tether_rt.mongo.calls import call_elements
from tether_rt.mongo.deliveries import Deliveries
from tether_rt.mongo.documents import DeliveryDocument, RecordingDocument
from tether_rt.recordings.fetch.limits import WAIT_S
from tether_rt.recordings.fetch.slots import KeyedSemaphore
from tether_rt.runtime.batching import Batcher
from tether_rt.runtime.deadlines import Deadline

MAX_BATCH: Final = 64
"""Deliveries that are written together."""
MAX_PARTS: Final = 100
"""Waiting deliveries of one call that are looked at together; the oldest ones come first."""
READ_IN_THREAD_BYTES: Final = 64 * 1024
"""A larger body is read in a thread."""
_CALL_IN_THREAD_BYTES: Final = 16 * 1024
"""Masking so much of a payload takes 3 ms."""
ERASED: Final = Result("ignored", "erased", None, "Its call was erased.")
_EXPIRED: Final = Result("dead", "expired", None, "The facts of its call did not come within 24 hours.")


def call_id_of(source: Source, call_key: str) -> str:
    """Return the id of a vendor's call, known from its first part on: audio that comes first is stored under it."""
    return hashlib.sha256(f"{source.id}\0{call_key}".encode(errors="surrogatepass")).hexdigest()[:24]


async def read_off_loop(raw: bytes | bytearray, source: Source, at: datetime) -> Reading:
    """Return what the body of a webhook becomes (`registry.read_event`); a large one is read in a thread."""
    is_large = len(raw) > READ_IN_THREAD_BYTES
    return await asyncio.to_thread(read_event, raw, source, at) if is_large else read_event(raw, source, at)


class _Waiting(NamedTuple):
    """A delivery that waits, and what was read of it."""

    delivery: DeliveryDocument
    reading: Reading

    @property
    def arrived(self) -> Arrived:
        part = self.reading.adapted
        assert isinstance(part, Part)
        return Arrived(self.delivery["_id"], self.delivery["at"], part)


class CallParts:
    """Makes calls of parts, and adds parts to calls; one for the process."""

    def __init__(
        self,
        deliveries: Deliveries,
        bodies: DeliveryBodies,
        calls: AmendableCalls,
        later: LaterRecordings,
        group_commit: GroupCommit,
        pipeline: Pipeline,
        is_erased: Callable[[Source, str], Awaitable[bool]],
        remove: Callable[[str], Awaitable[None]],
        announce: Callable[[Recording], None] = lambda recording: None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`is_erased` says if a source's call with this `externalCallId` was erased, `remove` removes a recording by its key.

        `announce` is called with a recording that is its call's now; `now` is the clock.
        """
        self._deliveries = deliveries
        self._bodies = bodies
        self._calls = calls
        self._later = later
        self._group_commit = group_commit
        self._pipeline = pipeline
        self._is_erased = is_erased
        self._remove = remove
        self._announce = announce
        self._now = now
        self._settling = Batcher[tuple[DeliveryDocument, Result], None](self._settle, max_items=MAX_BATCH)
        self._of_call = KeyedSemaphore(MAX_WAITING_CALLS, 1, WAIT_S)

    async def close(self) -> None:
        """Stop writing; idempotent."""
        await self._settling.close()

    async def _settle(self, settled: list[tuple[DeliveryDocument, Result]]) -> list[None]:
        await self._deliveries.settle(settled)
        return [None] * len(settled)

    async def settle(self, delivery: DeliveryDocument, result: Result) -> None:
        """Note what became of a delivery that waited, and remove audio that no call has of it."""
        audio = delivery.get("audio")
        if audio is not None and (result == ERASED or result.verdict in ("duplicate", "dead")):
            await self._remove(audio["key"])
        if result == ERASED:
            await self._bodies.remove(delivery)
        if result.verdict == "dead":
            await self._deliveries.prolong_bodies([delivery["_id"]], expires_at(delivery["at"], "dead"))
        await self._settling.submit((delivery, result))

    async def judge(self, source: Source, delivery: DeliveryDocument, reading: Reading, deadline: Deadline) -> Result:
        """Do what is to be done with a delivery, and with those that waited for it; return what became of it."""
        part = reading.adapted
        if not isinstance(part, Part):
            return result_of(part)
        if part.audio is not None and "audio" not in delivery:
            return Result("dead", "recording_unusable", None, "Its audio was not kept: have it sent again.")
        if part.is_own_body:
            return await self._own_body(source, delivery, part, deadline)
        async with self._of_call.slot(f"{source.id} {part.call_key}"):
            waiting = await self._waiting(source, part.call_key, _Waiting(delivery, reading))
            made: dict[str, Result] = {}
            stored, is_erased = await asyncio.gather(
                self._calls.find(source, None, part.call_key, ()), self._is_erased(source, part.call_key)
            )
            if stored is None and is_erased:
                made = dict.fromkeys((one.delivery["_id"] for one in waiting), ERASED)
            elif stored is None:
                made = await self._make(source, part.call_key, waiting, deadline)
            for one in waiting:
                result = made.get(one.delivery["_id"]) or await self._joined(source, one, part.call_key, deadline)
                if one.delivery is not delivery and result.verdict != "waiting":
                    await self.settle(one.delivery, result)
            return result

    async def _own_body(self, source: Source, delivery: DeliveryDocument, part: Part, deadline: Deadline) -> Result:
        """Take a body of the contract, as the ingest does, but for its recording, which is fetched later."""
        raw = bytearray(await asyncio.to_thread(orjson.dumps, part.fields))
        call_id = call_id_of(source, delivery.get("callKey") or delivery["_id"])
        try:
            outcome = await self._pipeline.take(raw, source, deadline, call_id, later=True)
        except BadRequest as refusal:
            return contract_fault(refusal)
        if isinstance(outcome, Created):
            return Result("created", call_id=outcome.ids.call_id)
        return ERASED if outcome.is_erased else Result("duplicate", call_id=outcome.call_id)

    async def _waiting(self, source: Source, call_key: str, arrived: _Waiting) -> list[_Waiting]:
        """Return the deliveries that wait for the call, in the order of their arrival, but the one that is looked at last."""
        others: list[_Waiting] = []
        for delivery in await self._deliveries.waiting(source.id, call_key, MAX_PARTS):
            if delivery["_id"] == arrived.delivery["_id"]:
                continue
            raw = await self._bodies.read(source.organization_id, delivery["_id"])
            reading = await read_off_loop(raw, source, delivery["at"]) if raw is not None else None
            if reading is not None and isinstance(reading.adapted, Part):
                others.append(_Waiting(delivery, reading))
            else:
                gone = Result("dead", "expired", None, "Its body is gone.")
                await self.settle(delivery, result_of(reading.adapted) if reading is not None else gone)
        return [*others, arrived]

    async def _make(self, source: Source, call_key: str, waiting: Sequence[_Waiting], deadline: Deadline) -> dict[str, Result]:
        """Store the call that the deliveries make together, if they do; return what became of each by its id.

        Those that are left out have a call to join.
        """
        now = self._now()
        results = {one.delivery["_id"]: _EXPIRED for one in waiting if one.arrived.ends_at <= now}
        left = [one for one in waiting if one.delivery["_id"] not in results]
        if not left:
            return results
        assembled = assemble([one.arrived for one in left], now)
        if isinstance(assembled, Waits):
            return results | await self._wait(left, assembled)
        facts = next(one for one in left if one.delivery["_id"] == assembled.facts.delivery_id)
        sounds = (one.delivery.get("audio") for one in left if one.delivery["_id"] in assembled.delivery_ids)
        audio = next((sound for sound in sounds if sound is not None), None)
        recording = _recording_of(audio) if audio is not None else None
        try:
            is_large = sum(one.delivery["keptBytes"] for one in left) > _CALL_IN_THREAD_BYTES
            url = assembled.fields.get("recording") if recording is None else None
            made = (source, call_key, assembled, facts.reading.root, recording, url is not None, now)
            call, elements = await asyncio.to_thread(_encoded, *made) if is_large else _encoded(*made)
            sealed_url = await self._later.admit(url, source.organization_id) if url is not None else None
            entry = Entry(call_id_of(source, call_key), call, recording, elements, sealed_url=sealed_url)
            outcome = await self._group_commit.submit(entry, deadline.remaining_s)
        except (BadRequest, Unusable) as refusal:
            others = [one for one in left if one is not facts]
            still = await self._wait(others, Waits("call_pending", now)) if others else {}
            return results | still | {facts.delivery["_id"]: contract_fault(refusal)}
        if not isinstance(outcome, Created):  # another process was faster
            return results
        if recording is not None:
            self._announce(recording)
        if sealed_url is not None:
            self._later.wake()
        completing, *others_ids = assembled.delivery_ids
        merged = dict.fromkeys(others_ids, Result("merged", call_id=outcome.ids.call_id))
        return results | merged | {completing: Result("created", call_id=outcome.ids.call_id)}

    async def _wait(self, waiting: Sequence[_Waiting], waits: Waits) -> dict[str, Result]:
        """Note when to look at deliveries again whose call cannot be made yet."""
        results: dict[str, Result] = {}
        for one in waiting:
            is_held = one.arrived.part.has_facts and waits.code != "call_pending"
            until = waits.until if is_held else one.arrived.ends_at
            await self._deliveries.wait_on(one.delivery["_id"], one.arrived.part.waiting_code, until)
            results[one.delivery["_id"]] = Result("waiting", one.arrived.part.waiting_code)
        return results

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
                return contract_fault(refusal)
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


def _encoded(
    source: Source,
    call_key: str,
    assembled: Assembled,
    root: Any,
    recording: Recording | None,
    is_pending: bool,
    now: datetime,
) -> tuple[CompletedCall, bytes]:
    call = call_of(source, call_key, assembled, root, recording, now)
    return call, call_elements(call, recording, is_pending=is_pending)


def call_of(
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


def result_of(adapted: Part | Ignored | Dead) -> Result:
    """Return what became of an event that is no part of a call."""
    assert not isinstance(adapted, Part)
    if isinstance(adapted, Dead):
        return Result("dead", adapted.code, adapted.field, adapted.error[:MAX_ERROR_CHARS])
    return Result("ignored", adapted.code, None, adapted.error[:MAX_ERROR_CHARS])


def contract_fault(refusal: BadRequest | Unusable) -> Result:
    """Return what becomes of an event whose call breaks a rule of the contract, or lacks a direction."""
    if isinstance(refusal, Unusable):
        return Result("dead", refusal.code, refusal.place, str(refusal))
    return Result("dead", "contract", refusal.field, str(refusal)[:MAX_ERROR_CHARS], faults=refusal.faults)
