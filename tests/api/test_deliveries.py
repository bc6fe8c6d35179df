"""What was refused is kept: listed, explained, shown with its secrets masked, and replayed; for admins and its own source."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from typing import Any

import pytest

from tests.support.audio import mp3
from tests.support.service import Answer, Service, Tenant, missed, sample
from tests.support.waiting import eventually

WRONG = "(416) 555-0199"
"""A number that no rule takes."""


@pytest.fixture
async def admin(service: Service) -> Tenant:
    return await service.tenant(role="admin")


async def refuse(tenant: Tenant, call: Any, status: int = 400, **options: Any) -> Answer:
    answer = await tenant.post_call(call, **options)
    assert answer.status == status, answer.body
    return answer


async def kept(admin: Tenant, count: int, query: str = "") -> list[dict[str, Any]]:
    """Return the organization's deliveries once there are so many."""

    async def are_there() -> bool:
        return bool((await admin.get(f"/api/deliveries{query}")).body["total"] == count)

    await eventually(are_there)
    return list((await admin.get(f"/api/deliveries{query}")).body["deliveries"])


async def calls_of(admin: Tenant) -> list[dict[str, Any]]:
    return list((await admin.get("/api/calls/history")).body["calls"])


# ---------------------------------------------------------------------- kept


async def test_a_refusal_is_kept_with_what_its_answer_said(admin: Tenant) -> None:
    body = json.dumps(missed(fromNumber=WRONG)).encode()
    refused = await refuse(admin, body, headers={"X-Request-Id": "r-1"})
    (delivery,) = await kept(admin, 1)
    said = ("code", "field", "error", "requestId")
    assert {name: delivery[name] for name in said} == {name: refused.body[name] for name in said}
    assert (delivery["kind"], delivery["verdict"], delivery["callId"]) == ("ingest", "refused", None)
    assert (delivery["sourceId"], delivery["bytes"], delivery["times"]) == (admin.user_id, len(body), 1)
    (attempt,) = delivery["attempts"]
    assert (attempt["at"], attempt["verdict"], attempt["code"], attempt["by"]) == (
        delivery["at"], "refused", refused.body["code"], "sender",
    )  # fmt: skip
    one = (await admin.get(f"/api/deliveries/{delivery['id']}")).body
    assert one == {"success": True, "delivery": {**delivery, "errors": refused.body["errors"], "notes": []}}


async def test_every_kind_of_refusal_is_kept_and_nothing_else(admin: Tenant) -> None:
    codes = [
        (await refuse(admin, content, status, headers=headers)).body["code"]
        for content, status, headers in (
            (b"", 400, {}),
            (b"{", 400, {}),
            (missed(), 415, {"Content-Type": "text/plain"}),
            (missed(), 415, {"Content-Encoding": "gzip"}),
        )
    ]
    too_large = {"Content-Length": str(1 << 40), "Authorization": f"Bearer {admin.api_key}", "Content-Type": "application/json"}
    async with admin.http.post(admin.base_url + "/api/calls/ingest", headers=too_large, data=b"x") as answer:
        assert answer.status == 413
    assert (await admin.post_call(missed())).status == 201
    assert (await admin.request("POST", "/api/calls/ingest", json={})).status == 401
    deliveries = await kept(admin, 5)
    assert sorted(one["code"] for one in deliveries) == sorted([*codes, "too_large"])
    assert [one["bytes"] for one in deliveries if one["code"] == "too_large"] == [1 << 40]


async def test_the_same_refusal_again_is_one_delivery(admin: Tenant) -> None:
    call = missed(fromNumber=WRONG)
    for number in range(3):
        await refuse(admin, call, headers={"X-Request-Id": f"r-{number}"})
    await refuse(admin, missed(fromNumber=WRONG))

    async def all_are_written() -> bool:
        return bool(sum(one["times"] for one in (await admin.get("/api/deliveries")).body["deliveries"]) == 4)

    await eventually(all_are_written)
    newer, older = await kept(admin, 2)
    assert (newer["times"], older["times"], older["requestId"]) == (1, 3, "r-2")
    assert older["at"] <= newer["at"]


async def test_deliveries_are_filtered_paged_and_counted(admin: Tenant) -> None:
    for _ in range(5):
        await refuse(admin, missed(fromNumber=WRONG))
    not_json = (await refuse(admin, b"[")).body["code"]
    everything = await kept(admin, 6)
    assert [one["at"] for one in everything] == sorted((one["at"] for one in everything), reverse=True)
    assert len(await kept(admin, 1, f"?code={not_json}")) == 1
    assert await kept(admin, 0, "?verdict=created") == []
    assert await kept(admin, 0, "?callId=64f0a1b2c3d4e5f6a7b8c9d0") == []
    assert await kept(admin, 0, "?to=2020-01-01") == []
    assert len(await kept(admin, 6, f"?source={admin.user_id}&from=2020-01-01")) == 6
    pages: list[str] = []
    while len(page := await kept(admin, 6, f"?limit=4&before={pages[-1]}" if pages else "?limit=4")):
        pages += [one["id"] for one in page]
    assert pages == [one["id"] for one in everything]
    reasons = (await admin.get("/api/deliveries/reasons")).body["reasons"]
    assert [(one["verdict"], one["code"], one["count"]) for one in reasons] == [
        ("refused", everything[-1]["code"], 5), ("refused", not_json, 1),
    ]  # fmt: skip
    assert reasons[1]["lastAt"] == next(one["at"] for one in everything if one["code"] == not_json)
    for query in ("verdict=x", "limit=0", "from=x"):
        assert (await admin.get(f"/api/deliveries?{query}")).status == 400, query
    assert (await admin.get("/api/deliveries?before=64f0a1b2c3d4e5f6a7b8c9d0")).status == 404


# ---------------------------------------------------------------------- the body


async def body_of(admin: Tenant, delivery: dict[str, Any]) -> dict[str, Any]:
    answer = await admin.get(f"/api/deliveries/{delivery['id']}/body")
    assert answer.status == 200, answer.body
    return dict(answer.body)


async def test_a_body_is_shown_with_its_secrets_masked(admin: Tenant) -> None:
    metadata = {"apiKey": "swordfish-1", "note": "at https://u:swordfish-2@h.example/a?sig=swordfish-3", "orderId": 17}
    call = missed(fromNumber=WRONG, metadata=metadata, password="swordfish-4")
    await refuse(admin, call)
    shown = await body_of(admin, (await kept(admin, 1))[0])
    masked = {"apiKey": "***", "note": "at https://***@h.example/a?sig=***", "orderId": 17}
    assert shown == {"success": True, "isJson": True, "body": {**call, "metadata": masked, "password": "***"}}


@pytest.mark.parametrize("seconds", [1, 200], ids=["small", "large"])
async def test_audio_is_shortened(admin: Tenant, seconds: int) -> None:
    recording = base64.b64encode(mp3(seconds)).decode()
    call = sample(fromNumber=WRONG, recording=recording)
    await refuse(admin, call)
    shown = (await body_of(admin, (await kept(admin, 1))[0]))["body"]
    assert shown.pop("recording") != call.pop("recording")
    assert shown == call
    assert recording[100:140] not in json.dumps(shown)


async def test_a_body_that_is_not_json_is_shown_as_text(admin: Tenant) -> None:
    await refuse(admin, b'{"fromNumber": "+14165550199", "password": "swordfish", ')
    shown = await body_of(admin, (await kept(admin, 1))[0])
    assert shown == {"success": True, "isJson": False, "body": '{"fromNumber": "+14165550199", "password": "***", '}


async def test_of_a_large_body_that_is_not_json_the_beginning_is_shown(admin: Tenant) -> None:
    await refuse(admin, b"start " + b"word " * 1_500_000)
    body = (await body_of(admin, (await kept(admin, 1))[0]))["body"]
    assert body.startswith("start word word")
    assert len(body) < 70_000


async def test_a_body_that_was_not_read_is_not_there(admin: Tenant) -> None:
    head = {"Content-Length": str(1 << 40), "Authorization": f"Bearer {admin.api_key}", "Content-Type": "application/json"}
    async with admin.http.post(admin.base_url + "/api/calls/ingest", headers=head, data=b"x") as answer:
        assert answer.status == 413
    (delivery,) = await kept(admin, 1)
    assert (await admin.get(f"/api/deliveries/{delivery['id']}/body")).status == 404
    replayed = await admin.post(f"/api/deliveries/{delivery['id']}/replay")
    assert (replayed.body["verdict"], replayed.body["code"]) == ("refused", "body_not_kept")


# ---------------------------------------------------------------------- who may


async def test_a_source_sees_its_own_with_its_key_and_nothing_else(service: Service, admin: Tenant) -> None:
    organization = await service.database["organizations"].find_one({"_id": admin.organization_id})
    assert organization is not None
    colleague = await service.tenant(organization["name"])
    await refuse(admin, missed(fromNumber=WRONG))
    await refuse(colleague, missed(fromNumber=WRONG))
    both = await kept(admin, 2)
    theirs = next(one for one in both if one["sourceId"] == colleague.user_id)
    ours = next(one for one in both if one["sourceId"] == admin.user_id)

    async def ask(path: str, method: str = "GET", **options: Any) -> Answer:
        return await colleague.request(method, path, token=colleague.api_key, **options)

    listed = (await ask("/api/deliveries")).body
    assert ([one["id"] for one in listed["deliveries"]], listed["total"]) == ([theirs["id"]], 1)
    for tail in ("", "/body"):
        assert (await ask(f"/api/deliveries/{theirs['id']}{tail}")).status == 200
        assert (await ask(f"/api/deliveries/{ours['id']}{tail}")).status == 404
    assert (await ask(f"/api/deliveries?source={admin.user_id}")).status == 404
    assert (await ask(f"/api/deliveries?before={ours['id']}")).status == 404
    assert (await ask("/api/deliveries/reasons")).status == 401
    assert (await ask(f"/api/deliveries/{theirs['id']}/replay", "POST")).status == 401
    assert (await ask("/api/deliveries/replay", "POST", json={})).status == 401


async def test_an_agent_may_not_see_deliveries(service: Service, admin: Tenant) -> None:
    agent = await service.tenant()
    for path in ("/api/deliveries", "/api/deliveries/x", "/api/deliveries/x/body", "/api/deliveries/reasons"):
        assert (await agent.get(path)).status == 403
    for path in ("/api/deliveries/x/replay", "/api/deliveries/replay"):
        assert (await agent.post(path, {})).status == 403


async def test_another_organizations_deliveries_do_not_exist(service: Service, admin: Tenant) -> None:
    stranger = await service.tenant(role="admin")
    await refuse(admin, missed(fromNumber=WRONG))
    (delivery,) = await kept(admin, 1)
    for path in (f"/api/deliveries/{delivery['id']}", f"/api/deliveries/{delivery['id']}/body"):
        assert (await stranger.get(path)).status == 404
    assert (await stranger.get(f"/api/deliveries?before={delivery['id']}")).status == 404
    assert (await stranger.post(f"/api/deliveries/{delivery['id']}/replay")).status == 404
    assert (await stranger.get("/api/deliveries")).body["total"] == 0
    assert (await stranger.get(f"/api/deliveries?source={admin.user_id}")).body["total"] == 0
    assert (await stranger.get("/api/deliveries/reasons")).body["reasons"] == []
    plan = {"filter": {"source": admin.user_id}, "plan": False}
    assert (await stranger.post("/api/deliveries/replay", plan)).body["replayed"] == 0


# ---------------------------------------------------------------------- replayed


async def test_a_body_of_another_type_becomes_a_call_when_it_is_replayed(admin: Tenant) -> None:
    """Its content was right: the rules of a call take it, whatever its header said."""
    call = missed(summary="Sent as text")
    await refuse(admin, call, 415, headers={"Content-Type": "text/plain"})
    (delivery,) = await kept(admin, 1)
    replayed = (await admin.post(f"/api/deliveries/{delivery['id']}/replay")).body
    (stored,) = await calls_of(admin)
    assert replayed == {"success": True, "verdict": "created", "callId": stored["callId"]}
    assert (stored["summary"], stored["sourceId"]) == ("Sent as text", admin.user_id)
    again = (await admin.post(f"/api/deliveries/{delivery['id']}/replay")).body
    assert again == {"success": True, "verdict": "duplicate", "callId": stored["callId"]}
    delivery = (await admin.get(f"/api/deliveries/{delivery['id']}")).body["delivery"]
    assert (delivery["verdict"], delivery["callId"], delivery["code"], delivery["times"]) == (
        "created", stored["callId"], None, 3,
    )  # fmt: skip
    assert [(one["verdict"], one["by"]) for one in delivery["attempts"]] == [
        ("refused", "sender"), ("created", admin.user_id), ("duplicate", admin.user_id),
    ]  # fmt: skip
    assert len(await kept(admin, 1, f"?callId={stored['callId']}&verdict=created")) == 1


@pytest.mark.parametrize("seconds", [0, 1, 200], ids=["none", "small", "large"])
@pytest.mark.parametrize("has_id", [True, False], ids=["with an id", "without"])
async def test_replays_at_once_store_one_call(admin: Tenant, seconds: int, has_id: bool) -> None:
    recording = base64.b64encode(mp3(seconds)).decode() if seconds else ...
    call = sample(
        status="completed" if seconds else "busy", recording=recording, externalCallId=uuid.uuid4().hex if has_id else ...
    )
    await refuse(admin, call, 415, headers={"Content-Type": "application/x-www-form-urlencoded"})
    (delivery,) = await kept(admin, 1)
    path = f"/api/deliveries/{delivery['id']}/replay"
    answers = await asyncio.gather(*(admin.post(path) for _ in range(5)))
    (stored,) = await calls_of(admin)
    assert {answer.body["callId"] for answer in answers} == {stored["callId"]}
    assert sorted(answer.body["verdict"] for answer in answers) == ["created", *["duplicate"] * 4]
    assert len(stored["recordings"]) == (1 if seconds else 0)
    if seconds:
        link = (await admin.get(f"/api/calls/{stored['callId']}/recording")).body["audioUrl"]
        async with admin.http.get(link) as audio:
            assert await audio.read() == mp3(seconds)


async def test_what_is_still_wrong_is_refused_again(admin: Tenant) -> None:
    refused = await refuse(admin, missed(fromNumber=WRONG))
    (delivery,) = await kept(admin, 1)
    replayed = (await admin.post(f"/api/deliveries/{delivery['id']}/replay")).body
    said = {name: refused.body[name] for name in ("code", "field", "error")}
    assert replayed == {"success": True, "verdict": "refused", **said}
    assert await calls_of(admin) == []


async def test_many_are_planned_and_then_replayed_the_oldest_first(admin: Tenant) -> None:
    text = {"Content-Type": "text/plain"}
    for number in range(7):
        await refuse(admin, missed(summary=f"{number}"), 415, headers=text)
    await refuse(admin, missed(fromNumber=WRONG))
    await kept(admin, 8)
    assert (await admin.post("/api/deliveries/replay", {})).body == {"success": True, "matching": 8}
    chosen = {"code": "unsupported_media", "source": admin.user_id, "from": "2020-01-01T00:00:00Z"}
    plan = (await admin.post("/api/deliveries/replay", {"filter": chosen, "plan": True})).body
    assert plan == {"success": True, "matching": 7}
    assert await calls_of(admin) == []
    done = (await admin.post("/api/deliveries/replay", {"filter": chosen, "plan": False})).body
    assert done == {"success": True, "matching": 7, "replayed": 7, "verdicts": {"created": 7}, "resumeFrom": None}
    assert sorted(call["summary"] for call in await calls_of(admin)) == [f"{number}" for number in range(7)]
    rest = (await admin.post("/api/deliveries/replay", {"plan": False})).body
    assert (rest["matching"], rest["verdicts"]) == (1, {"refused": 1})
    wrongs: tuple[dict[str, Any], ...] = (
        {"plan": "no"},
        {"filter": {"verdict": "x"}},
        {"filter": {"from": "yesterday"}},
        {"filters": {}},
    )
    for wrong in wrongs:
        assert (await admin.post("/api/deliveries/replay", wrong)).status == 400


async def test_a_source_of_its_own_sees_and_has_replayed_what_was_refused_of_it(admin: Tenant) -> None:
    added = (await admin.post("/api/sources", {"name": "Booking agent"})).body
    source_id, key = added["source"]["id"], added["apiKey"]
    text = {"Content-Type": "text/plain", "Authorization": f"Bearer {key}"}
    body = json.dumps(missed()).encode()
    assert (await admin.request("POST", "/api/calls/ingest", data=body, headers=text)).status == 415
    (delivery,) = await kept(admin, 1, f"?source={source_id}")
    assert (await admin.request("GET", f"/api/deliveries/{delivery['id']}", token=key)).status == 200
    await admin.request("PATCH", f"/api/sources/{source_id}", token=admin.token, json={"enabled": False})
    replayed = (await admin.post(f"/api/deliveries/{delivery['id']}/replay")).body
    assert replayed["verdict"] == "created"
    (call,) = await calls_of(admin)
    assert (call["callId"], call["sourceId"], call["sourceName"]) == (replayed["callId"], source_id, "Booking agent")
