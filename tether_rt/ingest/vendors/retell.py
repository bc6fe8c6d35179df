"""Retell: `call_ended` with all but the analysis, then `call_analyzed` with all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tether_rt.domain.masking import masked
from tether_rt.domain.source import Source
from tether_rt.ingest.vendors.parts import Adapted, Ignored, Part
from tether_rt.ingest.vendors.reading import (
    Payload,
    Unusable,
    directed,
    known,
    milliseconds,
    name,
    number,
    other_agent,
    parties,
    seconds_between,
    text,
    truth,
    url,
)
from tether_rt.ingest.vendors.transcripts import add_tool_call, add_tool_result, role, spoken_words, turn, turns, turns_of_text

_LIVE: Final = frozenset((
    "call_started", "transcript_updated", "transfer_started", "transfer_bridged", "transfer_cancelled", "transfer_ended",
))  # fmt: skip
_STATUSES: Final = tuple(
    (status, re.compile(reasons, re.DOTALL))
    for status, reasons in (
        (
            "completed",
            r"user_hangup|agent_hangup|call_transfer|transfer_bridged|transfer_cancelled|inactivity|max_duration_reached"
            r"|manual_stopped|call_take_over",
        ),
        ("no-answer", r"voicemail_reached|ivr_reached|dial_no_answer"),
        ("busy", r"dial_busy|user_declined"),
        (
            "failed",
            r"dial_failed|invalid_destination|telephony_provider_.*|sip_routing_error|marked_as_spam|scam_detected"
            r"|concurrency_limit_reached|no_concurrency_fallback|no_valid_payment|registered_call_timeout|error_.*",
        ),
    )
)
"""Statuses with the `disconnection_reason`s that mean them."""
_MACHINES: Final = frozenset(("voicemail_reached", "ivr_reached"))
_BY_CALL_STATUS: Final = {"not_connected": "failed", "error": "failed", "ended": "completed"}


def adapt(payload: Payload, source: Source) -> Adapted:
    """Make a part of a call of `call_ended` or `call_analyzed`, each of which can make the call."""
    event = text(payload.at("event"))
    if event is None:
        raise Unusable("shape", "event must be the kind of the event", "event")
    if event not in ("call_ended", "call_analyzed"):
        return _other_event(payload, event)
    call_key = payload.call_key("call.call_id")
    if payload.at("call.call_type") == "web_call":
        return Ignored("not_a_phone_call", "call.call_type is web_call, which has no numbers", call_key, tuple(payload.notes))
    if ignored := other_agent(payload, source, "call.agent_id", call_key):
        return ignored
    way = directed(payload, source, "call.direction", "call.from_number", "call.to_number")
    sides = parties(payload, way, "call.from_number", "call.to_number")
    is_connected = payload.unix_ms(payload.at("call.start_timestamp")) is not None
    transcript = _transcript(payload)
    status, outcome = _status(payload, is_connected=is_connected)
    fields = known(
        **sides,
        status=status,
        duration=_duration(payload),
        callStartTime=payload.started(("call.start_timestamp", payload.unix_ms)),
        transcript=transcript,
        summary=payload.take("summary", "call.call_analysis.call_summary", read=text),
        recording=payload.take("recording", "call.recording_url", "call.scrubbed_recording_url", read=url),
        agentName=payload.take("agentName", "call.agent_name", "call.agent_id", read=name),
        metadata=_metadata(payload),
    )
    outcome |= known(
        success=payload.take("outcome.success", "call.call_analysis.call_successful", read=truth),
        sentiment=payload.take("outcome.sentiment", "call.call_analysis.user_sentiment", read=text),
        cost=payload.take("outcome.cost", "call.call_cost.combined_cost", read=number, note="in cents"),
    )
    if event == "call_analyzed":
        return Part(call_key, "analysis", fields, outcome, has_facts=True, notes=tuple(payload.notes))
    return Part(
        call_key,
        "facts",
        fields,
        outcome,
        has_facts=True,
        awaits=frozenset({"analysis"} if is_connected else ()),
        waiting_code="analysis_pending",
        notes=tuple(payload.notes),
    )


def _other_event(payload: Payload, event: str) -> Ignored:
    call_key, notes = name(payload.at("call.call_id")), tuple(payload.notes)
    if event in _LIVE:
        return Ignored("not_final", f"{event} is sent while a call goes on", call_key, notes)
    if event.startswith("chat_"):
        return Ignored("not_a_phone_call", f"{event[:100]} is about a chat", call_key, notes)
    return Ignored("unknown_event", f"event is {event[:100]}, which is not known here", call_key, notes)


def _duration(payload: Payload) -> float:
    found = payload.take("duration", "call.duration_ms", read=milliseconds)
    if found is not None:
        return found
    start, end = (payload.unix_ms(payload.at(f"call.{name}_timestamp")) for name in ("start", "end"))
    if start is None:
        payload.said("duration", "the call never connected: it has no call.start_timestamp")
        return 0
    if end is None or end < start:
        raise Unusable("shape", "call.duration_ms must be the call's length in milliseconds", "call.duration_ms")
    payload.said("duration", "call.end_timestamp less call.start_timestamp", "call.end_timestamp")
    return seconds_between(start, end)


def _status(payload: Payload, *, is_connected: bool) -> tuple[str, dict[str, Any]]:
    path = "call.disconnection_reason"
    reason = payload.take("outcome.endedReason", path, read=text)
    outcome: dict[str, Any] = known(endedReason=reason)
    machine = path if reason in _MACHINES else None
    if payload.at("call.call_analysis.in_voicemail") is True:
        machine = "call.call_analysis.in_voicemail"
    if machine is not None:
        payload.said("status", "a machine answered", machine)
        payload.said("outcome.voicemail", "a machine answered", machine)
        return "no-answer", {**outcome, "voicemail": True}
    status = next((status for status, reasons in _STATUSES if reason is not None and reasons.fullmatch(reason)), None)
    if status is not None:
        payload.said("status", "", path)
        return status, outcome
    what = f"the reason {reason[:100]} is none of those known here" if reason else "it has no reason"
    said = payload.at("call.call_status")
    status = _BY_CALL_STATUS.get(said) if isinstance(said, str) else None
    if status is not None:
        payload.said("status", f"{what}: {status}, by its call_status", "call.call_status")
        return status, outcome
    status = "completed" if is_connected else "failed"
    payload.said("status", f"{what}: {status}, as it {'was connected' if is_connected else 'never connected'}")
    return status, outcome


def _transcript(payload: Payload) -> list[dict[str, Any]] | None:
    found = turns(payload, "call.transcript_object", _turn)
    if found:
        _add_tools(payload, found)
        return found
    return (
        turns(payload, "call.transcript_with_tool_calls", _turn)
        or turns(payload, "call.scrubbed_transcript_with_tool_calls", _turn)
        or payload.take("transcript", "call.transcript", read=_script)
    )


def _script(value: Any) -> list[dict[str, Any]] | None:
    return turns_of_text(value) or None if isinstance(value, str) else None


def _turn(item: Mapping[str, Any], before: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return a turn, or add a tool call, which comes as an entry of its own, to the turn before it."""
    speaker, message = role(item.get("role")), text(item.get("content"))
    if speaker is None or message is None:
        _add_tool(item, before)
        return None
    words = spoken_words(item.get("words"))
    starts, ends = (words[0]["start"], words[-1].get("end")) if words else (None, None)
    return turn(speaker, message, starts, endTimestamp=ends, words=words)


def _add_tool(item: Mapping[str, Any], before: list[dict[str, Any]]) -> None:
    if item.get("role") == "tool_call_invocation":
        add_tool_call(before, item)
    elif item.get("role") == "tool_call_result":
        add_tool_result(before, "tool_call_id", item)


def _add_tools(payload: Payload, said: list[dict[str, Any]]) -> None:
    """Add the tool calls of the other list, which has the same turns, to the turns that they follow."""
    listed = payload.at("call.transcript_with_tool_calls")
    spoken = 0
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, Mapping):
            if role(item.get("role")) is not None and text(item.get("content")) is not None:
                spoken += 1
            _add_tool(item, said[max(0, spoken - 3) : spoken])


def _metadata(payload: Payload) -> dict[str, Any] | None:
    """Return what the customer gave the call along, and where it was forwarded."""
    own = payload.take("metadata", "call.metadata", read=_object) if payload.at("call.metadata") != {} else None
    transfer = payload.take("metadata.transfer", "call.transfer_destination", read=name, note="the call was forwarded")
    return {**(own or {}), **known(transfer=transfer)} or None


def _object(value: Any) -> dict[str, Any] | None:
    return masked(value) if isinstance(value, dict) and value else None
