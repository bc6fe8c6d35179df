"""Figures of a period: what is counted where, what it is compared with, and in which time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.service import Service, Tenant, missed, sample

LONG_AGO = datetime(2026, 3, 29, tzinfo=UTC)
"""The day on which clocks in Berlin go forward, at 1:00."""


async def post(tenant: Tenant, started: datetime, **changes: Any) -> None:
    answer = await tenant.post_call(missed(callStartTime=started.isoformat(), **changes))
    assert answer.status == 201, answer.body


async def activity(tenant: Tenant, **query: str) -> dict[str, Any]:
    answer = await tenant.get("/api/calls/activity", params=query)
    assert answer.status == 200, answer.body
    return dict(answer.body)


async def listed(tenant: Tenant, **query: str) -> int:
    answer = await tenant.get("/api/calls/history", params=query)
    assert answer.status == 200, answer.body
    return int(answer.body["total"])


async def test_completed_calls_alone_make_talk_time_and_the_average_of_a_period(tenant: Tenant) -> None:
    said = {name: sample()[name] for name in ("recording", "transcript", "summary")}
    for duration in (100, 50):
        await post(tenant, LONG_AGO, status="completed", duration=duration, agentName="Ann", **said)
    await post(tenant, LONG_AGO, status="busy", duration=86_000, agentName="Ann")
    found = await activity(tenant, startDate="2026-03-29", endDate="2026-03-29")
    period = found["period"]
    assert (period["total"], period["byStatus"]) == (3, {"busy": 1, "completed": 2})
    assert (period["talkTime"], period["averageDuration"], period["answeredShare"]) == (150, 75, 2 / 3)
    assert found["agents"] == [{"agentName": "Ann", "count": 3, "completed": 2, "talkTime": 150}]
    assert (found["today"]["total"], found["before"]["total"]) == (0, 0)


async def test_calls_are_counted_by_the_clock_of_the_zone_when_they_began(tenant: Tenant) -> None:
    for minutes in (-61, -59, 0, 59, 61, 22 * 60 + 1):  # around midnight, the change of the clocks, and the end of the day
        await post(tenant, LONG_AGO + timedelta(minutes=minutes))
    found = await activity(tenant, startDate="2026-03-28", endDate="2026-03-30", timeZone="Europe/Berlin")
    assert [one["count"] for one in found["perDay"]] == [1, 4, 1]
    hours = {one["hour"]: one["count"] for one in found["perHour"] if one["count"]}
    assert hours == {0: 2, 1: 2, 3: 1, 23: 1}
    assert len(found["perHour"]) == 24
    for hour, count in hours.items():
        query = {"startDate": found["period"]["from"], "endDate": found["period"]["to"], "timeZone": "Europe/Berlin"}
        assert await listed(tenant, hour=str(hour), **query) == count


async def test_an_hour_of_the_day_needs_days(tenant: Tenant) -> None:
    for query in ({}, {"startDate": "2026-03-28"}, {"startDate": "2025-03-28", "endDate": "2026-03-30"}):
        answer = await tenant.get("/api/calls/history", params={"hour": "3", **query})
        assert (answer.status, answer.body["field"]) == (400, "hour")
    both = {"startDate": "2026-03-28", "endDate": "2026-03-30"}
    for wrong in ({"hour": "24"}, {"hour": "3", "timeZone": "Etc/Unknown"}):
        assert (await tenant.get("/api/calls/history", params={**both, **wrong})).status == 400


@pytest.mark.parametrize(("range_", "days"), [("today", 1), ("yesterday", 1), ("week", 7), ("month", 30)])
async def test_a_period_is_compared_with_the_one_before_up_to_the_same_time_of_day(
    tenant: Tenant, range_: str, days: int
) -> None:
    now = datetime.now(UTC)
    zone = ZoneInfo("Asia/Kathmandu")
    for started in (now, now - timedelta(days=days), now - timedelta(days=days, minutes=-2)):
        if started <= now:
            await post(tenant, started)
    found = await activity(tenant, range=range_, timeZone=zone.key)
    period, before = found["period"], found["before"]
    assert [len(found["perDay"]), period["range"]] == [days, range_]
    first = datetime.fromisoformat(period["from"])
    assert first.astimezone(zone).time().isoformat() == "00:00:00"
    earlier = datetime.fromisoformat(before["from"])
    assert first - earlier == timedelta(days=days)
    if range_ != "yesterday":
        assert datetime.fromisoformat(period["to"]) - datetime.fromisoformat(before["to"]) == timedelta(days=days)
        assert (period["total"] >= 1, before["total"]) == (True, 1)


async def test_this_month_is_compared_with_the_same_part_of_the_last(tenant: Tenant) -> None:
    found = await activity(tenant, range="thisMonth")
    today = datetime.now(UTC).date()
    assert found["period"]["startDate"] == today.replace(day=1).isoformat()
    assert date.fromisoformat(found["before"]["startDate"]) == (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    assert len(found["perDay"]) == today.day


async def test_every_agent_is_counted_though_not_named(tenant: Tenant) -> None:
    for number in range(52):
        await post(tenant, LONG_AGO, agentName=f"Agent {number:02}")
    await post(tenant, LONG_AGO, agentName="Agent 51")
    await post(tenant, LONG_AGO)
    found = await activity(tenant, startDate="2026-03-29", endDate="2026-03-29")
    assert [(one["agentName"], one["count"]) for one in found["agents"][:2]] == [("Agent 51", 2), ("Agent 00", 1)]
    assert len(found["agents"]) == 50
    assert (found["otherAgents"], found["withoutAgent"]) == ({"agents": 2, "count": 2}, 1)


@pytest.mark.parametrize(
    "zone", ["Etc/Unknown", "Nowhere/Land", "../UTC", "/etc/passwd", "America", "zone.tab", "%00", "a" * 300]
)
async def test_figures_of_an_unknown_zone_are_those_of_utc_and_say_so(tenant: Tenant, zone: str) -> None:
    found = await activity(tenant, timeZone=zone)
    assert (found["timeZone"], found["unknownTimeZone"]) == ("UTC", zone)


async def test_days_are_those_of_the_organization_if_it_has_a_zone(service: Service) -> None:
    admin = await service.tenant(role="admin")
    assert (await activity(admin, localTimeZone="Asia/Tokyo"))["timeZone"] == "Asia/Tokyo"
    changed = await admin.request("PATCH", "/api/organization", token=admin.token, json={"timeZone": "America/Toronto"})
    assert changed.status == 200, changed.body
    assert (await activity(admin, localTimeZone="Asia/Tokyo"))["timeZone"] == "America/Toronto"
    found = await activity(admin, localTimeZone="Asia/Tokyo", timeZone="Europe/Berlin")
    assert (found["timeZone"], found["unknownTimeZone"]) == ("Europe/Berlin", None)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"startDate": "2025-01-01", "endDate": "2026-01-02"}, "startDate"),
        ({"startDate": "2026-01-02", "endDate": "2026-01-01"}, "startDate"),
        ({"startDate": "2026-02-30"}, "startDate"),
        ({"endDate": "9999-12-31"}, "endDate"),
        ({"range": "decade"}, "range"),
    ],
)
async def test_a_period_has_an_end_and_a_limit(tenant: Tenant, query: dict[str, str], field: str) -> None:
    answer = await tenant.get("/api/calls/activity", params=query)
    assert (answer.status, answer.body["field"]) == (400, field)


async def test_days_to_come_have_no_calls(tenant: Tenant) -> None:
    found = await activity(tenant, startDate="2126-01-01", endDate="2126-01-02")
    assert (found["period"]["total"], [one["count"] for one in found["perDay"]]) == (0, [0, 0])


async def test_the_last_hour_counts_by_when_calls_began(tenant: Tenant) -> None:
    now = datetime.now(UTC)
    await post(tenant, now)
    await post(tenant, now - timedelta(minutes=30))
    await post(tenant, now - timedelta(minutes=90))
    minutes = [one["count"] for one in (await activity(tenant))["perMinute"]]
    assert (len(minutes), sum(minutes)) == (60, 2)
