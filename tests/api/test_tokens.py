"""Read tokens: made and revoked by admins, they read what their scopes say until they end, and write nothing."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.api.test_feed import stream
from tests.conftest import settings_on
from tests.support.service import Answer, Service, Tenant, missed, running, sample
from tests.support.waiting import eventually
from tether_rt.auth.credentials import looks_like_read_token
from tether_rt.domain.call import iso_ms
from tether_rt.domain.read_token import MAX_TOKENS, SCOPES

TOKENS = "/api/tokens"


@dataclass
class Office:
    """An organization whose admin makes tokens for programs."""

    service: Service
    admin: Tenant

    async def made(self, *scopes: str, **more: Any) -> tuple[str, Tenant]:
        """Make a token; return its id and a program that has it."""
        answer = await self.admin.post(TOKENS, {"name": "Wallboard", "scopes": list(scopes or SCOPES), **more})
        assert answer.status == 201, answer.body
        return answer.body["readToken"]["id"], replace(self.admin, token=answer.body["token"])

    async def revoke(self, token_id: str) -> Answer:
        return await self.admin.request("DELETE", f"{TOKENS}/{token_id}", token=self.admin.token)

    async def listed(self) -> list[dict[str, Any]]:
        answer = await self.admin.get(TOKENS)
        assert answer.status == 200
        return list(answer.body["tokens"])

    async def audit(self, query: str = "") -> list[dict[str, Any]]:
        """Return what the audit log has of tokens and recordings, oldest first."""
        entries = (await self.admin.get(f"/api/audit{query}")).body["entries"]
        return [entry for entry in reversed(entries) if entry["what"] in ("token_changed", "listened")]


@pytest.fixture
async def office(service_on_disk: Service) -> Office:
    return Office(service_on_disk, await service_on_disk.tenant(role="admin"))


def soon(**ahead: float) -> str:
    return iso_ms(datetime.now(UTC) + timedelta(**ahead))


# ---------------------------------------------------------------------- making, listing, revoking


async def test_a_token_is_shown_once_and_listed_without_its_text(office: Office) -> None:
    ends = soon(days=30)
    answer = await office.admin.post(
        TOKENS, {"name": "  Wall  board ", "scopes": ["calls", "feed", "calls"], "expiresAt": ends}
    )
    assert answer.status == 201
    assert looks_like_read_token(answer.body["token"])
    shown = answer.body["readToken"]
    own = office.admin
    assert {name: shown[name] for name in ("name", "scopes", "expiresAt", "createdBy", "createdByName", "lastUsedAt")} == {
        "name": "Wall board",
        "scopes": ["feed", "calls"],
        "expiresAt": ends,
        "createdBy": own.user_id,
        "createdByName": "Agent Smith",
        "lastUsedAt": None,
    }
    assert await office.listed() == [shown]
    stored = await office.service.database["tokens"].find_one({"_id": shown["id"]})
    assert answer.body["token"] not in repr(stored)
    later, _ = await office.made("feed")
    assert [one["id"] for one in await office.listed()] == [shown["id"], later], "oldest first"
    assert (await office.listed())[1]["expiresAt"] is None


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, {("missing_field", "name"), ("missing_field", "scopes")}),
        ({"name": "", "scopes": []}, {("empty_value", "name"), ("empty_value", "scopes")}),
        ({"name": "x", "scopes": ["call", "feed"]}, {("unknown_value", "scopes[0]")}),
        (
            {"name": 5, "scopes": "feed", "extra": 1},
            {("wrong_type", "name"), ("wrong_type", "scopes"), ("unknown_field", "extra")},
        ),
        ({"name": "x", "scopes": ["feed"], "expiresAt": "tomorrow"}, {("wrong_format", "expiresAt")}),
        (
            {"name": " \u2800 ", "scopes": ["feed"], "expiresAt": "2020-01-01T00:00:00Z"},
            {("empty_value", "name"), ("out_of_range", "expiresAt")},
        ),
        ({"name": "x", "scopes": ["feed"], "expiresAt": "0000-01-01T00:00:00Z"}, {("out_of_range", "expiresAt")}),
    ],
)
async def test_everything_that_is_wrong_is_said_at_once(office: Office, body: Any, faults: set[tuple[str, str]]) -> None:
    answer = await office.admin.post(TOKENS, body)
    assert answer.status == 400
    assert {(fault["code"], fault["field"]) for fault in answer.body["errors"]} == faults
    assert await office.listed() == []


async def test_an_organization_has_only_so_many(office: Office) -> None:
    token_id, _ = await office.made("feed")
    tokens = office.service.database["tokens"]
    one = await tokens.find_one({"_id": token_id})
    assert one is not None
    more = [{**one, "_id": uuid.uuid4().hex[:24], "digest": uuid.uuid4().hex} for _ in range(MAX_TOKENS - 1)]
    await tokens.insert_many(more)
    refused = await office.admin.post(TOKENS, {"name": "One more", "scopes": ["feed"]})
    assert refused.status == 400
    assert refused.body["error"] == "An organization has at most 100 read tokens: revoke one that is not in use"
    assert (await office.revoke(token_id)).status == 200
    asked = [office.admin.post(TOKENS, {"name": "The last one", "scopes": ["feed"]}) for _ in range(5)]
    assert sorted([answer.status for answer in await asyncio.gather(*asked)]) == [201, 400, 400, 400, 400]


async def test_what_cannot_be_noted_in_the_audit_log_is_not_done(office: Office) -> None:
    token_id, program = await office.made("calls")
    database = office.service.database
    await database.command("collMod", "audit", validator={"what": {"$ne": "token_changed"}})
    try:
        assert (await office.revoke(token_id)).status == 500
        assert (await office.admin.post(TOKENS, {"name": "Unnoted", "scopes": ["feed"]})).status == 500
    finally:
        await database.command("collMod", "audit", validator={})
    assert [token["id"] for token in await office.listed()] == [token_id]
    assert (await program.get("/api/calls/history")).status == 200
    assert (await office.revoke(token_id)).status == 200


async def test_a_token_of_another_organization_does_not_exist(office: Office) -> None:
    token_id, program = await office.made()
    stranger = await office.service.tenant(role="admin")
    refused = await stranger.request("DELETE", f"{TOKENS}/{token_id}", token=stranger.token)
    assert (refused.status, refused.body["error"]) == (404, "There is no such token.")
    assert (await stranger.get(TOKENS)).body["tokens"] == []
    called = await stranger.post_call(missed())
    assert (await program.get(f"/api/calls/{called.body['callId']}")).status == 404
    assert (await program.get("/api/calls/history")).body["calls"] == []


async def test_it_goes_on_when_the_person_who_made_it_has_left(office: Office) -> None:
    organization = await office.service.database["organizations"].find_one({"_id": office.admin.organization_id})
    assert organization is not None
    leaving = await office.service.tenant(organization["name"], role="admin")
    _, program = await Office(office.service, leaving).made("calls")
    gone = {"role": "viewer", "disabled": True}
    path = f"/api/users/{leaving.user_id}"
    assert (await office.admin.request("PATCH", path, token=office.admin.token, json=gone)).status == 200
    assert (await program.get("/api/calls/history")).status == 200
    assert (await office.listed())[0]["createdByName"] == "Agent Smith"


async def test_when_it_was_last_used_is_noted(office: Office) -> None:
    _, program = await office.made("calls")
    assert (await program.get("/api/calls/history")).status == 200

    async def is_noted() -> bool:
        return (await office.listed())[0]["lastUsedAt"] is not None

    await eventually(is_noted)


# ---------------------------------------------------------------------- reading


async def test_a_program_reads_calls_contacts_and_messages(office: Office) -> None:
    _, program = await office.made("calls")
    call_id = (await office.admin.post_call(missed())).body["callId"]
    (row,) = (await program.get("/api/calls/history")).body["calls"]
    assert row["callId"] == call_id
    assert (await program.get(f"/api/calls/{call_id}")).body["call"]["callId"] == call_id
    (contact,) = (await program.get("/api/contacts")).body["data"]
    conversations = await program.post("/api/conversation/all", {"contactId": contact["contactId"]})
    conversation = conversations.body["conversations"][0]["conversationId"]
    messages = await program.post("/api/conversation/messages", {"conversationId": conversation})
    assert len(messages.body["messages"]) == 1
    table = await program.get("/api/calls/export")
    assert (table.status, table.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")


async def test_a_program_plays_recordings_and_the_audit_log_names_the_token(office: Office) -> None:
    token_id, program = await office.made("recordings")
    call_id = (await office.admin.post_call(sample())).body["callId"]
    link = await program.get(f"/api/calls/{call_id}/recording")
    assert link.status == 200
    async with program.http.get(link.body["audioUrl"]) as audio:
        assert (audio.status, len(await audio.read()) > 1000) == (200, True)
    assert (await program.get(f"/api/calls/{call_id}/peaks")).status == 200
    made, listened = await office.audit()
    assert (made["what"], made["userId"], made["door"]) == ("token_changed", office.admin.user_id, "page")
    assert (made["details"], made["subject"]) == ({"tokenId": token_id, "added": True, "scopes": ["recordings"]}, "Wallboard")
    assert {name: listened[name] for name in ("what", "door", "userId", "tokenId", "who", "callId")} == {
        "what": "listened",
        "door": "token",
        "userId": None,
        "tokenId": token_id,
        "who": "Wallboard",
        "callId": call_id,
    }
    assert await office.audit(f"?who={token_id}") == [listened]
    assert await office.audit(f"?who={token_id}&callId={call_id}") == [listened]
    assert (await office.revoke(token_id)).status == 200
    _, again, revoked = await office.audit()
    assert again["who"] == "Wallboard", "also when it was revoked"
    assert (revoked["details"], revoked["subject"]) == ({"tokenId": token_id, "revoked": True}, "Wallboard")


async def test_a_program_follows_the_events(office: Office) -> None:
    _, program = await office.made("feed")
    dashboard = await program.dashboard()
    following = await stream(program)
    page = await program.http.ws_connect(f"{program.base_url}/ws", protocols=("tether.v1", f"bearer.{program.token}"))
    assert page.protocol == "tether.v1"
    assert (await page.receive_json(timeout=20))["event"] == "hello"
    assert await following.next() is not None
    assert (await office.admin.post_call(missed())).status == 201
    for _ in range(3):
        event = await dashboard.next()
        followed = await following.next()
        assert followed is not None
        assert followed[1] == event == await page.receive_json(timeout=20)
    following.answer.close()
    await dashboard.close()
    await page.close()


async def test_one_token_has_only_so_many_streams(mongodb_uri: str, tmp_path: Path) -> None:
    async with running(settings_on(mongodb_uri, tmp_path, max_dashboards_per_user=1)) as service:
        office = Office(service, await service.tenant(role="admin"))
        _, program = await office.made("feed")
        dashboard = await program.dashboard()
        refused = await program.get("/api/feed")
        assert (refused.status, refused.body["error"]) == (429, "This read token has too many dashboards open; close one.")
        _, another = await office.made("feed")
        assert (await another.get("/api/feed")).status == 200
        await dashboard.close()


# ---------------------------------------------------------------------- where it counts


async def test_it_is_taken_as_a_bearer_token_alone(office: Office) -> None:
    _, program = await office.made()
    text = program.token
    for path in ("/api/calls/history", "/api/feed"):
        for headers in ({"Cookie": f"tether_session={text}"}, {"X-API-Key": text}, {"Authorization": f"Basic {text}"}):
            assert (await program.request("GET", path, headers=headers)).status == 401, headers
        for query in ("token", "access_token", "bearer"):
            assert (await program.request("GET", f"{path}?{query}={text}")).status == 401
    for bad in (text[:-1], text + "x", text.swapcase(), "tr_live_" + "x" * 43):
        assert (await program.request("GET", "/api/calls/history", token=bad)).status == 401


async def test_a_page_of_another_site_opens_no_stream_with_it(office: Office) -> None:
    _, program = await office.made("feed")
    offered = f"tether.v1, bearer.{program.token}"
    foreign = {"Origin": "https://evil.example", "Sec-WebSocket-Protocol": offered}
    assert (await program.request("GET", "/ws", headers=foreign)).status == 403


async def test_it_sends_no_calls_and_the_refusal_says_what_does(office: Office) -> None:
    _, program = await office.made()
    answer = await program.request("POST", "/api/calls/ingest", token=program.token, json=missed())
    assert answer.status == 403
    assert answer.body["error"] == "A read token sends nothing: send calls with an API key, which begins with tk_live_."
    assert (await program.request("POST", "/api/calls/validate", token=program.token, json=missed())).status == 403


# ---------------------------------------------------------------------- its end


async def test_a_revoked_token_ends_at_once_with_its_streams(office: Office) -> None:
    token_id, program = await office.made()
    dashboard, following = await program.dashboard(), await stream(program)
    assert await following.next() is not None
    waiting = asyncio.create_task(program.get("/api/feed?wait=60"))
    await eventually(lambda: len(office.service.server.app.hub.dashboards) == 3)
    answer = await office.revoke(token_id)
    assert (answer.status, answer.body["revoked"]["id"]) == (200, token_id)
    assert (await dashboard.socket.receive(20)).data == 4401
    assert await following.next() is None
    assert [json.loads(line)["event"] for line in (await waiting).body.splitlines()] == ["hello"]
    for path in ("/api/feed", "/api/calls/history"):
        refused = await program.get(path)
        assert refused.status == 401
        assert refused.body["error"] == "The read token does not hold: it was revoked, has expired, or a part of it is missing."
    assert (await office.revoke(token_id)).status == 404
    assert await office.listed() == []


async def test_an_expired_token_ends_with_its_streams_and_is_still_listed(office: Office) -> None:
    token_id, program = await office.made(expiresAt=soon(seconds=3))
    dashboard, following = await program.dashboard(), await stream(program)
    assert await following.next() is not None
    assert (await dashboard.socket.receive(20)).data == 4401
    assert await following.next() is None
    assert (await program.get("/api/calls/history")).status == 401
    assert [one["id"] for one in await office.listed()] == [token_id]


async def test_what_another_token_opened_stays_open(office: Office) -> None:
    token_id, program = await office.made("feed")
    _, staying = await office.made("feed")
    leaving, person, kept = await program.dashboard(), await office.admin.dashboard(), await staying.dashboard()
    assert (await office.revoke(token_id)).status == 200
    assert (await leaving.socket.receive(20)).data == 4401
    assert (await office.admin.post_call(missed())).status == 201
    assert [event["seq"] for event in await kept.events(3)] == [event["seq"] for event in await person.events(3)]
    await person.close()
    await kept.close()
