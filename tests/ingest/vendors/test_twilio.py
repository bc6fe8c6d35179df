"""Twilio's callbacks, and the calls they make."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.adapting import adapted, changed, dead, mutated, part, same_as_expected, sample, source
from tether_rt.ingest.vendors.parts import Ignored
from tether_rt.ingest.vendors.twilio import adapt

CALLS = ("twilio-status-completed.txt", "twilio-status-no-answer.txt", "twilio-status-busy.txt")
COMPLETED, NO_ANSWER, _ = (sample(name) for name in CALLS)
RECORDING = sample("twilio-recording-completed.txt")
RINGING = sample("twilio-status-ringing.txt")


def ignored(root: Any) -> Ignored:
    found = adapted(adapt, root)
    assert isinstance(found, Ignored), found
    assert found.call_key == root["CallSid"]
    return found


@pytest.mark.parametrize("name", CALLS)
def test_samples_are_the_calls_that_they_should_be(name: str) -> None:
    found = part(adapt, sample(name))
    same_as_expected(name, found.fields)
    assert (found.call_key, found.name, found.has_facts) == (sample(name)["CallSid"], "facts", True)
    assert found.expects == ({"recording"} if "completed" in name else set())


def test_a_recording_callback_brings_an_mp3_to_its_call() -> None:
    found = part(adapt, RECORDING)
    assert (found.call_key, found.name, found.has_facts) == (COMPLETED["CallSid"], "recording", False)
    assert found.fields == {"recording": f"{RECORDING['RecordingUrl']}.mp3"}
    assert "WAV" in found.notes[0].note
    assert found.notes[0].path == "RecordingUrl"
    with_suffix = changed(RECORDING, RecordingUrl="https://api.twilio.com/RE1.wav")
    assert part(adapt, with_suffix).fields["recording"] == "https://api.twilio.com/RE1.wav"


@pytest.mark.parametrize(
    ("status", "ours"),
    [
        ("completed", "completed"),
        ("busy", "busy"),
        ("no-answer", "no-answer"),
        ("failed", "failed"),
        ("canceled", "no-answer"),
    ],
)
def test_a_final_status_is_a_call(status: str, ours: str) -> None:
    assert part(adapt, changed(COMPLETED, CallStatus=status)).fields["status"] == ours


@pytest.mark.parametrize("status", ["queued", "initiated", "ringing", "in-progress", "answered"])
def test_a_call_that_goes_on_is_not_final(status: str) -> None:
    assert ignored(changed(RINGING, CallStatus=status)).code == "not_final"


@pytest.mark.parametrize("machine", ["machine_start", "machine_end_beep", "machine_end_silence", "machine_end_other", "fax"])
def test_a_machine_that_answers_is_no_answer(machine: str) -> None:
    found = part(adapt, changed(COMPLETED, AnsweredBy=machine))
    assert (found.fields["status"], found.fields["duration"], found.outcome) == ("no-answer", 187, {"voicemail": True})
    assert part(adapt, changed(COMPLETED, AnsweredBy="human")).outcome == {}
    assert part(adapt, changed(COMPLETED, AnsweredBy="unknown")).fields["status"] == "completed"


@pytest.mark.parametrize(
    ("status", "error", "code", "words"),
    [
        ("in-progress", "0", "not_final", "goes on"),
        ("absent", "16101", "no_recording", "too short"),
        ("absent", "16102", "no_recording", "silent"),
        ("failed", "", "no_recording", "failed"),
        ("tomorrows", "", "unknown_event", "tomorrows"),
    ],
)
def test_a_recording_that_is_not_there_is_said(status: str, error: str, code: str, words: str) -> None:
    found = ignored(changed(RECORDING, RecordingStatus=status, ErrorCode=error))
    assert found.code == code
    assert words in found.error


def test_what_is_no_call_of_its_own_is_ignored() -> None:
    assert ignored(changed(COMPLETED, ParentCallSid="CA9")).code == "child_leg"
    assert ignored(changed(COMPLETED, CallStatus="parked")).code == "unknown_event"
    assert ignored({"CallSid": "CA1", "TranscriptionSid": "TR1"}).code == "unknown_event"


def test_what_is_missing_is_named() -> None:
    assert dead(adapt, changed(COMPLETED, CallSid=None)) == ("call_id_missing", "CallSid")
    assert dead(adapt, changed(COMPLETED, CallStatus=None)) == ("shape", "CallStatus")
    assert dead(adapt, changed(COMPLETED, CallDuration=None)) == ("shape", "CallDuration")
    assert dead(adapt, changed(COMPLETED, From="")) == ("number_missing", "From")
    assert dead(adapt, changed(COMPLETED, From="client:sam")) == ("number_missing", "From")
    assert dead(adapt, changed(COMPLETED, To="4155550118")) == ("number_invalid", "To")
    assert dead(adapt, changed(RECORDING, RecordingUrl="")) == ("recording_unusable", "RecordingUrl")
    assert dead(adapt, changed(RECORDING, RecordingStatus=None)) == ("shape", "RecordingStatus")


def test_the_direction_is_twilios_word_or_what_own_numbers_tell() -> None:
    for word, ours in (("inbound", "inbound"), ("outbound-api", "outbound"), ("outbound-dial", "outbound")):
        assert part(adapt, changed(COMPLETED, Direction=word)).fields["direction"] == ours
    odd = changed(COMPLETED, Direction="trunking-terminating")
    assert dead(adapt, odd) == ("direction_unknown", "Direction")
    assert part(adapt, odd, source(numbers=(COMPLETED["To"],))).fields["direction"] == "inbound"
    assert part(adapt, odd, source(numbers=(COMPLETED["From"],))).fields["direction"] == "outbound"


def test_callers_may_be_withheld_have_sip_addresses_and_names() -> None:
    for caller in ("+266696687", "anonymous", "sip:sam@pbx.example.com"):
        assert part(adapt, changed(COMPLETED, From=caller)).fields["fromNumber"] == caller
    assert part(adapt, changed(COMPLETED, CallerName="SAM FIELD")).fields["callerName"] == "SAM FIELD"
    assert "callerName" not in part(adapt, changed(NO_ANSWER, CallerName="SAM FIELD")).fields


def test_the_billed_minutes_and_the_recordings_length_are_not_the_calls() -> None:
    found = part(adapt, changed(COMPLETED, Duration="99", RecordingDuration="98"))
    assert found.fields["duration"] == 187


def test_a_call_without_a_time_begins_when_its_callback_came() -> None:
    found = part(adapt, changed(NO_ANSWER, Timestamp="yesterday"))
    assert found.fields["callStartTime"] == "2026-09-21T15:00:00.000Z"


@given(
    st.sampled_from((COMPLETED, NO_ANSWER, RECORDING, RINGING)).flatmap(
        lambda root: mutated(root, st.one_of(st.sampled_from(("", "-1", "1e14", "NaN", "x" * 70_000)), st.text(max_size=30)))
    )
)
def test_whatever_a_form_holds_it_is_judged(root: Any) -> None:
    adapted(adapt, root)
