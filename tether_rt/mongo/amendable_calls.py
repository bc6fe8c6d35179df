"""Stored calls as their vendors amend them: read with what a change needs, and written in the contract's fields."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast

from tether_rt.domain.call import CompletedCall, iso_ms
from tether_rt.domain.party import WITHHELD
from tether_rt.domain.source import Source
from tether_rt.domain.warnings import CallWarning
from tether_rt.mongo.client import MAJORITY, Database, Document
from tether_rt.mongo.documents import CallDocument
from tether_rt.mongo.free_form import RAW, as_stored

_NEED_TRANSCRIPT: Final = frozenset(("transcript", "duration"))
"""Changes that are judged with all of the transcript."""


@dataclass(frozen=True, slots=True)
class AmendableCall:
    """A stored call, read to change some of its fields."""

    document: CallDocument
    """Without search terms. Of a transcript that is not needed it has the first turn, of metadata that stays none."""
    has_transcript: bool
    """Whether it has all of the transcript."""

    @property
    def body(self) -> dict[str, Any]:
        """The call as it would have been sent, as far as the rules of the contract need it."""
        call: Any = self.document
        was_completed = call["status"] == "completed"  # then it has all that such a call needs
        has_recording = was_completed or call["recordings"] or call.get("recordingStatus") is not None
        optional = {
            "transcript": call["transcription"] or ([] if was_completed else None),
            "summary": call["summary"] if call["summary"] is not None or not was_completed else "",
            "recording": "stored" if has_recording else None,
            "agentName": call["agentName"],
            "callerName": call.get("callerName"),
            "metadata": call["providerMetadata"]["metadata"],
            "externalCallId": call.get("providerCallId"),
        }
        return {
            "direction": call["direction"],
            "fromNumber": call["from"] or WITHHELD,
            "toNumber": call["to"],
            "duration": call["duration"],
            "status": call["status"],
            "callStartTime": iso_ms(call["startTime"]),
            **{name: value for name, value in optional.items() if value is not None},
        }

    @property
    def values(self) -> dict[str, Any]:
        """What `domain.amendment.values_of` gives of this call."""
        call = self.document
        return {
            "transcript": call["transcription"],
            "summary": call["summary"],
            "duration": call["duration"],
            "status": call["status"],
            "agentName": call["agentName"],
            "callerName": call.get("callerName"),
            "callStartTime": call.get("callStartTime") or call["startTime"],
            "metadata": call["providerMetadata"]["metadata"],
        }

    @property
    def warnings(self) -> list[CallWarning]:
        """What was odd about the call."""
        return [CallWarning(one["code"], one["field"], one["message"]) for one in self.document.get("warnings", ())]

    def content(self, merged: CompletedCall, changed: Sequence[str]) -> dict[str, Any]:
        """Return the fields of the call's document, with the values of `merged`, for these changed fields of the contract."""
        start = merged.start_time if "callStartTime" in changed else self.document["startTime"]
        times = {"startTime": start, "endTime": start + timedelta(seconds=merged.duration_s)}
        stated = {"callStartTime": merged.stated_start_time} if merged.stated_start_time is not None else {}
        content: dict[str, dict[str, Any]] = {
            "transcript": {"transcription": merged.transcript},
            "summary": {"summary": merged.summary},
            "duration": {"duration": merged.duration_s, **times},
            "status": {"status": merged.status},
            "agentName": {"agentName": merged.agent_name},
            "callerName": {"callerName": merged.caller_name},
            "callStartTime": {**times, **stated},
            "metadata": {"providerMetadata.metadata": merged.metadata},
        }
        return {field: value for name in changed if name in content for field, value in content[name].items()}


class AmendableCalls:
    """Queries on `calls` for calls that their vendors amend."""

    def __init__(self, database: Database) -> None:
        # With majority: of a change that a vendor is told is there already, nothing may be rolled back.
        self._calls = database.get_collection("calls", read_concern=MAJORITY)
        self._raw_calls = database.get_collection("calls", codec_options=RAW, read_concern=MAJORITY)

    async def find(
        self, source: Source, call_id: str | None, external_call_id: str | None, fields: Collection[str]
    ) -> AmendableCall | None:
        """Return the call of the source with this id, or this `externalCallId`, or both, to change these fields of it."""
        own: Document = {"userId": source.id, "organizationId": source.organization_id}
        if call_id is not None:
            own["_id"] = call_id
        if external_call_id is not None:
            own["providerCallId"] = external_call_id
        shown: Document = {"terms": 0, "numbers": 0, "newTerms": 0, "providerMetadata": 0}
        has_transcript = not _NEED_TRANSCRIPT.isdisjoint(fields)
        if not has_transcript:
            shown["transcription"] = {"$slice": 1}
        document = await self._calls.find_one(own, shown)
        if document is None:
            return None
        metadata = None
        if "metadata" in fields:
            # After the other fields: when the call is changed in between, its change has a number that is not expected.
            raw = await self._raw_calls.find_one({"_id": document["_id"]}, {"providerMetadata.metadata": 1})
            # In a thread: six megabytes of small objects take a second.
            metadata = await asyncio.to_thread(as_stored, raw["providerMetadata"]["metadata"]) if raw is not None else None
        call = cast(CallDocument, {**document, "providerMetadata": {"metadata": metadata, "extra": {}}})
        return AmendableCall(call, has_transcript)
