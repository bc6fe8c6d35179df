"""Changing one's own password."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.test_people import NEW_PASSWORD
from tests.support.service import PASSWORD, Answer, Service, Tenant
from tether_rt.auth.password_rules import MAX_CHARS, MIN_CHARS, require_good
from tether_rt.errors import BadRequest


async def change(tenant: Tenant, current: str, new: Any) -> Answer:
    return await tenant.post("/api/auth/password", {"current": current, "new": new})


async def sign_in(tenant: Tenant, password: str) -> Answer:
    return await tenant.request("POST", "/api/auth/login", json={"email": tenant.email, "password": password})


async def test_a_new_password_ends_all_other_sessions(service_on_disk: Service) -> None:
    tenant = await service_on_disk.tenant(role="viewer")
    other = (await sign_in(tenant, PASSWORD)).body["token"]
    dashboard = await tenant.dashboard()
    elsewhere = await Tenant(tenant.base_url, tenant.http, "", "", "", "", token=other).dashboard()
    assert (await change(tenant, PASSWORD, NEW_PASSWORD)).body == {"success": True}
    assert (await tenant.get("/api/user")).status == 200
    assert (await tenant.request("GET", "/api/user", token=other)).status == 401
    assert (await sign_in(tenant, PASSWORD)).status == 401
    assert (await sign_in(tenant, NEW_PASSWORD)).status == 200
    await elsewhere.socket.receive(20)
    assert elsewhere.socket.close_code == 4401
    assert not dashboard.socket.closed


async def test_the_current_password_is_needed_and_cannot_be_guessed(service_on_disk: Service) -> None:
    tenant = await service_on_disk.tenant()
    wrong = await change(tenant, "not this one", NEW_PASSWORD)
    assert (wrong.status, wrong.body["code"], wrong.body["field"]) == (400, "wrong_password", "current")
    statuses = [(await change(tenant, "not this one", NEW_PASSWORD)).status for _ in range(10)]
    assert statuses == [400] * 9 + [429]
    assert (await change(tenant, PASSWORD, NEW_PASSWORD)).status == 429


@pytest.mark.parametrize(
    "password", ["short", "password123", "qwertyuiop", "aaaaaaaaaaaa", "x" * (MAX_CHARS + 1), "Agent Smith 2"]
)
async def test_a_weak_password_is_refused_and_the_old_one_stays(service_on_disk: Service, password: str) -> None:
    tenant = await service_on_disk.tenant()
    refused = await change(tenant, PASSWORD, password)
    assert (refused.status, refused.body["field"]) == (400, "new")
    assert refused.body["code"] == ("too_long" if len(password) > MAX_CHARS else "weak_password")
    assert (await sign_in(tenant, PASSWORD)).status == 200


@pytest.mark.parametrize(
    "password",
    [
        "",
        "a" * (MIN_CHARS - 1),
        "1234567890",
        "Password12345",
        "iloveyou123",
        "ann.lee@maple.example",
        "my ANN.LEE password",
        "xx ann lee xx",
        "annlee-annlee",
        "tethertether",
    ],
)
def test_what_is_tried_first_is_refused(password: str) -> None:
    with pytest.raises(BadRequest):
        require_good(password, "ann.lee@maple.example", "Ann Lee")


@pytest.mark.parametrize(
    "password",
    [PASSWORD, NEW_PASSWORD, "gråsten-gråsten", "пять вещей", "ann goes home at 7", "z" * 72 + "Kq3!", "a1-9z-k4-88"],
)
def test_what_is_hard_to_guess_is_taken(password: str) -> None:
    try:
        require_good(password, "ann.lee@maple.example", "Ann Lee")
    except BadRequest:
        assert password.startswith("zzz"), "only its beginning is looked at"
