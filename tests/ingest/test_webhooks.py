"""Vendors' webhooks, through the front door."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import orjson
import pytest
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from tests.support.adapting import EXPECTED
from tests.support.service import Answer, Service, Tenant
from tests.support.waiting import eventually
from tests.support.webhooks import VendorsDoor, body_of, vendors_door
from tether_rt.domain.call import iso_ms, parse_time
from tether_rt.domain.delivery import DEAD_KEPT_FOR
from tether_rt.errors import NotFound

VENDORS = ("elevenlabs", "retell", "vapi", "twilio", "standard", "bland", "telnyx", "quo")
FILES = {vendor: [name for name in EXPECTED if name.startswith(f"{vendor}-")] for vendor in VENDORS}


@pytest.fixture
async def tenant(service_on_disk: Service) -> Tenant:
    """An admin of a new organization."""
    return await service_on_disk.tenant(role="admin")


def require_call(call: dict[str, Any], expected: dict[str, Any]) -> None:
    """Assert that a call is what its vendor's sample says."""
    named = {"direction": "direction", "status": "status", "fromNumber": "from", "toNumber": "to", "duration": "duration"}
    for name, ours in {**named, "agentName": "agentName", "summary": "summary", "callerName": "contactName"}.items():
        if name in expected:
            said = "The source's name" if expected[name] == "the source's name" else expected[name]
            assert call[ours] == said, name
    if "startTime" in expected:
        assert call["startTime"] == iso_ms(parse_time(expected["startTime"]))
    if "turns" in expected:
        assert len(call["transcription"]) == expected["turns"]
    if "missing" in expected:
        assert call["missing"] == expected["missing"]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_samples_in_the_order_in_which_they_are_sent(tenant: Tenant, vendor: str) -> None:
    door = await vendors_door(tenant, vendor)
    for name in FILES[vendor]:
        expected = EXPECTED[name]
        delivery = await door.receive(name)
        assert (delivery["verdict"], delivery["code"]) == (expected["verdict"], expected.get("reason")), name
        if expected["verdict"] == "created":
            require_call(await door.call(delivery), expected)


CALLS = {
    "elevenlabs": ["elevenlabs-post_call_transcription.json", "elevenlabs-post_call_audio.json"],
    "retell": ["retell-call_ended.json", "retell-call_analyzed.json"],
    "retell, no answer": ["retell-call_ended-no_answer.json", "retell-call_analyzed-no_answer.json"],
    "twilio": ["twilio-status-completed.txt", "twilio-recording-completed.txt"],
    "telnyx": [f"telnyx-call.{event}.json" for event in ("initiated", "hangup", "recording.saved")],
    "quo": [f"quo-call.{event}completed.json" for event in ("", "recording.", "transcript.", "summary.")],
}
"""Events of one call, in the order in which they are sent."""


def contents_of(call: dict[str, Any]) -> dict[str, Any]:
    """Return what of a call must not depend on the order of its parts."""
    names = "direction status from to duration agentName summary transcription outcome missing"
    return {name: call[name] for name in names.split()} | {"has recording": call["recordingStatus"] is not None}


async def settled(door: VendorsDoor) -> list[str]:
    """Return the verdicts of all deliveries in the order of their arrival."""
    return [delivery["verdict"] for delivery in reversed(await door.deliveries())]


@pytest.mark.parametrize("call", CALLS)
async def test_parts_in_any_order_and_twice_make_the_same_call(tenant: Tenant, call: str) -> None:
    vendor = call.partition(",")[0]
    contents = []
    for order in (CALLS[call], CALLS[call][::-1], [name for name in CALLS[call] for _ in range(2)]):
        door = await vendors_door(tenant, vendor)
        for name in order:
            delivery = await door.receive(name)
        verdicts = await settled(door)
        assert verdicts.count("created") == 1, verdicts
        assert set(verdicts) <= {"created", "merged", "duplicate"}, verdicts
        contents.append(contents_of(await door.call(delivery)))
        calls = (await tenant.get(f"/api/calls/history?userId={door.source_id}")).body
        assert calls["total"] == 1
    assert contents[0] == contents[1] == contents[2]


async def test_audio_that_comes_first_waits_for_its_call(tenant: Tenant, service_on_disk: Service) -> None:
    door = await vendors_door(tenant, "elevenlabs")
    audio = await door.receive("elevenlabs-post_call_audio.json")
    assert (audio["verdict"], audio["code"], audio["callId"]) == ("waiting", "call_pending", None)
    created = await door.receive("elevenlabs-post_call_transcription.json")
    assert created["verdict"] == "created"
    call = await door.call(created)
    assert [recording["contentType"] for recording in call["recordings"]] == ["audio/mpeg"]
    assert await settled(door) == ["merged", "created"]
    link = (await tenant.get(f"/api/calls/{call['callId']}/recording")).body["audioUrl"]
    played = await tenant.request("GET", link.removeprefix(tenant.base_url))
    assert (played.status, len(played.body)) == (200, call["recordings"][0]["bytes"])


async def test_facts_that_wait_for_more_are_taken_alone_when_their_time_is_over(
    tenant: Tenant, service_on_disk: Service
) -> None:
    door = await vendors_door(tenant, "retell")
    delivery = await door.receive("retell-call_ended.json")
    assert (delivery["verdict"], delivery["code"]) == ("waiting", "analysis_pending")
    await older(service_on_disk, delivery, timedelta(minutes=3))
    delivery = await once_settled(door)
    assert delivery["verdict"] == "created"
    assert (await door.call(delivery))["missing"] == ["summary"]
    late = await door.receive("retell-call_analyzed.json")
    assert (late["verdict"], late["callId"]) == ("merged", delivery["callId"])
    call = await door.call(late)
    assert (call["summary"], call["missing"]) == (EXPECTED["retell-call_analyzed.json"]["summary"], [])


async def test_a_part_whose_call_never_comes_expires(tenant: Tenant, service_on_disk: Service) -> None:
    door = await vendors_door(tenant, "elevenlabs")
    delivery = await door.receive("elevenlabs-post_call_audio.json")
    stored = await service_on_disk.database["deliveries"].find_one({"_id": delivery["id"]})
    assert stored is not None
    assert [piece async for piece in service_on_disk.server.app.recordings.read(stored["audio"]["key"], 0, 1)] == [b"\xff"]
    await older(service_on_disk, delivery, timedelta(hours=25))
    delivery = await once_settled(door)
    assert (delivery["verdict"], delivery["code"]) == ("dead", "expired")
    with pytest.raises(NotFound):
        [piece async for piece in service_on_disk.server.app.recordings.read(stored["audio"]["key"], 0, 3)]


async def test_what_was_dead_is_replayed_once_its_source_says_more(tenant: Tenant, service_on_disk: Service) -> None:
    door = await vendors_door(tenant, "telnyx")
    delivery = await door.receive("telnyx-call.hangup.json")
    assert (delivery["verdict"], delivery["code"]) == ("waiting", "direction_pending")
    await older(service_on_disk, delivery, timedelta(minutes=3))
    delivery = await once_settled(door)
    assert (delivery["verdict"], delivery["code"]) == ("dead", "direction_unknown")
    for name in ("deliveries", "delivery_bodies"):
        kept = await service_on_disk.database[name].find_one({"_id": delivery["id"]})
        assert kept is not None
        assert kept["expiresAt"] - parse_time(delivery["at"]) == DEAD_KEPT_FOR
    numbers = {"settings": {"numbers": [EXPECTED["telnyx-call.hangup.json"]["toNumber"]]}}
    await tenant.request("PATCH", f"/api/sources/{door.source_id}", token=tenant.token, json=numbers)
    replayed = await tenant.post(f"/api/deliveries/{delivery['id']}/replay")
    assert (replayed.status, replayed.body["verdict"]) == (200, "created")
    require_call(await door.call(replayed.body), EXPECTED["telnyx-call.hangup.json"])
    again = await tenant.post(f"/api/deliveries/{delivery['id']}/replay")
    assert (again.body["verdict"], again.body["callId"]) == ("created", replayed.body["callId"])
    assert (await tenant.get(f"/api/calls/history?userId={door.source_id}")).body["total"] == 1


async def older(service: Service, delivery: dict[str, Any], by: timedelta) -> None:
    """Have a delivery have come earlier, and be looked at now."""
    deliveries = service.database["deliveries"]
    stored = await deliveries.find_one({"_id": delivery["id"]})
    assert stored is not None
    await deliveries.update_one({"_id": delivery["id"]}, {"$set": {"at": stored["at"] - by, "nextAt": stored["at"] - by}})


async def once_settled(door: VendorsDoor) -> dict[str, Any]:
    """Return the newest delivery when it waits no more."""

    async def is_settled() -> bool:
        return bool((await door.deliveries())[0]["verdict"] != "waiting")

    await eventually(is_settled)
    return (await door.deliveries())[0]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_an_event_without_proof_is_refused_counted_and_not_kept(tenant: Tenant, vendor: str) -> None:
    door = await vendors_door(tenant, vendor)
    body = body_of(FILES[vendor][0])
    proof = door.headers(body)
    forged = {name: "".join("0" if one != "0" else "1" for one in value) for name, value in proof.items()}
    for headers in ({}, forged, door.headers(body + b" ")):
        answer = await tenant.request("POST", door.path, data=body, headers={"Content-Type": "application/json", **headers})
        assert (answer.status, answer.body["code"]) == (401, "unauthorized")
    assert await door.deliveries() == []

    async def are_counted() -> bool:
        source = (await tenant.get(f"/api/sources/{door.source_id}")).body["source"]
        return bool(sum(source["refused"].values()) == 3)

    await eventually(are_counted)
    assert (await door.send(body)).status == 200


async def test_an_address_that_is_not_a_sources_is_404(tenant: Tenant, service_on_disk: Service) -> None:
    door = await vendors_door(tenant, "retell")
    body = body_of("retell-call_ended.json")
    for path in (
        f"/api/webhook/vapi/{door.source_id}",
        f"/api/webhook/retell/{'0' * 24}",
        f"/api/webhook/nobody/{door.source_id}",
        "/api/webhook/retell/x",
    ):
        assert (await tenant.request("POST", path, data=body, headers=door.headers(body))).status == 404, path
    await tenant.request("PATCH", f"/api/sources/{door.source_id}", token=tenant.token, json={"enabled": False})
    assert (await door.send(body)).status == 404
    await tenant.request("PATCH", f"/api/sources/{door.source_id}", token=tenant.token, json={"enabled": True})
    assert (await door.send(body)).status == 200


async def test_a_bearer_secret_proves_elevenlabs_events_at_its_old_address(tenant: Tenant) -> None:
    secret = f"wsec_{uuid.uuid4().hex}"  # one that two organizations have is nobody's
    door = await vendors_door(tenant, "elevenlabs", secret)
    body = body_of("elevenlabs-post_call_transcription.json")

    async def send(**headers: str) -> Answer:
        return await tenant.request("POST", "/api/webhook/elevenlabs", data=body, headers=headers)

    for headers in ({}, {"Authorization": "Bearer wrong"}, door.headers(body), {"Authorization": f"Bearer {tenant.api_key}"}):
        assert (await send(**headers)).status == 401
    answer = await send(Authorization=f"Bearer {secret}")
    assert (answer.status, answer.body["received"]) == (200, True)
    assert (await door.deliveries())[0]["callId"] == answer.body["callId"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "unparsable"),
        (b"{", "unparsable"),
        (b"[]", "shape"),
        (b"null", "shape"),
        (b"\xff", "unparsable"),
        (b"{}", "shape"),
    ],
)
async def test_what_cannot_be_read_is_kept_and_said(tenant: Tenant, body: bytes, code: str) -> None:
    door = await vendors_door(tenant, "retell")
    delivery = await door.receive(body)
    assert (delivery["verdict"], delivery["code"]) == ("dead", code)
    assert delivery["error"]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_dry_run_says_what_would_become_of_each_sample(tenant: Tenant, vendor: str) -> None:
    door = await vendors_door(tenant, vendor)
    kind = "application/x-www-form-urlencoded" if vendor == "twilio" else "application/json"
    for name in FILES[vendor]:
        for query in ("", f"?source={door.source_id}"):
            answer = await tenant.request(
                "POST",
                f"/api/webhook/{vendor}/dry-run{query}",
                token=tenant.token,
                data=body_of(name),
                headers={"Content-Type": kind},
            )
            assert answer.status == 200, answer.body
            said, expected = answer.body, EXPECTED[name]
            of_several = expected["verdict"] == "merged" or vendor in ("telnyx", "quo")
            verdict = "waiting" if of_several and said["call"] is None else expected["verdict"]
            assert said["verdict"] in (verdict, "created"), name
            assert all(note["path"] is not None or note["note"] for note in said["notes"])
            if said["call"] is not None and expected["verdict"] == "created":
                assert said["call"]["status"] == expected["status"]
                assert {note["field"] for note in said["notes"]} >= {"direction", "fromNumber", "toNumber", "status"}
    assert await door.deliveries() == []
    other = await tenant.request("POST", f"/api/webhook/{vendor}/dry-run?source={'0' * 24}", token=tenant.token, data=b"{}")
    assert other.status == 404


async def test_secrets_inside_a_payload_are_nowhere_to_be_seen(tenant: Tenant, service_on_disk: Service) -> None:
    door = await vendors_door(tenant, "vapi")
    payload = orjson.loads(body_of("vapi-end-of-call-report.json"))
    token = "5ecre7" * 6
    payload["message"]["phoneNumber"] = {**(payload["message"].get("phoneNumber") or {}), "twilioAuthToken": token}
    delivery = await door.receive(payload)
    shown = await tenant.get(f"/api/deliveries/{delivery['id']}/body")
    assert shown.status == 200
    for text in (shown.body, await door.call(delivery)):
        assert token not in orjson.dumps(text).decode()
    for name in await service_on_disk.database.list_collection_names():
        collection: Any = service_on_disk.database.get_collection(name, codec_options=CodecOptions(RawBSONDocument))
        async for document in collection.find():
            assert token.encode() not in document.raw, name
