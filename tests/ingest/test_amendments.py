"""`PATCH /api/calls/ingest` from outside: what changes, what is refused, what dashboards and agents see of it."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from typing import Any
from urllib.parse import quote

import pytest
from yarl import URL

from tests.support.audio import mp3_of
from tests.support.indexing import is_indexed
from tests.support.service import Answer, Service, Tenant, missed, sample
from tests.support.waiting import eventually

WORDS = [{"role": "agent", "message": "Hello, Zebra Plumbing."}, {"role": "user", "message": "My faucet drips."}]


def voice(seconds_of_bytes: int = 40_000) -> str:
    return base64.b64encode(mp3_of(seconds_of_bytes, salt=uuid.uuid4().bytes)).decode()


async def patch(tenant: Tenant, external_call_id: str | None, body: Any, *, key: str | None = None) -> Answer:
    """Change a call as the vendor; without an id it is named by the body."""
    path = "/api/calls/ingest" + ("" if external_call_id is None else "/" + quote(external_call_id, safe=""))
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with tenant.http.patch(
        URL(tenant.base_url + path, encoded=True),
        data=data,
        headers={"Authorization": f"Bearer {key or tenant.api_key}", "Content-Type": "application/json"},
    ) as response:
        return Answer(response.status, response.headers, json.loads(await response.read()))


async def posted(tenant: Tenant, call: dict[str, Any]) -> str:
    answer = await tenant.post_call(call)
    assert answer.status == 201, answer.body
    return str(answer.body["callId"])


async def amended(tenant: Tenant, external_call_id: str, **fields: Any) -> list[str]:
    answer = await patch(tenant, external_call_id, fields)
    assert answer.status == 200, answer.body
    return list(answer.body["changed"])


async def shown(tenant: Tenant, call_id: str) -> dict[str, Any]:
    answer = await tenant.get(f"/api/calls/{call_id}")
    assert answer.status == 200, answer.body
    return dict(answer.body["call"])


async def found(tenant: Tenant, search: str) -> list[str]:
    answer = await tenant.get(f"/api/calls/history?search={quote(search)}")
    return [call["callId"] for call in answer.body["calls"]]


async def test_words_and_audio_that_come_later_complete_a_call(tenant: Tenant) -> None:
    dashboard = await tenant.dashboard()
    call = missed(metadata={"campaign": "may", "tries": 1})
    call_id = await posted(tenant, call)
    await dashboard.events(3)
    fields = {
        "status": "completed",
        "duration": 31.5,
        "transcript": WORDS,
        "summary": "A faucet drips.",
        "recording": voice(),
        "agentName": "Alex",
        "callerName": "Tom",
        "callStartTime": "2026-05-15T09:10:00Z",
        "metadata": {"tries": 2, "mood": None},
    }
    answer = await patch(tenant, call["externalCallId"], fields)
    assert answer.status == 200, answer.body
    assert answer.body == {
        "success": True,
        "callId": call_id,
        "changed": [*("transcript", "summary", "duration", "status", "agentName", "callerName", "callStartTime", "metadata"),
                    "recording"],
    }  # fmt: skip
    seen = await shown(tenant, call_id)
    assert (seen["status"], seen["duration"], seen["transcription"], seen["summary"]) == (
        *("completed", 31.5, WORDS), "A faucet drips.",
    )  # fmt: skip
    assert (seen["agentName"], seen["contactName"], seen["startTime"]) == ("Alex", "Tom", "2026-05-15T09:10:00.000Z")
    assert seen["endTime"] == "2026-05-15T09:10:31.500Z"
    assert seen["providerMetadata"]["metadata"] == {"campaign": "may", "tries": 2, "mood": None}
    assert len(seen["recordings"]) == 1
    (entry,) = seen["history"]
    assert entry["sourceId"] == tenant.user_id
    assert entry["changed"].keys() == set(answer.body["changed"])
    assert entry["changed"]["metadata"] == {"campaign": "may", "tries": 1}
    assert entry["changed"]["status"] == "no-answer"
    assert entry["changed"]["recording"] is None
    updated, ready, messages = await dashboard.events(3)
    assert [event["event"] for event in (updated, ready, messages)] == [
        "call_updated",
        "call_recording_ready",
        "fetch_messages",
    ]
    assert updated["id"] == f"{call_id}:call_updated"
    assert ready["id"] == f"{call_id}:call_recording_ready"
    assert messages["id"] == f"{call_id}:fetch_messages:{messages['seq']}"
    assert updated["data"] == {
        **{name: seen[name] for name in ("callId", "contactId", "conversationId", "status", "duration", "summary")},
        **{name: seen[name] for name in ("agentName", "contactName", "startTime", "endTime")},
        "changed": answer.body["changed"],
    }
    said = (await tenant.post("/api/conversation/messages", {"conversationId": seen["conversationId"]})).body["messages"]
    assert [message["content"] for message in said] == ["A faucet drips."]
    link = await tenant.get(f"/api/calls/{call_id}/recording")
    assert link.body["recordingId"] == ready["data"]["recordingId"] == seen["recordings"][0]["recordingId"]
    peaks = await tenant.get(f"/api/calls/{call_id}/peaks")
    assert peaks.status == 200


async def test_the_same_again_changes_and_announces_nothing(tenant: Tenant) -> None:
    call = missed(metadata={"$ref": "a", "$id": {"b": True}, "dots.and": {"$set": 1.0}, "": []})
    call_id = await posted(tenant, call)
    fields: dict[str, Any] = {
        "summary": "Late.",
        "metadata": {"$id": 2, "$ref": {"x": [1, {"": 0.5}]}},
        "transcript": WORDS,
        "recording": voice(),
    }
    assert await amended(tenant, call["externalCallId"], **fields) == ["transcript", "summary", "metadata", "recording"]
    before = await shown(tenant, call_id)
    assert before["providerMetadata"]["metadata"] == {**call["metadata"], **fields["metadata"]}
    head = (await tenant.dashboard()).hello["seq"]
    for _ in range(2):
        assert await amended(tenant, call["externalCallId"], **fields) == []
    assert await amended(tenant, call["externalCallId"]) == []
    assert await shown(tenant, call_id) == before
    assert (await tenant.dashboard()).hello["seq"] == head
    assert await amended(tenant, call["externalCallId"], metadata={"$id": True}) == ["metadata"]
    assert await amended(tenant, call["externalCallId"], metadata={"$id": 1}) == ["metadata"]


async def test_a_post_after_a_change_is_still_compared_with_the_first_post(tenant: Tenant) -> None:
    call = missed(summary="First.")
    await posted(tenant, call)
    await amended(tenant, call["externalCallId"], summary="Second.")
    again = await tenant.post_call(call)
    assert (again.status, again.body.get("payloadDiffers")) == (200, None)
    assert (await tenant.post_call({**call, "summary": "Second."})).body["payloadDiffers"] is True


@pytest.mark.parametrize("external_id", ["a/b", "../..", "ä%2F+ ?#&", "..", "%", "\U0001f600", "x" * 1000, "a\nb"])
async def test_an_id_may_hold_any_character(tenant: Tenant, external_id: str) -> None:
    call_id = await posted(tenant, missed(externalCallId=external_id))
    if external_id not in ("..",):  # which clients resolve as a path
        answer = await patch(tenant, external_id, {"summary": "By the address."})
        assert (answer.status, answer.body.get("callId")) == (200, call_id)
    answer = await patch(tenant, None, {"externalCallId": external_id, "summary": "By the body."})
    assert (answer.status, answer.body.get("callId")) == (200, call_id)
    answer = await patch(tenant, None, {"callId": call_id, "summary": "By the id."})
    assert (answer.status, answer.body.get("callId")) == (200, call_id)


async def test_only_the_source_that_sent_a_call_changes_it(service: Service, tenant: Tenant) -> None:
    call = missed()
    call_id = await posted(tenant, call)
    colleague = await service.tenant(await organization_of(service, tenant))
    stranger = await service.tenant()
    assert colleague.organization_id == tenant.organization_id
    for other in (colleague, stranger):
        for target in (call["externalCallId"], None):
            body = {"summary": "Mine."} if target else {"callId": call_id, "summary": "Mine."}
            answer = await patch(other, target, body)
            assert (answer.status, answer.body["code"]) == (404, "not_found")
    assert (await patch(tenant, "unknown", {"summary": "x"})).status == 404
    assert (await patch(tenant, None, {"externalCallId": call["externalCallId"], "callId": "0" * 24})).status == 404
    assert (await shown(tenant, call_id))["history"] == []
    assert (await patch(tenant, call["externalCallId"], {"summary": "x"}, key="tk_live_wrong")).status == 401


async def organization_of(service: Service, tenant: Tenant) -> str:
    found = await service.database["organizations"].find_one({"_id": tenant.organization_id})
    assert found is not None
    return str(found["name"])


@pytest.mark.parametrize(
    ("body", "field", "code", "words"),
    [
        ({"fromNumber": "+14165550100"}, "fromNumber", "unknown_field", "transcript, summary, recording"),
        ({"direction": "inbound"}, "direction", "unknown_field", "cannot be changed"),
        ({"sumary": "x"}, "sumary", "unknown_field", "summary"),
        ({"status": "completed"}, "transcript", "missing_field", "transcript"),
        ({"status": "completed", "transcript": [], "summary": ""}, "recording", "missing_field", "recording"),
        ({"status": "done"}, "status", "unknown_value", "completed"),
        ({"duration": -1}, "duration", "out_of_range", "negative"),
        ({"duration": 1e300}, "duration", "out_of_range", "9999"),
        ({"summary": None}, "summary", "null_value", "summary"),
        ({"metadata": None}, "metadata", "null_value", "metadata"),
        ({"metadata": {"a": 1 << 70}}, "metadata.a", "not_storable", "64 bits"),
        ({"recording": "no audio"}, "recording", "bad_recording", "recording"),
        ({"callStartTime": "yesterday"}, "callStartTime", "wrong_format", "RFC 3339"),
        ({"agentName": "x" * 5000}, "agentName", "too_long", "4096"),
        ({"externalCallId": "another"}, "externalCallId", "unknown_value", "address"),
        ([], None, "wrong_type", "object"),
    ],
)
async def test_what_cannot_be_changed_is_refused_with_what_to_change(
    tenant: Tenant, body: Any, field: str | None, code: str, words: str
) -> None:
    call = missed()
    call_id = await posted(tenant, call)
    before = await shown(tenant, call_id)
    answer = await patch(tenant, call["externalCallId"], body)
    assert answer.status == 400, answer.body
    assert words in answer.body["error"]
    assert (answer.body["code"], answer.body["field"]) == (code, field)
    assert await shown(tenant, call_id) == before


async def test_without_an_id_it_is_said_how_to_name_the_call(tenant: Tenant) -> None:
    answer = await patch(tenant, None, {"summary": "Whose?"})
    assert (answer.status, answer.body["code"], answer.body["field"]) == (400, "missing_field", "externalCallId")
    assert "callId" in answer.body["error"]


async def test_a_changed_call_is_found_by_its_new_words_and_not_by_the_old(service: Service, tenant: Tenant) -> None:
    spoken = [{"role": "agent", "message": "Giraffe"}]
    call = missed(summary="An elephant called.", agentName="Old", transcript=spoken, callerName="Mia")
    call_id = await posted(tenant, call)
    await eventually(lambda: is_indexed(service.database))
    for word in ("elephant", "giraffe", "old", "mia"):
        assert await found(tenant, word) == [call_id], word
    await amended(tenant, call["externalCallId"], summary="A tiger wrote.", transcript=WORDS)
    assert await found(tenant, "tiger") == [call_id]
    await eventually(lambda: is_indexed(service.database))
    for word in ("tiger", "zebra", "old", "mia", call["fromNumber"][-4:]):
        assert await found(tenant, word) == [call_id], word
    for word in ("elephant", "giraffe"):
        assert await found(tenant, word) == [], word


async def test_a_new_recording_is_the_calls_and_the_old_one_is_kept(tenant: Tenant) -> None:
    call = sample()
    call_id = await posted(tenant, call)
    (old,) = (await shown(tenant, call_id))["recordings"]
    dashboard = await tenant.dashboard()
    assert await amended(tenant, call["externalCallId"], recording=voice()) == ["recording"]
    seen = await shown(tenant, call_id)
    assert seen["recordings"][0] == old
    new = seen["recordings"][1]
    link = (await tenant.get(f"/api/calls/{call_id}/recording")).body
    assert link["recordingId"] == new["recordingId"]
    assert seen["history"][0]["changed"] == {"recording": old}
    events = await dashboard.events(3)
    assert events[1]["id"] == f"{call_id}:call_recording_ready:{events[1]['seq']}"
    assert events[1]["data"]["recordingId"] == new["recordingId"]
    assert await amended(tenant, call["externalCallId"], summary="Another.") == ["summary"]


async def test_a_history_that_is_large_names_what_it_leaves_out(tenant: Tenant) -> None:
    call = missed()
    call_id = await posted(tenant, call)
    texts = ["x" * 600_000, "y" * 600_000, "z"]
    for text in texts:
        await amended(tenant, call["externalCallId"], transcript=[{"role": "user", "message": text}])
    history = (await shown(tenant, call_id))["history"]
    assert [entry["number"] for entry in history] == [1, 2, 3]
    assert [(entry["changed"].keys(), entry.get("omitted")) for entry in history] == [
        ({"transcript"}, None),
        (set(), ["transcript"]),
        ({"transcript"}, None),
    ]
    whole = await tenant.get(f"/api/calls/{call_id}/history/2")
    assert whole.body["change"]["changed"] == {"transcript": [{"role": "user", "message": texts[0]}]}
    for number in ("4", "x", "9" * 30, "-1"):
        assert (await tenant.get(f"/api/calls/{call_id}/history/{number}")).status == 404


async def test_changes_of_one_call_at_the_same_time_are_all_made(tenant: Tenant) -> None:
    call = missed()
    call_id = await posted(tenant, call)
    names = [f"n{number}" for number in range(20)]
    answers = await asyncio.gather(*(patch(tenant, call["externalCallId"], {"metadata": {name: name}}) for name in names))
    assert [answer.status for answer in answers] == [200] * 20
    seen = await shown(tenant, call_id)
    assert seen["providerMetadata"]["metadata"] == {name: name for name in names}
    assert len(seen["history"]) == 20


async def test_everything_that_is_wrong_with_a_change_is_said_at_once(tenant: Tenant) -> None:
    call = missed()
    await posted(tenant, call)
    fields = {"status": "completed", "duration": -1, "agentname": "Alex", "toNumber": "+14165550100", "summary": "x" * 70_000}
    answer = await patch(tenant, call["externalCallId"], fields)
    assert answer.status == 400
    assert {(fault["code"], fault["field"]) for fault in answer.body["errors"]} == {
        ("unknown_field", "agentname"),
        ("unknown_field", "toNumber"),
    }
    assert "did you mean agentName" in json.dumps(answer.body)
    valid = {"status": "completed", "duration": -1, "agentName": "x" * 5000}
    answer = await patch(tenant, call["externalCallId"], valid)
    assert {(fault["code"], fault["field"]) for fault in answer.body["errors"]} == {
        *(("missing_field", name) for name in ("transcript", "summary", "recording")),
        ("out_of_range", "duration"),
        ("too_long", "agentName"),
    }


async def test_a_start_that_is_far_ahead_changes_once(tenant: Tenant) -> None:
    call = missed()
    call_id = await posted(tenant, call)
    ahead = "2999-01-01T00:00:00.000Z"
    assert await amended(tenant, call["externalCallId"], callStartTime=ahead) == ["callStartTime"]
    assert await amended(tenant, call["externalCallId"], callStartTime=ahead) == []
    seen = await shown(tenant, call_id)
    assert (seen["callStartTime"], seen["startTime"] < ahead) == (ahead, True)
    assert [warning["code"] for warning in seen["warnings"]] == ["start_in_future"]
    assert await amended(tenant, call["externalCallId"], duration=61) == ["duration"]
    assert [warning["code"] for warning in (await shown(tenant, call_id))["warnings"]] == ["start_in_future"]
    assert await amended(tenant, call["externalCallId"], callStartTime="2026-05-15T09:10:00Z") == ["callStartTime"]
    seen = await shown(tenant, call_id)
    assert (seen["startTime"], seen["endTime"]) == ("2026-05-15T09:10:00.000Z", "2026-05-15T09:11:01.000Z")
    assert (seen.get("callStartTime"), seen["warnings"]) == (None, [])


async def test_warnings_are_those_of_the_call_as_it_is(tenant: Tenant) -> None:
    late = [{"role": "agent", "message": "Hello.", "timestamp": 90}]
    call = missed(duration=100_000, transcript=late, custom=1, callername="Tom")
    call_id = await posted(tenant, call)

    async def codes() -> set[str]:
        return {warning["code"] for warning in (await shown(tenant, call_id))["warnings"]}

    assert await codes() == {"long_duration", "unknown_field"}
    await amended(tenant, call["externalCallId"], duration=30)
    assert await codes() == {"turns_outside_call", "unknown_field"}
    await amended(tenant, call["externalCallId"], summary="Hi.")
    assert await codes() == {"turns_outside_call", "unknown_field"}
    await amended(tenant, call["externalCallId"], transcript=[], duration=9999, recording=voice())
    assert await codes() == {"length_mismatch", "unknown_field"}
