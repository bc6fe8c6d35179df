"""The settings of an organization."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.support.service import Service, Tenant


@pytest.fixture
async def admin(service_on_disk: Service) -> Tenant:
    return await service_on_disk.tenant(role="admin")


async def patch(tenant: Tenant, body: Any) -> Any:
    return await tenant.request("PATCH", "/api/organization", token=tenant.token, json=body)


async def test_an_organization_that_has_set_nothing_keeps_all_for_ever(admin: Tenant) -> None:
    shown = (await admin.get("/api/organization")).body["organization"]
    assert shown["id"] == admin.organization_id
    assert (shown["timeZone"], shown["retention"]) == (None, {"recordingsDays": None, "callsDays": None})


async def test_what_is_not_named_stays(admin: Tenant) -> None:
    name = uuid.uuid4().hex
    changes: list[Any] = [{"name": f"  {name} "}, {"timeZone": "America/Toronto"}, {"retention": {"callsDays": 365}}]
    for change in [*changes, {"retention": {"recordingsDays": 90}}, {}]:
        assert (await patch(admin, change)).status == 200
    shown = (await admin.get("/api/organization")).body["organization"]
    assert (shown["name"], shown["timeZone"]) == (name, "America/Toronto")
    assert shown["retention"] == {"recordingsDays": 90, "callsDays": 365}
    await patch(admin, {"retention": {"callsDays": None}, "timeZone": None})
    shown = (await admin.get("/api/organization")).body["organization"]
    assert (shown["timeZone"], shown["retention"]) == (None, {"recordingsDays": 90, "callsDays": None})


async def test_everybody_sees_the_name_and_the_time_zone(service_on_disk: Service, admin: Tenant) -> None:
    name = uuid.uuid4().hex
    await patch(admin, {"name": name, "timeZone": "Europe/Berlin"})
    viewer = await service_on_disk.tenant(name, role="viewer")
    assert viewer.organization_id == admin.organization_id
    assert (await viewer.get("/api/user")).body["organization"] == {"name": name, "timeZone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"name": " \u200b "}, "empty_value", "name"),
        ({"name": ""}, "empty_value", "name"),
        ({"name": "n" * 201}, "too_long", "name"),
        ({"timeZone": "Mars/Olympus"}, "unknown_value", "timeZone"),
        ({"timeZone": "../../etc/passwd"}, "unknown_value", "timeZone"),
        ({"timeZone": "localtime"}, "unknown_value", "timeZone"),
        ({"timeZone": "America"}, "unknown_value", "timeZone"),
        ({"retention": {"callsDays": 0}}, "out_of_range", "retention.callsDays"),
        ({"retention": {"callsDays": 1.5}}, "wrong_type", "retention.callsDays"),
        ({"retention": {"recordingsDays": 36501}}, "out_of_range", "retention.recordingsDays"),
        ({"retention": {"days": 3}}, "unknown_field", "retention.days"),
        ({"organizationId": "0" * 24}, "unknown_field", "organizationId"),
    ],
)
async def test_what_is_wrong_is_named_and_changes_nothing(admin: Tenant, body: Any, code: str, field: str) -> None:
    before = (await admin.get("/api/organization")).body
    refused = await patch(admin, body)
    assert (refused.status, refused.body["code"], refused.body["field"]) == (400, code, field)
    assert (await admin.get("/api/organization")).body == before


async def test_two_organizations_have_two_names(service_on_disk: Service, admin: Tenant) -> None:
    taken = uuid.uuid4().hex
    await service_on_disk.tenant(taken)
    refused = await patch(admin, {"name": taken})
    assert (refused.status, refused.body["code"], refused.body["field"]) == (400, "taken", "name")


async def test_a_change_is_in_the_audit_log_without_what_was_written(service_on_disk: Service, admin: Tenant) -> None:
    await patch(admin, {"name": uuid.uuid4().hex, "retention": {"callsDays": 30}})
    entry = await service_on_disk.database["audit"].find_one({"organizationId": admin.organization_id})
    assert entry is not None
    assert (entry["what"], entry["userId"]) == ("organization_changed", admin.user_id)
    assert entry["details"] == {"changed": ["name", "retention"], "recordingsDays": None, "callsDays": 30}
