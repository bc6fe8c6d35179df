"""The vendors whose webhooks are taken: how the body of each is read, and what its events become. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from tether_rt.domain.source import Source
from tether_rt.errors import BadRequest
from tether_rt.http.json_body import parse
from tether_rt.ingest.vendors import bland, elevenlabs, quo, retell, standard, telnyx, twilio, vapi
from tether_rt.ingest.vendors.parts import Adapted, Dead
from tether_rt.ingest.vendors.proof_methods import MAX_FIELDS
from tether_rt.ingest.vendors.reading import Payload, Unusable


class Vendor(NamedTuple):
    """A vendor: its adapter, how its bodies are parsed, and the hosts that get the source's credentials for recordings."""

    adapt: Callable[[Payload, Source], Adapted]
    parse: Callable[[bytes | bytearray], Any] = parse
    recording_hosts: tuple[str, ...] = ()
    """Each with all hosts below it."""


def parse_form(raw: bytes | bytearray) -> dict[str, str]:
    """Return the fields of a form (`application/x-www-form-urlencoded`), of one name the first; raises `Unusable`."""
    try:
        pairs = parse_qsl(raw.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise Unusable("unparsable", "The body is no form, which has fields such as CallSid=…&CallStatus=…") from error
    return dict(reversed(pairs))


VENDORS: Final[Mapping[str, Vendor]] = MappingProxyType(
    {
        "elevenlabs": Vendor(elevenlabs.adapt, recording_hosts=("elevenlabs.io",)),
        "retell": Vendor(retell.adapt, recording_hosts=("retellai.com",)),
        "vapi": Vendor(vapi.adapt, recording_hosts=("vapi.ai",)),
        "twilio": Vendor(twilio.adapt, parse_form, recording_hosts=("twilio.com",)),
        "standard": Vendor(standard.adapt),
        "bland": Vendor(bland.adapt, recording_hosts=("bland.ai",)),
        "telnyx": Vendor(telnyx.adapt, recording_hosts=("telnyx.com",)),
        "quo": Vendor(quo.adapt, recording_hosts=("quo.com", "openphone.com")),
    }
)


class Reading(NamedTuple):
    """What an event became, and the payload that it was read from, None where that could not be parsed."""

    adapted: Adapted
    root: Any = None


def read_event(raw: bytes | bytearray, source: Source, arrived_at: datetime) -> Reading:
    """Return what the body of a webhook of this source becomes. `arrived_at` is aware and in UTC."""
    vendor = VENDORS[source.kind]
    try:
        root = vendor.parse(raw)
    except (BadRequest, Unusable) as refusal:
        return Reading(Dead("unparsable", str(refusal)))
    if not isinstance(root, dict):
        return Reading(Dead("shape", "The body must be a JSON object"), root)
    payload = Payload(root, arrived_at)
    try:
        return Reading(vendor.adapt(payload, source), root)
    except Unusable as error:
        return Reading(Dead(error.code, str(error), error.place, notes=tuple(payload.notes)), root)
