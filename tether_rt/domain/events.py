"""The events of a call, new or changed, their JSON text, and the segment of the feed that holds them. Pure.

An event is encoded once, here, before it is committed; `hub.protocol` puts that text into a frame once, when it is read. The
names and payloads of the events are described by `schemas/asyncapi.yaml`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, NotRequired, TypedDict

import orjson

from tether_rt.domain.call import CompletedCall, Recording, iso_ms

EVENT_NAMES: Final = ("call_initiated", "call_ended", "call_recording_ready", "fetch_messages")
"""The events of a call that is stored with its recording, in their order."""
CHANGE_EVENT_NAMES: Final = ("call_updated", "recording_failed")
"""The further events of a stored call that is changed."""
CONTACT_EVENT_NAMES: Final = ("contact_updated",)
"""The events of a contact, which concern no single call."""
DELETION_EVENT_NAMES: Final = ("call_deleted", "contact_deleted", "calls_expired", "erased")
"""The events of what was erased. The last one takes the place of each event that told of it."""

MAX_NAME_CHARS: Final = 256
MAX_SUMMARY_CHARS: Final = 16_384
"""Texts are cut at these lengths in events only: one event must stay far below the 1 MiB of unsent bytes at which a dashboard
is closed, and JSON may need 6 bytes for a character. HTTP has the whole text."""

HEAD_CHARS: Final = 128
"""The beginning of an event's text that `event_head` needs; it has ASCII alone."""
_HEAD: Final = re.compile(r'\{"event":"(\w+)","seq":[0-9]+,"id":"([0-9a-f]{24}):')


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
    forgets: NotRequired[bool]
    """True where earlier events were erased when this segment was committed: what is remembered of them is to be forgotten."""


class Event(NamedTuple):
    """An event that is to be numbered. `is_first` says that its call has had none of this name."""

    name: str
    data: dict[str, Any]
    is_first: bool = True


class CallIds(NamedTuple):
    """The ids of a call, its contact and its conversation."""

    call_id: str
    contact_id: str
    conversation_id: str


def event_names(*, has_recording: bool) -> tuple[str, ...]:
    """Return the names of a new call's events, in their order."""
    return tuple(name for name in EVENT_NAMES if has_recording or name != "call_recording_ready")


def count_events(recording: Recording | None) -> int:
    """Return how many events a call with this recording, or without one, has."""
    return len(EVENT_NAMES) if recording is not None else len(EVENT_NAMES) - 1


def call_events(call: CompletedCall, ids: CallIds, contact_name: str, recording: Recording | None) -> list[Event]:
    """Return the new call's events in order: four with a recording, three without."""
    initiated: dict[str, Any] = {
        **_ids(ids),
        "contactName": _clip(contact_name, MAX_NAME_CHARS),
        "direction": call.direction,
        "from": call.from_number,
        "to": call.to_number,
        "agentName": _clip(call.agent_name, MAX_NAME_CHARS),
        "provider": call.provider,
        "startTime": iso_ms(call.start_time),
        "historic": call.is_historic,
    }
    if call.from_withheld:
        initiated["fromWithheld"] = True
    if call.stated_start_time is not None:
        initiated["callStartTime"] = iso_ms(call.stated_start_time)
    ended: dict[str, Any] = {
        **_ids(ids),
        "status": call.status,
        "duration": call.duration_s,
        "endTime": iso_ms(call.end_time),
        "summary": _clip(call.summary, MAX_SUMMARY_CHARS),
    }
    events = [Event("call_initiated", initiated), Event("call_ended", ended)]
    if recording is not None:
        events.append(recording_ready(ids, recording))
    events.append(fetch_messages(ids))
    return events


def recording_ready(ids: CallIds, recording: Recording) -> Event:
    """Return the event that says that a call's recording can be listened to."""
    ready = {
        **_ids(ids),
        "recordingId": recording.recording_id,
        "duration": recording.duration_s,
        "contentType": recording.content_type,
    }
    return Event("call_recording_ready", ready)


def fetch_messages(ids: CallIds) -> Event:
    """Return the event that says that a conversation has a new or another message."""
    return Event("fetch_messages", {"conversationId": ids.conversation_id, "contactId": ids.contact_id, "callId": ids.call_id})


def recording_failed(ids: CallIds, code: str, error: str) -> Event:
    """Return the event that says that a call's recording, which was to be fetched later, is not fetched any more, and why."""
    return Event("recording_failed", {**_ids(ids), "code": code, "error": error})


def call_updated(ids: CallIds, changed: Sequence[str], shown: Mapping[str, Any]) -> Event:
    """Return the event that says which fields of a call changed; `shown` is the call's document as it is now."""
    updated = {
        **_ids(ids),
        "changed": list(changed),
        "status": shown["status"],
        "duration": shown["duration"],
        "summary": _clip(shown["summary"], MAX_SUMMARY_CHARS),
        "agentName": _clip(shown["agentName"], MAX_NAME_CHARS),
        "contactName": _clip(shown["contactName"], MAX_NAME_CHARS),
        "startTime": iso_ms(shown["startTime"]),
        "endTime": iso_ms(shown["endTime"]),
    }
    if (stated := shown.get("callStartTime")) is not None:
        updated["callStartTime"] = iso_ms(stated)
    return Event("call_updated", updated)


def contact_updated(contact_id: str, conversation_id: str, name: str) -> Event:
    """Return the event that says that a person gave a contact another name."""
    named = {"contactId": contact_id, "conversationId": conversation_id, "contactName": _clip(name, MAX_NAME_CHARS)}
    return Event("contact_updated", named, is_first=False)


def call_deleted(ids: CallIds) -> Event:
    """Return the event that says that a call was erased."""
    return Event("call_deleted", _ids(ids))


def contact_deleted(contact_id: str, conversation_id: str) -> Event:
    """Return the event that says that a contact was erased, and its conversation."""
    return Event("contact_deleted", {"contactId": contact_id, "conversationId": conversation_id}, is_first=False)


def calls_expired(before: datetime) -> Event:
    """Return the event that says that all calls that began before a time were erased."""
    return Event("calls_expired", {"before": iso_ms(before)}, is_first=False)


def erased_text(text: str) -> str:
    """Return what takes the place of an event's JSON text that is erased: its number, id and time stay."""
    event = orjson.loads(text)
    kept = {name: event[name] for name in ("seq", "id", "at")}
    return orjson.dumps({"event": "erased", **kept, "data": {}}).decode()


def event_text(event: Event, seq: int, at: str) -> str:
    """Return one event as JSON text; `at` is the time of the commit as `iso_ms` writes it.

    The event's id stays for ever: `<callId>:<name>` for a call's first event of this name, `<callId>:<name>:<seq>` for others,
    `<contactId>:<name>:<seq>` for those of no call, `<name>:<seq>` for those of many calls.
    """
    name, data, is_first = event
    subject = data.get("callId") or data.get("contactId")
    event_id = f"{subject}:{name}" if subject else name
    if not is_first:
        event_id += f":{seq}"
    return orjson.dumps({"event": name, "seq": seq, "id": event_id, "at": at, "data": data}).decode()


def event_head(text: str) -> tuple[str, str] | None:
    """Return the name of an event, and the id of its call, or of its contact where it has no call; None for one of neither."""
    found = _HEAD.match(text)
    return (found[1], found[2]) if found is not None else None


def _ids(ids: CallIds) -> dict[str, Any]:
    return {"callId": ids.call_id, "contactId": ids.contact_id, "conversationId": ids.conversation_id}


def _clip(text: str | None, limit: int) -> str | None:
    if text is None or len(text) <= limit:
        return text
    return text[: limit - 1] + "…"
