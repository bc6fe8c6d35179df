"""The four events that a committed call yields, and their JSON text. Pure: ids, numbers and the time come in.

An event is encoded once, here, when it is committed; `hub.protocol` frames that text once when it is read. The names and
payloads are the contract of `schemas/asyncapi.yaml`.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson

from tether_rt.domain.call import CompletedCall, Recording, iso_ms

EVENT_NAMES: Final = ("call_initiated", "call_ended", "call_recording_ready", "fetch_messages")

MAX_NAME_CHARS: Final = 256
MAX_SUMMARY_CHARS: Final = 16_384
"""A vendor's text is cut at these lengths in events alone: one event must stay far below the 1 MiB of unsent bytes at which a
dashboard is closed (the longest possible text, all control characters, is 6 bytes a character). HTTP has the whole text."""


class CallIds(NamedTuple):
    """The ids a call was given or found."""

    call_id: str
    contact_id: str
    conversation_id: str


def count_events(recording: Recording | None) -> int:
    """Return how many events a call yields."""
    return len(EVENT_NAMES) if recording is not None else len(EVENT_NAMES) - 1


def call_events(
    call: CompletedCall, ids: CallIds, contact_name: str, recording: Recording | None
) -> list[tuple[str, dict[str, Any]]]:
    """Return the call's events in order as (name, data): four with a recording, three without."""
    where = {"callId": ids.call_id, "contactId": ids.contact_id, "conversationId": ids.conversation_id}
    initiated: dict[str, Any] = {
        **where,
        "contactName": _clip(contact_name, MAX_NAME_CHARS),
        "direction": call.direction,
        "from": call.from_number,
        "to": call.to_number,
        "agentName": _clip(call.agent_name, MAX_NAME_CHARS),
        "provider": "external",
        "startTime": iso_ms(call.start_time),
    }
    ended: dict[str, Any] = {
        **where,
        "status": call.status,
        "duration": call.duration_s,
        "endTime": iso_ms(call.end_time),
        "summary": _clip(call.summary, MAX_SUMMARY_CHARS),
    }
    events: list[tuple[str, dict[str, Any]]] = [("call_initiated", initiated), ("call_ended", ended)]
    if recording is not None:
        ready = {
            **where,
            "recordingId": recording.recording_id,
            "duration": recording.duration_s,
            "contentType": recording.content_type,
        }
        events.append(("call_recording_ready", ready))
    messages = {"conversationId": ids.conversation_id, "contactId": ids.contact_id, "callId": ids.call_id}
    events.append(("fetch_messages", messages))
    return events


def event_text(name: str, seq: int, at: str, data: dict[str, Any]) -> str:
    """Return one event as JSON text, `at` as from `iso_ms`; its id is the same for ever: the call's id and the event's name."""
    event = {"event": name, "seq": seq, "id": f"{data['callId']}:{name}", "at": at, "data": data}
    return orjson.dumps(event).decode()


def _clip(text: str | None, limit: int) -> str | None:
    if text is None or len(text) <= limit:
        return text
    return text[: limit - 1] + "…"
