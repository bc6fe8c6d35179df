"""People of an organization: invitations, roles, disabling, links for passwords."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import settings_on
from tests.support.service import PASSWORD, Answer, Service, Tenant, running
from tests.support.waiting import eventually

NEW_PASSWORD = "purple lantern seven rivers"


def address() -> str:
    return f"{uuid.uuid4().hex}@example.com"


@dataclass
class Office:
    """An organization with an admin and an agent."""

    service: Service
    name: str
    admin: Tenant
    agent: Tenant

    async def people(self) -> dict[str, Any]:
        """Return the people by id."""
        return {user["id"]: user for user in (await self.admin.get("/api/users")).body["users"]}

    async def patch(self, user_id: str, body: Any, by: Tenant | None = None) -> Answer:
        by = by or self.admin
        return await by.request("PATCH", f"/api/users/{user_id}", token=by.token, json=body)

    async def invite(self, **changes: Any) -> Answer:
        body = {"email": address(), "fullName": "Ann Lee", "role": "agent", **changes}
        return await self.admin.post("/api/users/invite", body)

    async def join(self, path: str, password: str = NEW_PASSWORD) -> Answer:
        return await self.admin.request("POST", "/api/auth/join", json={"token": token_of(path), "password": password})

    async def sign_in(self, email: str, password: str) -> Answer:
        return await self.admin.request("POST", "/api/auth/login", json={"email": email, "password": password})

    async def audit(self) -> list[dict[str, Any]]:
        query = {"organizationId": self.admin.organization_id, "door": "page"}
        return await self.service.database["audit"].find(query).sort("_id").to_list(None)


def token_of(path: str) -> str:
    start, _, token = path.partition("#token=")
    assert start == "/join"
    return token


@pytest.fixture
async def office(service_on_disk: Service) -> Office:
    name = uuid.uuid4().hex
    admin, agent = await service_on_disk.tenant(name, role="admin"), await service_on_disk.tenant(name)
    return Office(service_on_disk, name, admin, agent)


async def test_people_are_listed_with_role_last_seen_and_sessions(office: Office) -> None:
    await office.sign_in(office.agent.email, PASSWORD)
    users = (await office.admin.get("/api/users")).body["users"]
    assert [user["id"] for user in users] == [office.admin.user_id, office.agent.user_id]
    assert [(user["role"], user["accessRole"], user["status"], user["disabled"]) for user in users] == [
        ("admin", "admin", "active", False),
        ("agent", "agent", "active", False),
    ]
    assert [user["sessions"] for user in users] == [1, 2]

    async def is_seen() -> bool:
        return (await office.people())[office.admin.user_id]["lastSeenAt"] is not None

    await eventually(is_seen)


async def test_who_is_invited_chooses_a_password_once_and_is_signed_in(office: Office) -> None:
    email = address()
    invited = await office.invite(email=email.upper(), fullName="  Ann \u202e Lee ", role="viewer")
    assert invited.status == 201
    user = invited.body["user"]
    assert (user["email"], user["fullName"], user["role"], user["status"]) == (email, "Ann Lee", "viewer", "invited")
    left = datetime.fromisoformat(user["linkExpiresAt"]) - datetime.now(UTC)
    assert timedelta(days=6, hours=23) < left <= timedelta(days=7)
    assert (await office.sign_in(email, "")).status == 401
    token = token_of(invited.body["path"])
    asked = await office.admin.request("POST", "/api/auth/link", json={"token": token})
    assert asked.body == {
        "success": True,
        "kind": "invite",
        "email": email,
        "fullName": "Ann Lee",
        "organizationName": office.name,
    }
    joined = await office.join(invited.body["path"])
    assert joined.status == 200
    assert joined.body["user"]["id"] == user["id"]
    assert joined.body["allowed"] == []
    assert "tether_session=" in joined.headers["Set-Cookie"]
    assert (await office.admin.request("GET", "/api/calls/history", token=joined.body["token"])).status == 200
    assert (await office.sign_in(email, NEW_PASSWORD)).status == 200
    again = await office.join(invited.body["path"], "another long password")
    assert (again.status, again.body["code"]) == (400, "link_not_valid")
    assert (await office.sign_in(email, "another long password")).status == 401
    assert (await office.people())[user["id"]]["status"] == "active"


async def test_a_link_that_is_too_old_or_replaced_does_not_hold(office: Office) -> None:
    invited = (await office.invite()).body
    newer = await office.admin.post(f"/api/users/{invited['user']['id']}/reset-password")
    assert newer.body["user"]["status"] == "invited"
    assert (await office.join(invited["path"])).body["code"] == "link_not_valid"
    users = office.service.database["users"]
    await users.update_one({"_id": invited["user"]["id"]}, {"$set": {"link.expiresAt": datetime.now(UTC)}})
    assert (await office.join(newer.body["path"])).body["code"] == "link_not_valid"


async def test_of_two_who_use_a_link_at_once_one_joins(office: Office) -> None:
    path = (await office.invite()).body["path"]
    answers = await asyncio.gather(*(office.join(path, f"{NEW_PASSWORD} {number}") for number in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 400, 400, 400]


async def test_a_reset_keeps_the_old_password_until_it_is_used_and_then_ends_all_sessions(office: Office) -> None:
    reset = await office.admin.post(f"/api/users/{office.agent.user_id}/reset-password")
    assert reset.status == 200
    assert datetime.fromisoformat(reset.body["user"]["linkExpiresAt"]) - datetime.now(UTC) <= timedelta(days=1)
    assert (await office.sign_in(office.agent.email, PASSWORD)).status == 200
    assert (await office.agent.get("/api/user")).status == 200
    assert (await office.join(reset.body["path"])).status == 200
    assert (await office.agent.get("/api/user")).status == 401
    assert (await office.sign_in(office.agent.email, PASSWORD)).status == 401
    assert (await office.sign_in(office.agent.email, NEW_PASSWORD)).status == 200


async def test_a_token_is_stored_as_its_hash_alone(office: Office) -> None:
    invited = (await office.invite()).body
    user = await office.service.database["users"].find_one({"_id": invited["user"]["id"]})
    assert user is not None
    assert token_of(invited["path"]) not in repr(user)
    assert (await office.join(f"/join#token={user['link']['digest']}")).body["code"] == "link_not_valid"


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"email": "ann"}, "wrong_format", "email"),
        ({"email": "ann@b c"}, "wrong_format", "email"),
        ({"email": "<b>@example.com"}, "wrong_format", "email"),
        ({"email": "ann\u202e@example.com"}, "wrong_format", "email"),
        ({"email": "a\r\nBcc: x@example.com"}, "wrong_format", "email"),
        ({"email": "a" * 251 + "@b.c"}, "too_long", "email"),
        ({"email": {"$gt": ""}}, "wrong_type", "email"),
        ({"fullName": "\u200b\t"}, "empty_value", "fullName"),
        ({"fullName": "n" * 201}, "too_long", "fullName"),
        ({"role": "owner"}, "unknown_value", "role"),
        ({"role": ["admin"]}, "wrong_type", "role"),
        ({"organizationId": "0" * 24}, "unknown_field", "organizationId"),
        ({"passwordHash": "x"}, "unknown_field", "passwordHash"),
    ],
)
async def test_an_invitation_that_is_wrong_says_what(office: Office, changes: Any, code: str, field: str) -> None:
    refused = await office.invite(**changes)
    assert (refused.status, refused.body["code"], refused.body["field"]) == (400, code, field)
    assert len(await office.people()) == 2


async def test_an_address_belongs_to_one_user(office: Office) -> None:
    refused = await office.invite(email=office.agent.email.upper())
    assert (refused.status, refused.body["code"], refused.body["field"]) == (400, "taken", "email")


async def test_who_is_disabled_is_out_at_once_and_back_when_enabled(office: Office) -> None:
    dashboard = await office.agent.dashboard()
    source = (await office.admin.post("/api/sources", {"name": "Booking"})).body
    answer = await office.patch(office.agent.user_id, {"disabled": True})
    assert (answer.status, answer.body["user"]["status"], answer.body["user"]["sessions"]) == (200, "disabled", 0)
    assert (await office.agent.get("/api/user")).status == 401
    assert (await office.agent.post_call({})).status == 401
    assert (await office.sign_in(office.agent.email, PASSWORD)).status == 401
    await dashboard.socket.receive(20)
    assert dashboard.socket.close_code == 4401
    refused = await office.admin.post(f"/api/users/{office.agent.user_id}/reset-password")
    assert refused.status == 400
    assert (await office.admin.request("POST", "/api/calls/validate", token=source["apiKey"], json={})).status == 200
    assert (await office.patch(office.agent.user_id, {"disabled": False})).body["user"]["status"] == "active"
    assert (await office.agent.get("/api/user")).status == 401  # the sessions from before do not come back
    assert (await office.agent.post_call({})).status == 400  # the key does
    assert (await office.sign_in(office.agent.email, PASSWORD)).status == 200


async def test_disabling_ends_an_invitation(office: Office) -> None:
    invited = (await office.invite()).body
    for disabled in (True, False):
        await office.patch(invited["user"]["id"], {"disabled": disabled})
    assert (await office.join(invited["path"])).body["code"] == "link_not_valid"


async def test_another_role_holds_at_once_and_closes_the_dashboards_which_may_resume(office: Office) -> None:
    dashboard = await office.agent.dashboard()
    assert (await office.agent.get("/api/user/api-key")).status == 200
    assert (await office.patch(office.agent.user_id, {"role": "viewer"})).body["user"]["role"] == "viewer"
    assert (await office.agent.get("/api/user/api-key")).status == 403
    assert (await office.agent.post_call({})).status == 401
    await dashboard.socket.receive(20)
    assert dashboard.socket.close_code == 4403
    again = await office.agent.dashboard(after=dashboard.hello["seq"])
    assert (await office.agent.get("/api/user")).body["allowed"] == []
    assert not again.socket.closed
    assert (await office.patch(office.agent.user_id, {"role": "admin"})).status == 200
    assert (await office.agent.get("/api/users")).status == 200


async def test_sessions_of_a_user_are_ended(office: Office) -> None:
    await office.sign_in(office.agent.email, PASSWORD)
    dashboard = await office.agent.dashboard()
    ended = await office.admin.post(f"/api/users/{office.agent.user_id}/end-sessions")
    assert ended.body == {"success": True, "ended": 2}
    assert (await office.agent.get("/api/user")).status == 401
    await dashboard.socket.receive(20)
    assert dashboard.socket.close_code == 4401
    assert (await office.agent.post_call({})).status == 400  # the key is another thing


@pytest.mark.parametrize(
    "body", [{"role": "agent"}, {"role": "viewer"}, {"disabled": True}, {"role": "admin", "disabled": True}]
)
async def test_the_last_admin_stays(office: Office, body: Any) -> None:
    await office.invite(role="admin")  # who has not joined cannot help
    refused = await office.patch(office.admin.user_id, body)
    assert (refused.status, refused.body["code"]) == (400, "last_admin")
    assert (await office.admin.get("/api/users")).status == 200
    await office.patch(office.agent.user_id, {"role": "admin"})
    assert (await office.patch(office.admin.user_id, body)).status == 200


@pytest.mark.parametrize("body", [{"role": "agent"}, {"disabled": True}])
async def test_two_admins_who_put_each_other_out_at_once_leave_one(office: Office, body: Any) -> None:
    await office.patch(office.agent.user_id, {"role": "admin"})
    for _ in range(5):
        answers = await asyncio.gather(
            office.patch(office.agent.user_id, body), office.patch(office.admin.user_id, body, by=office.agent)
        )
        people = await office.people() if answers[1].status != 200 else None
        assert sorted(answer.status for answer in answers) in ([200, 400], [200, 401], [200, 403])
        active = {"organizationId": office.admin.organization_id, "accessRole": "admin", "disabledAt": None}
        assert await office.service.database["users"].count_documents(active) == 1
        if people is None or people[office.agent.user_id]["disabled"]:
            return
        await office.patch(office.agent.user_id, {"role": "admin"})


async def test_another_organizations_people_do_not_exist(office: Office) -> None:
    stranger = await office.service.tenant(role="admin")
    for method, path, body in (
        ("PATCH", "", {"role": "viewer"}),
        ("PATCH", "", {}),
        ("POST", "/reset-password", None),
        ("POST", "/end-sessions", None),
    ):
        url = f"/api/users/{office.agent.user_id}{path}"
        answer = await stranger.request(method, url, token=stranger.token, json=body)
        assert (answer.status, answer.body["code"]) == (404, "not_found")
    assert (await office.agent.get("/api/user")).status == 200
    assert {user["id"] for user in (await stranger.get("/api/users")).body["users"]} == {stranger.user_id}


async def test_every_change_is_in_the_audit_log_without_a_name_or_an_address(office: Office) -> None:
    invited = (await office.invite()).body
    user_id = invited["user"]["id"]
    await office.join(invited["path"])
    await office.patch(user_id, {"role": "viewer"})
    await office.patch(user_id, {"role": "viewer"})
    await office.admin.post(f"/api/users/{user_id}/end-sessions")
    await office.patch(user_id, {"disabled": True})
    entries = [entry for entry in await office.audit() if entry["what"] in ("person_changed", "password_changed")]
    assert [(entry["what"], entry["userId"], entry["details"]) for entry in entries] == [
        ("person_changed", office.admin.user_id, {"personId": user_id, "invited": True, "role": "agent"}),
        ("password_changed", user_id, {"personId": user_id, "link": "invite"}),
        ("person_changed", office.admin.user_id, {"personId": user_id, "role": "viewer"}),
        ("person_changed", office.admin.user_id, {"personId": user_id, "sessionsEnded": 1}),
        ("person_changed", office.admin.user_id, {"personId": user_id, "disabled": True}),
    ]


async def test_the_oldest_user_of_an_organization_without_an_admin_becomes_one(mongodb_uri: str, tmp_path: Path) -> None:
    settings = settings_on(mongodb_uri, tmp_path)
    name = uuid.uuid4().hex
    async with running(settings) as service:
        gone = await service.tenant(name, role="admin")
        oldest, younger = await service.tenant(name, role="viewer"), await service.tenant(name)
        users = service.database["users"]
        await users.update_one({"_id": gone.user_id}, {"$set": {"disabledAt": datetime.now(UTC)}})
    async with running(settings) as service:
        roles = {user["_id"]: user["accessRole"] for user in await service.database["users"].find().to_list(None)}
        assert roles == {gone.user_id: "admin", oldest.user_id: "admin", younger.user_id: "agent"}
        answer = await replace(oldest, base_url=service.base_url, http=service.http).get("/api/users")
        assert answer.status == 200


async def test_a_change_of_a_key_or_a_source_is_in_the_audit_log(office: Office) -> None:
    source = (await office.admin.post("/api/sources", {"name": "Booking"})).body["source"]["id"]
    await office.admin.request("PATCH", f"/api/sources/{source}", token=office.admin.token, json={"enabled": False})
    await office.admin.post(f"/api/sources/{source}/rotate", {"overlapHours": 2})
    await office.agent.post("/api/user/api-key/regenerate")
    entries = [(entry["what"], entry["userId"], entry["details"]) for entry in await office.audit()]
    assert [entry for entry in entries if entry[0] != "signed_in"] == [
        ("source_changed", office.admin.user_id, {"sourceId": source, "added": True, "kind": "api"}),
        ("source_changed", office.admin.user_id, {"sourceId": source, "changed": ["enabled"]}),
        ("key_changed", office.admin.user_id, {"sourceId": source, "overlapHours": 2}),
        ("key_changed", office.agent.user_id, {"personId": office.agent.user_id}),
    ]
