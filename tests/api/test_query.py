"""Query parameters: typed values, or a sentence that names the parameter; never anything else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.web import RequestHandler

from tests.support.bodies import VALID_TIMES, tried
from tether_rt.api import query
from tether_rt.domain.call import iso_ms, parse_time
from tether_rt.errors import BadRequest


def asked(**parameters: str) -> RequestHandler:
    """Return what a parameter is read from, for a request with these."""
    return handler_of(urlencode(parameters))


def handler_of(text: str) -> RequestHandler:
    handler = RequestHandler.__new__(RequestHandler)
    line = RequestStartLine("GET", f"/?{text}", "HTTP/1.1")
    handler.request = HTTPServerRequest(start_line=line, headers=HTTPHeaders({"Host": "calls.example"}))
    return handler


def refused(read: Callable[[], Any], name: str) -> None:
    with pytest.raises(BadRequest, match=f"^{name} must be "):
        read()


def shown(moment: datetime | None) -> str:
    assert moment is not None
    return iso_ms(moment)


def test_what_is_absent_or_empty_is_none() -> None:
    for handler in (asked(), asked(x="")):
        assert query.text(handler, "x") is None
        assert query.one_of(handler, "x", ("a",)) is None
        assert query.whole(handler, "x", 7, 1, 9) == 7
        assert query.moment(handler, "x") is None


def test_text_is_kept_as_it_is_and_has_a_longest_length() -> None:
    odd = " a+b & \0 \U0001f600 "
    assert query.text(asked(x=odd), "x") == odd
    assert query.text(asked(x="x" * query.MAX_TEXT_CHARS), "x") == "x" * query.MAX_TEXT_CHARS
    refused(lambda: query.text(asked(x="x" * (query.MAX_TEXT_CHARS + 1)), "x"), "x")


def test_of_two_values_the_last_one_counts() -> None:
    assert query.whole(handler_of("x=1&x=2"), "x", 0, 0, 9) == 2


def test_a_choice_is_one_of_its_choices() -> None:
    assert query.one_of(asked(x="busy"), "x", ("busy", "failed")) == "busy"
    with pytest.raises(BadRequest, match=r"^x must be one of busy, failed$"):
        query.one_of(asked(x="Busy"), "x", ("busy", "failed"))


@pytest.mark.parametrize("value", ["0", "10", "007"])
def test_a_whole_number_lies_between_its_bounds(value: str) -> None:
    assert query.whole(asked(x=value), "x", 5, 0, 10) == int(value)


@pytest.mark.parametrize("value", ["11", "-1", "+1", "1.0", "1e1", " 1", "1_0", "\u0663", "x", "9" * 500])
def test_what_is_no_whole_number_between_them_is_refused(value: str) -> None:
    refused(lambda: query.whole(asked(x=value), "x", 5, 0, 10), "x")


@pytest.mark.parametrize(
    ("value", "start", "end"),
    [
        ("2026-05-15", "2026-05-15T00:00:00.000Z", "2026-05-16T00:00:00.000Z"),
        ("2024-02-29", "2024-02-29T00:00:00.000Z", "2024-03-01T00:00:00.000Z"),
        ("0001-01-01", "0001-01-01T00:00:00.000Z", "0001-01-02T00:00:00.000Z"),
        ("9999-12-31", "9999-12-31T00:00:00.000Z", "9999-12-31T23:59:59.999Z"),
        ("2026-05-15T09:10:00Z", "2026-05-15T09:10:00.000Z", "2026-05-15T09:10:00.001Z"),
        ("2026-05-15 09:10:00z", "2026-05-15T09:10:00.000Z", "2026-05-15T09:10:00.001Z"),
        ("2026-05-15T11:10:00+02:00", "2026-05-15T09:10:00.000Z", "2026-05-15T09:10:00.001Z"),
        ("2026-05-15T11:10:00 02:00", "2026-05-15T09:10:00.000Z", "2026-05-15T09:10:00.001Z"),
        ("2026-05-15T09:10:00.123987Z", "2026-05-15T09:10:00.123Z", "2026-05-15T09:10:00.124Z"),
    ],
)
def test_a_date_is_its_whole_day_and_a_time_is_itself_included(value: str, start: str, end: str) -> None:
    assert shown(query.moment(asked(x=value), "x")) == start
    assert shown(query.moment(asked(x=value), "x", end=True)) == end


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "2026-05",
        "2026-02-30",
        "20260515",
        "2026-W20-5",
        "2026-05-15T09:10:00",
        "2026-05-15T09:10Z",
        "2026-05-15T25:00:00Z",
        "2026-05-15T09:10:00+25:00",
        "0000-01-01",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-01:00",
        "\u0662\u0660\u0662\u0666-\u0660\u0665-\u0661\u0665",
        "2026-05-15\n",
        "1747300200",
    ],
)
def test_what_is_neither_date_nor_time_is_refused(value: str) -> None:
    for end in (False, True):
        refused(lambda end=end: query.moment(asked(x=value), "x", end=end), "x")  # type: ignore[misc]


@given(value=VALID_TIMES)
def test_every_time_that_the_contract_has_is_read_as_the_domain_reads_it(value: str) -> None:
    moment, domain = tried(lambda: query.moment(asked(x=value), "x")), _parsed(value)
    assert isinstance(moment, BadRequest) if domain is None else moment == domain


def _parsed(value: str) -> datetime | None:
    try:
        return parse_time(value)
    except (ValueError, OverflowError):
        return None


@given(value=st.one_of(st.text(max_size=40), st.from_regex(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}:\d{2}(Z|[+-]\d{2}:\d{2}))?")))
@example(value="9999-12-31T23:59:59.999999Z")
def test_whatever_is_asked_there_is_a_value_or_a_sentence(value: str) -> None:
    handler = asked(x=value)
    for end in (False, True):
        moment = tried(lambda end=end: query.moment(handler, "x", end=end))  # type: ignore[misc]
        assert moment is None or isinstance(moment, BadRequest) or moment.utcoffset() == timedelta(0)
    assert isinstance(tried(lambda: query.whole(handler, "x", 5, 0, 10)), (int, BadRequest))
    assert isinstance(tried(lambda: query.number(handler, "x")), (float, BadRequest, type(None)))


@given(start=st.dates())
def test_the_end_of_a_day_is_the_beginning_of_the_next(start: Any) -> None:
    end = query.moment(asked(x=start.isoformat()), "x", end=True)
    assert end is not None
    begin = datetime(start.year, start.month, start.day, tzinfo=UTC)
    assert end - begin == timedelta(days=1) or start.isoformat() == "9999-12-31"
