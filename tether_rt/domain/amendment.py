"""A change of a stored call, as its vendor asks for it: which fields may change, and what the call would be then. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from tether_rt.domain.call import CompletedCall
from tether_rt.domain.warnings import CallWarning, recording_warnings
from tether_rt.errors import Fault

AMENDABLE: Final = tuple("transcript summary recording duration status agentName callerName callStartTime metadata".split())
"""The fields of a call that a change may have."""
NAMES_OF_A_CALL: Final = ("externalCallId", "callId")
"""The fields of an amendment's body that say which call it is of."""
MAX_RECORDINGS: Final = 20
"""Of one call: each further one is kept beside those before it, and every list holds them all."""
_OF_THE_FIRST_BODY: Final = frozenset(("unknown_field", "historic_ignored"))
"""Warnings about what only the body of the call itself can have."""


def naming_faults(body: Mapping[str, Any], in_address: str | None) -> Iterator[Fault]:
    """Yield what is wrong with how a body names its call; `in_address` is the `externalCallId` of the address, if any."""
    if in_address is None:
        if not any(name in body for name in NAMES_OF_A_CALL):
            yield Fault("missing_field", "externalCallId", "Missing required field: externalCallId, or callId")
    elif body.get("externalCallId", in_address) != in_address:
        yield Fault("unknown_value", "externalCallId", "externalCallId is another one than in the address")


def merged_body(stored: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's body as it would have been sent at first; `stored` is that of the call as it is."""
    merged = {**stored, **{name: patch[name] for name in AMENDABLE if name in patch}}
    if "metadata" in patch:
        merged["metadata"] = {**(stored.get("metadata") or {}), **patch["metadata"]}
    return merged


def values_of(call: CompletedCall) -> dict[str, Any]:
    """Return the values that may change, but for the recording, by the contract's names."""
    return {
        "transcript": call.transcript,
        "summary": call.summary,
        "duration": call.duration_s,
        "status": call.status,
        "agentName": call.agent_name,
        "callerName": call.caller_name,
        "callStartTime": call.stated_start_time or call.start_time,
        "metadata": call.metadata,
    }


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any], patch: Mapping[str, Any]) -> list[str]:
    """Return which of the fields of `patch`, but for the recording, have other values after it than before."""
    return [name for name in AMENDABLE if name in patch and name in after and not _is_same(before[name], after[name])]


def merged_warnings(
    before: Sequence[CallWarning], merged: CompletedCall, recording: Mapping[str, Any] | None, unjudged: Collection[str]
) -> list[CallWarning]:
    """Return what is odd about a changed call. `recording` is the document of its last one.

    The warnings with the codes in `unjudged` stay as they were before.
    """
    stay = _OF_THE_FIRST_BODY.union(unjudged)
    kept = [one for one in before if one.code in stay or _top_level(one.field) not in AMENDABLE]
    now = [one for one in merged.warnings if one.code not in stay]
    if recording is not None:
        kind, is_playable = recording.get("kind", "MP3"), recording.get("playable", True)
        now += recording_warnings(merged.duration_s, recording["duration"], kind, is_playable)
    return list(dict.fromkeys([*kept, *now]))


def _top_level(place: str | None) -> str:
    return (place or "").partition(".")[0].partition("[")[0]


def judged_faults(faults: Sequence[Fault], patch: Mapping[str, Any]) -> list[Fault]:
    """Return those faults of a call as it would be that its sender can mend: all, if there are no others.

    What is stored already may break a rule that is newer.
    """
    of_patch = [one for one in faults if one.code in ("missing_field", "null_value") or _top_level(one.field) in patch]
    return of_patch or list(faults)


def _is_same(one: Any, other: Any) -> bool:
    """Compare JSON values, or times: in Python True is 1."""
    if one is None or other is None or isinstance(one, datetime):
        return bool(one == other)
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other  # a duration
    return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)
