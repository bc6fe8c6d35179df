"""What the dashboard asks for beyond the lists: figures, names, waveforms, tables, and a contact's new name."""

from __future__ import annotations

import asyncio
import base64
import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.service import SAMPLES, Tenant, missed, sample
from tether_rt.api.export import cell


async def post(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    answer = await tenant.post_call(missed(**changes))
    assert answer.status == 201, answer.body
    return dict(answer.body)


async def found(tenant: Tenant, query: str) -> list[str]:
    answer = await tenant.get(f"/api/calls/history{query}")
    assert answer.status == 200, answer.body
    return [call["callId"] for call in answer.body["calls"]]


async def test_a_list_is_paged_from_call_to_call_while_others_arrive(tenant: Tenant) -> None:
    same = {"callStartTime": "2026-05-01T12:00:00Z"}
    posted = [(await post(tenant, **same))["callId"] for _ in range(5)]
    first = await found(tenant, "?limit=2")
    await post(tenant)
    second = await found(tenant, f"?limit=2&before={first[-1]}")
    third = await found(tenant, f"?limit=2&before={second[-1]}")
    assert first + second + third == posted[::-1]
    assert await found(tenant, f"?before={third[-1]}") == []
    assert (await tenant.get("/api/calls/history?before=nothing")).status == 400


async def test_the_total_counts_every_call_and_says_when_a_filter_left_too_many_to_count(tenant: Tenant) -> None:
    await asyncio.gather(*[post(tenant) for _ in range(3)])
    assert (await tenant.get("/api/calls/history")).body["total"] == 3
    narrowed = (await tenant.get("/api/calls/history?status=no-answer")).body
    assert (narrowed["total"], narrowed["totalIsExact"]) == (3, True)


async def test_a_call_is_found_by_a_word_spoken_in_it(tenant: Tenant) -> None:
    call_id = (await tenant.post_call(sample("delivery", summary="Nothing to see"))).body["callId"]
    await tenant.post_call(sample("outage"))
    for _ in range(200):
        if await found(tenant, "?search=corner") == [call_id]:
            break
        await asyncio.sleep(0.1)
    for query in ("?search=shop%20corner", "?search=CORN", "?search=parcel%20the%20corner"):
        assert await found(tenant, query) == [call_id], query
    assert await found(tenant, "?search=corner%20outage") == []


async def test_case_and_accents_do_not_matter_to_a_search(tenant: Tenant) -> None:
    call_id = (await post(tenant, summary="Frau M\u00fcller fragt nach dem Stra\u00dfenfest"))["callId"]
    for word in ("muller", "M\u00dcLLER", "strassen"):
        assert await found(tenant, f"?search={word}") == [call_id], word


async def test_calls_are_narrowed_by_their_length(tenant: Tenant) -> None:
    ids = {seconds: (await post(tenant, duration=seconds))["callId"] for seconds in (10, 20, 30)}
    assert await found(tenant, "?minDuration=20&maxDuration=20") == [ids[20]]
    assert set(await found(tenant, "?minDuration=15.5")) == {ids[20], ids[30]}
    assert (await tenant.get("/api/calls/history?minDuration=long")).status == 400


async def test_the_names_of_agents_are_listed_once_each(tenant: Tenant, other: Tenant) -> None:
    for name in ("Bob", "Ann", "Bob"):
        await post(tenant, agentName=name)
    await post(other, agentName="Eve")
    assert (await tenant.get("/api/calls/agents")).body == {"success": True, "agents": ["Ann", "Bob"]}


async def test_figures_count_today_the_hour_and_the_month_where_the_agent_is(tenant: Tenant) -> None:
    now = datetime.now(UTC)
    for start, duration, status in (
        (now, 10, "failed"),
        (now - timedelta(days=3), 50, "busy"),
        (now - timedelta(days=40), 1, "busy"),
    ):
        await post(tenant, callStartTime=start.isoformat(), duration=duration, status=status, agentName="Ann")
    figures = (await tenant.get("/api/calls/activity?timeZone=Pacific/Kiritimati")).body
    assert figures["timeZone"] == "Pacific/Kiritimati"
    today = {"total": 1, "byStatus": {"failed": 1}, "answeredShare": 0, "talkTime": 0, "averageDuration": None}
    assert figures["today"] == today
    assert len(figures["perMinute"]) == 60
    assert sum(minute["count"] for minute in figures["perMinute"]) == 1
    assert len(figures["perDay"]) == 30
    days = {day["date"]: day["count"] for day in figures["perDay"] if day["count"]}
    there = now + timedelta(hours=14)
    assert days == {there.date().isoformat(): 1, (there - timedelta(days=3)).date().isoformat(): 1}
    assert figures["agents"] == [{"agentName": "Ann", "count": 2, "completed": 0, "talkTime": 0}]


@pytest.mark.parametrize(
    "zone", ["America/Ciudad_Juarez", "America/Coyhaique", "Europe/Kyiv", "Asia/Beirut", "localtime", "right/UTC", "Factory"]
)
async def test_a_time_zone_that_mongodb_lacks_is_a_zone_like_any_other(tenant: Tenant, zone: str) -> None:
    await post(tenant, callStartTime=datetime.now(UTC).isoformat())
    answer = await tenant.get(f"/api/calls/activity?timeZone={zone}")
    assert answer.status == 200, answer.body
    assert [day["count"] for day in answer.body["perDay"]] == [0] * 29 + [1]


async def test_a_waveform_is_computed_once_and_the_same_ever_after(tenant: Tenant) -> None:
    call_id = (await tenant.post_call(sample("appointment"))).body["callId"]
    first = await tenant.get(f"/api/calls/{call_id}/peaks")
    assert first.status == 200, first.body
    assert len(first.body["peaks"]) == 1000
    assert max(first.body["peaks"]) == 255
    assert min(first.body["peaks"]) == 0
    assert 31 < first.body["duration"] < 32
    assert (await tenant.get(f"/api/calls/{call_id}/peaks")).body == first.body
    without = (await post(tenant))["callId"]
    assert (await tenant.get(f"/api/calls/{without}/peaks")).status == 404


async def test_a_recording_that_cannot_be_decoded_has_no_waveform_and_is_no_error(tenant: Tenant) -> None:
    audio = (SAMPLES / "delivery.mp3").read_bytes()[:700]
    call_id = (await tenant.post_call(missed(recording=base64.b64encode(audio).decode()))).body["callId"]
    answer = await tenant.get(f"/api/calls/{call_id}/peaks")
    assert answer.status == 200
    assert answer.body["peaks"] is None or len(answer.body["peaks"]) < 1000


async def test_the_filtered_calls_come_as_a_table_that_runs_nothing(tenant: Tenant) -> None:
    await post(tenant, summary='=HYPERLINK("http://evil.example")', agentName='@SUM(A1)"', callStartTime="2026-05-02T12:00:00Z")
    await post(tenant, status="busy", callStartTime="2026-05-01T12:00:00Z")
    answer = await tenant.get("/api/calls/export?status=no-answer")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="calls-')
    assert answer.body.startswith(b"\xef\xbb\xbf")
    (row,) = csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig")))
    assert row["summary"] == '\'=HYPERLINK("http://evil.example")'
    assert row["agent"] == "'@SUM(A1)\""
    assert row["started"] == "2026-05-02T12:00:00.000Z"
    assert row["from"].startswith("+1416555")
    everything = await tenant.get("/api/calls/export")
    assert len(list(csv.reader(io.StringIO(everything.body.decode("utf-8-sig"))))) == 3


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+1+1", "-2", "@a", "\t=1", "\r=1", "  =1", "+1416555|cmd"),
        *('\uff1dHYPERLINK("http://x.example")', "\uff0b1+1", "\ufe632", "\u3000\uff20a", " " * 999 + "\uff1d1"),
        *("00123", "1747300200123456789", " 0100 ", "12E5", "\uff10\uff11"),
    ],
)
def test_what_a_spreadsheet_would_run_is_defused(text: str) -> None:
    assert cell(text) == "'" + text


async def test_a_table_for_programs_has_every_text_as_it_is(tenant: Tenant) -> None:
    await post(tenant, externalCallId="1747300200123456789", callerName="00123", agentName="\uff1d1", fromNumber="anonymous")
    for table, quote, mark in (("", "'", b"\xef\xbb\xbf"), ("spreadsheet", "'", b"\xef\xbb\xbf"), ("program", "", b"")):
        answer = await tenant.get("/api/calls/export", params={"table": table})
        assert answer.body.startswith(mark + b"callId,")
        (row,) = csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig")))
        assert (row["vendorCallId"], row["contact"]) == (f"{quote}1747300200123456789", f"{quote}00123")
        assert (row["agent"], row["from"], row["seconds"]) == (f"{quote}\uff1d1", "withheld", "0")
    refused = await tenant.get("/api/calls/export?table=other")
    assert (refused.status, refused.body["code"]) == (400, "unknown_value")


@pytest.mark.parametrize("text", ["+14165550100", "a=1", "", "5 - 3", "0", "123456789012345", "sip:a@b.c", "1.5", "4 E5"])
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert cell(text) == text


async def test_a_contacts_new_name_is_shown_with_its_calls_and_found(tenant: Tenant, other: Tenant) -> None:
    made = await post(tenant, fromNumber="+442079460958")
    path = f"/api/contacts/{made['contactId']}"
    assert (await tenant.get(path)).body["contact"]["name"] == "Unknown Caller"
    renamed = await tenant.request("PATCH", path, token=tenant.token, json={"name": " Tom Becker "})
    assert renamed.status == 200, renamed.body
    assert renamed.body["contact"]["name"] == "Tom Becker"
    (call,) = (await tenant.get("/api/calls/history?search=becker")).body["calls"]
    assert call["contactName"] == "Tom Becker"
    assert (await tenant.get(f"/api/calls/{made['callId']}")).body["call"]["contactName"] == "Tom Becker"
    await post(tenant, fromNumber="+442079460958", callerName="Somebody Else")
    assert (await tenant.get(path)).body["contact"]["name"] == "Tom Becker"
    for body, status in (({"name": "  "}, 400), ({"name": "x" * 300}, 400), ({}, 400), ({"name": "a", "number": "+1"}, 400)):
        assert (await tenant.request("PATCH", path, token=tenant.token, json=body)).status == status
    assert (await other.get(path)).status == 404
    assert (await other.request("PATCH", path, token=other.token, json={"name": "Mine"})).status == 404


async def test_who_is_signed_in_is_told(tenant: Tenant) -> None:
    user = (await tenant.get("/api/user")).body["user"]
    assert (user["email"], user["organizationId"]) == (tenant.email, tenant.organization_id)


async def test_the_sample_call_is_taken_as_it_is_and_each_time_as_a_new_one(tenant: Tenant) -> None:
    call = (await tenant.request("GET", "/api/sample-call")).body
    answers = [await tenant.post_call(call) for _ in range(2)]
    assert [answer.status for answer in answers] == [201, 201]


async def test_a_list_names_the_last_event_that_is_surely_in_it(tenant: Tenant) -> None:
    assert (await tenant.get("/api/calls/history")).body["seq"] == 0
    await post(tenant)
    dashboard = await tenant.dashboard()
    for query in ("", "?status=busy", "?search=nothing"):
        assert (await tenant.get(f"/api/calls/history{query}")).body["seq"] == dashboard.hello["seq"] > 0
    await dashboard.close()
