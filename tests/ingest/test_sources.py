"""Where a call comes from, and whether it is from the past: stored, announced and shown."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.service import Service, Tenant, missed

START = "2020-02-03T04:05:06Z"


async def shown(tenant: Tenant, call_id: str) -> list[dict[str, Any]]:
    """Return the call as its page and as the history have it."""
    row = (await tenant.get("/api/calls/history")).body["calls"]
    return [(await tenant.get(f"/api/calls/{call_id}")).body["call"], *(one for one in row if one["callId"] == call_id)]


@pytest.mark.parametrize(
    ("changes", "is_historic"),
    [({}, False), ({"historic": True, "callStartTime": START}, True), ({"historic": "yes", "callStartTime": START}, False)],
)
async def test_a_call_says_whose_it_is_and_whether_it_is_from_the_past(
    tenant: Tenant, changes: dict[str, Any], is_historic: bool
) -> None:
    dashboard = await tenant.dashboard()
    answer = await tenant.post_call(missed(**changes))
    assert answer.status == 201
    (initiated, *_) = await dashboard.events(3)
    assert (initiated["data"]["historic"], initiated["data"]["provider"]) == (is_historic, "external")
    for call in await shown(tenant, answer.body["callId"]):
        assert (call["sourceId"], call["sourceName"], call["historic"]) == (tenant.user_id, "Agent Smith", is_historic)
        assert (call["userId"], call["provider"]) == (tenant.user_id, "external")


async def test_a_call_from_the_past_puts_nobody_on_top(tenant: Tenant) -> None:
    old, early, late = "+14165550191", "+14165550192", "+14165550193"
    numbers = {old: "2019-01-01T00:00:00Z", early: None, late: None, early + " ": "2020-01-01T00:00:00Z"}
    posted = []
    for number, start in numbers.items():
        past = {"historic": True, "callStartTime": start} if start else {}
        posted.append((await tenant.post_call(missed(fromNumber=number.strip(), **past))).body)
    contacts = (await tenant.get("/api/contacts")).body["data"]
    assert [contact["number"] for contact in contacts] == [late, early, old]
    assert contacts[-1]["lastCallAt"] == "2019-01-01T00:00:00.000Z"
    conversation = {"conversationId": posted[1]["conversationId"]}
    messages = (await tenant.post("/api/conversation/messages", conversation)).body["messages"]
    assert [message["callId"] for message in messages] == [posted[3]["callId"], posted[1]["callId"]]
    assert (await tenant.post_call(missed(fromNumber=old, callerName="Tom", historic=True, callStartTime=START))).status == 201
    oldest = (await tenant.get("/api/contacts")).body["data"][-1]
    assert (oldest["name"], oldest["lastCallAt"]) == ("Tom", "2020-02-03T04:05:06.000Z")


async def test_a_call_of_an_earlier_version_has_its_user_as_source(tenant: Tenant, service: Service) -> None:
    call_id = (await tenant.post_call(missed(externalCallId="before"))).body["callId"]
    await service.database["calls"].update_one({"_id": call_id}, {"$unset": {"sourceName": 1, "historic": 1}})
    for call in await shown(tenant, call_id):
        assert (call["sourceId"], call["sourceName"], call["historic"]) == (tenant.user_id, None, False)
    again = await tenant.post_call(missed(externalCallId="before"))
    assert (again.status, again.body["callId"]) == (200, call_id)
