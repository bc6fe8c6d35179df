"""Validation: what passes, and the sentence about what does not."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.contract import CALL, CONTRACT, INGEST, TURN, refusal
from tether_rt.domain.contract import Contract, load_contract
from tether_rt.domain.formats import MAX_TIME_CHARS, is_date, is_date_time
from tether_rt.domain.wording import MAX_BAD_ITEMS, MAX_NAME_CHARS, MAX_UNKNOWN_FIELDS
from tether_rt.errors import ConfigError

TURN_EXAMPLE = json.dumps(TURN)


def call_with(**fields: Any) -> dict[str, Any]:
    return {**CALL, **fields}


def call_without(name: str) -> dict[str, Any]:
    return {key: value for key, value in CALL.items() if key != name}


@pytest.mark.parametrize(
    "body",
    [
        CALL,
        {key: CALL[key] for key in ("direction", "fromNumber", "toNumber", "duration", "status")},
        call_with(transcript=[]),
        call_with(duration=1.5),
        call_with(metadata={}),
        call_with(summary="", externalCallId="", agentName="\0\U0001f600"),
        call_with(**{"$set": {"a.b": 1}, "": None, "_id": []}),
        call_with(callStartTime="2026-05-15t09:10:00+05:30"),
    ],
)
def test_valid_calls_pass(body: dict[str, Any]) -> None:
    CONTRACT.check(INGEST, body)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ([], "The body must be a JSON object"),
        (None, "The body must be a JSON object"),
        ("text", "The body must be a JSON object"),
        (7, "The body must be a JSON object"),
        ({}, "Missing required field: direction"),
        (call_without("fromNumber"), "Missing required field: fromNumber"),
        (call_without("toNumber"), "Missing required field: toNumber"),
        (call_without("duration"), "Missing required field: duration"),
        (call_without("status"), "Missing required field: status"),
        (call_with(direction="sideways"), "direction must be one of inbound, outbound"),
        (call_with(direction=None), "direction must be a string, and is null, but it is needed"),
        (call_with(status="done"), "status must be one of completed, no-answer, busy, failed: did you mean completed?"),
        (call_with(fromNumber=14165550100), "fromNumber must be a string: put it in quotes"),
        (call_with(duration="154"), "duration must be a number: did you mean 154, without quotes?"),
        (call_with(duration=True), "duration must be a number"),
        (call_with(duration=None), "duration must be a number, and is null, but it is needed"),
        (call_with(transcript="agent: Hi"), f"transcript must be an array of objects such as {TURN_EXAMPLE}, not plain text"),
        (call_with(transcript=[TURN, "Hey"]), f"transcript[1] must be an object such as {TURN_EXAMPLE}"),
        (
            call_with(transcript=[TURN] * 3 + [{**TURN, "role": "bot"}]),
            "transcript[3].role must be one of agent, user: did you mean agent?",
        ),
        (call_with(transcript=[{"role": "agent"}]), "Missing required field: transcript[0].message"),
        (
            call_with(transcript=[{**TURN, "timestamp": "0.5"}]),
            "transcript[0].timestamp must be a number: did you mean 0.5, without quotes?",
        ),
        (call_with(transcript=[{**TURN, "foo": 1}]), "transcript[0].foo is not a known field"),
        (call_with(transcript=[{**TURN, "a b\n": 1}]), 'transcript[0]."a b\\n" is not a known field'),
        (call_with(summary=None), "summary must be a string, and is null: leave it out"),
        (call_with(recording=None), "recording must be a string, and is null: leave it out"),
        (call_with(externalCallId=7), "externalCallId must be a string: put it in quotes"),
        (call_with(agentName=[]), "agentName must be a string"),
        (call_with(callerName={}), "callerName must be a string"),
        (call_with(metadata=[]), "metadata must be an object"),
        (call_with(metadata=None), "metadata must be an object, and is null: leave it out"),
        (
            call_with(callStartTime="yesterday"),
            "callStartTime must be an RFC 3339 date and time such as 2026-05-15T09:10:00.000Z",
        ),
        (call_with(callStartTime=1778836200), 'callStartTime must be a string: did you mean "2026-05-15T09:10:00.000Z"?'),
    ],
)
def test_one_sentence_names_the_place_and_what_to_change(body: object, sentence: str) -> None:
    assert refusal(body) == sentence


@pytest.mark.parametrize(
    ("schema", "body", "sentence"),
    [
        ("LoginRequest", {"email": "a@b.example"}, "Missing required field: password"),
        ("LoginRequest", {"email": "a" * 255, "password": "p"}, "email must have at most 254 characters"),
        ("ConversationAllRequest", {"contactId": None}, "contactId must be a string, and is null, but it is needed"),
        ("ConversationMessagesRequest", {"conversationId": "c", "limit": 0}, "limit must be 1 or more"),
        ("ConversationMessagesRequest", {"conversationId": "c", "limit": 201}, "limit must be 200 or less"),
        ("ConversationMessagesRequest", {"conversationId": "c", "limit": 1.5}, "limit must be a whole number"),
        (
            "ConversationMessagesRequest",
            {"conversationId": "c", "before": "a" * 24 + "\n"},
            "before must be a messageId or an RFC 3339 date-time such as 2026-05-15T09:10:00Z",
        ),
        ("ErrorResponse", {"success": True, "error": "No."}, "success must be false"),
        ("ErrorResponse", {"success": 0, "error": "No."}, "success must be true or false"),
        ("ErrorResponse", {"success": False, "error": ""}, "error must not be empty"),
        ("Id", 1, "The body must be a string: put it in quotes"),
        ("Id", "x", "The body must be in the form that the contract gives"),
    ],
)
def test_other_schemas_are_worded_too(schema: str, body: object, sentence: str) -> None:
    assert refusal(body, schema) == sentence


def test_a_schema_that_does_not_exist_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        CONTRACT.check("NoSuchSchema", {})


def test_a_value_that_json_does_not_have_is_refused() -> None:
    assert INGEST in refusal(call_with(duration=math.nan))


# ---------------------------------------------------------------------- input of any size


def nested(levels: int) -> Any:
    return orjson.loads("[" * levels + "]" * levels)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (call_with(transcript=[5] * 100_000), "transcript[0] must be an object"),
        (call_with(transcript=[TURN] * 100_000 + [{}]), "Missing required field: transcript[100000].role"),
        (call_with(direction="x" * 10_000_000), "direction must be one of inbound, outbound"),
        (call_with(duration="9" * 10_000_000), "duration must be a number"),
        (call_with(duration=nested(1000)), "duration must be a number"),
        (call_with(status=nested(1000)), "status must be a string"),
        (call_with(transcript=nested(1000)), "transcript[0] must be an object"),
        (call_with(callStartTime="2026-05-15T09:10:00." + "1" * 10_000_000), "callStartTime must be an RFC 3339 date and time"),
        (call_with(transcript=[{**TURN, **{f"field{n}": n for n in range(100_000)}}]), "transcript[0].field0 is not a known"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "body",
)
def test_huge_and_deep_bodies_get_a_short_sentence(body: dict[str, Any], sentence: str) -> None:
    said = refusal(body)
    assert said.startswith(sentence)
    assert len(said) < 120


def test_a_long_transcript_is_worded_at_its_first_wrong_turns_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """jsonschema on every turn would hold the event loop for seconds; it must see the wrong turn and no other."""
    seen: list[object] = []
    wording = type(CONTRACT._wording[INGEST])
    descend = wording.descend

    def counting(self: Any, instance: object, *args: Any, **kwargs: Any) -> Any:
        seen.append(instance)
        return descend(self, instance, *args, **kwargs)

    monkeypatch.setattr(wording, "descend", counting)
    wrong = [{**TURN, "role": "bot"}] * MAX_BAD_ITEMS
    refusal(call_with(transcript=[TURN] * 1000 + wrong + [{}]))
    assert not any(instance is TURN for instance in seen)
    assert {} not in seen
    assert len(CONTRACT.faults(INGEST, call_with(transcript=[{}] * 100_000))) == 2 * MAX_BAD_ITEMS
    fields = {f"field{n}": n for n in range(100_000)}
    assert len(CONTRACT.faults(INGEST, call_with(transcript=[{**TURN, **fields}]))) == MAX_UNKNOWN_FIELDS


def test_a_deep_metadata_passes() -> None:
    CONTRACT.check(INGEST, call_with(metadata=orjson.loads('{"a":' * 1000 + "{}" + "}" * 1000)))


@given(st.text(max_size=200))
@settings(deadline=None)
def test_a_turns_unknown_field_is_named_in_clipped_plain_ascii(name: str) -> None:
    if name in TURN:
        return
    said = refusal(call_with(transcript=[{**TURN, name: 1}]))
    assert said.startswith("transcript[0].")
    assert re.search(r" is not a known field(: did you mean (role|message|timestamp)\?)?$", said)
    assert said.isascii()
    assert said.isprintable()
    # A character outside ASCII is written \uXXXX, one outside the BMP as two of them.
    assert len(said) <= 14 + 12 * MAX_NAME_CHARS + 2 + 6 + 21 + 27


# ---------------------------------------------------------------------- formats


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-15T09:10:00Z",
        "2026-05-15T09:10:00.000Z",
        "2026-05-15T09:10:00.123456789+05:30",
        "2026-05-15t09:10:00z",
        "2026-05-15T00:00:00-00:00",
        "2024-02-29T23:59:59+23:59",
        "0000-02-29T00:00:00Z",
        "1990-12-31T23:59:60Z",
        "1990-12-31T15:59:60-08:00",
        "1991-01-01T05:29:60.5+05:30",
    ],
)
def test_date_times_of_rfc_3339(text: str) -> None:
    assert is_date_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-05-15",
        "2026-05-15T09:10:00",
        "2026-05-15 09:10:00Z",
        "2026-05-15T09:10Z",
        "2026-05-15T09:10:00,5Z",
        "2026-05-15T09:10:00.Z",
        "2026-05-15T09:10:00+0530",
        "2026-05-15T09:10:00+24:00",
        "2026-05-15T09:10:00+05:60",
        "2026-05-15T24:00:00Z",
        "2026-05-15T09:60:00Z",
        "2026-05-15T09:10:61Z",
        "2026-05-15T09:10:60Z",
        "1990-12-31T23:59:60-08:00",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "199.-12-28T00:00:00Z",
        "+026-05-15T09:10:00Z",
        "２０２６-05-15T09:10:00Z",
        " 2026-05-15T09:10:00Z",
        "2026-05-15T09:10:00Z\n",
        "1778836200",
        "2026-05-15T09:10:00." + "1" * MAX_TIME_CHARS + "Z",
    ],
)
def test_other_texts_are_not_date_times(text: str) -> None:
    assert not is_date_time(text)


@given(st.datetimes(timezones=st.timezones() | st.none()))
@settings(deadline=None)
def test_every_aware_datetime_is_a_date_time(moment: Any) -> None:
    offset = moment.utcoffset()
    # Zones of long ago were off by seconds, which RFC 3339 cannot say.
    assert is_date_time(moment.isoformat()) is (offset is not None and offset.total_seconds() % 60 == 0)


@given(st.dates())
def test_every_date_is_a_date(day: Any) -> None:
    assert is_date(day.isoformat())
    assert not is_date(day.isoformat() + "Z")


# ---------------------------------------------------------------------- documents


def test_the_served_documents_are_the_files() -> None:
    assert json.loads(CONTRACT.openapi_json())["openapi"] == "3.1.0"
    assert json.loads(CONTRACT.asyncapi_json())["asyncapi"] == "3.0.0"


def test_operations_are_methods_and_path_templates() -> None:
    assert ("POST", "/api/calls/ingest") in CONTRACT.operations
    assert ("GET", "/api/calls/{callId}/recording") in CONTRACT.operations


def test_a_missing_or_broken_contract_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"openapi\.yaml cannot be read"):
        load_contract(tmp_path)
    (tmp_path / "openapi.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match=r"openapi\.yaml cannot be read"):
        load_contract(tmp_path)
    (tmp_path / "openapi.yaml").write_text("- a")
    with pytest.raises(ConfigError, match="not a YAML mapping"):
        load_contract(tmp_path)


def test_one_name_is_one_schema_in_both_documents() -> None:
    document = {"paths": {}, "components": {"schemas": {"Twice": {"type": "object"}}}}
    with pytest.raises(ConfigError, match="Twice"):
        Contract(document, document)
