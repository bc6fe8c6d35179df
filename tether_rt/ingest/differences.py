"""In which fields a repetition of a call differs from the body that was stored. Pure.

A fingerprint of this version tells that by itself, but for the names of fields that the contract does not know. For those, and
for calls of earlier versions, the stored call is compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tether_rt.domain.call import KNOWN_FIELDS, from_address, parse_time, to_address
from tether_rt.domain.fields import CALL_FIELDS, HISTORIC
from tether_rt.domain.fingerprint import EXTRA
from tether_rt.errors import BadRequest


def by_name(fields: Sequence[str] | None, body: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    """Return the differing fields, with the names that `EXTRA` stands for; `fields` is None if only the stored call can tell.

    `stored` is the stored call as it is shown.
    """
    if fields is None:
        fields = [*_compared(body, stored), EXTRA]
    kept = stored["providerMetadata"]["extra"]
    sent = {name: value for name, value in body.items() if name not in KNOWN_FIELDS}
    if stored["historic"] and sent.get(HISTORIC) is True:
        del sent[HISTORIC]
    names = [name for name in {**kept, **sent} if name not in kept or name not in sent or kept[name] != sent[name]]
    return [*(name for name in fields if name != EXTRA), *names] or _not_kept(body)


def _compared(body: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    was = {
        "direction": stored["direction"],
        "fromNumber": stored["from"],
        "toNumber": stored["to"],
        "duration": stored["duration"],
        "status": stored["status"],
        "transcript": stored["transcription"],
        "summary": stored["summary"],
        "agentName": stored["agentName"],
        "metadata": stored["providerMetadata"]["metadata"],
    }
    sent = {name: body.get(name, [] if name == "transcript" else None) for name in was}
    for name, read in (("fromNumber", from_address), ("toNumber", to_address)):
        try:
            sent[name] = read(body)
        except BadRequest:  # such a body was never stored
            sent[name] = ""
    differing = {name for name, value in sent.items() if value != was[name]}
    if ("recording" in body) != bool(stored["recordings"]):
        differing.add("recording")
    if (start := body.get("callStartTime")) is not None:
        try:
            is_same = parse_time(start) == stored["startTime"]
        except (ValueError, OverflowError):
            is_same = False
        if not is_same:
            differing.add("callStartTime")
    return [name for name in CALL_FIELDS if name in differing]


def _not_kept(body: Mapping[str, Any]) -> list[str]:
    """Return the fields whose text is not kept as it was sent: the difference must lie in one of them."""
    return [name for name in ("recording", "callerName", "callStartTime") if name in body]
