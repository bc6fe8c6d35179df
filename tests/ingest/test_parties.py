"""Who called whom: withheld callers, SIP addresses, odd forms of numbers, and names, from the request to the screen."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from tests.support.service import Service, Tenant, missed

OURS = "+14165550100"


async def post(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    answer = await tenant.post_call(missed(**changes))
    assert answer.status == 201, answer.body
    return dict(answer.body)


async def call(tenant: Tenant, call_id: str) -> dict[str, Any]:
    return dict((await tenant.get(f"/api/calls/{call_id}")).body["call"])


async def found(tenant: Tenant, search: str) -> list[str]:
    """Return the ids of the calls that a search finds."""
    rows = (await tenant.get("/api/calls/history", params={"search": search})).body["calls"]
    return [row["callId"] for row in rows]


async def contacts(tenant: Tenant, search: str = "") -> list[dict[str, Any]]:
    return list((await tenant.get("/api/contacts", params={"search": search})).body["data"])


async def exported(tenant: Tenant) -> list[dict[str, str]]:
    table = (await tenant.get("/api/calls/export")).body.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(table)))


@pytest.mark.parametrize("number", ["Anonymous", "+86282452253", "sip:anonymous@anonymous.invalid"])
async def test_a_withheld_caller_is_stored_announced_listed_found_exported_and_counted(tenant: Tenant, number: str) -> None:
    dashboard = await tenant.dashboard()
    made = await post(tenant, fromNumber=number)
    (initiated, *_) = await dashboard.events(3)
    for shown in (
        initiated["data"],
        await call(tenant, made["callId"]),
        *(await tenant.get("/api/calls/history")).body["calls"],
    ):
        assert (shown["from"], shown["fromWithheld"], shown["to"]) == (None, True, OURS)
        assert (shown["contactId"], shown["contactName"]) == (made["contactId"], "Unknown Caller")
    assert await found(tenant, "withheld") == await found(tenant, "0100") == [made["callId"]]
    (contact,) = await contacts(tenant)
    assert (contact["number"], contact["contactId"]) == (None, made["contactId"])
    assert contact == (await tenant.get(f"/api/contacts/{made['contactId']}")).body["contact"]
    assert [one["contactId"] for one in await contacts(tenant, "With")] == [made["contactId"]]
    assert [row["from"] for row in await exported(tenant)] == ["withheld"]
    assert (await tenant.get("/api/calls/statistics")).body["statistics"]["totalCalls"] == 1
    assert (await tenant.get("/api/calls/activity")).body["today"]["total"] == 1
    await dashboard.close()


async def test_strangers_are_never_merged_and_each_keeps_the_name_of_its_call(tenant: Tenant) -> None:
    first, second = [await post(tenant, fromNumber="private", callerName=name) for name in ("Rosa", "Unknown")]
    assert first["contactId"] != second["contactId"]
    assert first["conversationId"] != second["conversationId"]
    assert sorted((contact["name"], contact["number"]) for contact in await contacts(tenant)) == [
        ("Rosa", None),
        ("Unknown Caller", None),
    ]


async def test_a_withheld_call_that_is_sent_again_is_a_duplicate_without_a_second_contact(tenant: Tenant) -> None:
    body = missed(fromNumber="anonymous")
    first, second = await tenant.post_call(body), await tenant.post_call(body)
    assert (first.status, second.status) == (201, 200)
    assert second.body["callId"] == first.body["callId"]
    assert len(await contacts(tenant)) == 1


@pytest.mark.parametrize(
    "changes",
    [{"toNumber": "anonymous"}, {"direction": "outbound", "fromNumber": "anonymous"}, {"toNumber": "+266696687"}],
)
async def test_nobody_but_the_caller_of_an_inbound_call_is_withheld(tenant: Tenant, changes: dict[str, str]) -> None:
    answer = await tenant.post_call(missed(**changes))
    assert (answer.status, answer.body["code"]) == (400, "withheld_number")
    assert answer.body["field"] in changes


async def test_a_sip_address_is_an_address_like_a_number(tenant: Tenant) -> None:
    dashboard = await tenant.dashboard()
    made = await post(tenant, fromNumber="SIP:Rosa.Example@PBX.example.com;transport=udp")
    (initiated, *_) = await dashboard.events(3)
    address = "sip:Rosa.Example@pbx.example.com"
    assert initiated["data"]["from"] == (await call(tenant, made["callId"]))["from"] == address
    again = await post(tenant, direction="outbound", fromNumber=OURS, toNumber=address)
    assert again["contactId"] == made["contactId"]
    assert [contact["number"] for contact in await contacts(tenant, "rosa")] == [address]
    assert [contact["number"] for contact in await contacts(tenant, "pbx.exa")] == [address]
    for search in ("rosa", "rosa.example", address, "pbx"):
        assert sorted(await found(tenant, search)) == sorted([made["callId"], again["callId"]]), search
    assert {row["from"] for row in await exported(tenant)} == {address, OURS}
    await dashboard.close()


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("\u2068+14165550143\u2069", "+14165550143"),
        ("+1\u00a0416\u00a0555\u00a00144", "+14165550144"),
        ("+14165550145\n", "+14165550145"),
        ("tel:+14165550146", "+14165550146"),
        ("+49/30/123456", "+4930123456"),
    ],
)
async def test_odd_characters_in_a_number_do_no_harm(tenant: Tenant, sent: str, stored: str) -> None:
    made = await post(tenant, fromNumber=sent)
    assert (await call(tenant, made["callId"]))["from"] == stored


@pytest.mark.parametrize(
    ("number", "code", "why"),
    [
        ("911", "short_number", "sip:"),
        ("(416) 555-0123", "national_number", "did you mean +14165550123?"),
        ("00 44 20 7946 0958", "national_number", "did you mean +442079460958?"),
        ("nobody", "not_e164", '"anonymous"'),
        ("+1416555010٠", "not_e164", "U+0660"),
    ],
)
async def test_what_cannot_be_taken_is_refused_with_what_to_send(tenant: Tenant, number: str, code: str, why: str) -> None:
    answer = await tenant.post_call(missed(fromNumber=number))
    assert (answer.status, answer.body["code"], answer.body["field"]) == (400, code, "fromNumber")
    assert why in answer.body["error"]


@pytest.mark.parametrize(
    ("one", "other", "known_by"),
    [
        ("+5215512345678", "+525512345678", "+525512345678"),
        ("+551187654321", "+5511987654321", "+5511987654321"),
        ("+5491123456789", "+541123456789", "+5491123456789"),
    ],
)
async def test_one_telephone_with_two_numbers_is_one_contact(tenant: Tenant, one: str, other: str, known_by: str) -> None:
    for first, second in ((one, other), (other, one)):
        made = [await post(tenant, fromNumber=number) for number in (first, second)]
        assert len({answer["contactId"] for answer in made}) == 1
        assert [(await call(tenant, answer["callId"]))["from"] for answer in made] == [first, second]
    assert [contact["number"] for contact in await contacts(tenant)] == [known_by]


async def test_two_contacts_of_an_earlier_version_for_one_telephone_go_on_each_with_its_own_number(
    tenant: Tenant, service: Service
) -> None:
    number, form = "+541123456789", "+5491123456789"
    first, other = await post(tenant, fromNumber=number), await post(tenant, fromNumber="+442079460958")
    await service.database["contacts"].update_one({"_id": other["contactId"]}, {"$set": {"number": form}})
    for sent, contact_id in ((number, first["contactId"]), (form, other["contactId"])):
        assert (await post(tenant, fromNumber=sent))["contactId"] == contact_id


async def test_a_persons_name_takes_the_place_of_one_that_was_made_up_but_not_of_one_given_by_hand(tenant: Tenant) -> None:
    async def name_after(caller_name: str) -> str:
        made = await post(tenant, fromNumber="+442079460958", callerName=caller_name)
        return str((await call(tenant, made["callId"]))["contactName"])

    assert await name_after("\u200b\u200d") == "Unknown Caller"
    assert await name_after("UNKNOWN") == "Unknown Caller"
    assert await name_after("WIRELESS CALLER") == "WIRELESS CALLER"
    assert await name_after("+442079460958") == "WIRELESS CALLER"
    assert await name_after("Rosa \u202eExample ") == "Rosa Example"
    assert await name_after("Tom") == "Rosa Example"
    (contact,) = await contacts(tenant)
    path = f"/api/contacts/{contact['contactId']}"
    for name, status in ((" Wireless\u200b  caller", 200), ("\u200b", 400), ("  ", 400)):
        assert (await tenant.request("PATCH", path, token=tenant.token, json={"name": name})).status == status
    assert await name_after("Rosa Example") == "Wireless caller"
    assert (await contacts(tenant))[0]["renamed"] is True


async def test_agents_whose_names_look_the_same_are_one_and_a_blank_name_is_none(tenant: Tenant) -> None:
    for name in ("Alex", "Alex ", "A\u200blex", "   "):
        await post(tenant, agentName=name)
    assert (await tenant.get("/api/calls/agents")).body["agents"] == ["Alex"]
    (agent,) = (await tenant.get("/api/calls/activity")).body["agents"]
    assert (agent["agentName"], agent["count"]) == ("Alex", 3)
    assert [row["agent"] for row in await exported(tenant)] == ["", "Alex", "Alex", "Alex"]


@pytest.mark.parametrize("summary", ["", " \n", "\u3000"])
async def test_a_summary_of_spaces_is_none(tenant: Tenant, summary: str) -> None:
    made = await post(tenant, summary=summary)
    assert (await call(tenant, made["callId"]))["summary"] is None
