"""A call as it is stored, and the queries on `calls` that are about one; `known` and `history` have those over many."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from bson.errors import BSONError

from tether_rt.domain.call import CompletedCall, Recording
from tether_rt.domain.events import CallIds
from tether_rt.domain.search_terms import call_terms, indexed_terms
from tether_rt.errors import NotStorable
from tether_rt.mongo.client import CODEC, Database, Document
from tether_rt.mongo.wire.op_msg import Spliced, elements

UNSHOWN: Final = {"terms": 0, "numbers": 0, "newTerms": 0, "fingerprint": 0, "unindexed": 0}


def call_elements(call: CompletedCall, recording: Recording | None, *, is_indexed: bool = False) -> bytes:
    """Return what a call's document holds of the call itself, encoded: the larger part, made while no batch waits for it.

    `is_indexed` says that its words are to be indexed with it, and not later (`words`). Raises `NotStorable` for what BSON
    cannot hold.
    """
    own_terms = call_terms((call.caller_name, call.agent_name, call.summary), (call.from_number, call.to_number))
    document: Document = {
        "organizationId": call.organization_id,
        "userId": call.user_id,
        "provider": "external",
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
        "recordings": [_recording_document(recording)] if recording else [],
        "providerMetadata": {"metadata": call.metadata, "extra": call.extra},
        "fingerprint": call.fingerprint,
    }
    if is_indexed:
        document |= indexed_terms(own_terms, (turn["message"] for turn in call.transcript))
    else:
        # To be indexed as `terms` and `numbers`, with what was spoken, later. Until then a search looks here.
        document["newTerms"] = own_terms
    if call.external_call_id is not None:
        # Absent rather than null: the unique index holds the calls that have one.
        document["providerCallId"] = call.external_call_id
    try:
        return elements(document, CODEC)
    except (BSONError, OverflowError) as error:
        raise NotStorable from error


def call_document(of_the_call: bytes, is_indexed: bool, ids: CallIds, contact_name: str, now: datetime) -> Spliced:
    """Return the document of a call as DESIGN's "Stored call" lists it; `of_the_call` is what `call_elements` made."""
    document = {
        "_id": ids.call_id,
        "callId": ids.call_id,
        "contactId": ids.contact_id,
        "contactName": contact_name,
        "conversationId": ids.conversation_id,
        "createdAt": now,
        "updatedAt": now,
    }
    if not is_indexed:
        document["unindexed"] = now
    return Spliced(document, of_the_call)


def _recording_document(recording: Recording) -> Document:
    return {
        "recordingId": recording.recording_id,
        "key": recording.key,
        "contentType": recording.content_type,
        "bytes": recording.size_bytes,
        "sha256": recording.sha256,
        "duration": recording.duration_s,
    }


class Calls:
    """Queries on `calls`."""

    def __init__(self, database: Database) -> None:
        self._calls = database["calls"]

    async def with_recording_key(self, organization_id: str, call_id: str) -> Document | None:
        """Return one call of the organization with its recordings' keys, but without `providerMetadata`."""
        shown = {**UNSHOWN, "providerMetadata": 0}
        return await self._calls.find_one({"_id": call_id, "organizationId": organization_id}, shown)

    async def recording(self, recording_id: str) -> Document | None:
        """Return {key, contentType, bytes} of a recording; the caller has proved its right by a signed link."""
        found = await self._calls.find_one({"recordings.recordingId": recording_id}, {"recordings.$": 1})
        return dict(found["recordings"][0]) if found else None
