"""Attacks on invitations, passwords and roles."""

from __future__ import annotations

import asyncio
import secrets
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import settings_on
from tests.support.service import CHEAP_HASHER, PASSWORD, Service, Tenant, running
from tether_rt.auth.passwords import PasswordCheck
from tether_rt.mongo.audit import AuditLog
from tether_rt.mongo.user_changes import UserChanges

NEW_PASSWORD = "purple lantern seven rivers"


@pytest.fixture
async def admin(service_on_disk: Service) -> Tenant:
    return await service_on_disk.tenant(role="admin")


async def test_links_cannot_be_guessed(mongodb_uri: str, tmp_path: Path) -> None:
    async with running(settings_on(mongodb_uri, tmp_path, trusted_proxies="127.0.0.1")) as service:
        admin = await service.tenant(role="admin")
        invited = await admin.post("/api/users/invite", {"email": "a@b.example", "fullName": "A", "role": "agent"})
        token = invited.body["path"].partition("=")[2]

        async def join(token: str, network: str = "203.0.113.9") -> Any:
            body = {"token": token, "password": NEW_PASSWORD}
            return await admin.request("POST", "/api/auth/join", json=body, headers={"X-Forwarded-For": network})

        guesses = ["", token[:-1], token + "A", token.swapcase(), *(secrets.token_urlsafe(32) for _ in range(16))]
        assert {(await join(guess)).status for guess in guesses} == {400}
        refused = await join(token)
        assert (refused.status, int(refused.headers["Retry-After"]) > 0) == (429, True)
        link = await admin.request("POST", "/api/auth/link", json={"token": token}, headers={"X-Forwarded-For": "203.0.113.9"})
        assert link.status == 429
        assert (await join(token, "198.51.100.7")).status == 200, "who has it is elsewhere"


@pytest.mark.parametrize(
    "token", ["\x00", "\ud800", "x" * 257, {"$ne": ""}, ["a"], None, 7, "../..", "tk_live_" + "x" * 43], ids=repr
)
async def test_a_hostile_token_is_refused(admin: Tenant, token: Any) -> None:
    for path, body in (("join", {"token": token, "password": NEW_PASSWORD}), ("link", {"token": token})):
        assert (await admin.request("POST", f"/api/auth/{path}", json=body)).status in (400, 429)


@pytest.mark.parametrize("field", ["accessRole", "role", "organizationId", "userId", "permissions", "allowed", "disabledAt"])
async def test_nobody_gets_a_role_through_a_field(service_on_disk: Service, field: str) -> None:
    name = uuid.uuid4().hex
    admin, agent = await service_on_disk.tenant(name, role="admin"), await service_on_disk.tenant(name)
    extra = {field: "admin"}
    invited = await admin.post(
        "/api/users/invite", {"email": f"{uuid.uuid4().hex}@b.example", "fullName": "A", "role": "viewer"}
    )
    token = invited.body["path"].partition("=")[2]
    assert (await agent.post("/api/auth/password", {"current": PASSWORD, "new": NEW_PASSWORD, **extra})).status == 400
    join = {"token": token, "password": NEW_PASSWORD, **extra}
    assert (await agent.request("POST", "/api/auth/join", json=join)).status == 400
    login = {"email": agent.email, "password": PASSWORD, **extra}
    assert (await agent.request("POST", "/api/auth/login", json=login)).body["user"]["accessRole"] == "agent"
    for user_id in (agent.user_id, admin.user_id):
        answer = await agent.request("PATCH", f"/api/users/{user_id}", token=agent.token, json={"role": "admin"})
        assert answer.status == 403
    roles = {user["id"]: user["role"] for user in (await admin.get("/api/users")).body["users"]}
    assert roles == {admin.user_id: "admin", agent.user_id: "agent", invited.body["user"]["id"]: "viewer"}


@pytest.mark.parametrize("user_id", ["..", "%00", "%2e%2e%2f", "0" * 24, "x" * 500, "[$ne]", "%F0%9F%98%80"])
async def test_an_id_that_is_none_is_404(admin: Tenant, user_id: str) -> None:
    for method, path in (("PATCH", ""), ("POST", "/reset-password"), ("POST", "/end-sessions")):
        answer = await admin.request(method, f"/api/users/{user_id}{path}", token=admin.token, json={"role": "viewer"})
        assert answer.status in (404, 405), answer


async def test_pages_of_other_sites_change_nobody(admin: Tenant) -> None:
    cookie = {"Cookie": f"tether_session={admin.token}", "Origin": "https://evil.example"}
    for path, body in (
        ("/api/users/invite", {"email": "x@b.example", "fullName": "X", "role": "admin"}),
        (f"/api/users/{admin.user_id}/reset-password", None),
        (f"/api/users/{admin.user_id}/end-sessions", None),
        ("/api/auth/password", {"current": PASSWORD, "new": NEW_PASSWORD}),
        ("/api/auth/join", {"token": "x", "password": NEW_PASSWORD}),
        ("/api/auth/link", {"token": "x"}),
    ):
        answer = await admin.request("POST", path, json=body, headers=cookie)
        assert (answer.status, answer.body["code"]) == (403, "forbidden"), path
    for path, change in ((f"/api/users/{admin.user_id}", {"role": "viewer"}), ("/api/organization", {"name": "X"})):
        assert (await admin.request("PATCH", path, json=change, headers=cookie)).status == 403
    assert (await admin.get("/api/users")).status == 200


async def test_a_sign_in_with_the_old_password_does_not_outlive_the_new_one(mongodb_uri: str, tmp_path: Path) -> None:
    checking, go_on = threading.Event(), threading.Event()

    def matches(password: str, hashed: str) -> bool:
        if checking.is_set():
            return True
        checking.set()
        return go_on.wait(60)

    passwords = PasswordCheck(matches=matches, decoy_hash=lambda: "")
    async with running(settings_on(mongodb_uri, tmp_path), passwords=passwords) as service:
        checking.set()
        tenant = await service.tenant()
        checking.clear()
        body = {"email": tenant.email, "password": PASSWORD}
        signing_in = asyncio.create_task(tenant.request("POST", "/api/auth/login", json=body))
        await asyncio.to_thread(checking.wait, 60)
        user = await service.database["users"].find_one({"_id": tenant.user_id})
        assert user is not None
        changes = UserChanges(service.database, AuditLog(service.database))
        assert await changes.set_password(user, CHEAP_HASHER.hash(NEW_PASSWORD)) is not None  # type: ignore[arg-type]
        go_on.set()
        assert (await signing_in).status == 401
        assert await service.database["sessions"].count_documents({"userId": tenant.user_id}) == 0
