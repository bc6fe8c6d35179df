"""Found however it is written, shown as it was: each kind of word and number, as it arrives and after a reload."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import Agent, NewAgent, on_disk
from tests.support.service import Service, Tenant, missed, sample
from tests.support.waiting import eventually

pytestmark = on_disk


def saying(message: str, **changes: Any) -> dict[str, Any]:
    return missed(transcript=[{"role": "user", "message": message, "timestamp": 1}], **changes)


async def searching(agent: Agent, tenant: Tenant, search: str) -> None:
    """Open the list with a search that finds nothing yet."""
    await agent.enter(tenant, f"/#/calls?search={quote(search)}")
    await expect(agent.page.get_by_text("No matching calls")).to_be_visible()


async def can_be_found(tenant: Tenant, search: str, calls: int = 1) -> None:
    """Wait until so many calls are found: what was said is indexed a little after a call is stored."""

    async def is_found() -> bool:
        return len((await tenant.get(f"/api/calls/history?search={quote(search)}")).body["calls"]) == calls

    await eventually(is_found)


@pytest.mark.parametrize(
    ("said", "other", "search", "mark"),
    [
        pytest.param("週末の配送は可能でしょうか", "週末は休みです", "配送", "配送", id="Japanese"),
        pytest.param("请问明天几点可以收到包裹", "明天见", "收到包裹", "收到包裹", id="Chinese"),
        pytest.param("อยากเลื่อนนัดหมอฟัน", "สวัสดี", "หมอฟัน", "หมอฟัน", id="Thai"),
        pytest.param("दुकान कब खुलेगी", "दिन का कन", "दुकान", "दुकान", id="Hindi"),
        pytest.param("Weißbierstraße 7", "Weissbier", "weissbierstrasse", "Weißbierstraße", id="sharp s"),
        pytest.param(
            "Kraft\u00adfahr\u00adzeug\u00adbrief",
            "Brief",
            "Kraftfahrzeugb",
            "Kraft\u00adfahr\u00adzeug\u00adbrief",
            id="soft hyphens",
        ),
        pytest.param("Ça va, l'ÉTÉ\u0301 prochain", "ete a", "ca prochain", "Ça", id="accents"),
    ],
)
async def test_a_word_is_found_as_it_arrives_and_after_a_reload(
    service: Service, tenant: Tenant, new_agent: NewAgent, said: str, other: str, search: str, mark: str
) -> None:
    agent = await new_agent(service.base_url)
    await searching(agent, tenant, search)
    await tenant.post_call(saying(other))
    wanted = (await tenant.post_call(saying(f"{said}."))).body["callId"]
    await expect(agent.row(wanted).locator("mark").first).to_have_text(mark)
    assert await agent.call_ids() == [wanted]
    await can_be_found(tenant, search)
    await agent.page.reload()
    await expect(agent.row(wanted).locator("mark").first).to_have_text(mark)
    assert await agent.call_ids() == [wanted]


@pytest.mark.parametrize("number", ["+14165550142", "+442079460123", "+81312345678", "+33142685300", "+493012345678"])
async def test_a_number_is_found_as_it_stands_in_its_row(
    service: Service, tenant: Tenant, new_agent: NewAgent, number: str
) -> None:
    wanted = (await tenant.post_call(missed(fromNumber=number, callerName="Wanda Example"))).body["callId"]
    await tenant.post_call(missed(fromNumber="+14165550777"))
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    shown = await agent.row(wanted).locator(".row-number").inner_text()
    await agent.page.get_by_role("searchbox").fill(shown)
    await expect(agent.rows).to_have_count(1)
    await expect(agent.row(wanted)).to_be_visible()
    another = (await tenant.post_call(missed(fromNumber=number))).body["callId"]
    await expect(agent.row(another)).to_be_visible()
    (contact,) = (await tenant.get(f"/api/contacts?search={quote(shown)}")).body["data"]
    assert contact["number"] == number


async def test_phrases_exclusions_fields_and_ids(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    first = (
        await tenant.post_call(
            saying(
                "We moved it to Monday, see you then",
                agentName="Noor Vega",
                externalCallId="crm-2026/4711",
                metadata={"plan": "gold", "order": {"number": "PP-99-1"}},
            )
        )
    ).body
    second = (await tenant.post_call(saying("See, then you moved it", agentName="Kim", metadata={"plan": "silver"}))).body
    await can_be_found(tenant, "moved", 2)
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    both = {first["callId"], second["callId"]}
    for search, found in (
        ("see you", both),
        ('"see you"', {first["callId"]}),
        ("moved -monday", {second["callId"]}),
        ('moved -"you moved"', {first["callId"]}),
        ("agent:noor", {first["callId"]}),
        ("plan:silver", {second["callId"]}),
        ("order.number:PP-99-1", {first["callId"]}),
        ("PP-99", {first["callId"]}),
        ("crm-2026/4711", {first["callId"]}),
        ("id:crm-2026/4711", {first["callId"]}),
        (first["callId"], {first["callId"]}),
        (second["conversationId"], {second["callId"]}),
    ):
        await agent.page.get_by_role("searchbox").fill(search)
        await expect(agent.rows).to_have_count(len(found))
        for call_id in found:
            await expect(agent.row(call_id)).to_be_visible()
    for search, why in (("🎂", "Type a letter or a digit"), ("???", "Type a letter or a digit"), ("-monday", "A minus leaves")):
        await agent.page.get_by_role("searchbox").fill(search)
        await expect(agent.page.get_by_text("Nothing to search for")).to_be_visible()
        await expect(agent.page.get_by_text(why)).to_be_visible()
        await expect(agent.rows).to_have_count(0)


async def test_what_is_said_late_in_a_long_call_is_found(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    turns = [
        {"role": "user", "message": " ".join(f"word{number}x{turn}" for number in range(4)), "timestamp": turn * 3}
        for turn in range(240)
    ]
    turns[231]["message"] = "and the tantalum screw"
    wanted = (await tenant.post_call(sample("delivery", transcript=turns, duration=900))).body["callId"]
    await can_be_found(tenant, "tantalum")
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, "/#/calls?search=tantalum")
    await expect(agent.row(wanted).get_by_role("button")).to_contain_text("11:33")


async def test_a_name_is_found_by_each_of_its_words(service: Service, tenant: Tenant, new_agent: NewAgent) -> None:
    wanted = (await tenant.post_call(missed(callerName="May Well Do"))).body["callId"]
    await tenant.post_call(missed(summary="You may do well"))
    agent = await new_agent(service.base_url)
    await agent.enter(tenant)
    for search in ("well", "do", "May well do"):
        await agent.page.get_by_role("searchbox").fill(search)
        await expect(agent.rows).to_have_count(1)
        await expect(agent.row(wanted)).to_be_visible()


async def test_agents_whose_names_look_alike_are_one_and_a_blank_name_is_none(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    for name in ("Kim", "Kim\u00a0", "\u200bKim", "  ", "\u2060"):
        assert (await tenant.post_call(missed(agentName=name))).status == 201
    assert (await tenant.get("/api/calls/agents")).body["agents"] == ["Kim"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, "/#/calls?agentName=Kim")
    await expect(agent.rows).to_have_count(3)


async def test_a_long_number_is_shown_with_the_digits_that_were_sent(
    service: Service, tenant: Tenant, new_agent: NewAgent
) -> None:
    numbers = {"orderId": 9007199254741993, "list": [9223372036854775807, -9007199254740995], "small": 12}
    call_id = (await tenant.post_call(missed(metadata=numbers))).body["callId"]
    agent = await new_agent(service.base_url)
    await agent.enter(tenant, f"/#/calls/{call_id}")
    call = agent.page.get_by_test_id("call")
    for digits in ("9007199254741993", "9223372036854775807", "-9007199254740995", "12"):
        await expect(call.get_by_text(re.compile(rf"^\W*{digits}\W*$")).first).to_be_visible()
    await agent.page.keyboard.press("Escape")  # an open call holds new ones back
    await agent.page.get_by_role("searchbox").fill("orderId:9007199254741993")
    await expect(agent.rows).to_have_count(1)
    another = (await tenant.post_call(missed(metadata=numbers))).body["callId"]
    await expect(agent.row(another)).to_be_visible()
