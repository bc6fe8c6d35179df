"""Quo (OpenPhone): four events for a call, in two generations: `data.resource` with `data.context`, and `data.object`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tether_rt.domain.source import Source
from tether_rt.ingest.vendors.parts import Adapted, Ignored, Part
from tether_rt.ingest.vendors.reading import (
    Payload,
    Unusable,
    directed,
    direction,
    known,
    name,
    number,
    parties,
    seconds_between,
    text,
    url,
)
from tether_rt.ingest.vendors.transcripts import turn, turns

_EVENTS: Final = {
    "call.completed": "facts",
    "call.recording.completed": "recording",
    "call.transcript.completed": "transcript",
    "call.summary.completed": "summary",
}
"""Parts by the events that bring them."""
_LIVE: Final = frozenset(("call.ringing", "call.answered", "call.forwarded", "call.missed"))
_OTHERS: Final = ("message.", "contact.")
_STATUSES: Final = {
    "answered": "completed",
    "ai-handled": "completed",
    "unanswered": "no-answer",
    "abandoned": "no-answer",
    "failed": "failed",
    "unknown": "failed",
    # The older kind's.
    "no-answer": "no-answer",
    "canceled": "no-answer",
    "busy": "busy",
}
_BY_ANSWER: Final = frozenset(("forwarded", "completed"))
"""Completed if somebody answered."""
_PARTICIPANTS: Final = "data.context.participants"


def adapt(payload: Payload, source: Source) -> Adapted:
    """Make a part of a call of the four events that tell of it."""
    base = "data.object" if isinstance(payload.at("data.object"), Mapping) else "data.resource"
    event = text(payload.at("type"))
    if event is None:
        raise Unusable("shape", "type must be the kind of the event", "type")
    part = _EVENTS.get(event)
    if part is None:
        return _other_event(event, name(payload.at(f"{base}.id")))
    call_key = payload.call_key(
        *(f"{base}.{field}" for field in (("id", "callId") if part in ("facts", "recording") else ("callId", "id")))
    )
    if part == "facts":
        return _facts(payload, source, base, call_key)
    if part == "recording":
        return _recording(payload, base, call_key)
    state = text(payload.at(f"{base}.processingStatus")) or text(payload.at(f"{base}.status"))
    if state == "in-progress":
        return Ignored("not_final", f"The {part} is still being made", call_key)
    fields = _transcript(payload, base) if part == "transcript" else _summary(payload, base)
    if not fields:
        payload.said(None, f"there is no {part}: its state is {(state or 'not told')[:100]}")
    return Part(call_key, part, fields, waiting_code="parts_pending", notes=tuple(payload.notes))


def _other_event(event: str, call_key: str | None) -> Ignored:
    if event in _LIVE:
        return Ignored("not_final", f"{event} tells nothing that call.completed does not tell", call_key)
    if event.startswith(_OTHERS):
        return Ignored("not_a_call_event", f"{event[:100]} is about no call")
    return Ignored("unknown_event", f"type is {event[:100]}, which is not known here", call_key)


def _facts(payload: Payload, source: Source, base: str, call_key: str) -> Part:
    sides = _sides(payload, source, base)
    is_answered = payload.iso(payload.at(f"{base}.answeredAt")) is not None
    status = _status(payload, base, is_answered=is_answered)
    outcome = {}
    voicemail = "hasVoicemail" if payload.at(f"{base}.hasVoicemail") else "voicemail"
    if status == "no-answer" and payload.at(f"{base}.{voicemail}"):
        payload.said("outcome.voicemail", "", f"{base}.{voicemail}")
        outcome["voicemail"] = True
    fields = known(
        **sides,
        duration=_duration(payload, base, status, is_answered=is_answered),
        status=status,
        callStartTime=payload.started(
            *((path, payload.iso) for path in (f"{base}.answeredAt", f"{base}.createdAt", "createdAt"))
        ),
        recording=payload.take("recording", f"{base}.media.0.url", read=url),
    )
    others = frozenset(_EVENTS.values()) - {"facts", *fields}
    return Part(
        call_key,
        "facts",
        fields,
        outcome,
        has_facts=True,
        awaits=others if status == "completed" else frozenset(),
        waiting_code="parts_pending",
        notes=tuple(payload.notes),
    )


def _sides(payload: Payload, source: Source, base: str) -> dict[str, str]:
    if base == "data.object":
        from_path, to_path = f"{base}.from", f"{base}.to"
        return parties(payload, directed(payload, source, f"{base}.direction", from_path, to_path), from_path, to_path)
    way = payload.take("direction", f"{base}.direction", read=direction)
    if way is None:
        raise Unusable("direction_unknown", f"{base}.direction must be incoming or outgoing", f"{base}.direction")
    own, other = f"{_PARTICIPANTS}.workspace.0", f"{_PARTICIPANTS}.external.0"
    return parties(payload, way, *((other, own) if way == "inbound" else (own, other)))


def _status(payload: Payload, base: str, *, is_answered: bool) -> str:
    path = f"{base}.status"
    word = text(payload.at(path))
    status = _STATUSES.get(word or "")
    if status is not None:
        payload.said("status", "", path)
    elif word in _BY_ANSWER:
        status = "completed" if is_answered else "no-answer"
        payload.said("status", f"{status}, as {'somebody' if is_answered else 'nobody'} answered", path)
    else:
        status = "completed" if is_answered else "failed"
        what = f"the status {word[:100]} is none of those known here" if word else "it has no status"
        payload.said(
            "status", f"{what}: {status}, as {'somebody' if is_answered else 'nobody'} answered", path if word else None
        )
    return status


def _duration(payload: Payload, base: str, status: str, *, is_answered: bool) -> float:
    if not is_answered and status != "completed":
        payload.said("duration", "nobody answered", f"{base}.status" if text(payload.at(f"{base}.status")) else None)
        return 0
    found = payload.take("duration", f"{base}.duration", read=number)
    if found is not None:
        return found
    start, end = (payload.iso(payload.at(f"{base}.{field}")) for field in ("answeredAt", "completedAt"))
    if start is None or end is None or end < start:
        raise Unusable("shape", f"{base}.duration must be the call's length in seconds", f"{base}.duration")
    payload.said("duration", f"less {base}.answeredAt", f"{base}.completedAt")
    return seconds_between(start, end)


def _recording(payload: Payload, base: str, call_key: str) -> Adapted:
    path = f"{base}.{'media' if base == 'data.object' else 'recordings'}"
    if payload.at(path) == []:
        return Ignored("no_recording", f"{path} is empty", call_key)
    found = [place for place, item in payload.items(path) if url(item.get("url"))]
    if not found:
        raise Unusable("recording_unusable", f"{path}.0.url must be the address of the recording", f"{path}.0.url")
    for other in found[1:]:
        payload.left_out(other, "a call's first recording is taken", "recording")
    address = payload.take("recording", f"{found[0]}.url", read=url)
    return Part(call_key, "recording", known(recording=address), waiting_code="parts_pending", notes=tuple(payload.notes))


def _transcript(payload: Payload, base: str) -> dict[str, Any]:
    return known(transcript=turns(payload, f"{base}.dialogue", _turn))


def _turn(item: Mapping[str, Any], before: list[dict[str, Any]]) -> dict[str, Any] | None:
    message = text(item.get("content"))
    speaker = "agent" if name(item.get("userId")) else "user"
    return turn(speaker, message, number(item.get("start")), endTimestamp=number(item.get("end"))) if message else None


def _summary(payload: Payload, base: str) -> dict[str, Any]:
    steps = payload.take("metadata.nextSteps", f"{base}.nextSteps", read=_lines)
    return known(
        summary=payload.take("summary", f"{base}.summary", read=lambda value: "\n".join(_lines(value) or ()) or text(value)),
        metadata={"nextSteps": steps} if steps else None,
    )


def _lines(value: Any) -> list[str] | None:
    return [line for line in value if text(line)] or None if isinstance(value, list) else None
