"""How the document of a call is made, and queries about one call; `call_history` and `lookups` have those about many."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from bson.errors import BSONError

from tether_rt.domain.call import CompletedCall, Recording
from tether_rt.domain.events import CallIds
from tether_rt.errors import NotStorable
from tether_rt.mongo.client import CODEC, Database, Document
from tether_rt.mongo.documents import CallContent, CallDocument, Collections, CopyDocument, RecordingDocument
from tether_rt.mongo.wire.op_msg import Spliced, elements

UNSHOWN: Final = dict.fromkeys(
    ("terms", "numbers", "newTerms", "fingerprint", "unindexed", "lastChange", "told", "deliveries", "copies"), 0
)
"""A projection without the fields that nobody outside needs; earlier versions kept search terms with a call."""


def call_elements(call: CompletedCall, recording: Recording | None, *, is_pending: bool = False) -> bytes:
    """Return the encoded fields that a call's document has from the call itself (`CallContent`).

    They are the larger part of the document, and are encoded while no batch waits for it. With `is_pending` the recording is
    still to be fetched. Raises `NotStorable` for values that BSON cannot hold.
    """
    return stored_elements(call_content(call, recording, is_pending=is_pending))


def call_content(call: CompletedCall, recording: Recording | None, *, is_pending: bool = False) -> CallContent:
    """Return the fields that a call's document has from the call itself, as `call_elements` encodes them."""
    content: CallContent = {
        "organizationId": call.organization_id,
        "userId": call.source_id,
        "sourceName": call.source_name,
        "provider": call.provider,
        "direction": call.direction,
        "status": call.status,
        "from": call.from_number,
        "to": call.to_number,
        "duration": call.duration_s,
        "startTime": call.start_time,
        "endTime": call.end_time,
        "summary": call.summary,
        "agentName": call.agent_name,
        "transcription": call.transcript,
        "recordings": [recording_document(recording)] if recording else [],
        "providerMetadata": {"metadata": call.metadata, "extra": call.extra},
        "fingerprint": call.fingerprint,
    }
    if call.warnings:
        content["warnings"] = [{"code": code, "field": field, "message": message} for code, field, message in call.warnings]
    if call.stated_start_time is not None:
        content["callStartTime"] = call.stated_start_time
    if is_pending:
        content["recordingStatus"] = "pending"
    if call.is_historic:
        content["historic"] = True
    if call.caller_name is not None:
        content["callerName"] = call.caller_name
    if call.external_call_id is not None:
        # Absent rather than null: the unique index covers only calls that have one.
        content["providerCallId"] = call.external_call_id
    if call.from_withheld:
        content["fromWithheld"] = True
    if call.delivery_ids:
        content["deliveries"] = list(call.delivery_ids)
        content["outcome"] = call.outcome or {}
        content["missing"] = list(call.missing)
    return content


def call_document(content: bytes, ids: CallIds, contact_name: str, now: datetime) -> Spliced:
    """Return a call's document (`CallDocument`); `content` is that of `call_elements`."""
    document: Document = {
        "_id": ids.call_id,
        "callId": ids.call_id,
        "contactId": ids.contact_id,
        "contactName": contact_name,
        "conversationId": ids.conversation_id,
        "createdAt": now,
        "updatedAt": now,
    }
    return Spliced(document, content)


def recording_document(recording: Recording) -> RecordingDocument:
    """Return what a call's document holds of its recording."""
    return {
        "recordingId": recording.recording_id,
        "key": recording.key,
        "contentType": recording.content_type,
        "bytes": recording.size_bytes,
        "sha256": recording.sha256,
        "duration": recording.duration_s,
        "kind": recording.kind,
        "playable": recording.is_playable,
    }


def stored_elements(values: Mapping[str, Any]) -> bytes:
    """Return values as MongoDB stores them; raises `NotStorable` for those that BSON cannot hold."""
    try:
        return elements(values, CODEC)
    except (BSONError, OverflowError) as error:
        raise NotStorable from error


class Calls:
    """Queries on `calls` about one call."""

    def __init__(self, database: Database) -> None:
        self._calls = Collections(database).calls

    async def with_recording_key(self, organization_id: str, call_id: str) -> CallDocument | None:
        """Return a call of the organization with its recordings' and their copies' keys, but without `providerMetadata`."""
        shown = {name: 0 for name in (*UNSHOWN, "providerMetadata") if name != "copies"}
        return await self._calls.find_one({"_id": call_id, "organizationId": organization_id}, shown)

    async def exists(self, organization_id: str, call_id: str) -> bool:
        """Say if the organization has this call."""
        return await self._calls.find_one({"_id": call_id, "organizationId": organization_id}, {"_id": 1}) is not None

    async def recording(self, recording_id: str) -> RecordingDocument | None:
        """Return the recording with this id. The caller must have checked a signed link to it."""
        found = await self._calls.find_one({"recordings.recordingId": recording_id}, {"recordings.$": 1})
        return found["recordings"][0] if found else None

    async def copy(self, recording_id: str) -> CopyDocument | None:
        """Return the copy of the recording with this id. The caller must have checked a signed link to it."""
        found = await self._calls.find_one({"recordings.recordingId": recording_id}, {"copies": 1})
        copies = found.get("copies", ()) if found else ()
        return next((copy for copy in copies if copy["recordingId"] == recording_id), None)
