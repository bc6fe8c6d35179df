"""Vapi: one `end-of-call-report` for each call, among the many events that its server URL gets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tether_rt.domain.source import Source
from tether_rt.ingest.vendors.parts import Adapted, Ignored, Part
from tether_rt.ingest.vendors.reading import (
    Payload,
    Unusable,
    first_of,
    known,
    milliseconds,
    name,
    number,
    other_agent,
    party,
    seconds_between,
    text,
    url,
)
from tether_rt.ingest.vendors.transcripts import add_tool_call, role, turn, turns, turns_of_text

_LIVE: Final = frozenset((
    "assistant.started", "call-update", "conversation-update", "hang", "language-change-detected", "language-changed",
    "model-output", "phone-call-control", "speech-update", "status-update", "transcript", 'transcript[transcriptType="final"]',
    "transfer-update", "user-interrupted", "voice-input",
))  # fmt: skip
_QUESTIONS: Final = frozenset((
    "assistant-request", "call.endpointing.request", "function-call", "handoff-destination-request", "knowledge-base-request",
    "tool-calls", "transfer-destination-request", "voice-request",
))  # fmt: skip
_DIRECTIONS: Final = {"inboundPhoneCall": "inbound", "outboundPhoneCall": "outbound"}
_NO_PHONE: Final = frozenset(("webCall", "vapi.websocketCall"))
_STATUSES: Final = tuple(
    (status, re.compile(reasons, re.DOTALL))
    for status, reasons in (
        ("busy", r"customer-busy|call\.forwarding\.operator-busy"),
        (
            "no-answer",
            r"customer-did-not-answer|.*sip-4(?:08|80).*|call\.ringing\.sip-inbound-caller-hungup-before-call-connect|voicemail",
        ),
        (
            "completed",
            r"(?:customer|assistant)-ended-call.*|assistant-said-end-call-phrase|assistant-forwarded-call|silence-timed-out"
            r"|exceeded-max-duration|.*completed-call|vonage-completed|.*hook-executed.*",
        ),
        (
            "failed",
            r".*(?:error|failed|pipeline|worker|rejected|disconnected|misdialed|not-found|not-valid).*"
            r"|(?:assistant-request-|call-start-|call\.start\.|scheduled-|phone-call-provider-).*"
            r"|assistant-join-timed-out|customer-did-not-give-microphone-permission|call-deleted",
        ),
    )
)
"""Statuses with the `endedReason`s that mean them, of which there are hundreds; the first that matches holds."""
_SCRIPT_LINE: Final = re.compile(r"(AI|User): (.*)")


def adapt(payload: Payload, source: Source) -> Adapted:
    """Make a call of an `end-of-call-report`."""
    event = text(payload.at("message.type"))
    if event is None:
        raise Unusable("shape", "message.type must be the kind of the event", "message.type")
    if event != "end-of-call-report":
        return _other_event(payload, event)
    call_key = payload.call_key("message.call.id")
    kind = payload.at("message.call.type")
    if isinstance(kind, str) and kind in _NO_PHONE:
        return Ignored("not_a_phone_call", f"message.call.type is {kind}, which has no numbers", call_key, tuple(payload.notes))
    agent_path = first_of(payload, "message.call.assistantId", "message.assistant.id")
    if ignored := other_agent(payload, source, agent_path, call_key):
        return ignored
    sides = _sides(payload, source)
    transcript = _transcript(payload)
    is_started = payload.iso(payload.at("message.startedAt")) is not None
    status, outcome = _status(payload, is_started and transcript is not None)
    fields = known(
        **sides,
        duration=_duration(payload),
        status=status,
        callStartTime=payload.started(("message.startedAt", payload.iso), ("message.call.createdAt", payload.iso)),
        transcript=transcript,
        summary=payload.take("summary", "message.analysis.summary", "message.summary", read=text),
        recording=payload.take(
            "recording",
            "message.artifact.recording.mono.combinedUrl",
            "message.artifact.recording.stereoUrl",
            "message.artifact.recordingUrl",
            "message.recordingUrl",
            read=url,
        ),
        agentName=payload.take("agentName", "message.assistant.name", "message.call.assistant.name", read=name),
        callerName=payload.take("callerName", "message.customer.name", "message.call.customer.name", read=name),
        metadata=_transfer(payload),
    )
    return Part(call_key, "facts", fields, {**outcome, **_judged(payload)}, has_facts=True, notes=tuple(payload.notes))


def _other_event(payload: Payload, event: str) -> Ignored:
    call_key, notes = name(payload.at("message.call.id")), tuple(payload.notes)
    if event in _LIVE:
        return Ignored("not_final", f"{event} is sent while a call goes on: only end-of-call-report is a call", call_key, notes)
    if event in _QUESTIONS:
        sentence = f"{event} waits for an answer with content, which is not given here: this address breaks live calls if it"
        return Ignored("not_a_call_event", f"{sentence} gets such events; send it end-of-call-report alone", call_key, notes)
    return Ignored("unknown_event", f"message.type is {event[:100]}, which is not known here", call_key, notes)


def _sides(payload: Payload, source: Source) -> dict[str, str]:
    direction = payload.take(
        "direction", "message.call.type", read=lambda value: _DIRECTIONS.get(value) if name(value) else None
    )
    if direction is None:
        sentence = "message.call.type must be inboundPhoneCall or outboundPhoneCall"
        raise Unusable("direction_unknown", sentence, "message.call.type")
    own_path = first_of(
        payload,
        "message.phoneNumber.number",
        "message.call.phoneNumber.number",
        "message.phoneNumber.twilioPhoneNumber",
        "message.call.phoneNumber.twilioPhoneNumber",
    )
    customer_path = first_of(
        payload,
        "message.customer.number",
        "message.call.customer.number",
        "message.customer.sipUri",
        "message.call.customer.sipUri",
    )
    customer, own = ("fromNumber", "toNumber") if direction == "inbound" else ("toNumber", "fromNumber")
    default = source.settings.numbers[0] if len(source.settings.numbers) == 1 else ""
    own_number = party(payload, own, own_path, direction, default=default)
    return {
        "direction": direction,
        own: own_number,
        customer: party(payload, customer, customer_path, direction, other=own_number),
    }


def _duration(payload: Payload) -> float:
    found = payload.take_first("duration", ("message.durationSeconds", number), ("message.durationMs", milliseconds))
    if found is not None:
        return found
    start, end = (payload.iso(payload.at(f"message.{name}At")) for name in ("started", "ended"))
    if start is None:
        payload.said("duration", "the call never connected: it has no message.startedAt")
        return 0
    if end is None or end < start:
        raise Unusable("shape", "message.durationSeconds must be the call's length in seconds", "message.durationSeconds")
    payload.said("duration", "message.endedAt less message.startedAt", "message.endedAt")
    return seconds_between(start, end)


def _status(payload: Payload, was_held: bool) -> tuple[str, dict[str, Any]]:
    path = first_of(payload, "message.endedReason", "message.call.endedReason")
    reason = payload.take("outcome.endedReason", path, read=text)
    for status, reasons in _STATUSES:
        if reason is not None and reasons.fullmatch(reason):
            payload.said("status", "", path)
            if reason != "voicemail":
                return status, known(endedReason=reason)
            payload.said("outcome.voicemail", "a machine answered", path)
            return status, {"endedReason": reason, "voicemail": True}
    status, why = ("completed", "it began and somebody spoke") if was_held else ("failed", "it did not begin, or nobody spoke")
    what = f"the reason {reason[:100]} is none of those known here" if reason else "it has no reason"
    payload.said("status", f"{what}: {status}, as {why}", path if reason else None)
    return status, known(endedReason=reason)


def _transcript(payload: Payload) -> list[dict[str, Any]] | None:
    return turns(payload, "message.artifact.messages", _turn) or payload.take(
        "transcript", "message.artifact.transcript", "message.transcript", read=_script
    )


def _script(value: Any) -> list[dict[str, Any]] | None:
    return turns_of_text(value, _SCRIPT_LINE) or None if isinstance(value, str) else None


def _turn(item: Mapping[str, Any], before: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return a turn, or add tool calls, which come as entries of their own, to the turn before them."""
    speaker, message = role(item.get("role")), text(item.get("message"))
    calls = item.get("toolCalls")
    if speaker is None and isinstance(calls, list):
        for call in calls:
            add_tool_call(before, call)
    if speaker is None or message is None:
        return None
    at_s = number(item.get("secondsFromStart"))
    begins, ends = milliseconds(item.get("time")), milliseconds(item.get("endTime"))
    ends_at_s = None
    if at_s is not None and begins is not None and ends is not None and ends >= begins:
        ends_at_s = round(at_s + ends - begins, 3)
    return turn(speaker, message, at_s, endTimestamp=ends_at_s)


def _judged(payload: Payload) -> dict[str, Any]:
    """Return what the evaluation says: passed or not, or a grade on one of the scales that can be chosen."""
    path = "message.analysis.successEvaluation"
    verdict = payload.at(path)
    success = {"true": True, "false": False}.get(str(verdict).lower()) if isinstance(verdict, str | bool) else None
    if success is not None:
        payload.said("outcome.success", "", path)
    return known(
        success=success,
        score=payload.take_first("outcome.score", (path, number), (path, text)) if success is None else None,
        cost=payload.take("outcome.cost", "message.cost", read=number),
    )


def _transfer(payload: Payload) -> dict[str, Any] | None:
    paths = ("message.destination.number", "message.destination.sipUri", "message.call.destination.number")
    found = payload.take("metadata.transfer", *paths, read=name, note="the call was forwarded; only its first leg is told")
    return {"transfer": found} if found else None
