"""What is odd about a call that is taken all the same: said to its sender, kept with the call, and shown. Pure.

A warning costs a call nothing, so each check is cheap where there is nothing to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final, Literal, NamedTuple

from tether_rt.domain.entry_terms import MAX_CHARS
from tether_rt.domain.fields import CALL_FIELDS, HISTORIC
from tether_rt.domain.hints import field_meant, is_spelling_of
from tether_rt.domain.wording import name_of

WarningCode = Literal[
    "length_mismatch",
    "start_in_future",
    "long_duration",
    "same_number",
    "turns_outside_call",
    "not_playable",
    "looks_like_other_field",
    "unknown_field",
    "historic_ignored",
    "partly_searched",
]
"""Every code of a warning; programs compare them. `docs/errors.md` explains each, `schemas/openapi.yaml` lists them."""

FUTURE: Final = timedelta(minutes=15)
"""How far ahead a start may lie: clocks differ. A call that starts later would stand above those that come after it."""
LONG_DURATION_S: Final = 86_400
TURN_SLACK_S: Final = 2.0
"""How far a turn may lie behind the end of its call: durations are rounded."""
LENGTH_SLACK_S: Final = 5.0
LENGTH_SHARE: Final = 0.2
"""A recording may be longer than its call by both, and shorter by half: it may begin late, and has no ringing."""
_MOST_EXTRAS: Final = 20
"""Unknown fields that are looked at."""
_MOST_WARNINGS: Final = 20

_KNOWN: Final = (*CALL_FIELDS, HISTORIC)
_DRY_RUN: Final = frozenset(("dryrun", "validateonly", "validationonly"))
_NUMBER: Final = re.compile(r"\s*\+?[0-9][0-9 ().\-]{6,24}\s*", re.ASCII)
_URL: Final = re.compile(r"\s*(?:https?|ftp|sip)s?://\S+\s*", re.IGNORECASE)
_EMAIL: Final = re.compile(r"\s*[^\s@]+@[^\s@]+\.[^\s@]+\s*")
_WORDS_OF_OTHERS: Final = {
    "direction": frozenset(("inbound", "outbound")),
    "status": frozenset(("completed", "no-answer", "busy", "failed")),
}
_MOST_SHAPED_CHARS: Final = 2048
"""A longer text is not compared with the shapes of other fields."""


class CallWarning(NamedTuple):
    """One odd thing about a call: `field` is its place, None for the call as a whole."""

    code: str
    field: str | None
    message: str


def call_warnings(
    body: Mapping[str, Any],
    extra: Mapping[str, Any],
    *,
    from_number: str | None,
    to_number: str | None,
    start: datetime,
    now: datetime,
) -> tuple[CallWarning, ...]:
    """Return what is odd about a call whose body satisfies the contract; `extra` are the fields that the contract lacks.

    `start` is when the call began, as it was sent. `length_warning` says the rest, once the recording is there.
    """
    found: list[CallWarning] = []
    if extra:
        found += _unknown_fields(body, extra)
    if from_number is not None and from_number == to_number:
        found.append(CallWarning("same_number", "toNumber", "fromNumber and toNumber are the same number"))
    duration_s = body["duration"]
    if duration_s > LONG_DURATION_S:
        found.append(_long(duration_s))
    if "transcript" in body:
        found += _turns(body["transcript"], duration_s)
        if sum(len(turn["message"]) for turn in body["transcript"]) > MAX_CHARS:
            message = f"transcript has more than {MAX_CHARS:,} characters: a search finds what was said in the first of them"
            found.append(CallWarning("partly_searched", "transcript", message))
    found += _shapes(body)
    if start - now > FUTURE:
        found.append(_future(start, now))
    return tuple(found[:_MOST_WARNINGS])


def length_warning(duration_s: float, recording_s: float | None) -> tuple[CallWarning, ...]:
    """Return a warning where a recording's length and its call's cannot both be right; None: the length is not known."""
    if recording_s is None:
        return ()
    longest_s = duration_s * (1 + LENGTH_SHARE) + LENGTH_SLACK_S
    shortest_s = duration_s / 2 - LENGTH_SLACK_S
    if shortest_s <= recording_s <= longest_s:
        return ()
    message = f"duration is {_seconds(duration_s)}, but the recording lasts {_seconds(recording_s)}"
    if duration_s and 0.8 <= recording_s * 1000 / duration_s <= 1.25:
        message += ": duration is in seconds, not in milliseconds"
    return (CallWarning("length_mismatch", "duration", message),)


def recording_warnings(duration_s: float, recording_s: float | None, kind: str, is_playable: bool) -> tuple[CallWarning, ...]:
    """Return what is odd about a call's recording: its length, and whether browsers play its kind, such as `AMR`."""
    found = length_warning(duration_s, recording_s)
    if is_playable:
        return found
    message = (
        f"recording is {kind}, which browsers do not play: it is kept, and played from a copy where the server can make one"
    )
    return (*found, CallWarning("not_playable", "recording", message))


def _seconds(number: float) -> str:
    return f"{number:,.15g} s" if number == int(number) else f"{number:,.2f} s"


def _long(duration_s: float) -> CallWarning:
    days = f"{duration_s / 86_400:,.1f}" if duration_s < 1e9 else "thousands of"
    return CallWarning("long_duration", "duration", f"duration is in seconds, and would be {days} days")


def _future(start: datetime, now: datetime) -> CallWarning:
    hours = (start - now).total_seconds() / 3600
    ahead = f"{hours:,.1f} hours" if hours < 48 else f"{hours / 24:,.0f} days"
    message = f"callStartTime lies {ahead} in the future: the call is listed under the time at which it was received"
    return CallWarning("start_in_future", "callStartTime", message)


def _turns(transcript: list[dict[str, Any]], duration_s: float) -> Iterator[CallWarning]:
    times = [turn["timestamp"] for turn in transcript if "timestamp" in turn]
    if not times:
        return
    last = duration_s + TURN_SLACK_S
    if min(times) >= 0 and max(times) <= last:
        return
    index, turn = next(
        (index, turn) for index, turn in enumerate(transcript) if "timestamp" in turn and not 0 <= turn["timestamp"] <= last
    )
    where = "before the call began" if turn["timestamp"] < 0 else f"after the call ended, which took {_seconds(duration_s)}"
    yield CallWarning("turns_outside_call", f"transcript[{index}].timestamp", f"transcript[{index}].timestamp lies {where}")


def _shapes(body: Mapping[str, Any]) -> Iterator[CallWarning]:
    """Yield warnings of fields whose words look like another field's."""
    for name in ("agentName", "callerName", "summary"):
        text = body.get(name)
        if text and len(text) <= _MOST_SHAPED_CHARS and (looks_like := _shape(text)):
            yield CallWarning("looks_like_other_field", name, f"{name} looks like {looks_like}")
    summary = body.get("summary")
    if summary and summary[:2] in ("[{", '{"'):
        yield CallWarning("looks_like_other_field", "summary", "summary looks like JSON, a transcript for example")
    if body.get("externalCallId") in (body["fromNumber"], body["toNumber"]):
        said = "externalCallId is a number of the call: a second call with it is taken for a repetition of the first"
        yield CallWarning("looks_like_other_field", "externalCallId", said)


def _shape(text: str) -> str | None:
    if _NUMBER.fullmatch(text):
        return "a telephone number"
    if "/" in text and _URL.fullmatch(text):
        return "an address, of a recording for example"
    if "@" in text and _EMAIL.fullmatch(text):
        return "an email address"
    plain = text.strip().lower()
    return next((f"a {field}" for field, words in _WORDS_OF_OTHERS.items() if plain in words), None)


def _unknown_fields(body: Mapping[str, Any], extra: Mapping[str, Any]) -> Iterator[CallWarning]:
    for name in islice(extra, _MOST_EXTRAS):
        if name == HISTORIC:
            message = "historic is kept as an unknown field: it must be true, and needs a callStartTime"
            yield CallWarning("historic_ignored", name, message)
        elif name.lower().replace("_", "").replace("-", "") in _DRY_RUN:
            message = (
                f"{name_of(name)} is kept as an unknown field, and the call is stored: POST /api/calls/validate stores nothing"
            )
            yield CallWarning("unknown_field", name_of(name), message)
        elif (meant := field_meant(name, _KNOWN)) is not None and (meant not in body or is_spelling_of(name, meant)):
            message = f"{name_of(name)} is kept as an unknown field: did you mean {meant}?"
            yield CallWarning("unknown_field", name_of(name), message)
