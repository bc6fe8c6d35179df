"""Bland's webhook, and the calls it makes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.adapting import SOURCE, adapted, changed, dead, mutated, part, same_as_expected, sample, source
from tether_rt.ingest.vendors.bland import adapt
from tether_rt.ingest.vendors.parts import Ignored

CALLS = ("bland-post_call.json", "bland-post_call-no-answer.json")
DONE, UNANSWERED = (sample(name) for name in CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_samples_are_the_calls_that_they_should_be(name: str) -> None:
    found = part(adapt, sample(name))
    same_as_expected(name, found.fields)
    assert (found.call_key, found.name, found.has_facts) == (sample(name)["call_id"], "facts", True)
    assert found.fields["agentName"] == SOURCE.name
    assert found.outcome["cost"] == 0.077


def test_turns_have_the_seconds_since_the_call_began() -> None:
    turns = part(adapt, DONE).fields["transcript"]
    assert [turn["timestamp"] for turn in turns] == [2.1, 9.4, 16.9, 24.2]
    assert "timestamp" not in part(adapt, changed(DONE, started_at=None)).fields["transcript"][0]


@pytest.mark.parametrize(
    ("values", "status", "is_machine"),
    [
        ({"status": "completed"}, "completed", False),
        ({"status": "completed", "answered_by": "unknown"}, "completed", False),
        ({"status": "completed", "answered_by": "voicemail"}, "no-answer", True),
        ({"status": "completed", "answered_by": "no-answer"}, "no-answer", False),
        ({"status": "no-answer"}, "no-answer", False),
        ({"status": "no-answer", "answered_by": "voicemail"}, "no-answer", True),
        ({"status": "busy"}, "busy", False),
        ({"status": "canceled"}, "no-answer", False),
        ({"status": "failed"}, "failed", False),
        ({"status": "unknown", "error_message": "No route"}, "failed", False),
        ({"status": None, "completed": False}, "failed", False),
        ({"status": "unknown"}, "completed", False),
        ({"status": None}, "completed", False),
        ({"status": "tomorrows", "started_at": None}, "failed", False),
    ],
)
def test_the_status_is_blands_word_unless_a_machine_answered(values: dict[str, Any], status: str, is_machine: bool) -> None:
    found = part(adapt, changed(DONE, **values))
    assert (found.fields["status"], found.outcome.get("voicemail", False)) == (status, is_machine)


def test_a_status_that_is_not_known_is_said() -> None:
    found = part(adapt, changed(DONE, status="tomorrows"))
    assert any(note.field == "status" and "tomorrows" in note.note for note in found.notes)


def test_the_length_is_in_seconds_or_minutes_or_between_two_times() -> None:
    assert part(adapt, changed(DONE, corrected_duration=None)).fields["duration"] == 51
    assert part(adapt, changed(DONE, corrected_duration=None, call_length=None)).fields["duration"] == 51
    nothing = changed(DONE, corrected_duration=None, call_length=None, end_at=None)
    assert dead(adapt, nothing) == ("shape", "corrected_duration")
    assert part(adapt, changed(nothing, started_at=None)).fields["duration"] == 0


def test_an_unanswered_call_began_when_it_was_tried() -> None:
    assert part(adapt, UNANSWERED).fields["callStartTime"] == "2026-09-21T14:12:58.018Z"
    assert part(adapt, changed(UNANSWERED, created_at=None)).fields["callStartTime"] == "2026-09-21T15:00:00.000Z"


def test_the_direction_is_a_boolean_or_what_own_numbers_tell() -> None:
    assert part(adapt, changed(DONE, inbound=True)).fields["direction"] == "inbound"
    odd = changed(DONE, inbound="yes")
    assert dead(adapt, odd) == ("direction_unknown", "inbound")
    assert part(adapt, odd, source(numbers=(DONE["from"],))).fields["direction"] == "outbound"


def test_a_transcript_that_is_text_is_read_by_its_lines() -> None:
    script = "assistant: Hi.\n robot: beep\n user: Hello, note: one\n agent: two\n agent-action: Ended call"
    found = part(adapt, changed(DONE, transcripts=[], concatenated_transcript=script))
    assert found.fields["transcript"] == [
        {"role": "agent", "message": "Hi."},
        {"role": "user", "message": "Hello, note: one\nagent: two"},
    ]


def test_only_what_people_said_makes_turns() -> None:
    others = [{"user": who, "text": "beep", "created_at": None} for who in ("robot", "agent-action")]
    assert len(part(adapt, changed(DONE, transcripts=[*others, *DONE["transcripts"]])).fields["transcript"]) == 4


def test_metadata_variables_and_transfers_are_kept_without_secrets() -> None:
    root = changed(DONE, metadata={"campaign": 7, "apiKey": "Sw0rdfish"}, variables={"room": 3}, transferred_to="+14155550199")
    metadata = part(adapt, root).fields["metadata"]
    assert metadata == {"campaign": 7, "apiKey": "***", "variables": {"room": 3}, "transfer": "+14155550199"}


def test_what_is_no_call_is_said() -> None:
    live = {"call_id": "c1", "category": "latency", "message": "200 ms"}
    found = adapted(adapt, live)
    assert isinstance(found, Ignored)
    assert (found.code, found.call_key) == ("not_final", "c1")
    assert dead(adapt, changed(DONE, call_id=None, c_id=None)) == ("call_id_missing", "call_id")
    assert part(adapt, changed(DONE, call_id=None)).call_key == DONE["c_id"]
    assert dead(adapt, changed(DONE, to=None)) == ("number_missing", "to")
    other = adapted(adapt, changed(DONE, pathway_id="p1"), source(agent_ids=("p2",)))
    assert isinstance(other, Ignored)
    assert other.code == "other_agent"


@given(st.sampled_from((DONE, UNANSWERED)).flatmap(mutated))
def test_whatever_a_payload_holds_it_is_judged(root: Any) -> None:
    adapted(adapt, root)
