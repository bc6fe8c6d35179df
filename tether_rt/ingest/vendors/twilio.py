"""Twilio: the last status callback of a call makes it, the recording callback brings its recording. Bodies are forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tether_rt.domain.source import Source
from tether_rt.ingest.vendors.parts import Adapted, Ignored, IgnoredCode, Part
from tether_rt.ingest.vendors.reading import Payload, Unusable, directed, known, later_by, name, number, parties, text, url

_STATUSES: Final = {
    "completed": "completed",
    "busy": "busy",
    "no-answer": "no-answer",
    "failed": "failed",
    "canceled": "no-answer",
}
_LIVE: Final = frozenset(("queued", "initiated", "ringing", "in-progress", "answered"))
_RECORDINGS: Final[Mapping[str, tuple[IgnoredCode, str]]] = {
    "in-progress": ("not_final", "the recording goes on"),
    "paused": ("not_final", "the recording goes on"),
    "processing": ("not_final", "the recording is not ready"),
    "absent": ("no_recording", "there is no recording"),
    "failed": ("no_recording", "there is no recording"),
}
_REASONS: Final = {"16101": "it was too short", "16102": "it was silent"}
_MACHINES: Final = ("machine", "fax")
_SUFFIXES: Final = (".mp3", ".wav")


def adapt(payload: Payload, source: Source) -> Adapted:
    """Make a call of a final status callback, or its recording of a recording callback."""
    call_key = payload.call_key("CallSid")
    if text(payload.at("RecordingStatus")) or text(payload.at("RecordingSid")):
        return _recording(payload, call_key)
    status = text(payload.at("CallStatus"))
    if status is None and payload.at("CallbackSource") == "call-progress-events":
        raise Unusable("shape", "CallStatus must be the status of the call", "CallStatus")
    if status is None:
        return Ignored("unknown_event", "It holds neither CallStatus nor RecordingStatus", call_key)
    if name(payload.at("ParentCallSid")):
        return Ignored("child_leg", "ParentCallSid names another call, of which this is a leg", call_key)
    if status in _LIVE:
        return Ignored("not_final", f"CallStatus is {status}: the call goes on", call_key)
    if status not in _STATUSES:
        return Ignored("unknown_event", f"CallStatus is {status[:100]}, which is not known here", call_key)
    return _facts(payload, source, call_key, status)


def _facts(payload: Payload, source: Source, call_key: str, status: str) -> Part:
    sides = parties(payload, directed(payload, source, "Direction", "From", "To"), "From", "To")
    is_machine = status == "completed" and (text(payload.at("AnsweredBy")) or "").startswith(_MACHINES)
    outcome: dict[str, Any] = {}
    payload.said("status", "", "CallStatus")
    if is_machine:
        payload.said("status", "no-answer, as a machine answered", "AnsweredBy")
        payload.said("outcome.voicemail", "a machine answered", "AnsweredBy")
        outcome["voicemail"] = True
    duration = payload.take("duration", "CallDuration", read=number)
    if duration is None and status == "completed":
        raise Unusable("shape", "CallDuration must be the call's length in seconds", "CallDuration")
    if duration is None:
        payload.said("duration", "the call never connected", "CallStatus")
        duration = 0
    ended = payload.started(("Timestamp", payload.rfc2822))
    if duration:
        payload.said("callStartTime", "less CallDuration, as Twilio says when the call ended", "CallDuration")
    fields = known(
        **sides,
        duration=duration,
        status="no-answer" if is_machine else _STATUSES[status],
        callStartTime=later_by(ended, -duration),
        callerName=payload.take("callerName", "CallerName", read=name) if sides["direction"] == "inbound" else None,
    )
    expects = frozenset(("recording",)) if status == "completed" else frozenset[str]()
    return Part(call_key, "facts", fields, outcome, has_facts=True, expects=expects, notes=tuple(payload.notes))


def _recording(payload: Payload, call_key: str) -> Adapted:
    status = text(payload.at("RecordingStatus"))
    if status is None:
        raise Unusable("shape", "RecordingStatus must be the status of the recording", "RecordingStatus")
    if status in _RECORDINGS:
        code, sentence = _RECORDINGS[status]
        reason = _REASONS.get(name(payload.at("ErrorCode")) or "")
        return Ignored(code, f"RecordingStatus is {status}: {sentence}{f', as {reason}' if reason else ''}", call_key)
    if status != "completed":
        return Ignored("unknown_event", f"RecordingStatus is {status[:100]}, which is not known here", call_key)
    address = payload.take("recording", "RecordingUrl", read=url, note="as MP3: without a suffix Twilio gives WAV")
    if address is None:
        raise Unusable("recording_unusable", "RecordingUrl must be the address of the recording", "RecordingUrl")
    if not address.endswith(_SUFFIXES):
        address += ".mp3"
    return Part(call_key, "recording", {"recording": address}, notes=tuple(payload.notes))
