"""The events of a committed call, their JSON text, and the segment of the feed that holds them. Pure.

An event is encoded once, here, before it is committed; `hub.protocol` puts that text into a frame once, when it is read. The
names and payloads of the events are described by `schemas/asyncapi.yaml`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple, TypedDict

import orjson

from tether_rt.domain.call import CompletedCall, Recording, iso_ms

EVENT_NAMES: Final = ("call_initiated", "call_ended", "call_recording_ready", "fetch_messages")

MAX_NAME_CHARS: Final = 256
MAX_SUMMARY_CHARS: Final = 16_384
"""Texts are cut at these lengths in events only: one event must stay far below the 1 MiB of unsent bytes at which a dashboard
is closed, and JSON may need 6 bytes for a character. HTTP has the whole text."""


class FeedSegment(TypedDict):
    """A document of the collection `feed`: the events of one organization that one transaction committed."""

    _id: str
    organizationId: str
    first: int
    """The number (`seq`) of the first event."""
    last: int
    """The number of the last event: `first` + the number of `events` - 1."""
    at: datetime
    events: list[str]
    """Each event's JSON text, in order; see `event_text`."""


class CallIds(NamedTuple):
    """The ids of a call, its contact and its conversation."""

    call_id: str
    contact_id: str
    conversation_id: str


def count_events(recording: Recording | None) -> int:
    """Return how many events a call with this recording, or without one, has."""
    return len(EVENT_NAMES) if recording is not None else len(EVENT_NAMES) - 1


def call_events(
    call: CompletedCall, ids: CallIds, contact_name: str, recording: Recording | None
) -> list[tuple[str, dict[str, Any]]]:
    """Return the call's events in order as (name, data): four with a recording, three without."""
    ids_of_call = {"callId": ids.call_id, "contactId": ids.contact_id, "conversationId": ids.conversation_id}
    initiated: dict[str, Any] = {
        **ids_of_call,
        "contactName": _clip(contact_name, MAX_NAME_CHARS),
        "direction": call.direction,
        "from": call.from_number,
        "to": call.to_number,
        "agentName": _clip(call.agent_name, MAX_NAME_CHARS),
        "provider": call.provider,
        "startTime": iso_ms(call.start_time),
        "historic": call.is_historic,
    }
    ended: dict[str, Any] = {
        **ids_of_call,
        "status": call.status,
        "duration": call.duration_s,
        "endTime": iso_ms(call.end_time),
        "summary": _clip(call.summary, MAX_SUMMARY_CHARS),
    }
    events: list[tuple[str, dict[str, Any]]] = [("call_initiated", initiated), ("call_ended", ended)]
    if recording is not None:
        ready = {
            **ids_of_call,
            "recordingId": recording.recording_id,
            "duration": recording.duration_s,
            "contentType": recording.content_type,
        }
        events.append(("call_recording_ready", ready))
    messages = {"conversationId": ids.conversation_id, "contactId": ids.contact_id, "callId": ids.call_id}
    events.append(("fetch_messages", messages))
    return events


def event_text(name: str, seq: int, at: str, data: dict[str, Any]) -> str:
    """Return one event as JSON text.

    `at` is the time of the commit as `iso_ms` writes it; `data` has a `callId`. The event's id is `<callId>:<name>` for ever.
    """
    event = {"event": name, "seq": seq, "id": f"{data['callId']}:{name}", "at": at, "data": data}
    return orjson.dumps(event).decode()


def _clip(text: str | None, limit: int) -> str | None:
    if text is None or len(text) <= limit:
        return text
    return text[: limit - 1] + "…"
