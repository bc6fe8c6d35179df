"""Standard Webhooks around a body of our own contract, for vendors that push without an API key of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tether_rt.domain.fields import CALL_FIELDS
from tether_rt.domain.source import Source
from tether_rt.ingest.vendors.parts import Adapted, Ignored, Part
from tether_rt.ingest.vendors.reading import Payload, Unusable, text

_ENVELOPE: Final = frozenset(("type", "data"))
_EVENT: Final = "call.completed"


def adapt(payload: Payload, source: Source) -> Adapted:
    """Take the body of the contract out of its envelope `{type, timestamp, data}`, which it may also come without."""
    body, prefix = payload.root, ""
    if not isinstance(body, Mapping):
        raise Unusable(
            "shape", 'The payload must be {"type": "call.completed", "timestamp", "data"}, or a call of the contract'
        )
    if body.keys() >= _ENVELOPE or ("type" in body and "direction" not in body):
        event = text(body["type"])
        if event is None:
            raise Unusable("shape", f"type must be {_EVENT}", "type")
        if event != _EVENT:
            return Ignored("unknown_event", f"type is {event[:100]}: only {_EVENT} is a call")
        body, prefix = body.get("data"), "data."
        if not isinstance(body, Mapping):
            raise Unusable("shape", "data must be a call of the contract", "data")
    for field in CALL_FIELDS:
        if body.get(field) is not None:
            payload.said(field, "", f"{prefix}{field}")
    if others := len(body.keys() - CALL_FIELDS):
        payload.said(None, f"{others} more fields, which are kept as they are")
    call_key = text(body.get("externalCallId")) or ""
    return Part(call_key, "facts", dict(body), has_facts=True, is_own_body=True, notes=tuple(payload.notes))
