"""A call: immutable values, and the rules of the contract that a JSON schema cannot express. No I/O; the clock is passed in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from tether_rt.domain.names import plain_name
from tether_rt.domain.party import read_address, read_caller
from tether_rt.domain.source import Source
from tether_rt.errors import BadRequest

UNKNOWN_CALLER: Final = "Unknown Caller"
"""A new contact's name until a call brings a `callerName`."""

KNOWN_FIELDS: Final = frozenset(
    "direction fromNumber toNumber duration status transcript summary recording externalCallId agentName metadata "
    "callerName callStartTime".split()
)
"""The contract's top-level fields; every other one is kept under `providerMetadata.extra`."""

REQUIRED_WHEN_COMPLETED: Final = ("transcript", "summary", "recording")

MAX_NAME_CHARS: Final = 4096
"""The longest `externalCallId`, `agentName` and `callerName`. The schema has no limit, but ids are looked up hundreds at a time
in one query, which MongoDB takes up to 16 MB, and names are copied into every call, list and event."""

MAX_SUMMARY_CHARS: Final = 65_536
"""The longest `summary`: every list holds it, and a page of fifty with 14 MB each would exhaust the process's memory."""

_EARLIEST: Final = datetime(1, 1, 2, tzinfo=UTC)
_LATEST: Final = datetime(9999, 12, 30, tzinfo=UTC)


class Recording(NamedTuple):
    """A stored recording; `key` is its key in the recording store, `duration_s` is None if it could not be determined.

    `kind` names its format, `AMR` for example, and `is_playable` says whether browsers play that.
    """

    recording_id: str
    key: str
    content_type: str
    size_bytes: int
    sha256: str
    duration_s: float | None
    kind: str = "MP3"
    is_playable: bool = True


class CompletedCall(NamedTuple):
    """A call record as a vendor sent it, checked and normalised: numbers in E.164, times in UTC."""

    source_id: str
    source_name: str
    provider: str
    organization_id: str
    is_historic: bool
    """Whether it is from the past: dashboards show it without notice."""
    direction: str
    from_number: str | None
    """A number in E.164 or a SIP address, as `to_number` is; None when the caller withheld it."""
    to_number: str
    duration_s: float
    status: str
    start_time: datetime
    end_time: datetime
    transcript: list[dict[str, Any]]
    summary: str | None
    agent_name: str | None
    caller_name: str | None
    external_call_id: str | None
    metadata: dict[str, Any] | None
    extra: dict[str, Any]
    fingerprint: str

    @property
    def from_withheld(self) -> bool:
        """Whether the caller withheld the number."""
        return self.from_number is None

    @property
    def contact_number(self) -> str | None:
        """The other side's number or SIP address: the caller's when inbound, the called one when outbound."""
        return self.from_number if self.direction == "inbound" else self.to_number


def completed_call(body: dict[str, Any], source: Source, *, now: datetime, fingerprint: str) -> CompletedCall:
    """Build a call from a request body that already satisfies the schema.

    `now` (aware, UTC) stands in for a missing `callStartTime`. Raises `BadRequest` with the field's name for the rules the
    schema cannot say: required when completed, numbers, times a calendar cannot hold.
    """
    if body["status"] == "completed":
        for name in REQUIRED_WHEN_COMPLETED:
            if name not in body:
                raise BadRequest(f"Missing required field: {name}")
    duration_s = body["duration"]
    if duration_s < 0:
        raise BadRequest("duration must not be negative")
    for name in ("agentName", "callerName"):
        _require_short(name, body.get(name))
    _require_short("summary", body.get("summary"), MAX_SUMMARY_CHARS)
    # Any other value is a field that the contract does not know, as the word was before it had this meaning.
    is_historic = body.get("historic") is True and "callStartTime" in body
    known = KNOWN_FIELDS | {"historic"} if is_historic else KNOWN_FIELDS
    read_from = read_caller if body["direction"] == "inbound" else read_address
    from_number = read_from(body["fromNumber"], "fromNumber", other=body["toNumber"])
    to_number = read_address(body["toNumber"], "toNumber", other=body["fromNumber"])
    start_time, end_time = _times(body.get("callStartTime"), duration_s, now)
    return CompletedCall(
        source_id=source.id,
        source_name=source.name,
        provider=source.provider,
        organization_id=source.organization_id,
        is_historic=is_historic or source.settings.historic,
        direction=body["direction"],
        from_number=from_number,
        to_number=to_number,
        duration_s=duration_s,
        status=body["status"],
        start_time=start_time,
        end_time=end_time,
        transcript=body.get("transcript", []),
        summary=summary if (summary := body.get("summary")) and not summary.isspace() else None,
        agent_name=plain_name(body.get("agentName")),
        caller_name=plain_name(body.get("callerName")),
        external_call_id=external_call_id(body),
        metadata=body.get("metadata"),
        extra={name: value for name, value in body.items() if name not in known},
        fingerprint=fingerprint,
    )


def external_call_id(body: dict[str, Any]) -> str | None:
    """Return what makes a call unique for its vendor, as it was sent; raises `BadRequest` when it is too long to be one."""
    text: str | None = body.get("externalCallId")
    _require_short("externalCallId", text)
    return text


def _require_short(name: str, text: str | None, most_chars: int = MAX_NAME_CHARS) -> None:
    if text is not None and len(text) > most_chars:
        raise BadRequest(f"{name} must have at most {most_chars} characters")


def _times(start_text: str | None, duration_s: float, now: datetime) -> tuple[datetime, datetime]:
    start = now
    if start_text is not None:
        try:
            start = parse_time(start_text)
        except (ValueError, OverflowError) as error:
            raise BadRequest("callStartTime must be a real date and time, such as 2026-05-15T09:10:00.000Z") from error
        if not _EARLIEST <= start <= _LATEST:
            raise BadRequest("callStartTime must lie between the years 1 and 9999")
    if not duration_s <= (_LATEST - start).total_seconds():  # NaN is not either
        raise BadRequest("duration is in seconds and too large: the call would end after the year 9999")
    return start, start + timedelta(seconds=duration_s)


def parse_time(text: str) -> datetime:
    """Return an RFC 3339 date-time as an aware UTC datetime, fractions past the millisecond cut off (BSON keeps no more).

    A leap second (`:60`, RFC 3339 section 5.7) becomes the last millisecond before the next minute. Raises `ValueError` or
    `OverflowError` for what no calendar holds.
    """
    text = text.upper()
    leap = text[17:19] == "60"
    if leap:
        text = text[:17] + "59" + text[19:]
    moment = datetime.fromisoformat(text).astimezone(UTC)
    return moment.replace(microsecond=999_000 if leap else moment.microsecond // 1000 * 1000)


def iso_ms(moment: datetime) -> str:
    """Return an aware datetime as `2026-05-15T09:12:34.000Z`."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"
