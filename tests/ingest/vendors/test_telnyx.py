"""Telnyx's events, and the parts of calls they make."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.adapting import adapted, changed, dead, mutated, part, same_as_expected, sample, source
from tether_rt.ingest.vendors.parts import Ignored
from tether_rt.ingest.vendors.telnyx import adapt

HANGUP, INITIATED, SAVED = (sample(f"telnyx-call.{name}.json") for name in ("hangup", "initiated", "recording.saved"))
SESSION = "428c31b6-abf3-3bc1-b7f4-5013ef9657c1"


def hangup(**values: Any) -> Any:
    return changed(HANGUP, **{f"data__payload__{name}": value for name, value in values.items()})


def test_a_hangup_awaits_its_direction_where_nothing_else_tells_it() -> None:
    found = part(adapt, HANGUP)
    assert (found.call_key, found.has_facts) == (SESSION, True)
    assert (*found.awaits, found.waiting_code) == ("initiated", "direction_pending")
    assert "direction" not in found.fields
    before = part(adapt, INITIATED)
    assert (before.call_key, before.name, before.has_facts, before.fields) == (
        SESSION,
        "initiated",
        False,
        {"direction": "inbound"},
    )
    same_as_expected("telnyx-call.hangup.json", {**found.fields, **before.fields})
    assert found.expects == {"recording"}


def test_own_numbers_or_its_own_word_tell_the_direction_at_once() -> None:
    payload = HANGUP["data"]["payload"]
    for root, numbers, way in (
        (HANGUP, (payload["to"],), "inbound"),
        (HANGUP, (payload["from"],), "outbound"),
        (hangup(direction="outgoing"), (), "outbound"),
    ):
        found = part(adapt, root, source(numbers=numbers))
        assert (found.fields["direction"], found.awaits) == (way, frozenset())


@pytest.mark.parametrize(
    ("cause", "status"),
    [
        ("normal_clearing", "completed"),
        ("time_limit", "completed"),
        ("user_busy", "busy"),
        ("call_rejected", "busy"),
        ("no_answer", "no-answer"),
        ("timeout", "no-answer"),
        ("originator_cancel", "no-answer"),
        ("not_found", "failed"),
        ("unspecified", "failed"),
    ],
)
def test_the_cause_decides_the_status(cause: str, status: str) -> None:
    found = part(adapt, hangup(hangup_cause=cause))
    assert (found.fields["status"], found.outcome) == (status, {"endedReason": cause})
    assert found.fields["duration"] == (120.5 if status == "completed" else 0)
    assert found.expects == ({"recording"} if status == "completed" else set())


@pytest.mark.parametrize("cause", ["tomorrows_cause", None])
def test_a_cause_that_is_not_known_is_kept_and_said(cause: str | None) -> None:
    for sip, status in (("200", "completed"), ("503", "failed"), (None, "failed")):
        found = part(adapt, hangup(hangup_cause=cause, sip_hangup_cause=sip))
        assert found.fields["status"] == status
        assert any(note.field == "status" and (cause or "no cause") in note.note for note in found.notes)


def test_a_recording_is_the_mp3_or_what_there_is() -> None:
    found = part(adapt, SAVED)
    assert (found.call_key, found.name, found.has_facts) == (SESSION, "recording", False)
    assert found.fields == {"recording": SAVED["data"]["payload"]["recording_urls"]["mp3"]}
    wav = changed(SAVED, data__payload__recording_urls={"wav": "https://r.example/1.wav"})
    assert part(adapt, wav).fields["recording"].endswith(".wav")
    public = changed(
        SAVED, data__payload__recording_urls=None, data__payload__public_recording_urls={"mp3": "https://r.example/2"}
    )
    assert part(adapt, public).fields["recording"] == "https://r.example/2"
    none = changed(SAVED, data__payload__recording_urls=None)
    assert dead(adapt, none) == ("recording_unusable", "data.payload.recording_urls.mp3")


def test_insights_are_the_summary() -> None:
    event = changed(SAVED, data__event_type="call.conversation_insights.generated")
    results = [{"insight_id": "i1", "result": "Sam called."}, {"insight_id": "i2", "result": {"a": 1}}, {"result": "All well."}]
    found = part(adapt, changed(event, data__payload__results=results))
    assert (found.name, found.fields) == ("summary", {"summary": "Sam called.\nAll well."})


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ("call.answered", "not_final"),
        ("call.bridged", "not_final"),
        ("call.conversation.ended", "not_final"),
        ("call.dtmf.received", "not_final"),
        ("call.tomorrows", "unknown_event"),
        ("message.received", "unknown_event"),
    ],
)
def test_other_events_are_ignored(event: str, code: str) -> None:
    found = adapted(adapt, changed(HANGUP, data__event_type=event))
    assert isinstance(found, Ignored)
    assert (found.code, found.call_key) == (code, SESSION)
    assert event in found.error


def test_what_is_missing_is_named() -> None:
    assert dead(adapt, changed(HANGUP, data__event_type=None)) == ("shape", "data.event_type")
    assert dead(adapt, hangup(call_session_id=None)) == ("call_id_missing", "data.payload.call_session_id")
    assert dead(adapt, hangup(to="client:x")) == ("number_missing", "data.payload.to")
    assert dead(adapt, hangup(start_time="soon")) == ("shape", "data.payload.start_time")
    sideways = changed(INITIATED, data__payload__direction="sideways")
    assert dead(adapt, sideways) == ("direction_unknown", "data.payload.direction")


@given(st.sampled_from((HANGUP, INITIATED, SAVED)).flatmap(mutated))
def test_whatever_an_event_holds_it_is_judged(root: Any) -> None:
    adapted(adapt, root)
