"""Vapi's events, and the calls they make."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.adapting import adapted, changed, dead, mutated, part, same_as_expected, sample, source
from tether_rt.domain.masking import masked
from tether_rt.ingest.vendors.parts import Ignored
from tether_rt.ingest.vendors.vapi import adapt

CALLS = tuple(f"vapi-end-of-call-report{variant}.json" for variant in ("", "-no-answer", "-failed"))
REPORT = sample(CALLS[0])
UNANSWERED = sample(CALLS[1])


def report(**values: Any) -> Any:
    return changed(REPORT, **{f"message__{place}": value for place, value in values.items()})


def status_for(reason: str | None, root: Any = REPORT) -> tuple[str, dict[str, Any]]:
    found = part(adapt, changed(root, message__endedReason=reason, message__call__endedReason=reason))
    return found.fields["status"], {name: value for name, value in found.outcome.items() if name != "cost"}


@pytest.mark.parametrize("name", CALLS)
def test_samples_are_the_calls_that_they_should_be(name: str) -> None:
    found = part(adapt, sample(name))
    same_as_expected(name, found.fields)
    assert (found.name, found.has_facts, found.awaits) == ("facts", True, frozenset())
    assert found.call_key == sample(name)["message"]["call"]["id"]


def test_a_report_says_what_came_of_the_call_and_when_each_turn_was() -> None:
    found = part(adapt, REPORT)
    assert found.outcome == {"success": True, "cost": 0.1134, "endedReason": "customer-ended-call"}
    assert found.fields["transcript"][0] == {
        "role": "agent",
        "message": "Sunrise Dental, this is Riley.",
        "timestamp": 1.2,
        "extra": {"endTimestamp": 3.3},
    }
    assert found.fields["recording"].endswith("-mono.wav")


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("customer-busy", "busy"),
        ("call.forwarding.operator-busy", "busy"),
        ("customer-did-not-answer", "no-answer"),
        ("call.in-progress.error-providerfault-outbound-sip-408-request-timeout", "no-answer"),
        ("call.in-progress.error-providerfault-outbound-sip-480-temporarily-unavailable", "no-answer"),
        ("call.ringing.sip-inbound-caller-hungup-before-call-connect", "no-answer"),
        ("customer-ended-call", "completed"),
        ("customer-ended-call-after-warm-transfer-attempt", "completed"),
        ("assistant-ended-call", "completed"),
        ("assistant-ended-call-with-hangup-task", "completed"),
        ("assistant-said-end-call-phrase", "completed"),
        ("assistant-forwarded-call", "completed"),
        ("silence-timed-out", "completed"),
        ("exceeded-max-duration", "completed"),
        ("call.in-progress.twilio-completed-call", "completed"),
        ("vonage-completed", "completed"),
        ("call.ringing.hook-executed-say", "completed"),
        ("pipeline-error-openai-llm-failed", "failed"),
        ("call.in-progress.error-providerfault-outbound-sip-403-forbidden", "failed"),
        ("call.in-progress.error-x-sip-400-bad-request", "failed"),
        ("twilio-failed-to-connect-call", "failed"),
        ("pipeline-no-available-llm-model", "failed"),
        ("worker-shutdown", "failed"),
        ("call.forwarding.operator-rejected", "failed"),
        ("vonage-disconnected", "failed"),
        ("twilio-reported-customer-misdialed", "failed"),
        ("assistant-not-found", "failed"),
        ("assistant-not-valid", "failed"),
        ("assistant-request-returned-no-assistant", "failed"),
        ("call-start-anything", "failed"),
        ("call.start.anything", "failed"),
        ("scheduled-call-deleted", "failed"),
        ("phone-call-provider-closed-websocket", "failed"),
        ("assistant-join-timed-out", "failed"),
        ("customer-did-not-give-microphone-permission", "failed"),
        ("call-deleted", "failed"),
    ],
)
def test_the_reason_of_the_end_decides_the_status(reason: str, status: str) -> None:
    assert status_for(reason) == (status, {"success": True, "endedReason": reason})


def test_voicemail_is_no_answer_with_what_was_said() -> None:
    found = part(adapt, report(endedReason="voicemail"))
    assert (found.fields["status"], found.outcome["voicemail"]) == ("no-answer", True)
    assert found.fields["transcript"]
    assert found.fields["summary"]
    assert found.fields["recording"]


@pytest.mark.parametrize("reason", ["manually-canceled", "a-reason-of-tomorrow", None])
def test_a_reason_that_is_not_known_is_kept_and_said(reason: str | None) -> None:
    outcome = {"endedReason": reason} if reason else {}
    assert status_for(reason) == ("completed", {"success": True, **outcome})
    assert status_for(reason, UNANSWERED) == ("failed", outcome)
    notes = part(adapt, changed(REPORT, message__endedReason=reason, message__call__endedReason=None)).notes
    assert any(note.field == "status" and (reason or "no reason") in note.note for note in notes)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("status-update", "not_final"),
        ("transcript", "not_final"),
        ("speech-update", "not_final"),
        ("hang", "not_final"),
        ("conversation-update", "not_final"),
        ("assistant-request", "not_a_call_event"),
        ("tool-calls", "not_a_call_event"),
        ("transfer-destination-request", "not_a_call_event"),
        ("knowledge-base-request", "not_a_call_event"),
        ("tomorrows-event", "unknown_event"),
    ],
)
def test_other_events_are_no_calls(kind: str, code: str) -> None:
    found = adapted(adapt, report(type=kind))
    assert isinstance(found, Ignored)
    assert (found.code, found.call_key) == (code, REPORT["message"]["call"]["id"])
    assert kind in found.error


@pytest.mark.parametrize("kind", ["webCall", "vapi.websocketCall"])
def test_calls_without_telephones_are_ignored(kind: str) -> None:
    found = adapted(adapt, report(call__type=kind))
    assert isinstance(found, Ignored)
    assert found.code == "not_a_phone_call"


def test_the_sources_number_stands_in_for_one_that_does_not_come() -> None:
    root = report(phoneNumber=None, call__phoneNumber={"id": "x"})
    assert dead(adapt, root) == ("number_missing", "message.phoneNumber.number")
    assert dead(adapt, root, source(numbers=("+14155550118", "+14155550119")))[0] == "number_missing"
    assert part(adapt, root, source(numbers=("+14155550118",))).fields["toNumber"] == "+14155550118"
    imported = report(phoneNumber={"twilioPhoneNumber": "+14155550118"})
    assert part(adapt, imported).fields["toNumber"] == "+14155550118"


def test_a_customer_may_be_withheld_or_have_a_sip_address() -> None:
    without = changed(REPORT, message__call__customer=None, message__customer={"sipUri": "sip:sam@pbx.example.com"})
    assert part(adapt, without).fields["fromNumber"] == "sip:sam@pbx.example.com"
    assert part(adapt, report(customer__number="anonymous")).fields["fromNumber"] == "anonymous"
    assert dead(adapt, report(customer__number="100")) == ("number_invalid", "message.customer.number")
    outbound = report(call__type="outboundPhoneCall", customer__number="anonymous")
    assert dead(adapt, outbound) == ("number_missing", "message.customer.number")
    assert dead(adapt, report(call__type="satelliteCall")) == ("direction_unknown", "message.call.type")


def test_the_length_is_taken_from_what_is_there() -> None:
    assert part(adapt, report(durationSeconds=None)).fields["duration"] == 16.2
    assert part(adapt, report(durationSeconds=None, durationMs=None)).fields["duration"] == 16.2
    unknown = report(durationSeconds=None, durationMs=None, endedAt=None)
    assert dead(adapt, unknown) == ("shape", "message.durationSeconds")
    assert part(adapt, changed(unknown, message__startedAt=None)).fields["duration"] == 0


def test_a_transcript_that_is_text_is_read_by_its_lines() -> None:
    script = "AI: Hello.\nAgent: Smith called\nAI:no\nUser: Hi.\nuser: x\n"
    found = part(adapt, report(artifact__messages=[], artifact__transcript=script))
    assert found.fields["transcript"] == [
        {"role": "agent", "message": "Hello.\nAgent: Smith called\nAI:no"},
        {"role": "user", "message": "Hi.\nuser: x"},
    ]


def test_tool_calls_are_kept_with_the_turn_before_them() -> None:
    calls = [{"id": "call_1", "function": {"name": "book", "arguments": {"day": "Thursday", "apiKey": "Sw0rdfish"}}}]
    messages = [*REPORT["message"]["artifact"]["messages"][:3], {"role": "tool_calls", "message": "", "toolCalls": calls}]
    turns = part(adapt, report(artifact__messages=messages)).fields["transcript"]
    assert turns[-1]["extra"]["toolCalls"][0]["function"] == {"name": "book", "arguments": {"day": "Thursday", "apiKey": "***"}}
    assert len(turns) == 2


@pytest.mark.parametrize(
    ("evaluation", "outcome"),
    [
        ("true", {"success": True}),
        ("False", {"success": False}),
        (True, {"success": True}),
        ("7", {"score": 7}),
        ("Excellent", {"score": "Excellent"}),
        (" ", {}),
        ([], {}),
    ],
)
def test_an_evaluation_is_a_success_or_a_score(evaluation: Any, outcome: dict[str, Any]) -> None:
    found = part(adapt, report(analysis__successEvaluation=evaluation)).outcome
    assert {name: found[name] for name in ("success", "score") if name in found} == outcome


def test_a_forwarded_call_shows_where_it_went() -> None:
    found = part(
        adapt, report(endedReason="assistant-forwarded-call", destination={"type": "number", "number": "+14155550199"})
    )
    assert found.fields["metadata"] == {"transfer": "+14155550199"}
    assert any(note.path == "message.destination.number" and "forwarded" in note.note for note in found.notes)


def test_only_the_agents_of_the_source_are_taken() -> None:
    assistant = REPORT["message"]["call"]["assistantId"]
    assert part(adapt, REPORT, source(agent_ids=(assistant, "x")))
    for root in (REPORT, changed(REPORT, message__call__assistantId=None, message__assistant=None)):
        found = adapted(adapt, root, source(agent_ids=("x",)))
        assert isinstance(found, Ignored)
        assert found.code == "other_agent"


SECRET = "Sw0rdfish-Qx7Lm2Vt9"
HELD_BY_VAPI: dict[str, Any] = {
    "phoneNumber": {
        "twilioAccountSid": SECRET,
        "twilioAuthToken": SECRET,
        "twilioApiKey": SECRET,
        "twilioApiSecret": SECRET,
        "server": {"url": f"https://u:{SECRET}@hooks.example/x?k={SECRET}", "secret": SECRET, "headers": {"X-Api-Key": SECRET}},
        "serverUrlSecret": SECRET,
        "authentication": {"username": "u", "password": SECRET},
    },
    "assistant": {
        "credentials": [{"provider": "azure", "apiKey": SECRET}, {"provider": "gcp", "gcpKey": {"privateKey": SECRET}}],
        "server": {"secret": SECRET, "backoffPlan": {"authenticationPlan": {"token": SECRET}}},
        "artifactPlan": {"recordingPath": f"https://s3.example/?X-Amz-Signature={SECRET}"},
    },
}


def test_secrets_of_others_are_masked_and_in_no_call() -> None:
    root = changed(REPORT)
    for place, held in HELD_BY_VAPI.items():
        root["message"][place] |= held
        root["message"]["call"][place] = held
    assert SECRET in json.dumps(root)
    assert SECRET not in json.dumps(masked(root))
    assert SECRET not in repr(part(adapt, root))


@given(st.sampled_from([sample(name) for name in (*CALLS, "vapi-status-update.json")]).flatmap(mutated))
def test_whatever_an_event_holds_it_is_judged(root: Any) -> None:
    adapted(adapt, root)
