"""Reads vendors' payloads, of which nothing may be taken for granted, and notes where each of our fields came from. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

from tether_rt.domain.call import iso_ms
from tether_rt.domain.party import read_address, read_caller
from tether_rt.domain.source import Source
from tether_rt.errors import BadRequest
from tether_rt.ingest.vendors.parts import DeadCode, Ignored, Note

_T = TypeVar("_T")

MAX_KEY_CHARS: Final = 256
"""Of a vendor's id of a call."""
MAX_LEFT_OUT: Final = 100
"""So many notes of a payload tell what was left out, one more says that there was more."""
_TOO_LARGE: Final = 1e15
_EARLIEST: Final = datetime(2015, 1, 1, tzinfo=UTC)
_DIRECTIONS: Final = {
    "inbound": "inbound",
    "incoming": "inbound",
    "outbound": "outbound",
    "outgoing": "outbound",
    "outbound-api": "outbound",
    "outbound-dial": "outbound",
}
_PLUSLESS: Final = re.compile(r"[1-9][0-9]{10,14}", re.ASCII)
"""Digits that may be a number with its country code; ten digits are a national number."""


class Unusable(Exception):
    """Raised by a reading that makes the whole event dead; its place is a path in the payload."""

    def __init__(self, code: DeadCode, sentence: str, place: str | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.place = place


def text(value: Any) -> str | None:
    """Return a text that is not blank, as it is."""
    return value if isinstance(value, str) and value.strip() else None


def name(value: Any) -> str | None:
    """Return an id or a name: a text that is not blank, or a whole number as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**18 else None
    return text(value)


def number(value: Any) -> float | None:
    """Return a number that is not negative, also from text (`"187"`); a whole one is an int."""
    if isinstance(value, str) and len(value) <= 32:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _TOO_LARGE:
        return None
    return int(value) if value == int(value) else value


def milliseconds(value: Any) -> float | None:
    """Return milliseconds as seconds."""
    found = number(value)
    return round(found / 1000, 3) if found is not None else None


def minutes(value: Any) -> float | None:
    """Return minutes as seconds."""
    found = number(value)
    return round(found * 60, 3) if found is not None else None


def truth(value: Any) -> bool | None:
    """Return JSON's true or false."""
    return value if isinstance(value, bool) else None


def url(value: Any) -> str | None:
    """Return an address of a file: `http://…` or `https://…`."""
    return value.strip() if isinstance(value, str) and value.strip().lower().startswith(("http://", "https://")) else None


def known(**fields: _T | None) -> dict[str, _T]:
    """Return the fields that are not None."""
    return {field: value for field, value in fields.items() if value is not None}


class Payload:
    """A parsed payload, read by dotted paths from its root; it notes what was taken and what was left out."""

    def __init__(self, root: Any, arrived_at: datetime) -> None:
        """`arrived_at` (aware, UTC) is when it came: a time more than a day later is not believed."""
        self.root = root
        self.arrived_at = arrived_at
        self.notes: list[Note] = []
        self._left_out = 0

    def at(self, path: str) -> Any:
        """Return the value at a path, None if there is none. `transcript.0.words` goes into arrays as well."""
        value = self.root
        for step in path.split("."):
            if isinstance(value, Mapping):
                value = value.get(step)
            elif isinstance(value, Sequence) and not isinstance(value, str) and step.isdecimal() and int(step) < len(value):
                value = value[int(step)]
            else:
                return None
        return value

    def items(self, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the objects of the array at a path, each with its own path; what is no object is noted and left out."""
        found = self.at(path)
        if found is None:
            return
        if not isinstance(found, list):
            self.left_out(path, "it is no array")
            return
        for index, item in enumerate(found):
            if isinstance(item, Mapping):
                yield f"{path}.{index}", item
            else:
                self.left_out(f"{path}.{index}", "it is no object")

    def take(self, field: str, *paths: str, read: Callable[[Any], _T | None], note: str = "") -> _T | None:
        """Return what `read` makes of the first path whose value it can read, and note that; None if there is none.

        A value that `read` returns None for is noted as left out, unless it is null, empty or not there.
        """
        for path in paths:
            value = self.at(path)
            if value is None:
                continue
            found = read(value)
            if found is not None:
                self.notes.append(Note(field, path, note))
                return found
            if value not in ("", [], {}):
                self.left_out(path, "its value is not of the kind that is expected here", field)
        return None

    def take_first(self, field: str, *attempts: tuple[str, Callable[[Any], _T | None]]) -> _T | None:
        """Return the first of these (path, `read`) that can be read, as `take` does."""
        for path, read in attempts:
            if (found := self.take(field, path, read=read)) is not None:
                return found
        return None

    def call_key(self, *paths: str) -> str:
        """Return the vendor's id of the call; raises `Unusable` where there is none."""
        for path in paths:
            key = name(self.at(path))
            if key is not None and len(key) <= MAX_KEY_CHARS:
                return key
            if key is not None:
                raise Unusable("shape", f"{path} has more than {MAX_KEY_CHARS} characters, which no id of a call has", path)
        raise Unusable("call_id_missing", f"{paths[0]} must be the id of the call", paths[0])

    def started(self, *attempts: tuple[str, Callable[[Any], str | None]]) -> str:
        """Return `callStartTime`: the first of these (path, `read`) that can be read, else when the payload arrived."""
        found = self.take_first("callStartTime", *attempts)
        if found is None:
            found = iso_ms(self.arrived_at)
            self.said("callStartTime", "when it arrived: it has no time that can be read")
        return found

    def left_out(self, path: str, why: str, field: str | None = None) -> None:
        """Note something that was left out."""
        self._left_out += 1
        if self._left_out <= MAX_LEFT_OUT:
            self.notes.append(Note(field, path, f"left out: {why}"))
        elif self._left_out == MAX_LEFT_OUT + 1:
            self.notes.append(Note(None, None, f"more than these {MAX_LEFT_OUT} were left out"))

    def said(self, field: str | None, note: str, path: str | None = None) -> None:
        """Note where a field came from that is not a plain copy of a value."""
        self.notes.append(Note(field, path, note))

    # ------------------------------------------------------------------ times, as `callStartTime` has them

    def unix_s(self, value: Any) -> str | None:
        """Return seconds since 1970 as RFC 3339, None outside of 2015 to a day after the arrival."""
        found = number(value)
        return self._moment(datetime.fromtimestamp(found, UTC)) if found is not None and found < 1e11 else None

    def unix_ms(self, value: Any) -> str | None:
        """Return milliseconds since 1970 as RFC 3339; see `unix_s`."""
        found = number(value)
        return self.unix_s(found / 1000) if found is not None else None

    def iso(self, value: Any) -> str | None:
        """Return an ISO 8601 text as RFC 3339; without an offset it is in UTC; see `unix_s`."""
        try:
            return self._moment(datetime.fromisoformat(value.strip())) if isinstance(value, str) else None
        except ValueError:
            return None

    def rfc2822(self, value: Any) -> str | None:
        """Return an RFC 2822 date as RFC 3339; see `unix_s`."""
        try:
            return self._moment(parsedate_to_datetime(value)) if isinstance(value, str) else None
        except (ValueError, TypeError, OverflowError):
            return None

    def _moment(self, moment: datetime) -> str | None:
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            return None
        return iso_ms(moment) if _EARLIEST <= moment <= self.arrived_at + timedelta(days=1) else None


def later_by(start: str, seconds: float) -> str:
    """Return an RFC 3339 time moved by so many seconds, which may be negative; by more than ten years it stays as it is."""
    return iso_ms(datetime.fromisoformat(start) + timedelta(seconds=seconds)) if abs(seconds) < 3e8 else start


def seconds_between(start: str, end: str) -> float:
    """Return the seconds from one RFC 3339 time to another, to the millisecond."""
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 3)


# ---------------------------------------------------------------------- who called whom


def direction(value: Any) -> str | None:
    """Return `inbound` or `outbound` for a vendor's word."""
    return _DIRECTIONS.get(value.strip().lower()) if isinstance(value, str) else None


def directed(
    payload: Payload, source: Source, path: str, from_path: str, to_path: str, *, read: Callable[[Any], str | None] = direction
) -> str:
    """Return the direction: the vendor's word, else what the source's own numbers tell; raises `Unusable` if neither does."""
    found = payload.take("direction", path, read=read)
    if found is None:
        found = own_side(source, payload.at(from_path), payload.at(to_path))
        if found is None:
            sentence = f"{path} does not say if the call was inbound or outbound, and nor do the source's own numbers"
            raise Unusable("direction_unknown", sentence, path)
        payload.said("direction", "by the source's own numbers", to_path if found == "inbound" else from_path)
    return found


def other_agent(payload: Payload, source: Source, path: str, call_key: str) -> Ignored | None:
    """Return the verdict on a call of an agent whose calls the source does not take, None where it takes it."""
    allowed = source.settings.agent_ids
    agent = name(payload.at(path))
    if not allowed or agent in allowed:
        return None
    sentence = f"{path} names {'another agent' if agent else 'no agent'}, and the source takes only the calls of those it names"
    return Ignored("other_agent", sentence, call_key, tuple(payload.notes))


def own_side(source: Source, from_number: Any, to_number: Any) -> str | None:
    """Return the direction that the source's own numbers tell, None where they do not."""
    own = set(source.settings.numbers)
    is_from, is_to = ((phone_text(number) in own) for number in (from_number, to_number))
    return None if is_from == is_to else ("outbound" if is_from else "inbound")


def phone_text(value: Any) -> str:
    """Return a number as text; one that its vendor sent without +, also as an integer, gets it where it has a country code."""
    found = name(value) or ""
    bare = found.strip()
    return f"+{bare}" if _PLUSLESS.fullmatch(bare) else found


def first_of(payload: Payload, *paths: str) -> str:
    """Return the first of these paths at which a name or a number stands, the first path where there is none."""
    return next((path for path in paths if phone_text(payload.at(path)).strip()), paths[0])


def party(payload: Payload, field: str, path: str, direction: str, *, other: str = "", default: str = "") -> str:
    """Return one side of a call, as the field `fromNumber` or `toNumber` of the contract takes it.

    `default` is the source's own number, for where nothing stands. Raises `Unusable` with `number_missing` where nothing
    stands, where a word of a withheld number stands on another side than the caller's of an inbound call, and for `client:…`;
    with `number_invalid` for what is neither a number nor a SIP address.
    """
    found = phone_text(payload.at(path)).strip()
    if not found and default:
        payload.said(field, "the source's own number")
        return default
    if not found or found.lower().startswith("client:"):
        what = "holds no number" if not found else "is a client of an app, which has no number"
        raise Unusable("number_missing", f"{path} {what}, so this is no call between two numbers", path)
    try:
        if field == "fromNumber" and direction == "inbound":
            is_withheld = read_caller(found, path, other=other) is None
        else:
            is_withheld = False
            read_address(found, path, other=other)
    except BadRequest as refusal:
        code: DeadCode = "number_missing" if refusal.faults[0].code == "withheld_number" else "number_invalid"
        raise Unusable(code, str(refusal), path) from refusal
    payload.notes.append(Note(field, path, "the caller withheld the number" if is_withheld else ""))
    return found


def parties(payload: Payload, direction: str, from_path: str, to_path: str) -> dict[str, str]:
    """Return the fields `direction`, `fromNumber` and `toNumber`; raises `Unusable` as `party` does."""
    to_number = party(payload, "toNumber", to_path, direction, other=phone_text(payload.at(from_path)))
    from_number = party(payload, "fromNumber", from_path, direction, other=to_number)
    return {"direction": direction, "fromNumber": from_number, "toNumber": to_number}


# ---------------------------------------------------------------------- what was said
