"""A change of a stored call, as its vendor asks for it: which fields may change, and what the call would be then. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from tether_rt.domain.call import CompletedCall
from tether_rt.errors import BadRequest

AMENDABLE: Final = (
    *("transcript", "summary", "recording", "duration", "status", "agentName", "callerName", "callStartTime", "metadata"),
)
NAMES_OF_A_CALL: Final = ("externalCallId", "callId")
"""The fields of an amendment's body that say which call it is of."""
MAX_RECORDINGS: Final = 20
"""Of one call: each further one is kept beside those before it, and every list holds them all."""


def require_amendable(body: object, *, is_named: bool) -> None:
    """Raise `BadRequest` for a field that cannot be changed; `is_named` says that the address names the call."""
    if not isinstance(body, dict):
        return  # the schema has a sentence for that
    for name in body:
        if name not in AMENDABLE and name not in NAMES_OF_A_CALL:
            shown = name if name.isidentifier() and len(name) <= 64 else "A field of the body"
            raise BadRequest(
                f"{shown} cannot be changed: only {', '.join(AMENDABLE[:-1])} and {AMENDABLE[-1]} can",
                code="unknown_field",
                field=shown if shown == name else None,
            )
    if not is_named and not any(name in body for name in NAMES_OF_A_CALL):
        raise BadRequest("Missing required field: externalCallId, or callId", code="missing_field", field="externalCallId")


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
        "callStartTime": call.start_time,
        "metadata": call.metadata,
    }


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any], patch: Mapping[str, Any]) -> list[str]:
    """Return which of the fields of `patch`, but for the recording, have other values after it than before."""
    return [name for name in AMENDABLE if name in patch and name in after and not _is_same(before[name], after[name])]


def _is_same(one: Any, other: Any) -> bool:
    """Compare JSON values, or times: in Python True is 1."""
    if one is None or other is None or isinstance(one, datetime):
        return bool(one == other)
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other  # a duration
    return _text(one) == _text(other)


def _text(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
