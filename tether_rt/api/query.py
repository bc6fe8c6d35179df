"""Query parameters as typed values, with errors that name the parameter."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

from tornado.web import RequestHandler

from tether_rt.domain.call import parse_time
from tether_rt.errors import BadRequest

MAX_TEXT_CHARS: Final = 512
MAX_OFFSET: Final = 10_000_000
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DATE_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


def text(handler: RequestHandler, name: str) -> str | None:
    """Return a parameter's text, None when absent or empty."""
    # Not `get_query_argument`, which turns control characters into spaces: an agent's name may hold any.
    values = handler.request.query_arguments.get(name)
    value = handler.decode_argument(values[-1], name) if values else None
    if value is not None and len(value) > MAX_TEXT_CHARS:
        raise BadRequest(f"{name} must be at most {MAX_TEXT_CHARS} characters", code="too_long", field=name)
    return value or None


def one_of(handler: RequestHandler, name: str, choices: tuple[str, ...]) -> str | None:
    """Return a parameter that must be one of the choices."""
    value = text(handler, name)
    if value is not None and value not in choices:
        raise BadRequest(f"{name} must be one of {', '.join(choices)}", code="unknown_value", field=name)
    return value


def whole(handler: RequestHandler, name: str, default: int, least: int, most: int) -> int:
    """Return a whole number between `least` and `most`."""
    value = text(handler, name)
    if value is None:
        return default
    if not re.fullmatch(r"[0-9]{1,12}", value) or not least <= int(value) <= most:
        raise BadRequest(f"{name} must be a whole number from {least} to {most}", code="out_of_range", field=name)
    return int(value)


def number(handler: RequestHandler, name: str) -> float | None:
    """Return a number of seconds, not negative."""
    value = text(handler, name)
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", value):
        raise BadRequest(f"{name} must be a number of seconds, such as 90 or 1.5", code="wrong_format", field=name)
    return float(value)


def day(handler: RequestHandler, name: str) -> date | None:
    """Return a calendar day, such as 2026-05-15; those of the calendar's first and last year are refused."""
    value = text(handler, name)
    if value is None:
        return None
    try:
        if not _DATE.fullmatch(value) or value[:4] in ("0001", "9999"):  # their midnight may be out of the calendar elsewhere
            raise ValueError(value)
        return date.fromisoformat(value)
    except ValueError as error:
        raise BadRequest(f"{name} must be a day such as 2026-05-15", code="wrong_format", field=name) from error


def moment(handler: RequestHandler, name: str, *, end: bool = False) -> datetime | None:
    """Return a point in time: an RFC 3339 date-time, or a date, which means its first moment in UTC.

    With `end`, the point is one that is excluded, so a date means the first moment of the next day: the whole day is in. The
    last day of the calendar, as some say for "no end", is in but for its last microsecond.
    """
    value = text(handler, name)
    if value is None:
        return None
    try:
        if _DATE.fullmatch(value):
            day = datetime.fromisoformat(value).replace(tzinfo=UTC)
            return min(day, _LAST - timedelta(days=1)) + timedelta(days=1) if end else day
        # A plus sign that nobody escaped arrives as a space.
        spaced = value.replace(" ", "+") if "T" in value.upper() else value
        if not _DATE_TIME.fullmatch(spaced):
            raise ValueError(value)
        point = parse_time(spaced)
        return point + timedelta(milliseconds=1) if end else point
    except (ValueError, OverflowError) as error:
        raise BadRequest(
            f"{name} must be a date such as 2026-05-15 or a time such as 2026-05-15T09:10:00Z", code="wrong_format", field=name
        ) from error
