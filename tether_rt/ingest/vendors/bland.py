"""Bland: one POST when a call is over, the same object as its call-details API gives."""

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
    minutes,
    name,
    number,
    other_agent,
    parties,
    seconds_between,
    text,
    url,
)
from tether_rt.ingest.vendors.transcripts import role, turn, turns, turns_of_text

_STATUSES: Final = {
    "completed": "completed",
    "no-answer": "no-answer",
    "busy": "busy",
    "canceled": "no-answer",
    "failed": "failed",
}
_SCRIPT_LINE: Final = re.compile(r"\s*(user|assistant): ?(.*)")
_NOBODY: Final = re.compile(r"^[ \t]*(?:robot|agent-action):.*$", re.MULTILINE)


def adapt(payload: Payload, source: Source) -> Adapted:
    """Make a call of what is sent when it is over."""
    call_key = payload.call_key("call_id", "c_id")
    if text(payload.at("category")) and payload.at("inbound") is None and payload.at("status") is None:
        return Ignored("not_final", "It has a category, as events have that are sent while a call goes on", call_key)
    if ignored := other_agent(payload, source, "pathway_id", call_key):
        return ignored
    way = directed(payload, source, "inbound", "from", "to", read=_direction)
    started = payload.iso(payload.at("started_at"))
    transcript = _transcript(payload, started)
    status, is_machine = _status(payload, was_held=started is not None and transcript is not None)
    payload.said("agentName", "the source's name: Bland names no agent")
    fields = known(
        **parties(payload, way, "from", "to"),
        duration=_duration(payload, started),
        status=status,
        callStartTime=payload.started(("started_at", payload.iso), ("created_at", payload.iso)),
        transcript=transcript,
        summary=payload.take("summary", "summary", read=text),
        recording=payload.take("recording", "recording_url", read=url),
        agentName=source.name,
        metadata=_metadata(payload),
    )
    outcome = known(
        voicemail=True if is_machine else None,
        cost=payload.take("outcome.cost", "price", read=number),
        endedReason=payload.take("outcome.endedReason", "error_message", "call_ended_by", read=text),
    )
    return Part(call_key, "facts", fields, outcome, has_facts=True, notes=tuple(payload.notes))


def _direction(value: Any) -> str | None:
    return ("inbound" if value else "outbound") if isinstance(value, bool) else None


def _status(payload: Payload, *, was_held: bool) -> tuple[str, bool]:
    """Return the status, and whether a machine answered."""
    word, answered_by = text(payload.at("status")), payload.at("answered_by")
    status = _STATUSES.get(word or "")
    if status == "completed" and answered_by in ("voicemail", "no-answer"):
        status = "no-answer"
        payload.said("status", f"no-answer, as it was answered by {answered_by}", "answered_by")
    elif status is not None:
        payload.said("status", "", "status")
    elif payload.at("completed") is False or (word == "unknown" and text(payload.at("error_message"))):
        status = "failed"
        payload.said("status", "failed", "completed" if payload.at("completed") is False else "error_message")
    else:
        status, why = (
            ("completed", "it began and somebody spoke") if was_held else ("failed", "it did not begin, or nobody spoke")
        )
        what = f"the status {word[:100]} is none of those known here" if word else "it has no status"
        payload.said("status", f"{what}: {status}, as {why}", "status" if word else None)
    is_machine = status == "no-answer" and answered_by == "voicemail"
    if is_machine:
        payload.said("outcome.voicemail", "a machine answered", "answered_by")
    return status, is_machine


def _duration(payload: Payload, started: str | None) -> float:
    found = payload.take_first("duration", ("corrected_duration", number), ("call_length", minutes))
    if found is not None:
        return found
    if started is None:
        payload.said("duration", "the call never connected: it has no started_at")
        return 0
    ended = payload.iso(payload.at("end_at"))
    if ended is None or ended < started:
        raise Unusable("shape", "corrected_duration must be the call's length in seconds", "corrected_duration")
    payload.said("duration", "end_at less started_at", "end_at")
    return seconds_between(started, ended)


def _transcript(payload: Payload, started: str | None) -> list[dict[str, Any]] | None:
    def read(item: Mapping[str, Any], before: list[dict[str, Any]]) -> dict[str, Any] | None:
        speaker, message, at = role(item.get("user")), text(item.get("text")), payload.iso(item.get("created_at"))
        if speaker is None or message is None:
            return None
        return turn(speaker, message, seconds_between(started, at) if started and at else None)

    return turns(payload, "transcripts", read) or payload.take("transcript", "concatenated_transcript", read=_script)


def _script(value: Any) -> list[dict[str, Any]] | None:
    return turns_of_text(_NOBODY.sub("", value), _SCRIPT_LINE) or None if isinstance(value, str) else None


def _metadata(payload: Payload) -> dict[str, Any] | None:
    """Return what the customer gave along with the call, its secrets masked, and where the call was transferred."""
    given = payload.take("metadata", "metadata", read=_filled)
    variables = payload.take("metadata.variables", "variables", read=_filled)
    transfer = payload.take("metadata.transfer", "transferred_to", read=name, note="the call was transferred")
    return masked({**(given or {}), **known(variables=variables, transfer=transfer)}) or None


def _filled(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) and value else None
