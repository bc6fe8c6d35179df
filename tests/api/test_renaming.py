"""A contact's new name: committed with its event, and announced once."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support.batches import events_of
from tests.support.service import Answer, Service, Tenant, missed

NUMBER = "+442079460958"


async def rename(tenant: Tenant, contact_id: str, name: str) -> Answer:
    return await tenant.request("PATCH", f"/api/contacts/{contact_id}", token=tenant.token, json={"name": name})


async def posted(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    answer = await tenant.post_call(missed(fromNumber=NUMBER, **changes))
    assert answer.status == 201, answer.body
    return dict(answer.body)


async def test_a_new_name_is_announced_to_every_dashboard_once(service: Service, tenant: Tenant, other: Tenant) -> None:
    made = await posted(tenant)
    contact_id = made["contactId"]
    dashboard, elsewhere = await tenant.dashboard(), await other.dashboard()
    assert (await rename(tenant, contact_id, "Tom Becker")).status == 200
    event = await dashboard.next()
    data = {"contactId": contact_id, "conversationId": made["conversationId"], "contactName": "Tom Becker"}
    assert (event["event"], event["seq"], event["data"]) == ("contact_updated", 4, data)
    assert event["id"] == f"{contact_id}:contact_updated:4"

    again = await rename(tenant, contact_id, " Tom  Becker ")
    assert (again.status, again.body["contact"]["name"]) == (200, "Tom Becker")
    assert (await rename(tenant, contact_id, "Tom")).status == 200
    assert (await dashboard.next())["id"] == f"{contact_id}:contact_updated:5"

    assert (await rename(other, contact_id, "Mine")).status == 404
    assert (await posted(other))["contactId"] != contact_id
    assert (await elsewhere.next())["event"] == "call_initiated"
    names = [event["event"] for event in await events_of(service.database, tenant.organization_id)]
    assert names == ["call_initiated", "call_ended", "fetch_messages", "contact_updated", "contact_updated"]


async def test_a_name_that_a_person_gives_stays_although_it_is_the_one_that_it_had(tenant: Tenant) -> None:
    contact_id = (await posted(tenant, callerName="Wireless Caller"))["contactId"]
    dashboard = await tenant.dashboard()
    assert (await rename(tenant, contact_id, "Wireless Caller")).status == 200
    await posted(tenant, callerName="Tom Becker")
    initiated = await dashboard.next()
    assert (initiated["event"], initiated["data"]["contactName"]) == ("call_initiated", "Wireless Caller")


async def test_a_better_name_comes_with_the_call_that_brings_it(tenant: Tenant) -> None:
    contact_id = (await posted(tenant))["contactId"]
    dashboard = await tenant.dashboard()
    await posted(tenant, callerName="Tom Becker")
    initiated = await dashboard.next()
    assert (initiated["data"]["contactId"], initiated["data"]["contactName"]) == (contact_id, "Tom Becker")


async def test_names_and_calls_at_the_same_time_leave_the_last_name_everywhere(service: Service, tenant: Tenant) -> None:
    contact_id = (await posted(tenant))["contactId"]
    names = [f"Tom {number}" for number in range(12)]
    await asyncio.gather(*(rename(tenant, contact_id, name) for name in names), *(posted(tenant) for _ in range(12)))
    events = await events_of(service.database, tenant.organization_id)
    announced = [event["data"]["contactName"] for event in events if event["event"] == "contact_updated"]
    assert sorted(announced) == sorted(names)
    now = "Unknown Caller"
    for event in events:
        if event["event"] == "contact_updated":
            now = event["data"]["contactName"]
        elif event["event"] == "call_initiated":
            assert event["data"]["contactName"] == now
    assert (await tenant.get(f"/api/contacts/{contact_id}")).body["contact"]["name"] == now
