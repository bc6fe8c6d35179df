"""Sources over HTTP: who may manage them, what is shown of them, and for how long their keys hold."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import Any

import pytest

from tests.support.service import Answer, Service, Tenant, missed
from tests.support.waiting import eventually
from tether_rt.auth.credentials import looks_like_api_key
from tether_rt.auth.source_admin import MAX_SOURCES
from tether_rt.mongo.client import new_id


@pytest.fixture
async def admin(service_on_disk: Service) -> Tenant:
    """An admin of a new organization."""
    return await service_on_disk.tenant(role="admin")


def settings(**values: Any) -> dict[str, Any]:
    return {"name": "A", "settings": values}


def vendors(**values: Any) -> dict[str, Any]:
    return {"name": "A", "kind": "retell", **values}


async def send(admin: Tenant, method: str, path: str, body: Any = None) -> Answer:
    return await admin.request(method, f"/api/sources{path}", token=admin.token, json=body)


async def added(admin: Tenant, **body: Any) -> tuple[dict[str, Any], Tenant]:
    """Add a source; return it, and the vendor who has its key."""
    answer = await send(admin, "POST", "", {"name": "Booking agent", **body})
    assert answer.status == 201, answer.body
    assert answer.body.keys() == {"success", "source", "apiKey"}
    return answer.body["source"], replace(admin, api_key=answer.body["apiKey"])


async def with_key(tenant: Tenant, key: str) -> int:
    """Send a call with this key and return the status of the answer."""
    return (await replace(tenant, api_key=key).post_call(missed())).status


async def test_a_new_source_is_shown_with_everything_but_its_key(admin: Tenant, service_on_disk: Service) -> None:
    source, vendor = await added(admin)
    assert looks_like_api_key(vendor.api_key)
    assert source == {
        "id": source["id"],
        "organizationId": admin.organization_id,
        "name": "Booking agent",
        "kind": "api",
        "enabled": True,
        "createdBy": admin.user_id,
        "createdAt": source["createdAt"],
        "lastSeenAt": None,
        "keys": [{"createdAt": source["createdAt"], "endsAt": None}],
        "settings": {
            "recordings": "now",
            "historic": False,
            "numbers": [],
            "agentIds": [],
            "toleranceS": None,
            "publicUrl": None,
            "proof": None,
            "fetchUser": None,
            "fetchPasswordSet": False,
        },
    }
    assert (await send(admin, "GET", f"/{source['id']}")).body == {
        "success": True,
        "source": {**source, "createdByName": "Agent Smith", "refusedLastDay": 0, "deliveries": {}},
    }
    assert (await send(admin, "GET", "")).body == {"success": True, "sources": [source]}
    assert vendor.api_key not in str(await service_on_disk.database["sources"].find_one({"_id": source["id"]}))


async def test_a_sources_calls_say_whose_they_are(admin: Tenant) -> None:
    source, vendor = await added(admin, name="  Retell prod ")
    call_id = (await vendor.post_call(missed())).body["callId"]
    call = (await admin.get(f"/api/calls/{call_id}")).body["call"]
    assert (call["sourceId"], call["sourceName"], call["userId"]) == (source["id"], "Retell prod", source["id"])
    assert (await admin.get(f"/api/calls/history?userId={source['id']}")).body["total"] == 1


async def test_an_external_id_is_unique_within_a_source_whichever_key_is_used(admin: Tenant) -> None:
    source, vendor = await added(admin)
    _, other = await added(admin, name="Another")
    call = missed(externalCallId="one")
    first = await vendor.post_call(call)
    key = (await send(admin, "POST", f"/{source['id']}/rotate", {})).body["apiKey"]
    again = await replace(vendor, api_key=key).post_call(call)
    assert (again.status, again.body["callId"]) == (200, first.body["callId"])
    assert (await vendor.post_call(call)).status == 200
    elsewhere = [(await sender.post_call(call)).status for sender in (other, admin)]
    assert elsewhere == [201, 201]


async def test_a_source_was_seen_when_it_sent_something(admin: Tenant) -> None:
    source, vendor = await added(admin)
    await vendor.post_call({"a": "refused call counts as well"})

    async def was_seen() -> bool:
        seen = (await send(admin, "GET", f"/{source['id']}")).body["source"]["lastSeenAt"]
        return seen is not None and seen >= source["createdAt"]

    await eventually(was_seen)


async def test_a_source_is_shown_with_what_became_of_its_deliveries(admin: Tenant) -> None:
    source, vendor = await added(admin)
    _, other = await added(admin, name="Another")
    for sender in (vendor, vendor, other, admin):
        assert (await sender.post_call({"a": sender.api_key})).status == 400

    async def is_counted() -> bool:
        shown = (await send(admin, "GET", f"/{source['id']}")).body["source"]
        return bool(
            shown["deliveries"] == {"refused": 1} and shown["refusedLastDay"] == 1
        )  # the same refusal again is the same delivery

    await eventually(is_counted)


async def test_settings_that_are_not_named_stay_and_null_takes_one_back(admin: Tenant, service_on_disk: Service) -> None:
    given = {
        "recordings": "later",
        "historic": True,
        "numbers": ["+1 416 555 0100", "+14165550100"],
        "agentIds": ["agent_1"],
        "toleranceS": 60,
        "fetchUser": "AC1",
        "fetchPassword": "hush",
    }
    source, vendor = await added(admin, settings=given)
    shown = {**given, "numbers": ["+14165550100"], "publicUrl": None, "proof": None, "fetchPasswordSet": True}
    del shown["fetchPassword"]
    assert source["settings"] == shown
    assert "hush" not in str(await service_on_disk.database["sources"].find_one({"_id": source["id"]}))
    changes = {"settings": {"recordings": "now", "toleranceS": None, "fetchPassword": None}, "name": "New"}
    changed = (await send(admin, "PATCH", f"/{source['id']}", changes)).body["source"]
    assert changed["name"] == "New"
    assert changed["settings"] == {**shown, "recordings": "now", "toleranceS": None, "fetchPasswordSet": False}
    assert (await send(admin, "PATCH", f"/{source['id']}", {})).body["source"] == changed
    dashboard = await admin.dashboard()
    assert (await vendor.post_call(missed())).status == 201
    assert (await dashboard.next())["data"]["historic"] is True
    await dashboard.close()


async def test_a_disabled_source_stops_and_an_enabled_one_goes_on(admin: Tenant) -> None:
    source, vendor = await added(admin)
    for enabled, status in ((True, 201), (False, 401), (False, 401), (True, 201)):
        changed = await send(admin, "PATCH", f"/{source['id']}", {"enabled": enabled})
        assert changed.body["source"]["enabled"] is enabled
        assert await with_key(admin, vendor.api_key) == status
    assert await with_key(admin, admin.api_key) == 201


async def test_two_keys_hold_and_the_third_ends_the_first_at_once(admin: Tenant) -> None:
    source, vendor = await added(admin)
    keys = [vendor.api_key]
    for overlap in ({"overlapHours": 1}, {}):
        answer = await send(admin, "POST", f"/{source['id']}/rotate", overlap)
        assert answer.body.keys() == {"success", "apiKey"}
        keys.append(answer.body["apiKey"])
        older, newer = (await send(admin, "GET", f"/{source['id']}")).body["source"]["keys"]
        assert older["endsAt"] > newer["createdAt"]
        assert newer["endsAt"] is None
    assert [await with_key(admin, key) for key in keys] == [401, 201, 201]
    keys.append((await send(admin, "POST", f"/{source['id']}/rotate", {"overlapHours": 0})).body["apiKey"])
    assert [await with_key(admin, key) for key in keys] == [401, 401, 401, 201]


async def test_rotations_at_once_leave_two_keys_that_hold(admin: Tenant) -> None:
    source, vendor = await added(admin)
    answers = await asyncio.gather(*(send(admin, "POST", f"/{source['id']}/rotate", {}) for _ in range(3)))
    keys = [answer.body["apiKey"] for answer in answers if answer.status == 200]
    held = [await with_key(admin, key) for key in (vendor.api_key, *keys)]
    assert held.count(201) == 2
    assert len((await send(admin, "GET", f"/{source['id']}")).body["source"]["keys"]) == 2


@pytest.mark.parametrize(
    ("body", "code", "field", "sentence"),
    [
        ({}, "missing_field", "name", "Missing required field: name"),
        ({"name": "  "}, "empty_value", "name", "name must not be empty"),
        (
            {"name": "A", "kind": "retel"},
            "unknown_value",
            "kind",
            "kind must be one of api, elevenlabs, retell, vapi, twilio, ",
        ),
        ({"name": "A", "secrets": ["s"]}, "unknown_field", "secrets", "secrets are for sources of vendors"),
        (settings(proof="secret"), "unknown_field", "settings.proof", "settings.proof is for sources of the kind vapi"),
        (vendors(secrets=[]), "empty_value", "secrets", "secrets must not be empty"),
        (vendors(secrets=["a"] * 6), "out_of_range", "secrets", "secrets must have at most 5 entries"),
        (vendors(secrets=["a", "\n "]), "empty_value", "secrets[1]", "secrets[1] must not be empty"),
        (
            vendors(settings={"publicUrl": "calls.example.com"}),
            "wrong_format",
            "settings.publicUrl",
            "settings.publicUrl must be",
        ),
        (settings(recording="later"), "unknown_field", "settings.recording", "settings.recording is not a known field"),
        (settings(recordings="soon"), "unknown_value", "settings.recordings", "settings.recordings must be one of now, later"),
        (settings(historic=1), "wrong_type", "settings.historic", "settings.historic must be true or false"),
        (settings(numbers=["4165550100"]), "national_number", "settings.numbers[0]", "settings.numbers[0] "),
        (settings(toleranceS=-1), "out_of_range", "settings.toleranceS", "settings.toleranceS must be 0 or more"),
        (settings(fetchUser=""), "empty_value", "settings.fetchUser", "settings.fetchUser must not be empty"),
    ],
)
async def test_what_is_wrong_with_a_source_is_said(admin: Tenant, body: Any, code: str, field: str, sentence: str) -> None:
    answer = await send(admin, "POST", "", body)
    assert (answer.status, answer.body["code"], answer.body["field"]) == (400, code, field), answer.body
    assert answer.body["error"].startswith(sentence)
    assert (await send(admin, "GET", "")).body["sources"] == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("POST", "", {"name": "A"}),
        ("GET", "/ID", None),
        ("PATCH", "/ID", {"enabled": False}),
        ("POST", "/ID/rotate", {}),
    ],
)
async def test_admins_alone_manage_sources_and_only_their_own(
    service_on_disk: Service, method: str, path: str, body: Any
) -> None:
    organization = uuid.uuid4().hex
    admin, agent = await service_on_disk.tenant(organization, role="admin"), await service_on_disk.tenant(organization)
    stranger = await service_on_disk.tenant(role="admin")
    source, vendor = await added(admin)
    own = path.replace("ID", source["id"])
    refused = await send(agent, method, own, body)
    assert (refused.status, refused.body["error"]) == (403, "You may not manage sources: ask an admin of your organization.")
    for token in (vendor.api_key, admin.api_key, ""):
        assert (await admin.request(method, f"/api/sources{own}", token=token, json=body)).status == 401
    theirs = await send(stranger, method, own, body)
    if "ID" in path:
        nobodys = await send(stranger, method, path.replace("ID", new_id()), body)
        assert theirs.status == nobodys.status == 404
        assert theirs.body["error"] == nobodys.body["error"] == "There is no such source."
    assert source["id"] not in str(theirs.body)
    assert (await send(admin, "GET", f"/{source['id']}")).body["source"] == {
        **source,
        "createdByName": "Agent Smith",
        "refusedLastDay": 0,
        "deliveries": {},
    }


async def test_an_organization_has_a_bounded_number_of_sources(admin: Tenant, service_on_disk: Service) -> None:
    source, _ = await added(admin)
    stored = await service_on_disk.database["sources"].find_one({"_id": source["id"]})
    assert stored is not None
    more = [{**stored, "_id": new_id(), "keys": [{**stored["keys"][0], "digest": new_id()}]} for _ in range(MAX_SOURCES - 1)]
    await service_on_disk.database["sources"].insert_many(more)
    answer = await send(admin, "POST", "", {"name": "One more"})
    assert (answer.status, answer.body["error"].partition(":")[0]) == (400, "An organization has at most 200 sources")


async def test_a_source_outlives_who_added_it(admin: Tenant, service_on_disk: Service) -> None:
    _, vendor = await added(admin)
    await service_on_disk.database["users"].delete_one({"_id": admin.user_id})
    assert await with_key(admin, vendor.api_key) == 201
