"""ElevenLabs' events, and the parts of calls they make."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.adapting import ARRIVED, adapted, changed, dead, mutated, part, same_as_expected, sample, source
from tether_rt.domain.call import iso_ms
from tether_rt.ingest.vendors.elevenlabs import adapt
from tether_rt.ingest.vendors.parts import Dead, Ignored

CONVERSATION = sample("elevenlabs-post_call_transcription.json")
INBOUND = sample("elevenlabs-post_call_transcription-inbound.json")
AUDIO = changed(sample("elevenlabs-post_call_audio.json"), data__full_audio="lifted out")
NO_ANSWER = sample("elevenlabs-call_initiation_failure-no-answer.json")
BUSY = sample("elevenlabs-call_initiation_failure-busy.json")
CALL_KEY = "conv_5401k5p2m9x7e3tv8n4c6d1r0q2s"
PHONE = "data__metadata__phone_call"


@pytest.mark.parametrize(
    "name",
    [
        "elevenlabs-post_call_transcription.json",
        "elevenlabs-post_call_transcription-inbound.json",
        "elevenlabs-call_initiation_failure-no-answer.json",
        "elevenlabs-call_initiation_failure-busy.json",
    ],
)
def test_the_samples_make_the_calls_that_are_expected(name: str) -> None:
    made = part(adapt, sample(name))
    assert made.has_facts
    assert not made.awaits
    same_as_expected(name, made.fields)


def test_a_conversation_says_what_came_of_it_and_expects_its_audio() -> None:
    made = part(adapt, CONVERSATION)
    assert made.call_key == CALL_KEY
    assert made.expects == {"recording"}
    assert made.outcome["success"] is True
    assert {"endedReason", "cost"} <= set(made.outcome)
    assert part(adapt, INBOUND).expects == frozenset()
    assert "success" not in part(adapt, changed(CONVERSATION, data__analysis__call_successful="unknown")).outcome


def test_tools_belong_to_the_turn_before_them_with_their_results() -> None:
    turns = part(adapt, CONVERSATION).fields["transcript"]
    assert [turn["timestamp"] for turn in turns] == [0, 6, 10, 15, 20]
    [call] = turns[1]["extra"]["toolCalls"]
    assert call["tool_name"] == "lookup_delivery"
    assert json.loads(call["result"]["result_value"]) == {"window": "9-11"}
    assert [turn.get("extra") for turn in (turns[0], *turns[2:])] == [None] * 4


def test_a_silent_user_makes_no_turn() -> None:
    turns = [{"role": "user", "message": "..."}, {"role": "agent", "message": "..."}, {"role": "user", "message": "Hm."}]
    made = part(adapt, changed(CONVERSATION, data__transcript=turns))
    assert [turn["message"] for turn in made.fields["transcript"]] == ["...", "Hm."]
    assert all("timestamp" not in turn for turn in made.fields["transcript"])


def test_audio_is_a_part_without_facts() -> None:
    made = part(adapt, AUDIO)
    assert (made.call_key, made.name, made.has_facts, made.audio, dict(made.fields)) == (
        CALL_KEY,
        "recording",
        False,
        "lifted out",
        {},
    )
    assert dead(adapt, changed(AUDIO, data__full_audio=None)) == ("recording_unusable", "data.full_audio")


def test_older_events_have_their_fields_at_the_root() -> None:
    made = part(adapt, CONVERSATION)
    for older in (CONVERSATION["data"], {"type": "post_call_transcription", **CONVERSATION["data"]}):
        found = part(adapt, older)
        assert found.fields == made.fields
        assert found.outcome == made.outcome
    assert part(adapt, {"type": "post_call_audio", **AUDIO["data"]}).audio


@pytest.mark.parametrize("used", [True, False])
def test_a_machine_that_answers_is_no_answer(used: bool) -> None:
    if used:
        event = changed(CONVERSATION, data__metadata__features_usage__voicemail_detection__used=True)
    else:
        tool = {"role": "agent", "message": None, "tool_calls": [{"tool_name": "voicemail_detection"}]}
        event = changed(CONVERSATION, data__transcript=[*CONVERSATION["data"]["transcript"], tool])
    made = part(adapt, event)
    assert made.fields["status"] == "no-answer"
    assert made.outcome["voicemail"] is True
    assert made.fields["transcript"]


def test_a_failed_conversation_is_a_failed_call() -> None:
    event = changed(
        CONVERSATION,
        data__status="failed",
        data__metadata__call_duration_secs=None,
        data__metadata__termination_reason="",
        data__metadata__error={"code": 1002, "reason": "No credits left"},
    )
    made = part(adapt, event)
    assert (made.fields["status"], made.fields["duration"]) == ("failed", 0)
    assert made.outcome["endedReason"] == "No credits left"


def test_a_state_of_tomorrow_is_said_and_decided_by_whether_somebody_spoke() -> None:
    made = part(adapt, changed(CONVERSATION, data__status="dreamt"))
    assert made.fields["status"] == "completed"
    assert any(note.field == "status" and note.path == "data.status" and "none of those" in note.note for note in made.notes)
    assert part(adapt, changed(CONVERSATION, data__status="dreamt", data__transcript=None)).fields["status"] == "failed"
    assert adapted(adapt, changed(CONVERSATION, data__status="in-progress")).code == "not_final"  # type: ignore[union-attr]


def test_a_conversation_without_a_phone_is_ignored_unless_its_variables_have_numbers() -> None:
    widget = changed(CONVERSATION, **{PHONE: None})
    found = adapted(adapt, widget)
    assert isinstance(found, Ignored)
    assert (found.code, found.call_key) == ("not_a_phone_call", CALL_KEY)
    variables = {"system__caller_id": "+14155550142", "system__called_number": "+14155550118"}
    dialled = changed(widget, data__conversation_initiation_client_data__dynamic_variables=variables)
    assert dead(adapt, dialled) == ("direction_unknown", "data.metadata.phone_call.direction")
    sides = [part(adapt, dialled, source(numbers=(own,))).fields["direction"] for own in variables.values()]
    assert sides == ["outbound", "inbound"]


@pytest.mark.parametrize(
    ("values", "code", "place"),
    [
        ({"type": None}, "shape", "type"),
        ({"type": 7}, "shape", "type"),
        ({"data": {"resourceSpans": []}}, "shape", "data"),
        ({"data": []}, "shape", "data"),
        ({"data__conversation_id": None}, "call_id_missing", "data.conversation_id"),
        ({PHONE: "twilio"}, "shape", "data.metadata.phone_call"),
        ({f"{PHONE}__direction": "sideways"}, "direction_unknown", "data.metadata.phone_call.direction"),
        ({f"{PHONE}__external_number": None}, "number_missing", "data.metadata.phone_call.external_number"),
        ({f"{PHONE}__external_number": "anonymous"}, "number_missing", "data.metadata.phone_call.external_number"),
        ({f"{PHONE}__agent_number": "12"}, "number_invalid", "data.metadata.phone_call.agent_number"),
        ({"data__metadata__call_duration_secs": -1}, "shape", "data.metadata.call_duration_secs"),
    ],
)
def test_what_cannot_be_a_call_is_dead_and_names_its_place(values: dict[str, Any], code: str, place: str) -> None:
    assert dead(adapt, changed(CONVERSATION, **values)) == (code, place)


def test_a_failure_reads_numbers_without_plus_and_may_lack_them() -> None:
    body = {"from_number": 14155550118, "to_number": "14155550178"}
    made = part(adapt, changed(BUSY, data__metadata__body=body))
    assert (made.fields["fromNumber"], made.fields["toNumber"]) == ("+14155550118", "+14155550178")
    assert dead(adapt, changed(BUSY, data__metadata__body={}))[0] == "number_missing"
    assert dead(adapt, changed(BUSY, data__metadata=None))[0] == "number_missing"


@pytest.mark.parametrize("reason", ["unknown", "line-on-fire", None])
def test_other_reasons_of_a_failure_are_failed(reason: str | None) -> None:
    made = part(adapt, changed(NO_ANSWER, data__failure_reason=reason))
    assert made.fields["status"] == "failed"
    assert made.outcome.get("endedReason") == reason
    new = [note for note in made.notes if note.field == "status" and note.note]
    assert bool(new) == (reason != "unknown")


def test_a_time_that_cannot_be_is_not_believed() -> None:
    event = changed(CONVERSATION, data__metadata__start_time_unix_secs=1790000000000)
    assert part(adapt, event).fields["callStartTime"] == "2026-09-21T14:14:00.000Z"
    assert part(adapt, changed(event, event_timestamp=0)).fields["callStartTime"] == iso_ms(ARRIVED)


def test_the_name_of_the_agent_falls_back_to_its_id() -> None:
    assert part(adapt, changed(CONVERSATION, data__agent_name=None)).fields["agentName"] == CONVERSATION["data"]["agent_id"]


@pytest.mark.parametrize("event", [CONVERSATION, AUDIO, BUSY])
def test_a_source_takes_the_calls_of_its_agents_alone(event: dict[str, Any]) -> None:
    assert part(adapt, event, source(agent_ids=("other", event["data"]["agent_id"])))
    found = adapted(adapt, event, source(agent_ids=("other",)))
    assert isinstance(found, Ignored)
    assert found.code == "other_agent"


@pytest.mark.parametrize(
    ("event", "code"),
    [("voice_removed", "not_a_call_event"), ("post_call_dream", "unknown_event"), ("ä" * 300, "unknown_event")],
)
def test_other_events_are_ignored(event: str, code: str) -> None:
    found = adapted(adapt, {"type": event, "data": {"anything": 1}})
    assert isinstance(found, Ignored)
    assert found.code == code


@given(st.sampled_from([CONVERSATION, INBOUND, AUDIO, NO_ANSWER, BUSY]).flatmap(mutated))
def test_whatever_a_payload_holds_there_is_a_verdict_that_names_the_place(event: Any) -> None:
    found = adapted(adapt, event)
    if isinstance(found, Dead):
        assert found.field
