"""The events of a call, held to the contract that dashboards are written against."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.entries import NOW, caller, entry, recording
from tether_rt.domain.call import iso_ms
from tether_rt.domain.contract import load_contract
from tether_rt.domain.events import EVENT_NAMES, MAX_NAME_CHARS, MAX_SUMMARY_CHARS, CallIds, call_events, event_text

IDS = CallIds("a" * 24, "b" * 24, "c" * 24)
CONTRACT = load_contract()
MESSAGES = {
    "call_initiated": "CallInitiatedEvent",
    "call_ended": "CallEndedEvent",
    "call_recording_ready": "CallRecordingReadyEvent",
    "fetch_messages": "FetchMessagesEvent",
}


def events(*, voice: bool = True, contact_name: str = "Tom", **changes: Any) -> dict[str, dict[str, Any]]:
    """Return a call's events by name, read back from their text."""
    one = entry(caller(), **changes)
    named = call_events(one.call, IDS, contact_name, recording() if voice else None)
    return {event.name: json.loads(event_text(event, seq, iso_ms(NOW))) for seq, event in enumerate(named, 7)}


def test_a_recorded_call_has_the_four_events_in_their_order() -> None:
    found = events(direction="outbound", agentName="Alex", summary="Done.", callStartTime="2026-05-15T09:10:00Z", duration=31.3)
    assert tuple(found) == EVENT_NAMES
    assert [event["seq"] for event in found.values()] == [7, 8, 9, 10]
    assert {event["at"] for event in found.values()} == {"2026-05-15T09:12:34.567Z"}
    assert [event["id"] for event in found.values()] == [f"{'a' * 24}:{name}" for name in EVENT_NAMES]
    assert all(event.keys() == {"event", "seq", "id", "at", "data"} and event["event"] == name for name, event in found.items())
    where = {"callId": "a" * 24, "contactId": "b" * 24, "conversationId": "c" * 24}
    assert all(event["data"].items() >= where.items() for event in found.values())
    assert found["call_initiated"]["data"].keys() - where.keys() == {
        "contactName", "direction", "from", "to", "agentName", "provider", "startTime", "historic",
    }  # fmt: skip
    ended = found["call_ended"]["data"]
    assert (ended["duration"], ended["endTime"]) == (31.3, "2026-05-15T09:10:31.300Z")
    assert found["call_recording_ready"]["data"].keys() - where.keys() == {"recordingId", "duration", "contentType"}
    assert found["fetch_messages"]["data"] == where


def test_a_call_without_a_recording_has_the_other_three() -> None:
    assert tuple(events(voice=False)) == ("call_initiated", "call_ended", "fetch_messages")


@given(
    agent=st.none() | st.text(max_size=300),
    summary=st.none() | st.text(max_size=300),
    contact=st.text(max_size=300),
    voice=st.booleans(),
)
def test_every_event_satisfies_the_published_schema(agent: str | None, summary: str | None, contact: str, voice: bool) -> None:
    said: dict[str, Any] = {name: text for name, text in (("agentName", agent), ("summary", summary)) if text is not None}
    for name, event in events(voice=voice, contact_name=contact, **said).items():
        CONTRACT.check(MESSAGES[name], event)


@pytest.mark.parametrize(
    ("name", "field", "limit"),
    [("agentName", ("call_initiated", "agentName"), MAX_NAME_CHARS), ("summary", ("call_ended", "summary"), MAX_SUMMARY_CHARS)],
)
def test_a_long_text_is_cut_in_the_event_alone(name: str, field: tuple[str, str], limit: int) -> None:
    event, key = field

    def told(text: str) -> str:
        said: dict[str, Any] = {name: text}
        return str(events(**said)[event]["data"][key])

    assert told("x" * limit) == "x" * limit
    cut = told("\U0001f600" * (limit + 1))
    assert len(cut) == limit
    assert cut == "\U0001f600" * (limit - 1) + "…"


def test_the_largest_event_is_far_from_what_a_dashboard_may_be_behind() -> None:
    worst = "\x00" * 4096
    for event in events(contact_name=worst, agentName=worst, summary="\x00" * 65_536).values():
        assert len(json.dumps(event)) < 128 * 1024
