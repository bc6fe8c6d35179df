"""The server is killed at any step of an erasure, or its recording store is away: the rest is done later, by any process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.dump import database_bytes, folder_bytes, found_in
from tests.support.faulty_store import faulty_store
from tests.support.program import Program, program
from tests.support.proxy import Passage, Proxy, proxy_to_mongodb
from tests.support.s3 import S3Server
from tests.support.service import Tenant, missed, sample
from tests.support.waiting import eventually

NAME, WORDS = "Wilhelmina Quigley", "marmalade hovercraft"
# As in the driver's messages: the command's name is the first key of its BSON document.
WRITTEN_DOWN = b"findAndModify\0\x09\0\0\0erasures\0"
EVENTS = b"update\0\x05\0\0\0feed\0"
FILES_NOTED = b"update\0\x0e\0\0\0erasure_files\0"
FILES_GONE = b"delete\0\x0e\0\0\0erasure_files\0"
CALLS = b"delete\0\x06\0\0\0calls\0"
COMMIT = b"commitTransaction\0"
SEARCH = b"delete\0\x07\0\0\0search\0"
STEPS = {
    "written down": (WRITTEN_DOWN, True),
    "events": (EVENTS, False),
    "files noted": (FILES_NOTED, True),
    "files gone": (FILES_GONE, False),
    "documents": (CALLS, True),
    "before the commit": (COMMIT, False),
    "after the commit": (COMMIT, True),
    "found by": (SEARCH, False),
}
"""Each by the command and whether the server is killed at its answer, or before it is sent."""
A_DAY_AGO = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
async def line(mongodb_uri: str) -> AsyncIterator[Proxy]:
    """A proxy between the server and mongod."""
    async with proxy_to_mongodb(mongodb_uri) as proxy:
        yield proxy


def said(number: str, **changes: Any) -> dict[str, Any]:
    call = sample("delivery", fromNumber=number, toNumber="+14165550100", direction="inbound", callerName=NAME, summary=WORDS)
    return {**call, **changes}


async def kill_at(running: Program, line: Proxy, step: str, erasing: Any) -> None:
    """Kill the server at a step of what `erasing` does, start it again, and let it go on at once."""
    command, answered = STEPS[step]
    done = asyncio.Event()
    is_near = command is not COMMIT  # other transactions commit as well

    async def kill(passage: Passage, up: bool, piece: bytes) -> bool:
        nonlocal is_near
        is_near = is_near or (up and CALLS in piece)
        if up and is_near and command in piece:
            passage.notes["seen"] = 1
        if "seen" in passage.notes and up != answered:
            await running.server.kill()
            done.set()
            return False
        return True

    line.look = kill
    asking = asyncio.create_task(erasing())
    async with asyncio.timeout(60):
        await done.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    line.look = None
    await running.server.start()
    # Another process waits until the lease of the one that was killed is over.
    await running.database["erasures"].update_many({"nextAt": {"$ne": None}}, {"$set": {"nextAt": A_DAY_AGO}})


async def all_is_done(running: Program) -> None:
    async def none_is_left() -> bool:
        return await running.database["erasures"].count_documents({"nextAt": {"$ne": None}}) == 0

    await eventually(none_is_left)


async def check_feed(tenant: Tenant) -> None:
    """Resume from the first event: no gap, and no word of the person."""
    dashboard = await tenant.dashboard(after=0)
    events = await dashboard.events(dashboard.hello["head"])
    assert [event["seq"] for event in events] == list(range(1, dashboard.hello["head"] + 1))
    assert found_in(json.dumps(events).encode(), (NAME, WORDS)) == []
    await dashboard.close()


@pytest.mark.parametrize(
    "steps",
    [("events", "documents", "after the commit"), pytest.param(tuple(STEPS), marks=pytest.mark.soak)],
    ids=["some", "all"],
)
async def test_a_kill_at_any_step_of_erasing_leaves_the_rest_to_the_next_start(
    line: Proxy, tmp_path: Path, steps: tuple[str, ...]
) -> None:
    uri = f"mongodb://127.0.0.1:{line.port}/?directConnection=true"
    async with program(tmp_path, uri) as running:
        tenant = await running.tenant(role="admin")
        for number, step in enumerate(steps):
            calls = [said(f"+1416555{8000 + number}") for _ in range(2)]
            ids = [(await tenant.post_call(call)).body["callId"] for call in calls]
            contact_id = (await tenant.get(f"/api/calls/{ids[0]}")).body["call"]["contactId"]

            async def erase(contact_id: str = contact_id) -> None:
                await tenant.request("DELETE", f"/api/contacts/{contact_id}", token=tenant.token)

            await kill_at(running, line, step, erase)
            await all_is_done(running)
            for call_id in ids:
                assert (await tenant.get(f"/api/calls/{call_id}")).status == 404, step
            assert (await tenant.get(f"/api/contacts/{contact_id}")).status == 404, step
            assert (await tenant.post_call(calls[0])).body["deduplicated"], step
            kept = await database_bytes(running.database) + folder_bytes(tmp_path / "var")
            assert found_in(kept, (NAME, WORDS, f"+1416555{8000 + number}")) == [], step
            assert not list((tmp_path / "var" / "recordings").rglob("*.mp3")), step
            await check_feed(tenant)
            proofs = (await tenant.get(f"/api/audit?what=erased&callId={ids[0]}")).body["entries"]
            assert len(proofs) == 1, step


@pytest.mark.parametrize("step", ["files gone", "documents", "after the commit"])
async def test_a_kill_in_a_retention_leaves_the_rest_to_the_next_start(line: Proxy, tmp_path: Path, step: str) -> None:
    uri = f"mongodb://127.0.0.1:{line.port}/?directConnection=true"
    old = {"callStartTime": "2025-05-15T09:10:00Z", "historic": True}
    async with program(tmp_path, uri) as running:
        tenant = await running.tenant(role="admin")
        ids = [(await tenant.post_call(said(f"+1416555800{number}", **old))).body["callId"] for number in range(3)]
        kept = (await tenant.post_call(missed())).body["callId"]

        async def change() -> None:
            path = "/api/organization"
            body = {"retention": {"callsDays": 30}}
            assert (await tenant.request("PATCH", path, token=tenant.token, json=body)).status == 200

        await kill_at(running, line, step, change)
        await all_is_done(running)

        async def all_are_gone() -> bool:
            return {(await tenant.get(f"/api/calls/{call_id}")).status for call_id in ids} == {404}

        await eventually(all_are_gone)
        await all_is_done(running)
        assert (await tenant.get(f"/api/calls/{kept}")).status == 200
        assert found_in(await database_bytes(running.database), (NAME, WORDS)) == []
        assert not list((tmp_path / "var" / "recordings").rglob("*.mp3"))
        await check_feed(tenant)


async def test_a_store_that_is_away_is_tried_again_until_the_files_are_gone(
    mongodb_uri: str, s3_server: S3Server, tmp_path: Path
) -> None:
    async with (
        faulty_store(s3_server) as store,
        program(tmp_path, mongodb_uri, processes=2, variables=store.variables) as running,
    ):
        tenant = await running.tenant(role="admin")
        call_id = (await tenant.post_call(said("+14165558000"))).body["callId"]
        assert len(s3_server.keys(store.name)) == 1
        await store.fail("503")
        answer = await tenant.request("DELETE", f"/api/calls/{call_id}", token=tenant.token)
        assert (answer.status, answer.body["pending"]) == (202, {"calls": 0, "files": 1})
        assert answer.body["erased"]["calls"] == 1
        assert (await tenant.get(f"/api/calls/{call_id}")).status == 404
        assert found_in(await database_bytes(running.database), (NAME, WORDS)) == []
        await store.heal()
        await running.database["erasures"].update_many({}, {"$set": {"nextAt": A_DAY_AGO}})
        await all_is_done(running)
        assert s3_server.keys(store.name) == []


async def test_dashboards_of_every_process_forget_what_is_erased(mongodb_uri: str, tmp_path: Path) -> None:
    async with program(tmp_path, mongodb_uri, processes=2) as running:
        tenant = await running.tenant(role="admin")
        call_id = (await tenant.post_call(said("+14165558000"))).body["callId"]
        there = Tenant(running.urls[1], tenant.http, tenant.user_id, tenant.organization_id, tenant.email, "", tenant.token)
        dashboard = await there.dashboard(after=0)
        assert len(await dashboard.events(4)) == 4
        assert (await tenant.request("DELETE", f"/api/calls/{call_id}", token=tenant.token)).status == 200
        assert [event["event"] for event in await dashboard.events(2)] == ["call_deleted", "contact_deleted"]
        await check_feed(there)
        await dashboard.close()
