"""Recordings that are fetched after their call was stored: when they come, when they are given up, and tried again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import settings_on
from tests.support.audio import mp3
from tests.support.faulty_store import faulty_store
from tests.support.proxy import proxy_to_mongodb
from tests.support.s3 import S3Server
from tests.support.service import Answer, Dashboard, Service, Tenant, missed, running, sample
from tests.support.vendor import Request, Vendor, body, head, in_turn, status, vendor_server
from tests.support.waiting import eventually
from tests.support.webhooks import body_of, vendors_door
from tether_rt.ingest import later_recordings
from tether_rt.ingest.later_recordings import Schedule, fair_choice
from tether_rt.ingest.vendors.registry import VENDORS
from tether_rt.mongo.pending_recordings import Due

ASYNC = {"Prefer": "respond-async"}
QUICK = Schedule(waits_s=(0.05, 0.05, 0.05), away_s=0.2, poll_s=0.1)
VOICE = mp3(2)


@pytest.fixture(scope="module")
async def vendor() -> AsyncIterator[Vendor]:
    async with vendor_server() as vendor:
        yield vendor


@pytest.fixture(scope="module")
async def service(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory, vendor: Vendor) -> AsyncIterator[Service]:
    settings = settings_on(mongodb_uri, tmp_path_factory.mktemp("later"), private_recording_hosts=vendor.host)
    async with running(settings, schedule=QUICK) as service:
        yield service


@pytest.fixture
async def tenant(service: Service) -> Tenant:
    return await service.tenant(role="admin")


@pytest.fixture
async def dashboard(tenant: Tenant) -> AsyncIterator[Dashboard]:
    dashboard = await tenant.dashboard()
    yield dashboard
    await dashboard.close()


async def post(tenant: Tenant, url: str, **options: Any) -> Answer:
    answer = await tenant.post_call(sample(recording=url), headers=ASYNC, **options)
    assert answer.status == 201, answer.body
    assert answer.body["recording"] == "pending"
    assert answer.headers["Preference-Applied"] == "respond-async"
    return answer


async def call_of(tenant: Tenant, answer: Answer) -> dict[str, Any]:
    """Return the call as it is shown; what lists say of its recording is the same."""
    path = f"/api/calls/{answer.body['callId']}"
    before = (await tenant.get(path)).body["call"]
    rows = (await tenant.get("/api/calls/history")).body["calls"]
    call: dict[str, Any] = (await tenant.get(path)).body["call"]
    (row,) = [row for row in rows if row["callId"] == call["callId"]]
    # It may have changed between two of the answers.
    assert (row["recordingStatus"], row["recordingError"]) in [
        (one["recordingStatus"], one["recordingError"]) for one in (before, call)
    ]
    return call


async def named(dashboard: Dashboard, name: str) -> dict[str, Any]:
    """Return the next event of this name."""
    while (event := await dashboard.next())["event"] != name:
        pass
    return event


async def test_a_call_is_answered_before_its_recording_and_has_it_then(
    tenant: Tenant, vendor: Vendor, dashboard: Dashboard
) -> None:
    url = vendor.serve("/once", body(VOICE))
    answer = await post(tenant, url)
    events = await dashboard.events(5)
    assert [event["event"] for event in events] == [
        "call_initiated", "call_ended", "fetch_messages", "call_recording_ready", "fetch_messages",
    ]  # fmt: skip
    assert len({event["id"] for event in events}) == 5
    call = await call_of(tenant, answer)
    assert (call["recordingStatus"], call["recordingError"]) == ("stored", None)
    (recording,) = call["recordings"]
    assert recording["recordingId"] == events[3]["data"]["recordingId"]
    link = (await tenant.get(f"/api/calls/{call['callId']}/recording")).body["audioUrl"]
    async with tenant.http.get(link) as audio:
        assert await audio.read() == VOICE
    assert len([one for one in vendor.requests if one.target == "/once"]) == 1


async def test_a_recording_that_comes_late_is_tried_again(tenant: Tenant, vendor: Vendor, dashboard: Dashboard) -> None:
    answer = await post(tenant, vendor.serve("/late", in_turn(status(404), status(503), body(VOICE))))
    await named(dashboard, "call_recording_ready")
    assert (await call_of(tenant, answer))["recordingStatus"] == "stored"
    assert len([one for one in vendor.requests if one.target == "/late"]) == 3


@pytest.mark.parametrize(
    ("path", "route", "code"),
    [
        ("/gone", status(410), "recording_gone"),
        ("/page", body(b"<html>please sign in</html>"), "recording_not_audio"),
    ],
)
async def test_what_cannot_get_better_is_given_up_at_once(
    tenant: Tenant, vendor: Vendor, dashboard: Dashboard, path: str, route: Any, code: str
) -> None:
    answer = await post(tenant, vendor.serve(path, route))
    failed = await named(dashboard, "recording_failed")
    ids = {name: answer.body[name] for name in ("callId", "contactId", "conversationId")}
    call = await call_of(tenant, answer)
    assert call["recordingError"]["code"] == code
    assert failed["data"] == {**ids, **call["recordingError"]}
    assert (call["recordingStatus"], call["recordings"]) == ("failed", [])
    assert len([one for one in vendor.requests if one.target == path]) == 1
    table = (await tenant.get("/api/calls/export?table=program")).body.decode()
    assert "failed" in table
    assert call["recordingError"]["error"] in table


async def test_a_private_address_is_given_up_at_once(tenant: Tenant, dashboard: Dashboard) -> None:
    await post(tenant, "http://10.0.0.1/a.mp3")
    assert (await named(dashboard, "recording_failed"))["data"]["code"] == "recording_address_refused"


async def test_what_fails_every_time_is_given_up_and_can_be_tried_again(
    tenant: Tenant, service: Service, vendor: Vendor, dashboard: Dashboard
) -> None:
    answer = await post(tenant, vendor.serve("/never", status(404)))
    first = await named(dashboard, "recording_failed")
    assert first["data"]["code"] == "recording_not_found"
    assert len([one for one in vendor.requests if one.target == "/never"]) == 1 + len(QUICK.waits_s)
    retry = f"/api/calls/{answer.body['callId']}/recording/retry"
    assert (await (await service.tenant()).post(retry)).status == 404
    assert (await tenant.request("POST", retry)).status == 401
    again = await tenant.post(retry)
    assert (again.status, again.body["recordingStatus"]) == (200, "pending")
    assert (await named(dashboard, "call_updated"))["data"]["changed"] == ["recordingStatus"]
    second = await named(dashboard, "recording_failed")
    assert second["id"] != first["id"]
    vendor.serve("/never", body(VOICE))

    async def is_given_up() -> bool:
        return (await tenant.post(retry)).status == 200

    await eventually(is_given_up)
    await named(dashboard, "call_recording_ready")
    call = await call_of(tenant, answer)
    assert (call["recordingStatus"], call["recordingError"], len(call["recordings"])) == ("stored", None, 1)
    refused = await tenant.post(retry)
    assert (refused.status, refused.body["code"]) == (400, "nothing_to_retry")


async def test_the_store_away_is_not_a_failure_of_the_recording(
    mongodb_uri: str, tmp_path: Path, vendor: Vendor, s3_server: S3Server
) -> None:
    url = vendor.serve("/stored", body(VOICE))
    async with faulty_store(s3_server) as bucket:
        r2 = {name.lower(): value for name, value in bucket.variables.items()}
        settings = settings_on(mongodb_uri, tmp_path, private_recording_hosts=vendor.host, **r2)
        async with running(settings, schedule=QUICK) as service:
            tenant = await service.tenant()
            dashboard = await tenant.dashboard()
            await bucket.fail("503")
            answer = await post(tenant, url)

            async def was_tried_often() -> bool:
                return len([one for one in vendor.requests if one.target == "/stored"]) > len(QUICK.waits_s) + 1

            await eventually(was_tried_often)
            assert (await call_of(tenant, answer))["recordingStatus"] == "pending"
            await bucket.heal()
            await named(dashboard, "call_recording_ready")
            assert (await call_of(tenant, answer))["recordingStatus"] == "stored"
            await dashboard.close()


async def test_a_source_can_be_set_to_later(tenant: Tenant, vendor: Vendor, dashboard: Dashboard) -> None:
    added = await tenant.post("/api/sources", {"name": "Late", "kind": "api", "settings": {"recordings": "later"}})
    assert added.status == 201, added.body
    call = sample(recording=vendor.serve("/set", body(VOICE)))
    answer = await tenant.request("POST", "/api/calls/ingest", token=added.body["apiKey"], json=call)
    assert (answer.status, answer.body["recording"]) == (201, "pending")
    assert "Preference-Applied" not in answer.headers
    await named(dashboard, "call_recording_ready")
    again = await tenant.request("POST", "/api/calls/ingest", token=added.body["apiKey"], json=call, headers=ASYNC)
    assert (again.status, again.body["callId"]) == (200, answer.body["callId"])
    assert "recording" not in again.body
    assert "Preference-Applied" not in again.headers


async def test_only_an_address_comes_later(tenant: Tenant) -> None:
    for call, recording_status in ((sample(), "stored"), (missed(), None)):
        answer = await tenant.post_call(call, headers=ASYNC)
        assert answer.status == 201
        assert "recording" not in answer.body
        assert "Preference-Applied" not in answer.headers
        assert (await call_of(tenant, answer))["recordingStatus"] == recording_status
    refused = await tenant.post_call(sample(recording="ftp://a.example/a.mp3"), headers=ASYNC)
    assert (refused.status, refused.body["field"]) == (400, "recording")


@pytest.mark.parametrize("prefer", ["return=minimal", "x-respond-async", 'a="respond-async"', "respond-async=later"])
async def test_other_preferences_are_ignored(tenant: Tenant, vendor: Vendor, prefer: str) -> None:
    call = sample(recording=vendor.serve("/now", body(VOICE)))
    answer = await tenant.post_call(call, headers={"Prefer": prefer})
    assert (answer.status, "recording" in answer.body) == (201, False)


@pytest.mark.parametrize("prefer", ["wait=10, Respond-Async", "respond-async; a=b", 'x="a, b",respond-async=""'])
async def test_the_preference_is_read_as_http_has_it(tenant: Tenant, vendor: Vendor, prefer: str) -> None:
    call = sample(recording=vendor.serve("/now", body(VOICE)))
    answer = await tenant.post_call(call, headers={"Prefer": prefer})
    assert (answer.status, answer.body["recording"]) == (201, "pending")


async def test_calls_past_the_recordings_that_may_wait_are_refused(mongodb_uri: str, tmp_path: Path, vendor: Vendor) -> None:
    url = vendor.serve("/never there", status(404)).replace(" ", "%20")
    settings = settings_on(mongodb_uri, tmp_path, private_recording_hosts=vendor.host)
    async with running(settings, schedule=Schedule(waits_s=(60.0,), max_waiting_of_one=3)) as service:
        tenant, other = await service.tenant(), await service.tenant()
        for _ in range(3):
            await post(tenant, url)
        refused = await tenant.post_call(sample(recording=url), headers=ASYNC)
        assert (refused.status, refused.headers["Retry-After"]) == (503, "60")
        await post(other, url)
        assert (await tenant.post_call(missed())).status == 201
        metrics = (await tenant.get("/metrics")).body.decode()
        assert 'tether_limited_total{limit="later_recordings"} 1.0' in metrics


async def test_an_attempt_whose_lease_cannot_be_renewed_is_stopped_before_it_ends(
    mongodb_uri: str, tmp_path: Path, vendor: Vendor
) -> None:
    begun, broken_off = asyncio.Event(), asyncio.Event()

    async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, Content_Length=1 << 30) + VOICE)
        begun.set()
        try:
            while not writer.transport.is_closing():
                writer.write(VOICE)
                await writer.drain()
                await asyncio.sleep(0.02)
        finally:
            broken_off.set()

    async with proxy_to_mongodb(mongodb_uri) as line:
        address = f"mongodb://127.0.0.1:{line.port}/?directConnection=true"
        settings = settings_on(address, tmp_path, private_recording_hosts=vendor.host)
        async with running(settings, schedule=Schedule(lease_s=3.0)) as service:
            tenant = await service.tenant()
            await post(tenant, vendor.serve("/endless", endless))
            await begun.wait()
            line.freeze()
            try:
                async with asyncio.timeout(30):
                    await broken_off.wait()
            finally:
                line.thaw()


async def test_a_recording_that_kills_its_process_is_given_up(mongodb_uri: str, tmp_path: Path, vendor: Vendor) -> None:
    settings = settings_on(mongodb_uri, tmp_path, private_recording_hosts=vendor.host)
    async with running(settings, schedule=Schedule(waits_s=(60.0,), poll_s=0.1)) as service:
        tenant = await service.tenant()
        answer = await post(tenant, vendor.serve("/deadly", status(404)))
        pending = service.database["pending_recordings"]

        async def it_waits() -> bool:
            return await pending.count_documents({"attempts": 1, "holder": {"$exists": False}}) == 1

        await eventually(it_waits)
        # What the kill of a second attempt leaves, when its lease has ended.
        left = {"attempts": 2, "nextAt": datetime.now(UTC) - timedelta(seconds=1)}
        await pending.update_one({"_id": answer.body["callId"]}, {"$set": left})

        async def it_is_given_up() -> bool:
            return bool((await call_of(tenant, answer))["recordingStatus"] == "failed")

        await eventually(it_is_given_up)
        assert (await call_of(tenant, answer))["recordingError"]["code"] == "internal_error"


async def test_a_vendors_recording_is_fetched_with_its_sources_credentials(
    service: Service, tenant: Tenant, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = vendor.host.partition(":")[0]
    at_host = {"twilio": VENDORS["twilio"]._replace(recording_hosts=(host,))}
    monkeypatch.setattr(later_recordings, "VENDORS", at_host)
    door = await vendors_door(tenant, "twilio", fetchUser="AC1", fetchPassword="pass")
    url = vendor.serve("/RE1.mp3", body(VOICE))
    await door.receive("twilio-status-completed.txt")
    fields = dict(parse_qsl(body_of("twilio-recording-completed.txt").decode()))
    merged = await door.receive(urlencode({**fields, "RecordingUrl": url.removesuffix(".mp3")}).encode())

    async def it_is_there() -> bool:
        return bool((await door.call(merged))["recordingStatus"] == "stored")

    await eventually(it_is_there)
    assert vendor.requests[-1].headers["authorization"] == "Basic QUMxOnBhc3M="


async def test_organizations_are_fetched_in_fair_parts(mongodb_uri: str, tmp_path: Path, vendor: Vendor) -> None:
    """One that has sent more than is looked at in one go does not delay another's one."""
    begun: list[str] = []
    finishes = asyncio.Semaphore(0)

    async def held(request: Request, writer: asyncio.StreamWriter) -> None:
        begun.append(request.target)
        writer.write(head(200, Content_Length=len(VOICE)) + VOICE[:1000])
        await finishes.acquire()
        writer.write(VOICE[1000:])

    settings = settings_on(mongodb_uri, tmp_path, private_recording_hosts=vendor.host)
    async with running(settings, schedule=Schedule(max_at_once=4, max_at_once_of_one=4)) as service:
        flood, quiet = await service.tenant(), await service.tenant()
        for number in range(20):
            await post(flood, vendor.serve(f"/flood/{number}", held))
        await eventually(lambda: len(begun) == 4)
        await post(quiet, vendor.serve("/quiet", held))
        await asyncio.sleep(1.0)  # the flood is looked behind from time to time
        finishes.release()
        await eventually(lambda: "/quiet" in begun)
        assert len(begun) <= 8
        for _ in range(100):
            finishes.release()

        async def all_are_stored() -> bool:
            return await service.database["pending_recordings"].count_documents({}) == 0

        await eventually(all_are_stored)
        assert begun[:4] == [f"/flood/{number}" for number in range(4)]
        assert len(begun) == len(set(begun)) == 21


DUE = st.lists(st.tuples(st.integers(0, 10**6).map(str), st.sampled_from("ABCD")), unique_by=lambda one: one[0], max_size=60)


@given(DUE, st.dictionaries(st.sampled_from("ABCD"), st.integers(0, 6)), st.integers(0, 30), st.integers(1, 8))
def test_a_fair_choice_takes_all_it_may_and_the_organization_with_the_fewest_first(
    due: list[tuple[str, str]], at_work: dict[str, int], free: int, most: int
) -> None:
    chosen = fair_choice([Due(*one) for one in due], at_work, free, most)
    organization_of = dict(due)
    waiting = Counter(organization_of.values())
    room = {one: min(waiting[one], max(0, most - at_work.get(one, 0))) for one in waiting}
    assert len(chosen) == min(free, sum(room.values()))
    taken = Counter(organization_of[call_id] for call_id in chosen)
    for one in waiting:
        own = [call_id for call_id, organization_id in due if organization_id == one]
        assert [call_id for call_id in chosen if organization_of[call_id] == one] == own[: taken[one]]
        for other in waiting:
            if taken[one] < room[one] and taken[other]:  # who could have had more has no less than the others, but for one
                assert at_work.get(other, 0) + taken[other] <= at_work.get(one, 0) + taken[one] + 1
