"""What an organization keeps no longer goes by itself: shown before, in the background, announced once."""

from __future__ import annotations

import base64
from typing import Any

from tests.support.audio import mp3
from tests.support.dump import database_bytes, found_in
from tests.support.service import Service, Tenant, missed, sample
from tests.support.waiting import eventually

OLD, OLDER = "2026-01-15T09:10:00Z", "2024-05-15T09:10:00Z"


async def change(tenant: Tenant, **retention: Any) -> None:
    answer = await tenant.request("PATCH", "/api/organization", token=tenant.token, json={"retention": retention})
    assert answer.status == 200, answer.body


async def test_a_retention_is_shown_before_it_acts_and_then_acts(service: Service) -> None:
    admin = await service.tenant(role="admin")
    voice: dict[str, Any] = {"recording": base64.b64encode(mp3(0.5)).decode(), "historic": True}
    older = (await admin.post_call(sample(callStartTime=OLDER, summary="tangerine zeppelin", **voice))).body
    old = (await admin.post_call(sample(callStartTime=OLD, **voice))).body["callId"]
    fresh = (await admin.post_call(sample(**{**voice, "historic": False, "callStartTime": ...}))).body["callId"]
    await admin.post_call(missed(callStartTime=OLDER, historic=True))
    dashboard = await admin.dashboard()

    preview = (await admin.get("/api/organization/retention?callsDays=400&recordingsDays=30")).body
    assert (preview["calls"], preview["recordings"]) == (2, 2)
    assert (await admin.get("/api/organization/retention?callsDays=0")).status == 400
    assert (await admin.get("/api/organization/retention")).body["calls"] == 0
    assert (await admin.get(f"/api/calls/{old}")).body["call"]["recordings"]

    await change(admin, recordingsDays=30, callsDays=400)
    await service.server.app.retention.begin_due()

    async def has_acted() -> bool:
        call = (await admin.get(f"/api/calls/{old}")).body["call"]
        return not call["recordings"] and (await admin.get(f"/api/calls/{older['callId']}")).status == 404

    await eventually(has_acted)
    call = (await admin.get(f"/api/calls/{old}")).body["call"]
    assert (call["recordingStatus"], call["recordingDeleted"]["afterDays"]) == (None, 30)
    assert (await admin.get(f"/api/calls/{old}/recording")).status == 404
    assert (await admin.get(f"/api/calls/{fresh}/recording")).status == 200
    event = await dashboard.next()
    assert (event["event"], set(event["data"])) == ("calls_expired", {"before"})
    assert event["data"]["before"] > OLDER
    assert found_in(await database_bytes(service.database), ("tangerine zeppelin",)) == []
    assert (await admin.get("/api/calls/history")).body["total"] == 2
    entries = (await admin.get("/api/audit?what=expired")).body["entries"]
    assert {(entry["door"], entry["userId"]) for entry in entries} == {("server", None)}
    assert {entry["details"]["kind"] for entry in entries} == {"expired", "recordings"}
    await dashboard.close()


async def test_an_organization_without_a_retention_keeps_everything(service: Service) -> None:
    admin = await service.tenant(role="admin")
    call_id = (await admin.post_call(missed(callStartTime=OLDER, historic=True))).body["callId"]
    await change(admin, recordingsDays=None, callsDays=None)
    await service.server.app.retention.begin_due()
    assert (await admin.get(f"/api/calls/{call_id}")).status == 200
