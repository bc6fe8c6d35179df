"""ElevenLabs: a conversation's transcript, its audio in an event of its own, and calls that could not be begun."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tether_rt.domain.source import Source
from tether_rt.ingest.vendors.parts import Adapted, Ignored, Part
from tether_rt.ingest.vendors.reading import (
    Payload,
    Unusable,
    direction,
    first_of,
    known,
    name,
    number,
    other_agent,
    own_side,
    parties,
    text,
)
from tether_rt.ingest.vendors.transcripts import add_tool_call, add_tool_result, role, turn, turns

_NOT_FINAL: Final = frozenset(("initiated", "in-progress", "processing"))
_SUCCESS: Final = {"success": True, "failure": False}
_VOICEMAIL_TOOL: Final = "voicemail_detection"
_CONVERSATION: Final = frozenset(("conversation_id", "agent_id", "transcript", "metadata", "status", "full_audio"))
"""Names of which the data of an event about a conversation has some."""


def adapt(payload: Payload, source: Source) -> Adapted:
    """Make a part of a call of an event; older ones have the fields of `data` at their root."""
    base = "" if payload.at("data") is None and _is_conversation(payload.root) else "data."
    event = payload.at("type")
    if event is None and not base:
        event = "post_call_transcription"
    if text(event) is None:
        sentence = "type must be the kind of the event; a webhook in OpenTelemetry's format must be set to JSON"
        raise Unusable("shape", sentence, "type")
    if event not in ("post_call_transcription", "post_call_audio", "call_initiation_failure"):
        return _other_event(payload, event)
    if base and not _is_conversation(payload.at("data")):
        sentence = "data must be a conversation; a webhook in OpenTelemetry's format must be set to JSON"
        raise Unusable("shape", sentence, "data")
    call_key = payload.call_key(f"{base}conversation_id")
    if ignored := other_agent(payload, source, f"{base}agent_id", call_key):
        return ignored
    if event == "post_call_audio":
        return _audio(payload, base, call_key)
    if event == "call_initiation_failure":
        return _failure(payload, base, call_key)
    return _conversation(payload, source, base, call_key)


def _is_conversation(value: Any) -> bool:
    return isinstance(value, Mapping) and not _CONVERSATION.isdisjoint(value)


def _other_event(payload: Payload, event: str) -> Ignored:
    if event.startswith("voice_"):
        return Ignored("not_a_call_event", f"{event[:100]} is about a voice, not a call", None, tuple(payload.notes))
    return Ignored("unknown_event", f"type is {event[:100]}, which is not known here", None, tuple(payload.notes))


def _audio(payload: Payload, base: str, call_key: str) -> Part:
    path = f"{base}full_audio"
    if text(payload.at(path)) is None:
        raise Unusable("recording_unusable", f"{path} must be the audio of the whole call in base64", path)
    payload.said("recording", "the audio of the whole call", path)
    return Part(call_key, "recording", {}, audio=payload.at(path), notes=tuple(payload.notes))


def _failure(payload: Payload, base: str, call_key: str) -> Part:
    """Make a call of one that could not be begun; only those that go out are told."""
    reason_path, body = f"{base}failure_reason", f"{base}metadata.body"
    payload.said("direction", "only calls that go out are told to have failed at their beginning", "type")
    sides = parties(
        payload,
        "outbound",
        first_of(payload, f"{body}.From", f"{body}.from_number", f"{body}.Caller"),
        first_of(payload, f"{body}.To", f"{body}.to_number", f"{body}.Called"),
    )
    reason = payload.take("outcome.endedReason", reason_path, read=text)
    status = reason if reason in ("no-answer", "busy") else "failed"
    note = "" if reason in ("no-answer", "busy", "unknown") else "the reason is none of those known here: failed"
    payload.said("status", note, reason_path if reason else None)
    payload.said("duration", "the call never connected")
    fields = known(
        **sides,
        status=status,
        duration=0,
        callStartTime=payload.started(("event_timestamp", payload.unix_s)),
        agentName=_agent_name(payload, base),
    )
    return Part(call_key, "facts", fields, known(endedReason=reason), has_facts=True, notes=tuple(payload.notes))


def _conversation(payload: Payload, source: Source, base: str, call_key: str) -> Adapted:
    said = payload.at(f"{base}status")
    if isinstance(said, str) and said in _NOT_FINAL:
        return Ignored("not_final", f"{base}status is {said}: the conversation goes on", call_key, tuple(payload.notes))
    sides = _sides(payload, source, base)
    if sides is None:
        sentence = f"{base}metadata.phone_call is not there: the conversation was not by phone"
        return Ignored("not_a_phone_call", sentence, call_key, tuple(payload.notes))
    transcript = turns(payload, f"{base}transcript", _turn)
    status = _status(payload, f"{base}status", has_turns=transcript is not None)
    voicemail = _voicemail(payload, base) or None
    if voicemail and status == "completed":
        status = "no-answer"
    outcome = known(
        success=_success(payload, f"{base}analysis.call_successful"),
        endedReason=payload.take(
            "outcome.endedReason", f"{base}metadata.termination_reason", f"{base}metadata.error.reason", read=text
        ),
        cost=payload.take("outcome.cost", f"{base}metadata.cost", read=number, note="in ElevenLabs' credits"),
        voicemail=voicemail,
    )
    fields = known(
        **sides,
        status=status,
        duration=_duration(payload, f"{base}metadata.call_duration_secs", is_failed=status == "failed"),
        callStartTime=payload.started(
            (f"{base}metadata.start_time_unix_secs", payload.unix_s), ("event_timestamp", payload.unix_s)
        ),
        transcript=transcript,
        summary=payload.take("summary", f"{base}analysis.transcript_summary", read=text),
        agentName=_agent_name(payload, base),
    )
    expects = frozenset({"recording"} if payload.at(f"{base}has_audio") is True else ())
    return Part(call_key, "facts", fields, outcome, has_facts=True, expects=expects, notes=tuple(payload.notes))


def _agent_name(payload: Payload, base: str) -> str | None:
    return payload.take("agentName", f"{base}agent_name", f"{base}agent_id", read=name)


def _sides(payload: Payload, source: Source, base: str) -> dict[str, str] | None:
    """Return who called whom, None if the conversation was not by phone."""
    phone = f"{base}metadata.phone_call"
    found = payload.at(phone)
    if found is not None and not isinstance(found, Mapping):
        raise Unusable("shape", f"{phone} must be an object", phone)
    way = payload.take("direction", f"{phone}.direction", read=direction)
    if way is not None:
        ends = f"{phone}.external_number", f"{phone}.agent_number"
        return parties(payload, way, *(ends if way == "inbound" else ends[::-1]))
    variables = f"{base}conversation_initiation_client_data.dynamic_variables"
    caller, called = f"{variables}.system__caller_id", f"{variables}.system__called_number"
    has_variables = name(payload.at(caller)) is not None and name(payload.at(called)) is not None
    if found is None and not has_variables:
        return None
    way = own_side(source, payload.at(caller), payload.at(called))
    if way is None:
        path = f"{phone}.direction"
        sentence = f"{path} does not say if the call was inbound or outbound, and nor do the source's own numbers"
        raise Unusable("direction_unknown", sentence, path)
    payload.said("direction", "by the source's own numbers", called if way == "inbound" else caller)
    return parties(payload, way, caller, called)


def _status(payload: Payload, path: str, *, has_turns: bool) -> str:
    said = payload.at(path)
    status = {"done": "completed", "failed": "failed"}.get(said) if isinstance(said, str) else None
    if status is not None:
        payload.said("status", "", path)
        return status
    status, why = ("completed", "somebody spoke") if has_turns else ("failed", "nobody spoke")
    payload.said("status", f"the state is none of those known here: {status}, as {why}", path if said is not None else None)
    return status


def _duration(payload: Payload, path: str, *, is_failed: bool) -> float:
    found = payload.take("duration", path, read=number)
    if found is not None:
        return found
    if not is_failed:
        raise Unusable("shape", f"{path} must be the call's length in seconds", path)
    payload.said("duration", "the call failed, and has no length")
    return 0


def _success(payload: Payload, path: str) -> bool | None:
    if payload.at(path) == "unknown":
        return None
    return payload.take("outcome.success", path, read=lambda value: _SUCCESS.get(value) if isinstance(value, str) else None)


def _voicemail(payload: Payload, base: str) -> bool:
    """Say if a machine answered, by the feature that detects it or by its tool."""
    path = f"{base}metadata.features_usage.{_VOICEMAIL_TOOL}.used"
    if payload.at(path) is not True:
        transcript = payload.at(f"{base}transcript")
        called = (
            f"{base}transcript.{index}.tool_calls.{place}.tool_name"
            for index, item in enumerate(transcript if isinstance(transcript, list) else ())
            for place, call in enumerate(_entries(item, "tool_calls"))
            if isinstance(call, Mapping) and call.get("tool_name") == _VOICEMAIL_TOOL
        )
        path = next(called, "")
    if path:
        payload.said("outcome.voicemail", "a machine answered", path)
    return bool(path)


def _entries(item: Any, field: str) -> list[Any]:
    found = item.get(field) if isinstance(item, Mapping) else None
    return found if isinstance(found, list) else []


def _turn(item: Mapping[str, Any], before: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return a turn, to which the tools belong that are called within it or after it."""
    speaker, message = role(item.get("role")), text(item.get("message"))
    is_silent = speaker == "user" and message is not None and message.strip() == "..."
    said = turn(speaker, message, number(item.get("time_in_call_secs"))) if speaker and message and not is_silent else None
    for call in _entries(item, "tool_calls"):
        add_tool_call([said] if said else before, call)
    for result in _entries(item, "tool_results"):
        add_tool_result([*before[-1:], *([said] if said else [])], "request_id", result)
    return said
