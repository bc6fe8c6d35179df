"""What happens to a change of a stored call, in this order: contract, look-up, rules, recording, commit.

What is to be written is worked out from the call as it is read, and committed only if nobody changed the call meanwhile;
otherwise it is read and worked out again. So large values are read, compared and encoded while no batch waits for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from tether_rt.domain.amendment import MAX_RECORDINGS, changed_fields, merged_warnings, naming_faults, values_of
from tether_rt.domain.call import CompletedCall, Recording
from tether_rt.domain.events import call_updated, fetch_messages, recording_ready
from tether_rt.domain.source import Source
from tether_rt.errors import BadRequest, NotFound
from tether_rt.ingest.body_reader import BodyReader, ReadBody
from tether_rt.ingest.group_commit import GroupCommit
from tether_rt.ingest.judging import AMEND_SCHEMA
from tether_rt.mongo.amendable_calls import AmendableCall, AmendableCalls
from tether_rt.mongo.amendments import Amended, Amendment, Change, Stale, change_number, ids_of
from tether_rt.mongo.calls import recording_document, stored_elements
from tether_rt.mongo.documents import CallDocument
from tether_rt.recordings.intake import RecordingIntake
from tether_rt.recordings.uploads import Uploads
from tether_rt.runtime.deadlines import Deadline


class Also(NamedTuple):
    """What a change sets beside the fields of the contract: fields of the call's document, and how they are called."""

    values: Mapping[str, Any] = MappingProxyType({})
    changed: Sequence[str] = ()
    sealed_url: str | None = None
    """The encrypted address of a recording that is to be fetched later."""


NOTHING_ELSE: Final = Also()


class Amending:
    """Checks a change of a stored call, keeps its recording and commits it."""

    def __init__(
        self,
        bodies: BodyReader,
        calls: AmendableCalls,
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
        naming = partial(naming_faults, in_address=external_call_id)
        read = await self._bodies.read(raw, AMEND_SCHEMA, naming)
        if faults := list(naming(read.body)):
            raise BadRequest.of(faults)
        call = await self._stored(source, read, external_call_id, deadline)
        merged = await self._bodies.judge_amendment(read, call.body, source)
        recording = None
        if read.recording is not None:
            _require_room(call)
            own_id = call.document["_id"]
            recording = await self._recordings.take(read.recording, source.organization_id, own_id, is_first=False)
        with self._uploads.deciding(recording.key if recording is not None else None) as upload:
            while True:
                amendment = await read.run(amendment_of, call, merged, read.body, recording, source)
                if amendment is None:
                    return Amended(call.document["_id"], ())
                outcome = await self._group_commit.submit(amendment, deadline.remaining_s)
                if not isinstance(outcome, Stale):
                    break
                call = await self._stored(source, read, external_call_id, deadline)
                merged = await self._bodies.judge_amendment(read, call.body, source)
            if "recording" in outcome.changed:
                upload.keep()
        if recording is not None and "recording" in outcome.changed:
            self._announce(recording)
        return outcome

    async def _stored(self, source: Source, read: ReadBody, external_call_id: str | None, deadline: Deadline) -> AmendableCall:
        async with deadline:
            found = await self._calls.find(
                source, read.body.get("callId"), read.body.get("externalCallId", external_call_id), read.body.keys()
            )
        if found is None:
            raise NotFound("This source has sent no call with that id.")
        return found


def _require_room(call: AmendableCall) -> None:
    if len(call.document["recordings"]) >= MAX_RECORDINGS:
        said = f"recording cannot be changed any more: {MAX_RECORDINGS} of one call are kept"
        raise BadRequest(said, code="out_of_range", field="recording")


def amendment_of(
    stored: AmendableCall,
    merged: CompletedCall,
    patch: Mapping[str, Any],
    recording: Recording | None,
    source: Source,
    also: Also = NOTHING_ELSE,
) -> Amendment | None:
    """Return the change of the stored call to what it is to be, or None when it is that already."""
    before = stored.values
    changed = changed_fields(before, values_of(merged), patch)
    history = {name: before[name] for name in changed}
    recordings = stored.document["recordings"]
    added = None
    if recording is not None and not (recordings and recordings[-1]["sha256"] == recording.sha256):
        added = recording
        changed.append("recording")
        history["recording"] = {**recordings[-1]} if recordings else None
        recordings = [*recordings, recording_document(recording)]
    changed += also.changed
    if not changed:
        return None
    content = {**stored.content(merged, changed), **also.values}
    unset = []
    if added is not None:
        content["recordings"] = recordings
        if "recordingStatus" in stored.document:  # one that was to be fetched is not waited for any more
            content |= {"recordingStatus": "stored", "recordingError": None}
    if "callStartTime" in changed and merged.stated_start_time is None:
        unset.append("callStartTime")
    warnings = _warnings(stored, merged, patch, recordings[-1] if recordings else None)
    if warnings:
        content["warnings"] = warnings
    else:
        unset.append("warnings")

    def change(call: CallDocument) -> Change:
        ids = ids_of(call)
        now = {name: value for name, value in {**call, **content}.items() if name not in unset}
        events = [call_updated(ids, changed, now)]
        if added is not None:
            events.append(recording_ready(ids, added))
        if "summary" in changed or added is not None:
            events.append(fetch_messages(ids))
        return Change(content, events, changed, history, unset)

    return Amendment(
        source.organization_id,
        stored.document["_id"],
        change,
        source_id=source.id,
        contact_id=stored.document["contactId"],
        caller_name=merged.caller_name if "callerName" in changed else None,
        expected_change=change_number(stored.document),
        sealed_url=also.sealed_url,
        weight_bytes=len(stored_elements(content)) + len(stored_elements(history)),
    )


def _warnings(
    stored: AmendableCall, merged: CompletedCall, patch: Mapping[str, Any], recording: Any
) -> list[dict[str, str | None]]:
    judged_by = {"turns_outside_call": stored.has_transcript, "start_in_future": "callStartTime" in patch}
    unjudged = [code for code, is_judged in judged_by.items() if not is_judged]
    return [one._asdict() for one in merged_warnings(stored.warnings, merged, recording, unjudged)]
