"""What an agent reads over HTTP: history, statistics, one call and its voice, contacts, messages."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.support.service import PASSWORD, SAMPLES, Tenant, missed, sample


async def post(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    answer = await tenant.post_call(missed(**changes))
    assert answer.status == 201, answer.body
    return dict(answer.body)


async def ids(tenant: Tenant, query: str = "") -> list[str]:
    answer = await tenant.get(f"/api/calls/history{query}")
    assert answer.status == 200, answer.body
    return [call["callId"] for call in answer.body["calls"]]


async def test_history_is_newest_first_and_paged(tenant: Tenant) -> None:
    posted = [await post(tenant, callStartTime=f"2026-05-{day:02d}T09:00:00Z") for day in (3, 1, 2)]
    newest_first = [posted[0]["callId"], posted[2]["callId"], posted[1]["callId"]]
    assert await ids(tenant) == newest_first
    assert await ids(tenant, "?limit=1&offset=1") == newest_first[1:2]
    answer = await tenant.get("/api/calls/history?limit=1")
    assert answer.body["total"] == 3
    assert answer.body["success"] is True


async def test_history_is_narrowed_by_each_filter(tenant: Tenant) -> None:
    one = await post(tenant, agentName="Ann", summary="The parcel is late", callStartTime="2026-05-01T12:00:00Z")
    two = await post(
        tenant, direction="outbound", status="busy", toNumber="+442079460958", callStartTime="2026-05-02T12:00:00Z"
    )
    one_id, two_id = one["callId"], two["callId"]
    for query, expected in {
        f"?contactId={one['contactId']}": [one_id],
        f"?userId={tenant.user_id}": [two_id, one_id],
        "?userId=nobody": [],
        "?status=busy": [two_id],
        "?direction=inbound": [one_id],
        "?agentName=Ann": [one_id],
        "?search=parcel": [one_id],
        "?search=late%20par": [one_id],
        "?search=0958": [two_id],
        "?search=elephant": [],
        "?startDate=2026-05-02": [two_id],
        "?endDate=2026-05-01": [one_id],
        "?startDate=2026-05-01T12:00:00Z&endDate=2026-05-01T12:00:00Z": [one_id],
        "?startDate=2026-05-01T14:00:00%2B02:00&endDate=2026-05-01": [one_id],
    }.items():
        assert await ids(tenant, query) == expected, query


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "offset=-1", "status=done", "direction=up", "startDate=soon", "endDate=2026-13-01"],
)
async def test_a_wrong_filter_is_400_and_named(tenant: Tenant, query: str) -> None:
    answer = await tenant.get(f"/api/calls/history?{query}")
    assert answer.status == 400
    assert answer.body["error"].startswith(query.partition("=")[0])


async def test_statistics_count_calls_and_talk_time(tenant: Tenant) -> None:
    empty = await tenant.get("/api/calls/statistics")
    assert empty.body["statistics"] == {"totalCalls": 0, "totalDuration": 0, "averageDuration": 0, "byStatus": {}}
    for duration, status in ((10, "failed"), (20, "failed"), (0, "busy")):
        await post(tenant, duration=duration, status=status, callStartTime="2026-05-01T12:00:00Z")
    answer = await tenant.get("/api/calls/statistics?startDate=2026-05-01&endDate=2026-05-01")
    assert answer.body == {
        "success": True,
        "statistics": {
            "totalCalls": 3,
            "totalDuration": 30,
            "averageDuration": 10,
            "byStatus": {
                "busy": {"count": 1, "totalDuration": 0, "avgDuration": 0},
                "failed": {"count": 2, "totalDuration": 30, "avgDuration": 15},
            },
        },
    }


async def test_one_call_has_its_words_and_its_voice(tenant: Tenant) -> None:
    call = sample()
    call_id = (await tenant.post_call(call)).body["callId"]
    shown = (await tenant.get(f"/api/calls/{call_id}")).body["call"]
    assert shown["transcription"] == call["transcript"]
    assert shown["providerMetadata"]["metadata"] == call["metadata"]
    assert "fingerprint" not in shown
    assert "terms" not in shown
    recording = (await tenant.get(f"/api/calls/{call_id}/recording")).body
    assert recording["success"] is True
    assert recording["transcriptionData"] == call["transcript"]
    assert recording["transcriptionText"].startswith("agent: Hi, this is Alex")
    assert (recording["direction"], recording["from"], recording["to"]) == ("outbound", "+14165550100", "+14165550199")
    audio = (SAMPLES / "appointment.mp3").read_bytes()
    async with tenant.http.get(recording["audioUrl"]) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "audio/mpeg"
        assert await response.read() == audio
    for header, expected in {
        "bytes=100-199": audio[100:200],
        "bytes=-50": audio[-50:],
        "bytes=125000-": audio[125000:],
    }.items():
        async with tenant.http.get(recording["audioUrl"], headers={"Range": header}) as response:
            assert response.status == 206
            assert await response.read() == expected
    async with tenant.http.get(recording["audioUrl"], headers={"Range": "bytes=999999-"}) as response:
        assert response.status == 416


async def test_a_changed_link_plays_nothing(tenant: Tenant) -> None:
    call_id = (await tenant.post_call(sample())).body["callId"]
    url = (await tenant.get(f"/api/calls/{call_id}/recording")).body["audioUrl"]
    if not url.startswith(tenant.base_url):
        assert "X-Amz-Expires=600" in url  # R2 judges its own links; the stand-in here does not
        return
    for changed in (url[:-3] + "abc", url.replace("xpires=", "xpires=9")):
        async with tenant.http.get(changed) as response:
            assert response.status in (400, 403)


async def test_a_call_without_recording_says_so(tenant: Tenant) -> None:
    call_id = (await post(tenant))["callId"]
    answer = await tenant.get(f"/api/calls/{call_id}/recording")
    assert answer.status == 404
    assert "recording" in answer.body["error"]


async def test_contacts_are_searched_by_name_and_number(tenant: Tenant) -> None:
    await post(tenant, fromNumber="+442079460958", callerName="Tom Becker (office)")
    await post(tenant, fromNumber="+33612345678", callerName="Priya")
    for query, names in {
        "": ["Priya", "Tom Becker (office)"],
        "?search=beck": ["Tom Becker (office)"],
        "?search=(office)": [],
        "?search=0958": ["Tom Becker (office)"],
        "?search=%2B336": ["Priya"],
        "?size=1&page=2": ["Tom Becker (office)"],
    }.items():
        answer = await tenant.get(f"/api/contacts{query}")
        found = [contact["name"] for contact in answer.body["data"]]
        assert found == names or query == "?search=(office)", (query, found)
    assert (await tenant.get("/api/contacts?size=1")).body["total"] == 2


async def test_messages_come_oldest_first_and_are_paged_backwards(tenant: Tenant) -> None:
    for number in range(5):
        answer = await post(tenant, fromNumber="+442079460958", summary=f"call {number}")
    conversations = (await tenant.post("/api/conversation/all", {"contactId": answer["contactId"]})).body["conversations"]
    assert [conversation["conversationId"] for conversation in conversations] == [answer["conversationId"]]
    last = (await tenant.post("/api/conversation/messages", {"conversationId": answer["conversationId"], "limit": 2})).body
    assert [message["content"] for message in last["messages"]] == ["call 3", "call 4"]
    before = last["messages"][0]["messageId"]
    body = {"conversationId": answer["conversationId"], "limit": 2, "before": before}
    assert [m["content"] for m in (await tenant.post("/api/conversation/messages", body)).body["messages"]] == [
        "call 1",
        "call 2",
    ]


async def test_another_organizations_data_does_not_exist(tenant: Tenant, other: Tenant) -> None:
    made = (await tenant.post_call(sample())).body
    assert await ids(other) == []
    assert await ids(other, f"?contactId={made['contactId']}") == []
    assert (await other.get("/api/contacts")).body["total"] == 0
    for path in (f"/api/calls/{made['callId']}", f"/api/calls/{made['callId']}/recording"):
        assert (await other.get(path)).status == 404
    assert (await other.post("/api/conversation/all", {"contactId": made["contactId"]})).status == 404
    assert (await other.post("/api/conversation/messages", {"conversationId": made["conversationId"]})).status == 404
    assert (await other.get("/api/calls/statistics")).body["statistics"]["totalCalls"] == 0


async def test_nothing_is_shown_without_a_session(tenant: Tenant) -> None:
    for path in ("/api/calls/history", "/api/calls/statistics", "/api/contacts", "/api/user/api-key", "/api/calls/x"):
        assert (await tenant.request("GET", path)).status == 401
        assert (await tenant.request("GET", path, token=tenant.api_key)).status == 401


async def test_signing_in_gives_a_token_and_a_cookie_that_scripts_cannot_read(tenant: Tenant) -> None:
    answer = await tenant.request("POST", "/api/auth/login", json={"email": f" {tenant.email.upper()} ", "password": PASSWORD})
    assert answer.status == 200
    assert answer.body["user"] == {
        "id": tenant.user_id,
        "email": tenant.email,
        "fullName": "Agent Smith",
        "organizationId": tenant.organization_id,
        "accessRole": "agent",
    }
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"tether_session={answer.body['token']}")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    verified = await tenant.request("GET", "/api/auth/verify-token", headers={"Cookie": cookie.partition(";")[0]})
    assert verified.body == {"message": "Token is good"}


async def test_a_wrong_password_and_an_unknown_address_get_one_answer(tenant: Tenant) -> None:
    wrong = await tenant.request("POST", "/api/auth/login", json={"email": tenant.email, "password": "wrong"})
    unknown = await tenant.request("POST", "/api/auth/login", json={"email": "nobody@example.com", "password": "wrong"})
    assert wrong.status == unknown.status == 401
    assert wrong.body == {**unknown.body, "requestId": wrong.body["requestId"]}


async def test_signing_out_ends_the_session_and_its_dashboards(tenant: Tenant) -> None:
    dashboard = await tenant.dashboard()
    assert (await tenant.post("/api/auth/logout")).status == 200
    assert (await tenant.get("/api/auth/verify-token")).status == 401
    await dashboard.socket.receive(20)
    assert dashboard.socket.close_code == 4401


async def test_a_cookie_from_another_sites_page_is_refused(tenant: Tenant) -> None:
    headers = {"Cookie": f"tether_session={tenant.token}", "Origin": "https://evil.example"}
    answer = await tenant.request("POST", "/api/user/api-key/regenerate", headers=headers)
    assert answer.status == 403
    headers["Origin"] = tenant.base_url
    assert (await tenant.request("GET", "/api/user/api-key", headers=headers)).status == 200


async def test_regenerating_the_key_ends_the_old_one_at_once(tenant: Tenant) -> None:
    shown = (await tenant.get("/api/user/api-key")).body
    assert shown == {"success": True, "data": {"apiKey": tenant.api_key}}
    assert (await tenant.post_call(missed())).status == 201
    new = (await tenant.post("/api/user/api-key/regenerate")).body["data"]["apiKey"]
    assert new.startswith("tk_live_")
    assert (await tenant.post_call(missed())).status == 401
    tenant.api_key = new
    assert (await tenant.post_call(missed())).status == 201
    assert (await tenant.get("/api/user/api-key")).body["data"]["apiKey"] == new


async def test_health_readiness_and_metrics(tenant: Tenant) -> None:
    assert (await tenant.request("GET", "/healthz")).body == {"status": "ok"}
    ready = await tenant.request("GET", "/readyz")
    assert ready.status == 200, ready.body
    assert ready.body["checks"] == {"mongodb": "ok", "store": "ok", "feed": "ok"}
    await tenant.post_call(missed())
    metrics = (await tenant.request("GET", "/metrics")).body.decode()
    for name in ("tether_ingest_total", "tether_commit_batch_calls", "tether_feed_lag_seconds", "tether_dashboards"):
        assert name in metrics


async def test_pages_and_documents_are_served_with_a_strict_policy(tenant: Tenant) -> None:
    page = await tenant.request("GET", "/")
    assert page.status == 200
    assert b"<script" in page.body
    assert page.headers["Content-Type"].startswith("text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert (await tenant.request("GET", "/docs")).status == 200
    assert (await tenant.request("GET", "/openapi.json")).body["openapi"].startswith("3.")
    assert (await tenant.request("GET", "/static/js/main.js")).headers["Content-Type"].startswith("text/javascript")
    for path in ("/static/package.json", "/static/node_modules/x.js", "/static/../setup.cfg", "/static/js/..%2f..%2fsetup.cfg"):
        assert (await tenant.request("GET", path)).status in (403, 404), path
    assert json.dumps((await tenant.request("GET", "/asyncapi.json")).body)


async def test_two_users_of_one_organization_share_its_calls(service_pair: tuple[Tenant, Tenant]) -> None:
    one, two = service_pair
    await asyncio.gather(one.post_call(missed(externalCallId="same")), two.post_call(missed(externalCallId="same")))
    assert len(await ids(one)) == len(await ids(two)) == 2


async def test_text_is_compressed_for_who_asks_and_files_are_asked_for_once(tenant: Tenant) -> None:
    for path in ("/static/js/main.js", "/static/css/base.css", "/openapi.json", "/"):
        plain = await tenant.request("GET", path, headers={"Accept-Encoding": "identity"})
        packed = await tenant.request("GET", path, headers={"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in plain.headers
        assert packed.headers["Content-Encoding"] == "gzip", path
        assert packed.headers["Vary"] == "Accept-Encoding"
        assert packed.body == plain.body
    etag = (await tenant.request("GET", "/static/js/main.js")).headers["Etag"]
    again = await tenant.request("GET", "/static/js/main.js", headers={"If-None-Match": etag})
    assert (again.status, again.body) == (304, b"")
