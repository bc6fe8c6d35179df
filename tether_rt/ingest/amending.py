"""What happens to a change of a stored call, in this order: contract, look-up, rules, recording, commit.

What is to be written is worked out from the call as it is read, and committed only if nobody changed the call meanwhile;
otherwise it is read and worked out again. So large values are read, compared and encoded while no batch waits for them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from tether_rt.domain.amendment import (
    MAX_RECORDINGS,
    NAMES_OF_A_CALL,
    changed_fields,
    merged_body,
    require_amendable,
    values_of,
)
from tether_rt.domain.call import CompletedCall, Recording, completed_call
from tether_rt.domain.events import call_updated, fetch_messages, recording_ready
from tether_rt.domain.source import Source
from tether_rt.errors import BadRequest, NotFound
from tether_rt.ingest.body_reader import BodyReader, ReadBody
from tether_rt.ingest.group_commit import GroupCommit
from tether_rt.mongo.amendments import Amended, Amendment, Change, Stale, change_number, ids_of
from tether_rt.mongo.calls import Calls, StoredForAmendment, amended_content, encoded_bytes, own_terms, recording_document
from tether_rt.mongo.documents import CallDocument
from tether_rt.recordings.intake import RecordingIntake
from tether_rt.recordings.uploads import Uploads
from tether_rt.runtime.deadlines import Deadline

REQUEST_SCHEMA: Final = "CallsIngestAmendRequest"
_FOUND_BY: Final = frozenset(("transcript", "summary", "agentName", "callerName"))
"""What a call is found by."""


class Amending:
    """Checks a change of a stored call, keeps its recording and commits it."""

    def __init__(
        self,
        bodies: BodyReader,
        calls: Calls,
        recordings: RecordingIntake,
        uploads: Uploads,
        group_commit: GroupCommit,
        announce: Callable[[Recording], None] = lambda recording: None,
    ) -> None:
        """Take the parts that it uses; `announce` is called with a recording once it is its call's."""
        self._bodies = bodies
        self._calls = calls
        self._recordings = recordings
        self._uploads = uploads
        self._group_commit = group_commit
        self._announce = announce

    async def take(self, raw: bytearray, source: Source, external_call_id: str | None, deadline: Deadline) -> Amended:
        """Return what was changed once it is durable; `external_call_id` names the call, unless the body does.

        Raises `NotFound` when the source has no such call, `BadRequest` for an error that the vendor can correct, and
        `Unavailable` for one that passes by itself.
        """

        require = partial(require_amendable, is_named=external_call_id is not None)
        read = await self._bodies.read(raw, REQUEST_SCHEMA, require)
        names = {name: read.body[name] for name in NAMES_OF_A_CALL if name in read.body}
        if external_call_id is not None and names.setdefault("externalCallId", external_call_id) != external_call_id:
            raise BadRequest("externalCallId is another one than in the address", code="unknown_value", field="externalCallId")

        async def stored() -> StoredForAmendment:
            async with deadline:
                found = await self._calls.for_amendment(
                    source, names.get("callId"), names.get("externalCallId"), read.body.keys()
                )
            if found is None:
                raise NotFound("This source has sent no call with that id.")
            return found

        call = await stored()
        await self._bodies.require_storable(read)
        merged = await self._merged(call, read, source)
        recording = None
        if read.recording is not None:
            _require_room(call)
            call_id = call.document["_id"]
            recording = await self._recordings.take(read.recording, source.organization_id, call_id, is_first=False)
        with self._uploads.deciding(recording.key if recording is not None else None) as upload:
            while True:
                amendment = await read.run(_amendment, call, merged, read.body, recording, source)
                if amendment is None:
                    return Amended(call.document["_id"], ())
                outcome = await self._group_commit.submit(amendment, deadline.remaining_s)
                if not isinstance(outcome, Stale):
                    break
                call = await stored()
                merged = await self._merged(call, read, source)
            if "recording" in outcome.changed:
                upload.keep()
        if recording is not None and "recording" in outcome.changed:
            self._announce(recording)
        return outcome

    async def _merged(self, call: StoredForAmendment, read: ReadBody, source: Source) -> CompletedCall:
        """Return the call as it would be; raises `BadRequest` when the contract's rules do not hold for that."""
        return completed_call(merged_body(call.body, read.body), source, now=datetime.now(UTC), fingerprint="")


def _require_room(call: StoredForAmendment) -> None:
    if len(call.document["recordings"]) >= MAX_RECORDINGS:
        raise BadRequest(
            f"recording cannot be changed any more: {MAX_RECORDINGS} of one call are kept",
            code="out_of_range",
            field="recording",
        )


def _amendment(
    stored: StoredForAmendment, merged: CompletedCall, patch: dict[str, Any], recording: Recording | None, source: Source
) -> Amendment | None:
    """Return the change of the stored call to what it is to be, or None when it is that already."""
    before = stored.values
    changed = changed_fields(before, values_of(merged), patch)
    history = {name: before[name] for name in changed}
    recordings = stored.document["recordings"]
    if recording is not None and not (recordings and recordings[-1]["sha256"] == recording.sha256):
        changed.append("recording")
        history["recording"] = {**recordings[-1]} if recordings else None
    if not changed:
        return None
    content = amended_content(merged, changed)
    if "recording" in changed and recording is not None:
        content["recordings"] = [*recordings, recording_document(recording)]
    weight_bytes = encoded_bytes(content) + encoded_bytes(history)
    terms = own_terms(merged) if _FOUND_BY.intersection(changed) else None

    def change(call: CallDocument) -> Change:
        ids = ids_of(call)
        events = [call_updated(ids, changed, {**call, **content})]
        if "recording" in changed and recording is not None:
            events.append(recording_ready(ids, recording))
        if "summary" in changed or "recording" in changed:
            events.append(fetch_messages(ids))
        return Change(content, events, changed, history, terms)

    return Amendment(
        source.organization_id,
        stored.document["_id"],
        change,
        source_id=source.id,
        contact_id=stored.document["contactId"],
        caller_name=merged.caller_name if "callerName" in changed else None,
        expected_change=change_number(stored.document),
        weight_bytes=weight_bytes,
    )
