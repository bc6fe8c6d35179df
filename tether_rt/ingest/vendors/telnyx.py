"""Telnyx: `call.hangup` makes the call, `call.initiated` tells its direction, `call.recording.saved` brings its recording."""

from __future__ import annotations

from typing import Any, Final

from tether_rt.domain.source import Source
from tether_rt.ingest.vendors.parts import Adapted, Ignored, Part
from tether_rt.ingest.vendors.reading import (
    Payload,
    Unusable,
    direction,
    known,
    name,
    own_side,
    parties,
    seconds_between,
    text,
    url,
)

_BASE: Final = "data.payload"
_START: Final = f"{_BASE}.start_time"
_CAUSE: Final = f"{_BASE}.hangup_cause"
_FROM: Final = f"{_BASE}.from"
_TO: Final = f"{_BASE}.to"
_STATUSES: Final = {
    "normal_clearing": "completed",
    "time_limit": "completed",
    "user_busy": "busy",
    "call_rejected": "busy",
    "no_answer": "no-answer",
    "timeout": "no-answer",
    "originator_cancel": "no-answer",
    "not_found": "failed",
    "unspecified": "failed",
}
"""By `hangup_cause`."""
_LIVE: Final = (
    "call.answered", "call.bridged", "call.conversation.ended", "call.dtmf.", "call.enqueued", "call.dequeued", "call.gather.",
    "call.ai_gather.", "call.machine.", "call.playback.", "call.refer.", "call.speak.", "call.fork.", "call.recording.",
    "call.transcription", "streaming.",
)  # fmt: skip
"""How the names of events begin that tell of a part of a call."""


def adapt(payload: Payload, source: Source) -> Adapted:
    """Make a part of a call of the events that tell of it."""
    event = text(payload.at("data.event_type"))
    if event is None:
        raise Unusable("shape", "data.event_type must be the kind of the event", "data.event_type")
    if event not in ("call.hangup", "call.initiated", "call.recording.saved", "call.conversation_insights.generated"):
        call_key = name(payload.at(f"{_BASE}.call_session_id"))
        if event.startswith(_LIVE):
            return Ignored("not_final", f"{event[:100]} tells nothing that call.hangup does not tell", call_key)
        return Ignored("unknown_event", f"data.event_type is {event[:100]}, which is not known here", call_key)
    call_key = payload.call_key(f"{_BASE}.call_session_id")
    if event == "call.hangup":
        return _facts(payload, source, call_key)
    if event == "call.recording.saved":
        return _recording(payload, call_key)
    if event == "call.initiated":
        way = payload.take("direction", f"{_BASE}.direction", read=direction)
        if way is None:
            raise Unusable("direction_unknown", f"{_BASE}.direction must be incoming or outgoing", f"{_BASE}.direction")
        return Part(call_key, "initiated", {"direction": way}, notes=tuple(payload.notes))
    summary = payload.take("summary", f"{_BASE}.results", read=_insights)
    return Part(call_key, "summary", known(summary=summary), notes=tuple(payload.notes))


def _facts(payload: Payload, source: Source, call_key: str) -> Part:
    way = payload.take("direction", f"{_BASE}.direction", read=direction)
    if way is None and (way := own_side(source, payload.at(_FROM), payload.at(_TO))) is not None:
        payload.said("direction", "by the source's own numbers", _TO if way == "inbound" else _FROM)
    sides = parties(payload, way or "inbound", _FROM, _TO)
    if way is None:
        del sides["direction"]
        payload.said(None, "the direction comes with call.initiated: neither this nor the source's own numbers tell it")
    cause = payload.take("outcome.endedReason", _CAUSE, read=text)
    status = _status(payload, cause)
    fields = known(
        **sides,
        duration=_duration(payload, status),
        status=status,
        callStartTime=payload.started((_START, payload.iso), ("data.occurred_at", payload.iso)),
    )
    return Part(
        call_key,
        "facts",
        fields,
        known(endedReason=cause),
        has_facts=True,
        awaits=frozenset(() if way else ("initiated",)),
        waiting_code="direction_pending",
        expects=frozenset(("recording",) if status == "completed" else ()),
        notes=tuple(payload.notes),
    )


def _status(payload: Payload, cause: str | None) -> str:
    if cause in _STATUSES:
        payload.said("status", "", _CAUSE)
        return _STATUSES[cause]
    sip = f"{_BASE}.sip_hangup_cause"
    status = "completed" if name(payload.at(sip)) == "200" else "failed"
    what = f"the cause {cause[:100]} is none of those known here" if cause else "it has no cause"
    payload.said("status", f"{what}: {status}, by sip_hangup_cause", sip if payload.at(sip) is not None else None)
    return status


def _duration(payload: Payload, status: str) -> float:
    if status != "completed":
        payload.said("duration", f"the call never connected: it is {status}")
        return 0
    start, end = payload.iso(payload.at(_START)), payload.iso(payload.at("data.occurred_at"))
    if start is None or end is None or end < start:
        raise Unusable("shape", f"{_START} and data.occurred_at must be when the call began and ended", _START)
    payload.said("duration", f"less {_START}, with the time of ringing", "data.occurred_at")
    return seconds_between(start, end)


def _recording(payload: Payload, call_key: str) -> Part:
    paths = [f"{_BASE}.{urls}.{kind}" for urls in ("recording_urls", "public_recording_urls") for kind in ("mp3", "wav")]
    address = payload.take("recording", *paths, read=url, note="Telnyx gives it for 10 minutes")
    if address is None:
        raise Unusable("recording_unusable", f"{paths[0]} must be the address of the recording", paths[0])
    return Part(call_key, "recording", {"recording": address}, notes=tuple(payload.notes))


def _insights(value: Any) -> str | None:
    results = value if isinstance(value, list) else []
    return "\n".join(said for one in results if isinstance(one, dict) and (said := text(one.get("result")))) or None
