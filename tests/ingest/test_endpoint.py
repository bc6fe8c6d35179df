"""`POST /api/calls/ingest` from outside: each rule of the contract with its answer, on a real server."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import uuid
from typing import Any

import pytest

from tests.support.service import SAMPLES, Service, Tenant, missed, sample
from tests.support.waiting import eventually
from tether_rt.http.json_body import MAX_JSON_BYTES, MAX_VALUES

CONTRACT_EXAMPLE = {
    "direction": "outbound",
    "fromNumber": "+14165550100",
    "toNumber": "+14165550199",
    "duration": 154,
    "status": "completed",
    "transcript": [
        {"role": "agent", "message": "Hi, this is Alex from Example Corp.", "timestamp": 0.5},
        {"role": "user", "message": "Hey Alex.", "timestamp": 2.8},
    ],
    "summary": "Confirmed appointment for Friday at 2pm.",
    "externalCallId": "vendor-call-abc123",
    "agentName": "Alex (Example Agent)",
    "callStartTime": "2026-05-15T09:10:00.000Z",
}
GONE: Any = ...
MP3 = base64.b64encode((SAMPLES / "delivery.mp3").read_bytes()).decode()


async def refused(tenant: Tenant, call: Any, status: int, pattern: str) -> None:
    """Post what must not be taken; nothing may be stored."""
    answer = await tenant.post_call(call)
    assert answer.status == status, answer.body
    assert answer.body["success"] is False
    assert re.search(pattern, answer.body["error"]), answer.body["error"]
    assert (await tenant.get("/api/calls/history")).body["total"] == 0


async def stored(tenant: Tenant, call: dict[str, Any]) -> dict[str, Any]:
    """Post what must be taken, and return the call as the agent sees it."""
    answer = await tenant.post_call(call)
    assert answer.status == 201, answer.body
    return dict((await tenant.get(f"/api/calls/{answer.body['callId']}")).body["call"])


async def test_the_contracts_own_example_is_stored_with_everything_it_says(tenant: Tenant, service: Service) -> None:
    answer = await tenant.post_call({**CONTRACT_EXAMPLE, "recording": MP3})
    assert answer.status == 201
    assert set(answer.body) == {"success", "callId", "contactId", "conversationId", "warnings"}
    assert answer.headers["X-Request-Id"]
    call = await service.database["calls"].find_one({"callId": answer.body["callId"]})
    assert call is not None
    assert call["_id"] == call["callId"]
    assert call["provider"] == "external"
    assert call["providerCallId"] == "vendor-call-abc123"
    assert (call["from"], call["to"]) == ("+14165550100", "+14165550199")
    assert call["transcription"] == CONTRACT_EXAMPLE["transcript"]
    assert (call["endTime"] - call["startTime"]).total_seconds() == 154
    assert call["providerMetadata"] == {"metadata": None, "extra": {}}
    (recording,) = call["recordings"]
    assert recording["key"] == f"recordings/{tenant.organization_id}/{call['_id']}.mp3"
    assert recording["contentType"] == "audio/mpeg"
    assert recording["bytes"] == (SAMPLES / "delivery.mp3").stat().st_size
    assert 15 < recording["duration"] < 18
    contact = await service.database["contacts"].find_one({"_id": answer.body["contactId"]})
    assert contact is not None
    assert (contact["number"], contact["name"]) == ("+14165550199", "Unknown Caller")
    conversation = await service.database["conversations"].find_one({"_id": answer.body["conversationId"]})
    assert conversation is not None
    assert (conversation["contactId"], conversation["type"]) == (contact["_id"], "call")
    message = await service.database["messages"].find_one({"callId": call["callId"]})
    assert message is not None
    assert (message["type"], message["content"]) == ("call", CONTRACT_EXAMPLE["summary"])


async def test_a_recorded_call_yields_four_events_with_consecutive_numbers(tenant: Tenant) -> None:
    dashboard = await tenant.dashboard()
    answer = await tenant.post_call(sample())
    events = await dashboard.events(4)
    names = ["call_initiated", "call_ended", "call_recording_ready", "fetch_messages"]
    assert [event["event"] for event in events] == names
    first = dashboard.hello["seq"] + 1
    assert [event["seq"] for event in events] == [first, first + 1, first + 2, first + 3]
    assert [event["id"] for event in events] == [f"{answer.body['callId']}:{name}" for name in names]
    where = {name: answer.body[name] for name in ("callId", "contactId", "conversationId")}
    initiated, ended, ready, messages = (event["data"] for event in events)
    assert initiated == {
        **where,
        "contactName": "Priya Nair",
        "direction": "outbound",
        "from": "+14165550100",
        "to": "+14165550199",
        "agentName": "Alex (Maple Dental)",
        "provider": "external",
        "startTime": "2026-05-15T09:10:00.000Z",
        "historic": False,
    }
    assert ended.items() >= {**where, "status": "completed", "duration": 31.3, "endTime": "2026-05-15T09:10:31.300Z"}.items()
    assert ready.items() >= {**where, "contentType": "audio/mpeg"}.items()
    assert messages == where
    await dashboard.close()


async def test_a_call_without_recording_yields_the_other_three_events(tenant: Tenant) -> None:
    dashboard = await tenant.dashboard()
    assert (await tenant.post_call(missed())).status == 201
    events = await dashboard.events(3)
    assert [event["event"] for event in events] == ["call_initiated", "call_ended", "fetch_messages"]
    await dashboard.close()


async def test_a_missed_call_that_left_a_message_keeps_its_recording(tenant: Tenant) -> None:
    call = await stored(tenant, missed(recording=MP3))
    assert call["recordings"][0]["contentType"] == "audio/mpeg"


@pytest.mark.parametrize("key", ["", "Bearer", "Bearer nonsense", f"Bearer tk_live_{'x' * 43}", "Basic dXNlcjpwYXNz"])
async def test_a_wrong_key_is_401_before_anything_about_the_body(tenant: Tenant, key: str) -> None:
    answer = await tenant.request("POST", "/api/calls/ingest", headers={"Authorization": key}, data=b"{nonsense")
    assert answer.status == 401
    assert answer.body == {
        "success": False,
        "error": answer.body["error"],
        "code": "unauthorized",
        "requestId": answer.headers["X-Request-Id"],
    }


async def test_a_session_token_is_not_an_api_key(tenant: Tenant) -> None:
    answer = await tenant.request("POST", "/api/calls/ingest", token=tenant.token, json=missed())
    assert answer.status == 401


@pytest.mark.parametrize("field", ["direction", "fromNumber", "toNumber", "duration", "status"])
async def test_a_missing_field_is_named(tenant: Tenant, field: str) -> None:
    await refused(tenant, missed(**{field: GONE}), 400, f"^Missing required field: {field}$")


@pytest.mark.parametrize("field", ["transcript", "summary", "recording"])
async def test_a_completed_call_needs_transcript_summary_and_recording(tenant: Tenant, field: str) -> None:
    await refused(tenant, sample(**{field: GONE}), 400, f"^Missing required field: {field}$")


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"direction": "sideways"}, "^direction must be one of inbound, outbound"),
        ({"status": "done"}, "^status must be one of completed, no-answer, busy, failed"),
        ({"duration": "12"}, "^duration must be a number"),
        ({"duration": True}, "^duration must be a number"),
        ({"duration": -1}, "^duration must not be negative"),
        ({"duration": 1e300}, "^duration .* too large"),
        ({"summary": None}, "^summary must be a string"),
        ({"transcript": "hello"}, "^transcript must be"),
        ({"transcript": [{"role": "agent"}]}, r"^Missing required field: transcript\[0\].message"),
        ({"transcript": [{"role": "bot", "message": "x"}]}, r"^transcript\[0\].role must be one of agent, user"),
        ({"transcript": [{"role": "user", "message": "x", "tone": "y"}]}, r"transcript\[0\].tone"),
        ({"metadata": []}, "^metadata must be"),
        ({"callStartTime": "yesterday"}, "^callStartTime must"),
        ({"callStartTime": "2026-02-30T09:10:00Z"}, "^callStartTime must"),
        ({"callStartTime": "0001-01-01T00:00:00+14:00"}, "^callStartTime must"),
        ({"fromNumber": "4165550100"}, "^fromNumber"),
        ({"toNumber": "+1 416 555 0100 ext. 5"}, "^toNumber"),
        ({"toNumber": "+1416KLONDIKE"}, "^toNumber"),
        ({"fromNumber": "+1"}, "^fromNumber"),
        ({"recording": ""}, "^recording"),
        ({"recording": "not base64!"}, "^recording"),
        ({"recording": base64.b64encode(b"<html>hello</html>" * 20).decode()}, "^recording is not audio"),
        ({"recording": "ftp://vendor.example/a.mp3"}, "^recording"),
        ({"recording": "http://127.0.0.1:9/a.mp3"}, "^recording"),
        ({"metadata": {"a": 2**63}}, "^metadata.a is an integer past 64 bits"),
        ({"metadata": {"a": [1, -(2**70)]}}, r"^metadata.a\[1\] is an integer past 64 bits"),
        ({"duration": 2**64}, "^duration"),
        ({"metadata": {"a\0b": 1}}, "^metadata.ab has a NUL character"),
        ({"extra\0": 1}, "^extra has a NUL character"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else "",
)
async def test_what_breaks_a_rule_is_400_and_says_which(tenant: Tenant, change: dict[str, Any], pattern: str) -> None:
    await refused(tenant, sample("delivery", **change), 400, pattern)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b'"x"', b"null", b"\xff\xfe", b'{"a": NaN}', b"[" * 5000, b'{"a":"\\ud800"}']
)
async def test_what_is_no_json_object_is_400(tenant: Tenant, body: bytes) -> None:
    await refused(tenant, body, 400, ".")


async def test_metadata_may_be_deep_but_not_deeper_than_the_database_can_hold(tenant: Tenant) -> None:
    def nested(levels: int) -> Any:
        value: Any = 1
        for _ in range(levels):
            value = {"a": value}
        return value

    call = await stored(tenant, missed(metadata=nested(80)))
    assert call["providerMetadata"]["metadata"] == nested(80)
    answer = await tenant.post_call(missed(metadata=nested(150)))
    assert answer.status == 400
    assert "nested too deeply" in answer.body["error"]


async def test_large_numbers_that_are_not_integers_are_kept(tenant: Tenant) -> None:
    call = await stored(tenant, missed(metadata={"a": 1e300, "b": 2**63 - 1, "c": -(2**63), "d": 1e20}))
    assert call["providerMetadata"]["metadata"] == {"a": 1e300, "b": 2**63 - 1, "c": -(2**63), "d": 1e20}


async def test_a_call_too_large_to_store_is_400_and_its_neighbours_are_stored(tenant: Tenant) -> None:
    huge = [missed(metadata={"list": [0] * 3_000_000}), missed(metadata={"text": "a" * 12_000_000})]
    answers = await asyncio.gather(*(tenant.post_call(call) for call in (*huge, *(missed() for _ in range(20)))))
    for answer in answers[:2]:
        assert answer.status == 400, answer.body
        assert "too large" in answer.body["error"]
    assert [answer.status for answer in answers[2:]] == [201] * 20


async def test_the_largest_call_that_is_read_is_stored(tenant: Tenant) -> None:
    """Both bounds at once: as much text, and as many values, whose places in their list take room as well."""
    values = list(range(10**6, 10**6 + MAX_VALUES - 20))
    call = missed(metadata={"list": values})
    call["metadata"]["text"] = "a" * (MAX_JSON_BYTES - len(json.dumps(call, separators=(",", ":"))) - 20)
    answer = await tenant.post_call(json.dumps(call, separators=(",", ":")).encode())
    assert answer.status == 201, answer.body


async def test_keys_that_look_like_operators_are_data(tenant: Tenant) -> None:
    odd = {"$set": {"a": 1}, "a.b": 2, "_id": 3, "": 4, "__proto__": 5, "$where": "1"}
    call = await stored(tenant, missed(metadata=odd, **{"$set": {"x": 1}, "organizationId": "stolen", "_id": 7, "a.b": [odd]}))
    assert call["providerMetadata"]["metadata"] == odd
    extra = {"$set": {"x": 1}, "organizationId": "stolen", "_id": 7, "a.b": [odd]}
    assert call["providerMetadata"]["extra"] == extra
    assert call["organizationId"] == tenant.organization_id


async def test_every_unicode_character_is_kept(tenant: Tenant) -> None:
    text = "e\u0301 \u202eRTL \0 \U0001f600 \ufffe \u2028"
    call = await stored(tenant, missed(summary=text, agentName=text, transcript=[{"role": "user", "message": text}]))
    assert call["summary"] == text
    assert call["transcription"][0]["message"] == text


@pytest.mark.parametrize("number", ["+1 416 555 0100", "+1 (416) 555-0100", "+1.416.555.0100", "+1-416-555-0100"])
async def test_numbers_are_stored_as_e164(tenant: Tenant, number: str) -> None:
    call = await stored(tenant, missed(fromNumber=number))
    assert call["from"] == "+14165550100"


async def test_the_contact_is_the_other_side_and_one_for_each_number(tenant: Tenant) -> None:
    inbound = await stored(tenant, missed(fromNumber="+442079460958", toNumber="+14165550100"))
    outbound = await stored(tenant, missed(direction="outbound", fromNumber="+14165550100", toNumber="+44 20 7946 0958"))
    assert inbound["contactId"] == outbound["contactId"]
    assert inbound["conversationId"] == outbound["conversationId"]
    contacts = (await tenant.get("/api/contacts")).body
    assert contacts["total"] == 1
    assert contacts["data"][0]["number"] == "+442079460958"


async def test_a_name_replaces_the_placeholder_and_never_a_real_name(tenant: Tenant) -> None:
    async def name_after(**changes: Any) -> str:
        await stored(tenant, missed(fromNumber="+442079460958", **changes))
        return str((await tenant.get("/api/contacts")).body["data"][0]["name"])

    assert await name_after() == "Unknown Caller"
    assert await name_after(callerName="  ") == "Unknown Caller"
    assert await name_after(callerName="$Tom.Becker") == "$Tom.Becker"
    assert await name_after(callerName="Somebody Else") == "$Tom.Becker"


async def test_a_missing_start_time_means_now_and_offsets_are_understood(tenant: Tenant) -> None:
    call = await stored(tenant, missed(callStartTime="2026-05-15T11:10:00.1239+02:00"))
    assert call["startTime"] == "2026-05-15T09:10:00.123Z"
    call = await stored(tenant, missed())
    assert call["startTime"] == call["createdAt"] or call["startTime"] < call["createdAt"]


async def test_a_second_post_is_told_so_and_changes_nothing(tenant: Tenant, service: Service) -> None:
    call = sample("delivery")
    first = await tenant.post_call(call)
    again = await tenant.post_call(json.dumps(dict(reversed(call.items())), indent=2).encode())
    assert again.status == 200
    assert again.body == {"success": True, "deduplicated": True, "callId": first.body["callId"]}
    seq = await service.database["counters"].find_one({"_id": tenant.organization_id})
    changes = {"callerName": "New Name", "recording": "https://nowhere.invalid/x.mp3", "fromNumber": "+1"}
    differing = await tenant.post_call({**call, **changes})
    assert differing.status == 200
    differs = ["fromNumber", "callerName", "recording"]
    assert differing.body == {**again.body, "payloadDiffers": True, "differs": differs}
    assert await service.database["counters"].find_one({"_id": tenant.organization_id}) == seq
    assert (await tenant.get("/api/contacts")).body["data"][0]["name"] == "Unknown Caller"
    assert (await tenant.get("/api/calls/history")).body["total"] == 1


async def test_fifty_posts_of_one_call_at_once_make_one_call(tenant: Tenant, service: Service) -> None:
    call = sample("delivery")
    answers = await asyncio.gather(*[tenant.post_call(call) for _ in range(50)])
    assert sorted(answer.status for answer in answers) == [200] * 49 + [201]
    assert len({answer.body["callId"] for answer in answers}) == 1
    assert await service.database["calls"].count_documents({"organizationId": tenant.organization_id}) == 1
    assert await service.database["messages"].count_documents({"organizationId": tenant.organization_id}) == 1
    counter = await service.database["counters"].find_one({"_id": tenant.organization_id})
    assert counter is not None
    assert counter["seq"] == 4


async def test_an_external_id_is_compared_byte_for_byte_and_belongs_to_its_user(tenant: Tenant, other: Tenant) -> None:
    ids = ["Call", "call", "call ", "ca\u0301ll", "c\u00e1ll", "call\0"]
    for external in ids:
        assert (await tenant.post_call(missed(externalCallId=external))).status == 201
        assert (await tenant.post_call(missed(externalCallId=external))).status == 200
    assert (await other.post_call(missed(externalCallId="call"))).status == 201


async def test_calls_without_external_id_are_all_stored(tenant: Tenant) -> None:
    answers = await asyncio.gather(*[tenant.post_call(missed(externalCallId=...)) for _ in range(5)])
    assert [answer.status for answer in answers] == [201] * 5


async def test_many_calls_of_one_new_contact_at_once_share_contact_and_conversation(tenant: Tenant) -> None:
    answers = await asyncio.gather(*[tenant.post_call(missed(fromNumber="+442079460958")) for _ in range(30)])
    assert {answer.status for answer in answers} == {201}
    assert len({(answer.body["contactId"], answer.body["conversationId"]) for answer in answers}) == 1
    messages = await tenant.post("/api/conversation/messages", {"conversationId": answers[0].body["conversationId"]})
    assert len(messages.body["messages"]) == 30


async def test_content_type_must_be_json_and_may_be_absent(tenant: Tenant) -> None:
    async def status(kind: str | None, **headers: str) -> int:
        data = json.dumps(missed()).encode()
        skip = ("Content-Type",) if kind is None else ()
        all_headers = headers if kind is None else {"Content-Type": kind, **headers}
        answer = await tenant.request(
            "POST", "/api/calls/ingest", token=tenant.api_key, data=data, headers=all_headers, skip_auto_headers=skip
        )
        return answer.status

    assert await status("application/json; charset=utf-8") == 201
    assert await status(None) == 201
    assert await status("text/plain") == 415
    assert await status("multipart/form-data; boundary=x") == 415
    assert await status("application/json", **{"Content-Encoding": "gzip"}) == 415


async def test_unknown_addresses_and_methods_have_the_one_error_shape(tenant: Tenant) -> None:
    for method, path, status in [
        ("GET", "/nowhere", 404),
        ("POST", "/nowhere", 404),
        ("GET", "/api/calls/ingest", 405),
        ("DELETE", "/healthz", 405),
        ("GET", f"/api/calls/{uuid.uuid4().hex[:24]}/nothing", 404),
    ]:
        answer = await tenant.request(method, path)
        assert answer.status == status, (method, path)
        assert answer.body["success"] is False
    answer = await tenant.request("GET", "/api/calls/ingest", token=tenant.api_key)
    assert answer.status == 405
    assert answer.headers["Allow"] == "POST, PATCH"


async def test_of_one_call_posted_many_times_at_once_one_recording_is_left(service_on_disk: Service) -> None:
    tenant = await service_on_disk.tenant()
    call = sample()
    answers = await asyncio.gather(*(tenant.post_call(call) for _ in range(12)))
    (call_id,) = {answer.body["callId"] for answer in answers}
    assert sorted(answer.status for answer in answers) == [200] * 11 + [201]
    folder = service_on_disk.server.settings.data_dir / "recordings" / tenant.organization_id
    await eventually(lambda: [path.name for path in folder.iterdir()] == [f"{call_id}.mp3"])
