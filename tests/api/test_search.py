"""One search: a call and a contact are found however a number or word is written, and nothing by what cannot be searched."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.support.search_cases import CASES, LANGUAGE, LANGUAGE_NOTHING, NOTHING, post_case
from tests.support.service import Tenant, missed
from tests.support.waiting import eventually
from tether_rt.domain.search_terms import words


def _named(name: str, **changes: Any) -> dict[str, Any]:
    return missed(callerName=name, **changes)


async def found(tenant: Tenant, search: str) -> list[str]:
    answer = await tenant.get(f"/api/calls/history?limit=100&search={quote(search)}")
    assert answer.status == 200, answer.body
    return [call["callId"] for call in answer.body["calls"]]


async def test_calls_are_found_in_every_way_to_write_it(tenant: Tenant) -> None:
    posted = [(case, set(await post_case(tenant, case))) for case in CASES + LANGUAGE]
    for case, ids in posted:
        for search in case["finds"]:
            assert ids & set(await found(tenant, search)), (case["about"], search)
        for search in case["misses"]:
            assert not ids & set(await found(tenant, search)), (case["about"], search)


async def test_contacts_are_found_in_every_way_to_write_their_number(tenant: Tenant) -> None:
    for case in CASES:
        if not case["numbers"]:
            continue
        await post_case(tenant, case)
        said = {word for text in case["texts"] for word in words(text)}
        for search in (one for one in case["finds"] if said.isdisjoint(words(one))):
            contacts = (await tenant.get(f"/api/contacts?search={quote(search)}")).body["data"]
            assert {contact["number"] for contact in contacts} & set(case["numbers"]), search


async def test_a_contact_is_found_by_any_part_of_a_name_without_spaces(tenant: Tenant) -> None:
    await tenant.post_call(_named("田中太郎"))
    for search in ("田中", "太郎", "中太"):
        (contact,) = (await tenant.get(f"/api/contacts?search={quote(search)}")).body["data"]
        assert contact["name"] == "田中太郎"


async def test_what_cannot_be_searched_finds_nothing(tenant: Tenant) -> None:
    await tenant.post_call(_named("Anna 🎂"))
    for search in NOTHING + LANGUAGE_NOTHING:
        answer = await tenant.get(f"/api/calls/history?search={quote(search)}")
        assert (answer.status, answer.body["calls"], answer.body["total"]) == (200, [], 0)
    assert len(await found(tenant, "  ")) == 1


async def test_any_part_of_what_was_said_in_japanese_is_found(tenant: Tenant) -> None:
    said = [{"role": "user", "message": "明日の予約を確認したいです"}]
    wanted = (await tenant.post_call(_named("Ann", transcript=said))).body["callId"]
    await tenant.post_call(_named("Bob", transcript=[{"role": "user", "message": "注文を取り消します"}]))

    async def is_found() -> bool:
        return await found(tenant, "予約を確認") == [wanted]

    await eventually(is_found)
    assert await found(tenant, "取り消し") != [wanted]
