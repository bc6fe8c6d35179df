"""What a call is: the rules that no schema can say."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import example, given

from tests.support.bodies import VALID_BODIES, VALID_TIMES, tried
from tether_rt.domain.call import (
    MAX_NAME_CHARS,
    MAX_SUMMARY_CHARS,
    CompletedCall,
    completed_call,
    external_call_id,
    iso_ms,
    parse_time,
)
from tether_rt.domain.contract import load_contract
from tether_rt.domain.source import Source, SourceSettings
from tether_rt.errors import BadRequest

NOW = datetime(2026, 5, 15, 9, 12, 34, 567_000, tzinfo=UTC)
SOURCE = Source("u" * 24, "o" * 24, "Sam Poe")
CONTRACT = load_contract()


BODY = {
    "direction": "inbound",
    "fromNumber": "+14165550100",
    "toNumber": "+442079460958",
    "duration": 0,
    "status": "no-answer",
}


def call(**changes: Any) -> CompletedCall:
    """Return a call of nobody who answered, with these changes to its body."""
    return completed_call({**BODY, **changes}, SOURCE, now=NOW, fingerprint="f")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-05-15T09:10:00Z", "2026-05-15T09:10:00.000Z"),
        ("2026-05-15t09:10:00z", "2026-05-15T09:10:00.000Z"),
        ("2026-05-15T09:10:00+05:30", "2026-05-15T03:40:00.000Z"),
        ("2026-05-15T09:10:00-00:00", "2026-05-15T09:10:00.000Z"),
        ("2026-05-13T23:10:00-23:59", "2026-05-14T23:09:00.000Z"),
        ("2026-05-15T09:10:00.1Z", "2026-05-15T09:10:00.100Z"),
        ("2026-05-15T09:10:00.9999Z", "2026-05-15T09:10:00.999Z"),
        ("2026-05-15T09:10:00.123456789012345678901234567890Z", "2026-05-15T09:10:00.123Z"),
        ("0001-01-02T00:00:00Z", "0001-01-02T00:00:00.000Z"),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
    ],
)
def test_times_become_utc_with_milliseconds(text: str, moment: str) -> None:
    assert iso_ms(parse_time(text)) == moment
    assert iso_ms(call(callStartTime=text).start_time) == moment


@pytest.mark.parametrize("text", ["2016-12-31T23:59:60Z", "2016-12-31T23:59:60.75Z", "2017-01-01T05:29:60+05:30"])
def test_a_leap_second_is_the_last_millisecond_before_the_next_minute(text: str) -> None:
    assert iso_ms(parse_time(text)) == "2016-12-31T23:59:59.999Z"


@pytest.mark.parametrize(
    "text",
    [
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "0001-01-01T23:59:59Z",
        "9999-12-31T00:00:00Z",
        "9999-12-31T23:59:59-12:00",
        "9999-12-31T23:59:60Z",
    ],
)
def test_a_time_that_no_calendar_holds_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadRequest, match=r"^callStartTime must"):
        call(callStartTime=text)


@given(text=VALID_TIMES)
@example(text="9999-12-30T00:00:00Z")
def test_every_time_of_the_contract_is_understood_or_refused_by_name(text: str) -> None:
    made = tried(lambda: call(callStartTime=text))
    if isinstance(made, BadRequest):
        assert str(made).startswith("callStartTime must")
        return
    start = made.start_time
    assert start.utcoffset() == timedelta(0)
    assert start.microsecond % 1000 == 0
    assert parse_time(iso_ms(start)) == start


def test_a_missing_start_time_means_now() -> None:
    assert call().start_time == NOW


def test_the_call_ends_its_duration_after_it_started() -> None:
    ended = call(callStartTime="2026-05-14T23:59:59Z", duration=31.3)
    assert iso_ms(ended.end_time) == "2026-05-15T00:00:30.300Z"
    assert ended.duration_s == 31.3


@pytest.mark.parametrize("duration", [-1, -0.001, -(2**63), -1e300])
def test_a_negative_duration_is_refused(duration: float) -> None:
    with pytest.raises(BadRequest, match=r"^duration must not be negative$"):
        call(duration=duration)


@pytest.mark.parametrize("duration", [1e12, 2**63, 1e300, 10**400, float("inf"), float("nan")])
def test_a_duration_past_the_end_of_the_calendar_is_refused(duration: float) -> None:
    with pytest.raises(BadRequest, match=r"^duration is .* too large"):
        call(duration=duration)


def test_the_longest_duration_is_the_one_that_the_calendar_still_holds() -> None:
    start = "9999-12-29T00:00:00Z"
    assert call(callStartTime=start, duration=86_400).duration_s == 86_400
    with pytest.raises(BadRequest, match=r"^duration"):
        call(callStartTime=start, duration=86_401)


@pytest.mark.parametrize("missing", ["transcript", "summary", "recording"])
def test_a_completed_call_must_have_everything_and_the_first_that_is_missing_is_named(missing: str) -> None:
    whole: dict[str, Any] = {"status": "completed", "transcript": [], "summary": "", "recording": ""}
    assert call(**whole).status == "completed"
    del whole[missing]
    with pytest.raises(BadRequest, match=rf"^Missing required field: {missing}$"):
        call(**whole)
    with pytest.raises(BadRequest, match=r"^Missing required field: transcript$"):
        call(status="completed")


@pytest.mark.parametrize("status", ["no-answer", "busy", "failed"])
def test_a_call_that_was_not_completed_needs_none_of_them(status: str) -> None:
    bare = call(status=status)
    assert (bare.transcript, bare.summary) == ([], None)


def test_the_contact_is_the_other_side() -> None:
    assert call(direction="inbound").contact_number == "+14165550100"
    assert call(direction="outbound").contact_number == "+442079460958"


def test_numbers_are_kept_in_e164_and_a_wrong_one_is_named() -> None:
    assert call(fromNumber="+1 (416) 555-0100").from_number == "+14165550100"
    for name in ("fromNumber", "toNumber"):
        with pytest.raises(BadRequest, match=rf"^{name} must"):
            call(**{name: "4165550100"})


def test_unknown_fields_are_kept_apart_and_rule_nothing() -> None:
    odd = {"organizationId": "stolen", "userId": "stolen", "$set": {"a": 1}, "_id": 1, "": None, "from": "x", "metadata ": 2}
    kept = call(**odd, metadata={"a": 1})
    assert kept.extra == odd
    assert kept.metadata == {"a": 1}
    assert (kept.organization_id, kept.source_id) == (SOURCE.organization_id, SOURCE.id)


START = "2026-05-15T09:10:00Z"


@pytest.mark.parametrize(
    ("changes", "is_historic", "extra"),
    [
        ({}, False, {}),
        ({"historic": True, "callStartTime": START}, True, {}),
        ({"historic": True}, False, {"historic": True}),
        *(({"historic": odd, "callStartTime": START}, False, {"historic": odd}) for odd in (False, None, 1, "true", [True])),
    ],
)
def test_a_call_is_historic_by_json_true_and_a_start_time(changes: dict[str, Any], is_historic: bool, extra: Any) -> None:
    kept = call(**changes)
    assert (kept.is_historic, kept.extra) == (is_historic, extra)
    archive = Source("a" * 24, "o" * 24, "Archive", settings=SourceSettings(historic=True))
    assert completed_call({**BODY, **changes}, archive, now=NOW, fingerprint="f").is_historic


@pytest.mark.parametrize(("given_name", "kept"), [(" Tom \n", "Tom"), ("  ", None), ("", None), ("\u00a0", None)])
def test_a_blank_caller_name_is_none(given_name: str, kept: str | None) -> None:
    assert call(callerName=given_name).caller_name == kept


@pytest.mark.parametrize("name", ["externalCallId", "agentName", "callerName"])
def test_names_and_ids_have_a_longest_length(name: str) -> None:
    call(**{name: "\U0001f600" * MAX_NAME_CHARS})
    with pytest.raises(BadRequest, match=rf"^{name} must have at most {MAX_NAME_CHARS} characters$"):
        call(**{name: "x" * (MAX_NAME_CHARS + 1)})


def test_a_summary_may_be_long_but_not_a_book() -> None:
    call(summary="\U0001f600" * MAX_SUMMARY_CHARS)
    with pytest.raises(BadRequest, match=rf"^summary must have at most {MAX_SUMMARY_CHARS} characters$"):
        call(summary="x" * (MAX_SUMMARY_CHARS + 1))


def test_an_external_id_is_kept_as_it_was_sent() -> None:
    odd = " A\0b\u0301 "
    assert call(externalCallId=odd).external_call_id == odd == external_call_id({"externalCallId": odd})
    assert external_call_id({}) is None


@given(body=VALID_BODIES)
def test_a_body_that_satisfies_the_schema_becomes_a_call_or_a_bad_request(body: dict[str, Any]) -> None:
    read = orjson.loads(json.dumps(body))
    CONTRACT.check("CallsIngestExternalCallRequest", read)
    made = tried(lambda: completed_call(read, SOURCE, now=NOW, fingerprint="f"))
    if isinstance(made, BadRequest):
        assert str(made)
        return
    assert made.start_time <= made.end_time
    assert made.from_number is None or made.from_number.startswith(("+", "sip"))
    assert made.extra.keys().isdisjoint({"direction", "metadata", "recording"})
