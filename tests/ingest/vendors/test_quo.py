"""Quo's events of both generations, and the parts of calls they make."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.adapting import adapted, changed, dead, mutated, part, same_as_expected, sample, source
from tether_rt.ingest.vendors.parts import Ignored
from tether_rt.ingest.vendors.quo import adapt

COMPLETED, RECORDING, TRANSCRIPT, SUMMARY = (
    sample(f"quo-call.{name}completed.json") for name in ("", "recording.", "transcript.", "summary.")
)
OLD = sample("quo-legacy-call.completed.json")
OTHER_PARTS = frozenset(("recording", "transcript", "summary"))


def completed(**values: Any) -> Any:
    return changed(COMPLETED, **{f"data__resource__{name}": value for name, value in values.items()})


def test_the_four_events_make_one_call() -> None:
    parts = [part(adapt, event) for event in (COMPLETED, RECORDING, TRANSCRIPT, SUMMARY)]
    assert [one.name for one in parts] == ["facts", "recording", "transcript", "summary"]
    assert {one.call_key for one in parts} == {"ACexample01"}
    assert [one.has_facts for one in parts] == [True, False, False, False]
    assert (parts[0].awaits, parts[0].waiting_code) == (OTHER_PARTS, "parts_pending")
    fields = {name: value for one in parts for name, value in one.fields.items()}
    same_as_expected("quo-call.summary.completed.json", fields)
    assert fields["summary"] == "The caller asked for pricing."
    assert fields["metadata"] == {"nextSteps": ["Send the price list."]}
    assert [turn["role"] for turn in fields["transcript"]] == ["agent", "user"]
    assert fields["transcript"][1]["extra"] == {"endTimestamp": 7}


def test_the_older_kind_is_read_as_well() -> None:
    found = part(adapt, OLD)
    assert (found.call_key, found.awaits) == ("AClegacy01", OTHER_PARTS)
    assert (found.fields["direction"], found.fields["fromNumber"]) == ("inbound", "+14155550142")
    assert (found.fields["status"], found.fields["duration"]) == ("completed", 55)
    missed = part(adapt, changed(OLD, data__object__answeredAt=None))
    assert (missed.fields["status"], missed.fields["duration"], missed.awaits) == ("no-answer", 0, frozenset())
    media = changed(OLD, data__object__media=[{"url": "https://r.example/1.mp3", "type": "audio/mpeg"}])
    assert part(adapt, media).awaits == OTHER_PARTS - {"recording"}
    recorded = part(adapt, changed(media, type="call.recording.completed"))
    assert (recorded.name, recorded.fields) == ("recording", {"recording": "https://r.example/1.mp3"})
    odd = changed(OLD, data__object__direction=None)
    assert dead(adapt, odd) == ("direction_unknown", "data.object.direction")
    assert part(adapt, odd, source(numbers=("+14155550118",))).fields["direction"] == "inbound"


@pytest.mark.parametrize(
    ("word", "answered", "unanswered"),
    [
        ("answered", "completed", "completed"),
        ("ai-handled", "completed", "completed"),
        ("forwarded", "completed", "no-answer"),
        ("unanswered", "no-answer", "no-answer"),
        ("abandoned", "no-answer", "no-answer"),
        ("failed", "failed", "failed"),
        ("unknown", "failed", "failed"),
        ("tomorrows", "completed", "failed"),
        (None, "completed", "failed"),
    ],
)
def test_the_status_is_quos_word_and_whether_somebody_answered(word: str | None, answered: str, unanswered: str) -> None:
    for is_answered, status in ((True, answered), (False, unanswered)):
        found = part(adapt, completed(status=word, **({} if is_answered else {"answeredAt": None})))
        assert found.fields["status"] == status
        assert found.awaits == (OTHER_PARTS if status == "completed" else frozenset())
        start = "2026-09-21T14:13:26.000Z" if is_answered else "2026-09-21T14:13:20.000Z"
        assert found.fields["callStartTime"] == start
        if not is_answered and status != "completed":
            assert found.fields["duration"] == 0
        assert word != "tomorrows" or any("tomorrows" in note.note for note in found.notes)


def test_a_voicemail_is_marked() -> None:
    assert part(adapt, completed(status="unanswered", hasVoicemail=True)).outcome == {"voicemail": True}
    assert part(adapt, completed(hasVoicemail=True)).outcome == {}


def test_the_length_may_be_missing() -> None:
    assert part(adapt, completed(duration=None)).fields["duration"] == 55
    assert dead(adapt, completed(duration=None, completedAt=None)) == ("shape", "data.resource.duration")


def test_an_outbound_call_goes_from_the_workspace() -> None:
    found = part(adapt, completed(direction="outgoing")).fields
    assert (found["direction"], found["fromNumber"], found["toNumber"]) == ("outbound", "+14155550118", "+14155550142")
    unavailable = changed(COMPLETED, data__context__participants={"workspace": [], "external": [], "resolution": "unavailable"})
    assert dead(adapt, unavailable) == ("number_missing", "data.context.participants.workspace.0")
    assert dead(adapt, completed(direction="sideways")) == ("direction_unknown", "data.resource.direction")


@pytest.mark.parametrize("event", [TRANSCRIPT, SUMMARY])
def test_what_quo_did_not_make_is_no_longer_awaited(event: Any) -> None:
    content = "dialogue" if event is TRANSCRIPT else "summary"
    for state in ("absent", "failed", "tomorrows"):
        values: dict[str, Any] = {"processingStatus": state, content: None, "nextSteps": []}
        found = part(adapt, changed(event, **{f"data__resource__{name}": value for name, value in values.items()}))
        assert found.fields == {}
        assert any(state in note.note for note in found.notes)
    still = adapted(adapt, changed(event, data__resource__processingStatus="in-progress"))
    assert isinstance(still, Ignored)
    assert still.code == "not_final"


def test_a_recording_event_without_one_is_said() -> None:
    none = adapted(adapt, changed(RECORDING, data__resource__recordings=[]))
    assert isinstance(none, Ignored)
    assert none.code == "no_recording"
    odd = changed(RECORDING, data__resource__recordings=[{"url": 5}])
    assert dead(adapt, odd) == ("recording_unusable", "data.resource.recordings.0.url")
    two = [{"url": "https://r.example/1"}, {"url": "https://r.example/2"}]
    found = part(adapt, changed(RECORDING, data__resource__recordings=two))
    assert found.fields == {"recording": "https://r.example/1"}
    assert any(note.path == "data.resource.recordings.1" for note in found.notes)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ("call.ringing", "not_final"),
        ("call.answered", "not_final"),
        ("call.missed", "not_final"),
        ("call.forwarded", "not_final"),
        ("message.received", "not_a_call_event"),
        ("contact.updated", "not_a_call_event"),
        ("call.tomorrows", "unknown_event"),
    ],
)
def test_other_events_are_ignored(event: str, code: str) -> None:
    found = adapted(adapt, changed(COMPLETED, type=event))
    assert isinstance(found, Ignored)
    assert found.code == code
    assert event in found.error


def test_what_is_missing_is_named() -> None:
    assert dead(adapt, changed(COMPLETED, type=None)) == ("shape", "type")
    assert dead(adapt, completed(id=None)) == ("call_id_missing", "data.resource.id")
    assert dead(adapt, changed(SUMMARY, data__resource__callId=None)) == ("call_id_missing", "data.resource.callId")


@given(st.sampled_from((COMPLETED, RECORDING, TRANSCRIPT, SUMMARY, OLD)).flatmap(mutated))
def test_whatever_an_event_holds_it_is_judged(root: Any) -> None:
    adapted(adapt, root)
