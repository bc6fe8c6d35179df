"""A call: immutable values, and the rules of the contract that a JSON schema cannot express. No I/O; the clock is passed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

from tether_rt.domain.fields import CALL_FIELDS, HISTORIC, REQUIRED_WHEN_COMPLETED
from tether_rt.domain.formats import is_date_time
from tether_rt.domain.hints import name_sent_for
from tether_rt.domain.names import plain_name
from tether_rt.domain.party import read_address, read_caller
from tether_rt.domain.source import Source
from tether_rt.domain.warnings import FUTURE, CallWarning, call_warnings
from tether_rt.domain.wording import missing_field
from tether_rt.errors import BadRequest, Fault

UNKNOWN_CALLER: Final = "Unknown Caller"
"""A new contact's name until a call brings a `callerName`."""

KNOWN_FIELDS: Final = frozenset(CALL_FIELDS)
"""The contract's top-level fields; every other one is kept under `providerMetadata.extra`."""

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
    stated_start_time: datetime | None = None
    """The start as it was sent where it lies more than `FUTURE` ahead; `start_time` is the time of receipt then."""
    warnings: tuple[CallWarning, ...] = ()
    """What is odd about it."""
    outcome: dict[str, Any] | None = None
    """What a vendor's webhook says came of it: `success`, `sentiment`, `score`, `cost`, `endedReason`, `voicemail`."""
    missing: tuple[str, ...] = ()
    """Fields that a completed call of a webhook lacks and is not expected to get."""
    delivery_ids: tuple[str, ...] = ()
    """The deliveries of webhooks that made it."""

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
    schema cannot say: required when completed, numbers, times a calendar cannot hold. `rule_faults` finds all of them.
    """
    if body["status"] == "completed" and source.takes_contract:
        for name in REQUIRED_WHEN_COMPLETED:
            _require_when_completed(body, name)
    duration_s = _duration_s(body)
    for name in ("agentName", "callerName"):
        _require_short(name, body.get(name))
    _require_short("summary", body.get("summary"), MAX_SUMMARY_CHARS)
    # Any other value is a field that the contract does not know, as the word was before it had this meaning.
    is_historic = body.get(HISTORIC) is True and "callStartTime" in body
    known = KNOWN_FIELDS | {HISTORIC} if is_historic else KNOWN_FIELDS
    from_number, to_number = from_address(body), to_address(body)
    stated, end_time = _times(body.get("callStartTime"), duration_s, now)
    # A start in the year 2099 would stand above every later call for ever, and one in an hour for an hour.
    start_time = stated
    if stated - now > FUTURE:
        start_time, end_time = _times(None, duration_s, now)
    extra = {name: value for name, value in body.items() if name not in known}
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
        extra=extra,
        fingerprint=fingerprint,
        stated_start_time=stated if stated is not start_time else None,
        warnings=call_warnings(body, extra, from_number=from_number, to_number=to_number, start=stated, now=now),
    )


def rule_faults(body: dict[str, Any], *, now: datetime) -> Iterator[Fault]:
    """Yield everything that breaks the rules of `completed_call`; the body need not satisfy the schema.

    What is not of its type, or not there, breaks the schema and is left out here.
    """

    def has(name: str, *types: type) -> bool:
        return type(body.get(name)) in types

    rules: list[Callable[[], object]] = []
    if body.get("status") == "completed":
        rules += [partial(_require_when_completed, body, name) for name in REQUIRED_WHEN_COMPLETED]
    if has("duration", int, float):
        rules.append(partial(_duration_s, body))
    if has("fromNumber", str):
        rules.append(partial(from_address, body))
    if has("toNumber", str):
        rules.append(partial(to_address, body))
    rules += [partial(_require_short, name, body[name]) for name in ("agentName", "callerName") if has(name, str)]
    if has("summary", str):
        rules.append(partial(_require_short, "summary", body["summary"], MAX_SUMMARY_CHARS))
    if has("externalCallId", str):
        rules.append(partial(external_call_id, body))
    start_text = body["callStartTime"] if has("callStartTime", str) and is_date_time(body["callStartTime"]) else None
    duration_s = max(0, body["duration"]) if has("duration", int, float) else 0
    rules.append(partial(_times, start_text, duration_s, now))
    for rule in rules:
        try:
            rule()
        except BadRequest as refusal:
            yield from refusal.faults


def _require_when_completed(body: dict[str, Any], name: str) -> None:
    """Raise `BadRequest` if a completed call lacks one of the fields that it needs."""
    if name not in body:
        raise BadRequest.of([missing_field(name, name_sent_for(name, CALL_FIELDS, body))])
    if body[name] is None:
        raise BadRequest(f"{name} is null, but a completed call needs it", code="null_value", field=name)


def _duration_s(body: dict[str, Any]) -> float:
    duration_s: float = body["duration"]
    if duration_s < 0:
        raise BadRequest("duration must not be negative", code="out_of_range", field="duration")
    return duration_s


def from_address(body: Mapping[str, Any]) -> str | None:
    """Return the caller's address, None where it was withheld; raises `BadRequest` for what is no address."""
    read = read_caller if body.get("direction") == "inbound" else read_address
    return read(body["fromNumber"], "fromNumber", other=_text(body, "toNumber"))


def to_address(body: Mapping[str, Any]) -> str:
    """Return the called side's address; raises `BadRequest` for what is no address."""
    return read_address(body["toNumber"], "toNumber", other=_text(body, "fromNumber"))


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""


def external_call_id(body: dict[str, Any]) -> str | None:
    """Return what makes a call unique for its vendor, as it was sent; raises `BadRequest` for one that is too long or blank."""
    text: str | None = body.get("externalCallId")
    _require_short("externalCallId", text)
    if text is not None and not text.strip():
        # As an id it would make one call of all calls that have it.
        raise BadRequest("externalCallId is empty: leave it out, or send an id", code="empty_value", field="externalCallId")
    return text


def _require_short(name: str, text: str | None, most_chars: int = MAX_NAME_CHARS) -> None:
    if text is not None and len(text) > most_chars:
        raise BadRequest(f"{name} must have at most {most_chars} characters", code="too_long", field=name)


def _times(start_text: str | None, duration_s: float, now: datetime) -> tuple[datetime, datetime]:
    start = now
    if start_text is not None:
        try:
            start = parse_time(start_text)
        except (ValueError, OverflowError) as error:
            said = "callStartTime must be a real date and time, such as 2026-05-15T09:10:00.000Z"
            raise BadRequest(said, code="wrong_format", field="callStartTime") from error
        if not _EARLIEST <= start <= _LATEST:
            said = "callStartTime must lie between the years 1 and 9999"
            raise BadRequest(said, code="out_of_range", field="callStartTime")
    if not duration_s <= (_LATEST - start).total_seconds():  # NaN is not either
        said = "duration is in seconds and too large: the call would end after the year 9999"
        raise BadRequest(said, code="out_of_range", field="duration")
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
