"""`POST /api/calls/validate`: what the ingest would make of a body, without any trace of it; and what calls are warned of."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.service import SAMPLES, Service, Tenant, missed, sample
from tether_rt.domain.call import iso_ms

MP3 = base64.b64encode((SAMPLES / "delivery.mp3").read_bytes()).decode()


def completed(**changes: Any) -> dict[str, Any]:
    return {**sample("delivery"), **changes}


async def told(tenant: Tenant, call: Any, **options: Any) -> dict[str, Any]:
    answer = await tenant.request("POST", "/api/calls/validate", json=call, **{"token": tenant.api_key, **options})
    assert answer.status == 200, answer.body
    return dict(answer.body)


async def trace(service: Service) -> list[int]:
    others = ("counters", "sessions", "search", "search_positions", "leases")  # written after other tests' calls, too
    names = [name for name in await service.database.list_collection_names() if name not in others]
    return [await service.database[name].estimated_document_count() for name in sorted(names)]


async def test_a_rehearsal_tells_what_the_ingest_then_does_and_leaves_no_trace(tenant: Tenant, service: Service) -> None:
    call = completed(externalCallId="rehearsed")
    before = await trace(service)
    rehearsed = await told(tenant, call)
    assert await trace(service) == before
    assert (rehearsed["verdict"], rehearsed["errors"]) == ("would_create", [])
    assert rehearsed["events"] == ["call_initiated", "call_ended", "call_recording_ready", "fetch_messages"]
    created = await tenant.post_call(call)
    assert created.status == 201
    assert created.body.get("warnings", []) == rehearsed["warnings"]
    stored = (await tenant.get(f"/api/calls/{created.body['callId']}")).body["call"]
    own = {"startTime", "endTime", "recordings"}  # the time of receipt stands in for a start; the recording is not stored
    told_of = {name: value for name, value in rehearsed["call"].items() if name not in own}
    assert told_of.items() <= {**told_of, **{name: stored[name] for name in told_of if name in stored}}.items()
    assert {"from", "to", "status", "direction", "duration", "transcription", "sourceId", "sourceName"} <= told_of.keys()
    again = await told(tenant, call)
    assert (again["verdict"], again["callId"]) == ("duplicate", created.body["callId"])
    assert "differs" not in again
    other = await told(tenant, {**call, "summary": "Another.", "agentName": "Sam"})
    assert (other["payloadDiffers"], other["differs"]) == (True, ["summary", "agentName"])


@pytest.mark.parametrize(
    ("call", "code", "field"),
    [
        ({**missed(), "fromNumber": "nobody"}, "not_e164", "fromNumber"),
        (completed(recording="bm90IGF1ZGlv"), "recording_not_audio", "recording"),
        (completed(recording="http://127.0.0.1/x.mp3"), "bad_recording", "recording"),
        (missed(metadata={"big": 2**64}), "not_storable", "metadata.big"),
        ([], "wrong_type", None),
    ],
)
async def test_a_refusal_is_told_with_everything_that_is_wrong(tenant: Tenant, call: Any, code: str, field: str) -> None:
    rehearsed = await told(tenant, call)
    assert rehearsed["verdict"] == "would_refuse"
    assert (rehearsed["errors"][0]["code"], rehearsed["errors"][0]["field"]) == (code, field)
    refused = await tenant.post_call(call)
    assert refused.status == 400
    assert refused.body["errors"] == rehearsed["errors"] or field == "recording"


async def test_people_who_are_signed_in_may_rehearse_as_well_and_strangers_may_not(tenant: Tenant) -> None:
    rehearsed = await told(tenant, missed(), token=tenant.token)
    assert rehearsed["call"]["sourceId"] == tenant.user_id
    assert (await tenant.request("POST", "/api/calls/validate", json=missed())).status == 401
    assert (await tenant.request("POST", "/api/calls/validate", json=missed(), token="tk_live_" + "x" * 43)).status == 401


def hence(**distance: float) -> str:
    return iso_ms(datetime.now(UTC) + timedelta(**distance))


NUMBER = "+14165550100"
ODD: dict[str, tuple[dict[str, Any], str, str]] = {
    "a start in an hour": (missed(callStartTime=hence(hours=1)), "start_in_future", "callStartTime"),
    "a start in years": (missed(callStartTime="2099-05-15T09:10:00Z"), "start_in_future", "callStartTime"),
    "days": (missed(duration=154_000_000), "long_duration", "duration"),
    "one number": (missed(fromNumber=NUMBER, toNumber=NUMBER), "same_number", "toNumber"),
    "a turn too late": (
        completed(duration=31, transcript=[{"role": "user", "message": "Hi.", "timestamp": 900}]),
        "turns_outside_call",
        "transcript[0].timestamp",
    ),
    "milliseconds": (completed(duration=31_000, recording=MP3), "length_mismatch", "duration"),
    "a number as a name": (missed(agentName="+1 416 555 0100"), "looks_like_other_field", "agentName"),
    "a slip in a name": (missed(callername="Ann"), "unknown_field", "callername"),
    "historic without a start": (missed(historic=True), "historic_ignored", "historic"),
}


@pytest.mark.parametrize("what", ODD)
async def test_what_is_odd_is_stored_and_said_everywhere(tenant: Tenant, what: str) -> None:
    call, code, field = ODD[what]
    answer = await tenant.post_call(call)
    assert answer.status == 201
    assert (code, field) in [(warning["code"], warning["field"]) for warning in answer.body["warnings"]]
    stored = (await tenant.get(f"/api/calls/{answer.body['callId']}")).body["call"]
    assert stored["warnings"] == answer.body["warnings"]
    (listed,) = (await tenant.get("/api/calls/history")).body["calls"]
    assert listed["warnings"] == answer.body["warnings"]


@pytest.mark.parametrize("distance", [{"minutes": 20}, {"hours": 5}, {"days": 26_000}])
async def test_a_call_from_the_future_does_not_stand_above_later_calls(tenant: Tenant, distance: dict[str, float]) -> None:
    ahead = hence(**distance)
    dashboard = await tenant.dashboard()
    first = await tenant.post_call(missed(callStartTime=ahead))
    later = await tenant.post_call(missed(callStartTime=hence(seconds=5)))
    listed = (await tenant.get("/api/calls/history")).body["calls"]
    assert [call["callId"] for call in listed] == [later.body["callId"], first.body["callId"]]
    assert [call.get("callStartTime") for call in listed] == [None, ahead]
    began = [event["data"] for event in await dashboard.events(6) if event["event"] == "call_initiated"]
    assert [event.get("callStartTime") for event in began] == [ahead, None]
    assert [event["startTime"] for event in began] == [call["startTime"] for call in reversed(listed)]


async def test_an_ordinary_call_has_no_warnings(tenant: Tenant) -> None:
    answer = await tenant.post_call(missed())
    assert "warnings" not in answer.body
    assert (await tenant.get(f"/api/calls/{answer.body['callId']}")).body["call"]["warnings"] == []
