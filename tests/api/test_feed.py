"""`GET /api/feed`: the events of the WebSocket over plain HTTP, in the same order, with the same numbers."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import settings_on
from tests.support.service import Service, Tenant, missed, running
from tests.support.waiting import eventually


async def lines(tenant: Tenant, query: str = "") -> list[dict[str, Any]]:
    answer = await tenant.get(f"/api/feed{query}")
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.body.endswith(b"\n")
    return [json.loads(line) for line in answer.body.splitlines()]


def position(message: dict[str, Any], epoch: str) -> str:
    return f"{epoch}.{message['seq']}"


class Stream:
    """An open stream of server-sent events, parsed as the standard says."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self.comments = 0

    async def next(self) -> tuple[str, dict[str, Any]] | None:
        """Return the next event's id and data; None when the stream has ended."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(30):
            async for raw in self.answer.content:
                line = raw.decode().rstrip("\n")
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif fields:
                    return fields["id"], json.loads(fields["data"])
        return None


async def stream(tenant: Tenant, query: str = "", **headers: str) -> Stream:
    sent = {"Accept": "text/event-stream", "Authorization": f"Bearer {tenant.token}", **headers}
    answer = await tenant.http.get(f"{tenant.base_url}/api/feed{query}", headers=sent)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    return Stream(answer)


async def test_lines_are_what_a_dashboard_is_sent(tenant: Tenant) -> None:
    dashboard = await tenant.dashboard()
    (hello,) = await lines(tenant)
    assert hello == dashboard.hello
    for _ in range(3):
        assert (await tenant.post_call(missed())).status == 201
    sent = await dashboard.events(9)
    answered = await lines(tenant, f"?after={position(hello, hello['epoch'])}")
    assert answered[0]["seq"] == hello["seq"]
    assert answered[1:] == sent
    assert await lines(tenant, f"?after={position(sent[6], hello['epoch'])}") == [
        answered[0] | {"seq": sent[6]["seq"]},
        *sent[7:],
    ]
    assert await lines(tenant, f"?after={sent[-1]['seq']}") == [answered[0] | {"seq": sent[-1]["seq"]}]
    await dashboard.close()


async def test_a_request_that_waits_is_answered_with_the_next_event(tenant: Tenant) -> None:
    (hello,) = await lines(tenant)
    waiting = asyncio.create_task(lines(tenant, f"?after={position(hello, hello['epoch'])}&wait=60"))
    assert (await tenant.post_call(missed())).status == 201
    _, *events = await waiting
    assert [event["seq"] for event in events] == [hello["seq"] + 1, hello["seq"] + 2, hello["seq"] + 3]
    assert await lines(tenant, f"?after={events[-1]['seq']}&wait=1") == [
        hello | {"seq": events[-1]["seq"], "head": events[-1]["seq"]}
    ]


async def test_a_position_of_another_database_is_told_to_begin_anew(tenant: Tenant) -> None:
    assert (await tenant.post_call(missed())).status == 201
    (hello,) = await lines(tenant)
    for after in (f"{'0' * 32}.1", f"{hello['seq'] + 100}"):
        begun, resync = await lines(tenant, f"?after={after}")
        assert begun == hello
        assert (resync["event"], resync["epoch"], resync["seq"]) == ("resync", hello["epoch"], hello["seq"])


async def test_a_stream_goes_on_and_is_resumed_by_its_last_id(tenant: Tenant) -> None:
    following = await stream(tenant)
    first = await following.next()
    assert first is not None
    began, hello = first
    assert began == position(hello, hello["epoch"])
    seen = []
    for _ in range(3):
        assert (await tenant.post_call(missed())).status == 201
        for _ in range(3):
            event = await following.next()
            assert event is not None
            assert event[0] == position(event[1], hello["epoch"])
            seen.append(event)
    following.answer.close()
    assert [event["seq"] for _, event in seen] == list(range(hello["seq"] + 1, hello["seq"] + 10))
    # As a browser's EventSource does: the address is the old one, the header says where it ended.
    again = await stream(tenant, f"?after={began}", **{"Last-Event-ID": seen[4][0]})
    assert await again.next() is not None
    assert [await again.next() for _ in range(4)] == seen[5:]
    again.answer.close()


async def test_a_client_that_leaves_gives_its_place_back(service: Service) -> None:
    tenant = await service.tenant()
    following = await stream(tenant)
    assert await following.next() is not None
    assert len(service.server.app.hub.dashboards) == 1
    following.answer.close()
    waiting = asyncio.create_task(lines(tenant, "?wait=60"))
    await eventually(lambda: service.server.app.hub.dashboards)
    waiting.cancel()
    await eventually(lambda: not service.server.app.hub.dashboards)


async def test_it_ends_with_its_session_and_says_why_to_the_next(tenant: Tenant) -> None:
    following = await stream(tenant)
    assert await following.next() is not None
    assert (await tenant.post("/api/auth/logout")).status == 200
    assert await following.next() is None, "ended as a whole answer"
    assert (await tenant.get("/api/feed")).status == 401


async def test_it_ends_at_a_shutdown(mongodb_uri: str, tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as program:
        async with running(settings_on(mongodb_uri, tmp_path)) as service:
            tenant = await service.tenant()
            tenant.http = program
            following = await stream(tenant)
            assert await following.next() is not None
        assert await following.next() is None


@pytest.mark.parametrize(
    ("query", "status"),
    [("?after=x", 400), ("?after=-1", 400), ("?wait=61", 400), ("?wait=soon", 400), ("?after=0.", 400)],
)
async def test_what_is_no_position_is_refused(tenant: Tenant, query: str, status: int) -> None:
    assert (await tenant.get(f"/api/feed{query}")).status == status
    assert (await tenant.get(f"/api/feed{query}", headers={"Accept": "text/event-stream"})).status == status


async def test_another_organization_sees_nothing_of_it(service: Service) -> None:
    ours, theirs = await service.tenant(), await service.tenant()
    following = await stream(theirs)
    assert await following.next() is not None
    assert (await ours.post_call(missed())).status == 201
    assert (await theirs.post_call(missed())).status == 201
    event = await following.next()
    assert event is not None
    assert event[1]["seq"] == 1
    following.answer.close()
    assert (await ours.request("GET", "/api/feed", token=ours.api_key)).status == 401


async def test_after_a_new_epoch_every_client_is_told_to_begin_anew(service_on_disk: Service) -> None:
    """As after a restore of the disks, here beside a server that runs."""
    tenant = await service_on_disk.tenant()
    assert (await tenant.post_call(missed())).status == 201
    (hello,) = await lines(tenant)
    dashboard = await tenant.dashboard()
    indexes = await service_on_disk.database["feed"].index_information()
    settings = service_on_disk.server.settings
    variables = {
        "MONGODB_URI": settings.mongodb_uri or "",
        "TETHER_DATABASE": settings.database,
        "TETHER_SECRET": settings.resolve_secret(),
    }
    command = [sys.executable, "-m", "tether_rt", "epoch", "new"]
    done = await asyncio.to_thread(subprocess.run, command, env=variables, capture_output=True, text=True, check=True)
    epoch = json.loads(done.stdout)["epoch"]
    assert epoch != hello["epoch"]
    assert (await dashboard.next())["epoch"] == epoch
    begun, resync = await lines(tenant, f"?after={position(hello, hello['epoch'])}")
    assert (begun["epoch"], resync["event"], resync["seq"]) == (epoch, "resync", hello["seq"])
    assert await service_on_disk.database["feed"].index_information() == indexes
    assert (await tenant.post_call(missed())).status == 201
    assert (await dashboard.next())["seq"] == hello["seq"] + 1
    await dashboard.close()
