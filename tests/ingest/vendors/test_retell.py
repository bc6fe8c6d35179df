"""Retell's events, and the parts of calls they make."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.adapting import adapted, changed, dead, mutated, part, same_as_expected, sample, source
from tether_rt.ingest.vendors.parts import Dead, Ignored
from tether_rt.ingest.vendors.retell import adapt

ENDED = sample("retell-call_ended.json")
ANALYZED = sample("retell-call_analyzed.json")
ENDED_NO_ANSWER = sample("retell-call_ended-no_answer.json")
ANALYZED_NO_ANSWER = sample("retell-call_analyzed-no_answer.json")
STARTED = sample("retell-call_started.json")


def test_the_samples_make_the_calls_that_are_expected() -> None:
    same_as_expected("retell-call_analyzed.json", part(adapt, ANALYZED).fields)
    same_as_expected("retell-call_ended-no_answer.json", part(adapt, ENDED_NO_ANSWER).fields)
    assert part(adapt, ANALYZED_NO_ANSWER).fields["summary"] == "The call did not connect."


def test_a_call_that_was_connected_waits_for_its_analysis_which_has_everything() -> None:
    ended, analyzed = part(adapt, ENDED), part(adapt, ANALYZED)
    assert (ended.name, ended.has_facts, ended.waiting_code) == ("facts", True, "analysis_pending")
    assert ended.awaits == {"analysis"}
    assert (analyzed.name, analyzed.has_facts, analyzed.awaits) == ("analysis", True, frozenset())
    assert ended.call_key == analyzed.call_key
    assert ended.fields.items() <= analyzed.fields.items()
    assert part(adapt, ENDED_NO_ANSWER).awaits == frozenset()


def test_the_analysis_says_what_came_of_the_call() -> None:
    analysis = {"call_summary": "Done.", "call_successful": False, "user_sentiment": "Negative", "in_voicemail": False}
    made = part(adapt, changed(ANALYZED, call__call_analysis=analysis))
    assert {name: made.outcome[name] for name in ("success", "sentiment")} == {"success": False, "sentiment": "Negative"}
    assert made.outcome["endedReason"] == ANALYZED["call"]["disconnection_reason"]
    assert "voicemail" not in made.outcome


def test_turns_begin_with_their_first_word_and_keep_their_words() -> None:
    turns = part(adapt, ANALYZED).fields["transcript"]
    assert [turn["timestamp"] for turn in turns] == [0.4, 3.3, 7.0, 10.6, 12.8]
    assert [turn["extra"]["endTimestamp"] for turn in turns] == [2.6, 6.1, 9.9, 12.2, 14.4]
    assert turns[4]["extra"]["words"][0] == {"word": "You're ", "start": 12.8, "end": 13.333}
    wordless = part(adapt, changed(ANALYZED, call__transcript_object=[{"role": "agent", "content": "Hello.", "words": []}]))
    assert wordless.fields["transcript"] == [{"role": "agent", "message": "Hello."}]
    words = [None, {"word": "Hel", "start": "x"}, {"word": "lo", "start": 1, "end": -1, "more": 1}, {"word": " "}]
    odd = part(adapt, changed(ANALYZED, call__transcript_object=[{"role": "agent", "content": "Hello.", "words": words}]))
    [turn] = odd.fields["transcript"]
    assert turn == {"role": "agent", "message": "Hello.", "timestamp": 1, "extra": {"words": [{"word": "lo", "start": 1}]}}


TOOLS: list[dict[str, Any]] = [
    {"role": "agent", "content": "One moment.", "words": []},
    {"role": "tool_call_invocation", "tool_call_id": "t1", "name": "find", "arguments": "{}"},
    {"role": "tool_call_result", "tool_call_id": "t1", "content": "found"},
    {"role": "node_transition", "former_node_name": "a", "new_node_name": "b"},
    {"role": "transfer_target", "content": "Desk here.", "words": []},
]


def test_tools_belong_to_the_turn_before_them_whichever_list_has_the_turns() -> None:
    spoken = [TOOLS[0], TOOLS[4]]
    expected = [
        {
            "role": "agent",
            "message": "One moment.",
            "extra": {"toolCalls": [{**TOOLS[1], "result": TOOLS[2]}]},
        },
        {"role": "agent", "message": "Desk here."},
    ]
    both = changed(ANALYZED, call__transcript_object=spoken, call__transcript_with_tool_calls=TOOLS)
    one = changed(ANALYZED, call__transcript_object=None, call__transcript_with_tool_calls=TOOLS)
    scrubbed = changed(one, call__transcript_with_tool_calls=None, call__scrubbed_transcript_with_tool_calls=TOOLS)
    for event in (both, one, scrubbed):
        assert part(adapt, event).fields["transcript"] == expected


def test_a_transcript_that_is_one_text_is_the_last_resort() -> None:
    event = changed(ANALYZED, call__transcript_object=[], call__transcript_with_tool_calls=None)
    turns = part(adapt, event).fields["transcript"]
    assert [(turn["role"], turn["message"]) for turn in turns][:2] == [
        ("agent", "Riverside Clinic, how can I help?"),
        ("user", "I need to move my appointment to Tuesday."),
    ]
    assert len(turns) == 5


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        *((reason, "completed") for reason in ("user_hangup", "transfer_bridged", "max_duration_reached", "call_take_over")),
        *((reason, "no-answer") for reason in ("voicemail_reached", "ivr_reached", "dial_no_answer")),
        *((reason, "busy") for reason in ("dial_busy", "user_declined")),
        *((reason, "failed") for reason in ("dial_failed", "telephony_provider_unavailable", "error_asr", "scam_detected")),
        *((reason, "completed") for reason in ("beamed_up", None)),
    ],
)
def test_the_reason_decides_the_status(reason: str | None, status: str) -> None:
    made = part(adapt, changed(ENDED, call__disconnection_reason=reason))
    assert made.fields["status"] == status
    assert made.outcome.get("endedReason") == reason
    assert made.outcome.get("voicemail") == (True if reason in ("voicemail_reached", "ivr_reached") else None)
    assert any("none of those" in note.note for note in made.notes if note.field == "status") == (reason == "beamed_up")


@pytest.mark.parametrize(
    ("call_status", "started", "status"),
    [
        ("not_connected", True, "failed"),
        ("error", True, "failed"),
        ("ended", False, "completed"),
        ("humming", True, "completed"),
        (None, False, "failed"),
    ],
)
def test_without_a_known_reason_the_state_decides(call_status: str | None, started: bool, status: str) -> None:
    event = changed(ENDED, call__disconnection_reason="beamed_up", call__call_status=call_status)
    event = event if started else changed(event, call__start_timestamp=None)
    assert part(adapt, event).fields["status"] == status


def test_a_machine_that_the_analysis_tells_is_no_answer() -> None:
    made = part(adapt, changed(ANALYZED, call__call_analysis__in_voicemail=True))
    assert (made.fields["status"], made.outcome["voicemail"]) == ("no-answer", True)
    assert made.fields["transcript"]


def test_a_duration_that_is_missing_is_the_time_between() -> None:
    assert part(adapt, changed(ENDED, call__duration_ms=None)).fields["duration"] == 14.89
    event = changed(ENDED, call__duration_ms=None, call__end_timestamp=None)
    assert dead(adapt, event) == ("shape", "call.duration_ms")


def test_a_scrubbed_recording_is_taken_where_there_is_no_other() -> None:
    event = changed(ENDED, call__recording_url=None, call__scrubbed_recording_url="https://files.example.com/scrubbed.wav")
    assert part(adapt, event).fields["recording"] == "https://files.example.com/scrubbed.wav"


def test_what_the_customer_gave_along_and_the_transfer_are_metadata_without_secrets() -> None:
    event = changed(ENDED, call__metadata={"order": 7, "api_key": "abc"}, call__transfer_destination="+14155550190")
    assert part(adapt, event).fields["metadata"] == {"order": 7, "api_key": "***", "transfer": "+14155550190"}
    assert "metadata" not in part(adapt, ENDED).fields


@pytest.mark.parametrize(
    ("values", "code", "place"),
    [
        ({"event": None}, "shape", "event"),
        ({"call": None}, "call_id_missing", "call.call_id"),
        ({"call__call_id": None}, "call_id_missing", "call.call_id"),
        ({"call__direction": None}, "direction_unknown", "call.direction"),
        ({"call__to_number": None}, "number_missing", "call.to_number"),
        ({"call__from_number": "abc"}, "number_invalid", "call.from_number"),
    ],
)
def test_what_cannot_be_a_call_is_dead_and_names_its_place(values: dict[str, Any], code: str, place: str) -> None:
    assert dead(adapt, changed(ENDED, **values)) == (code, place)


def test_the_sources_own_numbers_tell_a_direction_that_is_missing() -> None:
    event = changed(ENDED, call__direction=None)
    assert part(adapt, event, source(numbers=("+14155550118",))).fields["direction"] == "inbound"


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (STARTED, "not_final"),
        (changed(ENDED, event="transfer_bridged"), "not_final"),
        (changed(ENDED, event="chat_ended"), "not_a_phone_call"),
        (changed(ENDED, event="call_dreamt"), "unknown_event"),
        (changed(ENDED, call__call_type="web_call", call__from_number=None), "not_a_phone_call"),
    ],
)
def test_other_events_are_ignored(event: dict[str, Any], code: str) -> None:
    found = adapted(adapt, event)
    assert isinstance(found, Ignored)
    assert (found.code, found.call_key) == (code, ENDED["call"]["call_id"])


def test_a_source_takes_the_calls_of_its_agents_alone() -> None:
    assert part(adapt, ENDED, source(agent_ids=(ENDED["call"]["agent_id"],)))
    found = adapted(adapt, ENDED, source(agent_ids=("another",)))
    assert isinstance(found, Ignored)
    assert found.code == "other_agent"


@given(st.sampled_from([ENDED, ANALYZED, ENDED_NO_ANSWER, ANALYZED_NO_ANSWER, STARTED]).flatmap(mutated))
def test_whatever_a_payload_holds_there_is_a_verdict_that_names_the_place(event: Any) -> None:
    found = adapted(adapt, event)
    if isinstance(found, Dead):
        assert found.field
