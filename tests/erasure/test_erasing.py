"""What an admin erases is gone: from MongoDB, the recording store, the feed and every dashboard; a repetition stays known."""

from __future__ import annotations

import asyncio
import base64
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.audio import mp3
from tests.support.dump import bucket_bytes, database_bytes, folder_bytes, found_in
from tests.support.s3 import S3Server
from tests.support.service import Service, Tenant, missed, sample
from tests.support.webhooks import vendors_door

NAME, NUMBER, WORDS = "Wilhelmina Quigley", "+14165558877", "marmalade hovercraft"
ERASED_EVENT = {"event": "erased", "data": {}}


@pytest.fixture
async def admin(service: Service) -> Tenant:
    return await service.tenant(role="admin")


def said(**changes: Any) -> dict[str, Any]:
    """Return a call of the person who is erased, with a recording and words."""
    voice = mp3(0.5, salt=uuid.uuid4().bytes)
    return sample(
        "appointment",
        voice=False,
        direction="inbound",
        fromNumber=NUMBER,
        toNumber="+14165550100",
        callerName=NAME,
        summary=f"They spoke of {WORDS}.",
        recording=base64.b64encode(voice).decode(),
        metadata={"note": WORDS},
        **changes,
    )


async def delete(tenant: Tenant, path: str) -> Any:
    return await tenant.request("DELETE", path, token=tenant.token)


async def stored(tenant: Tenant, call: dict[str, Any]) -> dict[str, Any]:
    """Post a call and return it as it is stored."""
    answer = await tenant.post_call(call)
    assert answer.status == 201, answer.body
    return dict((await tenant.get(f"/api/calls/{answer.body['callId']}")).body["call"])


async def test_an_erased_person_is_found_nowhere(admin: Tenant, service: Service, s3_server: S3Server) -> None:
    first, second = said(), said(status="completed")
    ids = [(await stored(admin, call))["callId"] for call in (first, second)]
    contact_id = (await admin.get(f"/api/calls/{ids[0]}")).body["call"]["contactId"]
    other = await stored(admin, missed())
    link = (await admin.get(f"/api/calls/{ids[0]}/recording")).body["audioUrl"]
    async with admin.http.get(link) as response:
        assert response.status == 200
    await admin.request("PATCH", f"/api/calls/ingest/{first['externalCallId']}", token=admin.api_key, json={"summary": "Short"})
    await admin.request("PATCH", f"/api/contacts/{contact_id}", token=admin.token, json={"name": f"{NAME} (Oak)"})
    assert (await admin.get(f"/api/calls/{ids[0]}/peaks")).status == 200
    national = await admin.post_call({**said(), "fromNumber": NUMBER.removeprefix("+1")})
    assert (national.status, NUMBER in national.body["error"]) == (400, True)
    await service.server.app.delivery_keeper.drain()
    dashboard = await admin.dashboard()
    assert set(found_in(await database_bytes(service.database), (NAME, NUMBER, WORDS))) == {NAME, NUMBER, WORDS}

    answer = await delete(admin, f"/api/contacts/{contact_id}")
    assert answer.status == 200, answer.body
    assert {name: answer.body["erased"][name] for name in ("calls", "contacts", "recordings")} == {
        "calls": 2,
        "contacts": 1,
        "recordings": 2,
    }

    events = await dashboard.events(3)
    assert [event["event"] for event in events] == ["call_deleted", "call_deleted", "contact_deleted"]
    assert {event["data"].get("callId") for event in events[:2]} == set(ids)
    assert events[2]["data"]["contactId"] == contact_id
    for path in (*(f"/api/calls/{one}" for one in ids), f"/api/contacts/{contact_id}", f"/api/calls/{ids[0]}/recording"):
        assert (await admin.get(path)).status == 404
    async with admin.http.get(link) as response:
        assert response.status in (403, 404)  # S3 answers 403 to who may not list
    bucket, folder = service.server.settings.r2_bucket, service.server.settings.data_dir
    store = bucket_bytes(s3_server, bucket) if bucket is not None else folder_bytes(folder / "recordings")
    assert found_in(store, ids) == []
    everything = await database_bytes(service.database) + folder_bytes(folder) + store
    assert found_in(everything, (NAME, NUMBER, WORDS, first["externalCallId"], second["externalCallId"])) == []
    assert [call["callId"] for call in (await admin.get("/api/calls/history")).body["calls"]] == [other["callId"]]
    assert (await admin.get("/api/calls/history")).body["total"] == 1

    # A dashboard that comes back reads numbers without a gap, and nothing of the person.
    again = await admin.dashboard(after=0)
    last = events[-1]["seq"]
    replayed = await again.events(last)
    assert [event["seq"] for event in replayed] == list(range(1, last + 1))
    assert found_in(str(replayed).encode(), (NAME, NUMBER, WORDS)) == []
    erased = [event for event in replayed if event["event"] == "erased"]
    assert all(event["data"] == {} for event in erased)
    assert len(erased) == answer.body["erased"]["events"]
    assert {event["id"] for event in erased} >= {f"{ids[0]}:call_initiated", f"{ids[1]}:fetch_messages"}
    for one in (dashboard, again):
        await one.close()


async def test_a_repetition_of_an_erased_call_is_known_and_stays_erased(admin: Tenant) -> None:
    call = said()
    call_id = (await stored(admin, call))["callId"]
    assert (await delete(admin, f"/api/calls/{call_id}")).status == 200
    for repeated in (call, {**call, "summary": "Another text"}):
        answer = await admin.post_call(repeated)
        assert (answer.status, answer.body["deduplicated"], answer.body["callId"]) == (200, True, call_id)
        assert "payloadDiffers" not in answer.body
    assert (await admin.get("/api/calls/history")).body["calls"] == []
    path = f"/api/calls/ingest/{call['externalCallId']}"
    assert (await admin.request("PATCH", path, token=admin.api_key, json={"summary": "x"})).status == 404
    validated = await admin.request("POST", "/api/calls/validate", token=admin.api_key, json=call)
    assert validated.body["verdict"] == "duplicate"


async def test_a_contact_stays_while_it_has_a_call(admin: Tenant) -> None:
    old = await stored(admin, missed(fromNumber=NUMBER, callStartTime="2025-05-15T09:10:00Z", historic=True))
    new = await stored(admin, missed(fromNumber=NUMBER))
    assert old["contactId"] == new["contactId"]
    answer = await delete(admin, f"/api/calls/{new['callId']}")
    assert (answer.body["erased"]["calls"], answer.body["erased"]["contacts"]) == (1, 0)
    contact = (await admin.get(f"/api/contacts/{old['contactId']}")).body["contact"]
    assert contact["lastCallAt"] == "2025-05-15T09:10:00.000Z"
    messages = (await admin.post("/api/conversation/messages", {"conversationId": old["conversationId"]})).body["messages"]
    assert [message["callId"] for message in messages] == [old["callId"]]
    answer = await delete(admin, f"/api/calls/{old['callId']}")
    assert answer.body["erased"]["contacts"] == 1
    assert (await admin.get(f"/api/contacts/{old['contactId']}")).status == 404
    assert (await stored(admin, missed(fromNumber=NUMBER)))["contactId"] != old["contactId"]


async def test_everything_before_a_date_goes_and_the_rest_stays(admin: Tenant, service: Service) -> None:
    for day in range(1, 4):
        await stored(admin, missed(callStartTime=f"2025-05-0{day}T09:10:00Z", historic=True, summary=f"{WORDS} {day}"))
    kept = await stored(admin, missed(callStartTime="2025-05-04T00:00:00Z", historic=True))
    for before, code in (("2999-01-01", "out_of_range"), ("yesterday", "wrong_format"), ("2025-02-30", "wrong_format")):
        refused = await admin.post("/api/erase", {"before": before})
        assert (refused.status, refused.body["code"], refused.body["field"]) == (400, code, "before")
    answer = await admin.post("/api/erase", {"before": "2025-05-04"})
    assert (answer.status, answer.body["erased"]["calls"], answer.body["erased"]["events"]) == (200, 3, 9)
    assert [call["callId"] for call in (await admin.get("/api/calls/history")).body["calls"]] == [kept["callId"]]
    assert found_in(await database_bytes(service.database), (WORDS,)) == []


async def test_another_organizations_calls_and_contacts_do_not_exist(admin: Tenant, service: Service) -> None:
    stranger = await service.tenant(role="admin")
    call = await stored(admin, said())
    for path in (
        f"/api/calls/{call['callId']}",
        f"/api/contacts/{call['contactId']}",
        "/api/calls/$seq",
        f"/api/calls/{'0' * 24}",
    ):
        assert (await delete(stranger, path)).status == 404
    answer = await stranger.post("/api/erase", {"before": datetime.now(UTC).isoformat()})
    assert answer.body["erased"]["calls"] == 0
    assert (await admin.get(f"/api/calls/{call['callId']}")).status == 200


async def test_the_proof_is_in_the_audit_log(admin: Tenant) -> None:
    call = await stored(admin, said())
    began = datetime.now(UTC) - timedelta(seconds=60)
    answer = await delete(admin, f"/api/calls/{call['callId']}")
    (entry,) = (await admin.get(f"/api/audit?what=erased&callId={call['callId']}&from={began:%Y-%m-%dT%H:%M:%SZ}")).body[
        "entries"
    ]
    assert (entry["userId"], entry["who"], entry["callIds"]) == (admin.user_id, admin.email, [call["callId"]])
    assert entry["details"]["erasureId"] == answer.body["erasureId"]
    assert (entry["details"]["calls"], entry["details"]["recordings"]) == (1, 1)


async def test_a_late_part_of_an_erased_call_is_ignored_and_not_kept(service: Service, admin: Tenant) -> None:
    door = await vendors_door(admin, "elevenlabs")
    created = await door.receive("elevenlabs-post_call_transcription.json")
    answer = await delete(admin, f"/api/calls/{created['callId']}")
    assert answer.body["erased"]["deliveries"] == 1
    assert await door.deliveries() == []
    late = await door.receive("elevenlabs-post_call_audio.json")
    assert (late["verdict"], late["code"]) == ("ignored", "erased")
    assert (await admin.get(f"/api/deliveries/{late['id']}/body")).status == 404
    again = await door.receive("elevenlabs-post_call_transcription.json")
    assert (again["verdict"], again["code"]) == ("ignored", "erased")
    assert (await admin.get("/api/calls/history")).body["calls"] == []
    assert await service.database["delivery_bodies"].count_documents({"organizationId": admin.organization_id}) == 0


async def test_calls_that_come_while_a_contact_is_erased_are_stored_or_erased_as_a_whole(admin: Tenant) -> None:
    first = await stored(admin, missed(fromNumber=NUMBER))
    calls = [missed(fromNumber=NUMBER) for _ in range(20)]
    answers = await asyncio.gather(
        delete(admin, f"/api/contacts/{first['contactId']}"), *(admin.post_call(call) for call in calls)
    )
    assert {answer.status for answer in answers} <= {200, 201}
    listed = (await admin.get("/api/calls/history")).body["calls"]
    contacts = (await admin.get("/api/contacts")).body["data"]
    assert {call["contactId"] for call in listed} == {contact["contactId"] for contact in contacts}
    assert answers[0].body["erased"]["calls"] + len(listed) == 21
