"""`tether-rt user`: adding, listing, disabling, resetting, each as an operator runs it."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import settings_on
from tests.support.service import PASSWORD, SECRET, Answer, Service, Tenant, running
from tests.test_cli import refusal, run


@pytest.fixture
async def service(mongodb_uri: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with running(settings_on(mongodb_uri, tmp_path)) as service:
        yield service


def variables(service: Service) -> dict[str, str]:
    settings = service.server.settings
    return {
        "MONGODB_URI": settings.mongodb_uri or "",
        "TETHER_DATABASE": settings.database,
        "TETHER_SECRET": SECRET,
        "TETHER_DATA_DIR": str(settings.data_dir),
    }


def printed(service: Service, *arguments: str, stdin: bytes = b"") -> list[dict[str, Any]]:
    """Return what a command prints, one object a line, after checking that it succeeded."""
    done = run("user", *arguments, stdin=stdin, variables=variables(service))
    assert (done.returncode, done.stderr) == (0, ""), done
    return [json.loads(line) for line in done.stdout.splitlines()]


async def sign_in(tenant: Tenant, email: str, password: str) -> Answer:
    return await tenant.request("POST", "/api/auth/login", json={"email": email, "password": password})


async def test_the_first_user_is_an_admin_and_the_next_an_agent(service: Service) -> None:
    for name in ("ann", "bob"):
        add = ("add", "--org", "Acme", "--email", f"{name}@acme.example", "--name", name.title())
        printed(service, *add, stdin=PASSWORD.encode())
    users = printed(service, "list", "--org", "Acme")
    assert [(user["email"], user["role"], user["sessions"]) for user in users] == [
        ("ann@acme.example", "admin", 0),
        ("bob@acme.example", "agent", 0),
    ]
    assert list(users[0])[:2] == ["userId", "organizationId"]


async def test_a_user_is_disabled_and_enabled(service: Service) -> None:
    name = uuid.uuid4().hex
    admin, agent = await service.tenant(name, role="admin"), await service.tenant(name)
    (user,) = printed(service, "disable", "--email", agent.email.upper())
    assert (user["userId"], user["status"], user["disabled"]) == (agent.user_id, "disabled", True)
    assert (await sign_in(agent, agent.email, PASSWORD)).status == 401
    assert [one["status"] for one in printed(service, "list", "--org", name)] == ["active", "disabled"]
    (user,) = printed(service, "enable", "--email", agent.email)
    assert user["status"] == "active"
    assert (await sign_in(agent, agent.email, PASSWORD)).status == 200
    refused = run("user", "disable", "--email", admin.email, variables=variables(service))
    assert "last admin" in refusal(refused)


async def test_a_password_is_reset_with_the_printed_path(service: Service) -> None:
    tenant = await service.tenant()
    (reset,) = printed(service, "reset-password", "--email", tenant.email)
    assert set(reset) == {"userId", "path"}
    body = {"token": reset["path"].partition("#token=")[2], "password": "purple lantern seven"}
    assert (await tenant.request("POST", "/api/auth/join", json=body)).status == 200
    assert (await sign_in(tenant, tenant.email, "purple lantern seven")).status == 200
    (below,) = printed(service, "reset-password", "--email", tenant.email, "--base-path", "/tether")
    assert below["path"].startswith("/tether/join#token=")


async def test_what_does_not_exist_is_said(service: Service) -> None:
    for command in ("disable", "enable", "reset-password"):
        refused = run("user", command, "--email", "nobody@acme.example", variables=variables(service))
        assert refusal(refused) == "There is no user with the address 'nobody@acme.example'."
    refused = run("user", "list", "--org", "Nobody", variables=variables(service))
    assert "There is no organization named 'Nobody'" in refusal(refused)


@pytest.mark.parametrize("password", ["x", "password123", "Ann Acme Ann Acme"])
async def test_user_add_refuses_a_weak_password_and_adds_nothing(service: Service, password: str) -> None:
    add = ("user", "add", "--org", "Acme", "--email", "ann@acme.example", "--name", "Ann Acme")
    assert "password" in refusal(run(*add, stdin=password.encode(), variables=variables(service)))
    assert await service.database["organizations"].count_documents({}) == 0
