"""A call as bytes, and what the server's answer means. Pure but for the file of a recording."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

from .errors import Fault, MissingExternalCallId, Refused, Unauthorized

Recording: TypeAlias = Path | bytes | str
"""A file, audio, or the address of audio that the server fetches."""


@dataclass(frozen=True, slots=True)
class CallWarning:
    """Something odd about a call that was stored all the same."""

    code: str
    field: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A call that is stored."""

    call_id: str
    deduplicated: bool
    """It was stored before, perhaps by an earlier attempt whose answer was lost."""
    warnings: tuple[CallWarning, ...]
    differs: tuple[str, ...]
    """The fields in which the call that was stored before is another one. Sending changes nothing of it."""
    answer: Mapping[str, Any]
    """The server's answer as it came."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What would become of a call."""

    verdict: str
    """`would_create`, `duplicate` or `would_refuse`."""
    errors: tuple[Fault, ...]
    warnings: tuple[CallWarning, ...]
    answer: Mapping[str, Any]
    """The server's answer as it came, with the call as it would be stored."""


def encoded(call: Mapping[str, Any], recording: Recording | None) -> bytes:
    """Return a call as the body of a request, with the recording in it.

    Raises `MissingExternalCallId`, `ValueError` for what is no recording, `OSError` for a file that cannot be read.
    """
    if not call.get("externalCallId"):
        raise MissingExternalCallId
    if recording is not None:
        call = {**call, "recording": _recording_field(recording)}
    return json.dumps(call, ensure_ascii=False, allow_nan=False, default=_time).encode()


def _recording_field(recording: Recording) -> str:
    if isinstance(recording, str):
        if not recording.startswith(("http://", "https://")):
            raise ValueError("recording must be a Path, bytes, or an address that begins with http:// or https://")
        return recording
    return base64.b64encode(recording if isinstance(recording, bytes) else recording.read_bytes()).decode()


def _time(value: object) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a datetime of a call must have a time zone, such as datetime.now(UTC)")
        return value.isoformat(timespec="milliseconds")
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


def body_of(raw: bytes) -> dict[str, Any]:
    """Return an answer's JSON object; an empty one if it is none, which is the answer of something in between."""
    try:
        body = json.loads(raw)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def sent(body: Mapping[str, Any]) -> Sent:
    """Read the answer to a call that is stored."""
    return Sent(
        call_id=body["callId"],
        deduplicated=body.get("deduplicated", False),
        warnings=_warnings(body),
        differs=tuple(body.get("differs", ())),
        answer=body,
    )


def verdict(body: Mapping[str, Any]) -> Verdict:
    """Read the answer to a call that is tried without being stored."""
    return Verdict(verdict=body["verdict"], errors=_faults(body), warnings=_warnings(body), answer=body)


_NOT_OURS: Final = dict.fromkeys((502, 503, 504), "The proxy answers, but the server behind it does not.")


def refused(status: int, body: Mapping[str, Any], request_id: str | None) -> Refused:
    """Return the error that an answer means; one of something in between may have the same fields with other types."""
    return (Unauthorized if status == 401 else Refused)(
        status,
        _text(body, "error") or _NOT_OURS.get(status, "This is not an answer of a Tether server: is the address right?"),
        code=_text(body, "code"),
        field=_text(body, "field"),
        errors=_faults(body),
        request_id=request_id,
    )


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None


def _faults(body: Mapping[str, Any]) -> tuple[Fault, ...]:
    listed = body.get("errors")
    faults = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return tuple(
        Fault(code, _text(one, "field"), error)
        for one in faults
        if (code := _text(one, "code")) is not None and (error := _text(one, "error")) is not None
    )


def _warnings(body: Mapping[str, Any]) -> tuple[CallWarning, ...]:
    return tuple(CallWarning(one["code"], one.get("field"), one["message"]) for one in body.get("warnings", ()))
