"""A search of calls answers with the sentences that were searched for."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.support.service import Service, Tenant, missed
from tests.support.waiting import eventually
from tether_rt.domain.search_query import parse_search
from tether_rt.mongo.search_hits import SearchHits


async def history(tenant: Tenant, search: str) -> dict[str, Any]:
    answer = await tenant.get(f"/api/calls/history?search={quote(search)}")
    assert answer.status == 200, answer.body
    body: dict[str, Any] = answer.body
    return body


async def spoken(tenant: Tenant, *messages: str, **changes: Any) -> str:
    turns = [{"role": "user" if at % 2 else "agent", "message": said, "timestamp": at * 5} for at, said in enumerate(messages)]
    call_id: str = (await tenant.post_call(missed(transcript=turns, **changes))).body["callId"]
    return call_id


async def test_a_row_has_the_sentence_with_its_speaker_and_time(tenant: Tenant) -> None:
    call_id = await spoken(tenant, "お電話ありがとうございます", "明日の予約を確認したいです", summary="Ein Gruß")
    await spoken(tenant, "注文を取り消します")

    async def is_found() -> bool:
        return bool((await history(tenant, "確認"))["calls"])

    await eventually(is_found)
    (row,) = (await history(tenant, "確認"))["calls"]
    assert row["callId"] == call_id
    assert row["hits"] == [{"index": 1, "role": "user", "atS": 5, "text": "明日の予約を確認したいです", "marks": [[6, 8]]}]
    (row,) = (await history(tenant, "gruss"))["calls"]
    assert row["hits"] == [{"index": None, "role": None, "atS": None, "text": "Ein Gruß", "marks": [[4, 8]]}]


async def test_turns_without_a_time_keep_their_number(tenant: Tenant) -> None:
    turns = [
        {"role": "agent", "message": "Hello"},
        {"role": "user", "message": "A crown"},
        {"role": "user", "message": "x", "timestamp": 9},
    ]
    await tenant.post_call(missed(transcript=turns, summary="One crown"))
    (row,) = (await history(tenant, "crown"))["calls"]
    assert [(hit["index"], hit["atS"]) for hit in row["hits"]] == [(1, None), (None, None)]


async def test_a_list_that_is_not_searched_has_no_hits(tenant: Tenant) -> None:
    await spoken(tenant, "A crown")
    for path in ("/api/calls/history", "/api/calls/history?search=", "/api/calls/history?search=%20"):
        body = (await tenant.get(path)).body
        assert "notices" not in body
        assert "hits" not in body["calls"][0]


async def test_a_call_that_is_found_by_its_number_has_no_hits(tenant: Tenant) -> None:
    await spoken(tenant, "Room 416, the 555th", fromNumber="+14165550199")
    (row,) = (await history(tenant, "416-555-0199"))["calls"]
    assert row["hits"] == []


async def test_the_answer_says_what_was_not_searched_for(tenant: Tenant) -> None:
    await spoken(tenant, "A crown", summary="A crown")
    assert [notice["code"] for notice in (await history(tenant, "???"))["notices"]] == ["nothing_to_search"]
    assert [notice["code"] for notice in (await history(tenant, "-crown"))["notices"]] == ["only_exclusions"]
    assert [notice["code"] for notice in (await history(tenant, "how are"))["notices"]] == ["common_words"]
    (notice,) = (await history(tenant, " ".join(f"w{number}" for number in range(17))))["notices"]
    assert notice == {"code": "words_ignored", "message": "Not searched for: w16"}
    assert (await history(tenant, "crown"))["notices"] == []


async def test_a_page_looks_at_a_limited_number_of_characters(service: Service, tenant: Tenant) -> None:
    ids = [await spoken(tenant, "no " * 200 + "crown") for _ in range(3)]
    hits = SearchHits(service.database, max_chars=700)
    found = await hits.of(tenant.organization_id, ids, parse_search("crown"))
    assert [len(one) if one is not None else None for one in found.values()] == [1, 1, None]
    assert await hits.of("another", ids, parse_search("crown")) == dict.fromkeys(ids)


async def test_a_word_at_the_end_of_three_hours_is_a_hit(service: Service, tenant: Tenant) -> None:
    messages = ["Grüße, ich möchte einen Termin am Freitag vereinbaren und die Krone abholen"] * 1_999 + ["zirconium"]
    call_id = await spoken(tenant, *messages)
    (hits,) = (await SearchHits(service.database).of(tenant.organization_id, [call_id], parse_search("zirconium"))).values()
    assert hits is not None
    assert [(hit["index"], hit["text"]) for hit in hits] == [(1_999, "zirconium")]
