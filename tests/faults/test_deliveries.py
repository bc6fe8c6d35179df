"""What was refused outlives faults: MongoDB away, a kill in the middle of a replay; and nobody reads it on a disk."""

from __future__ import annotations

import asyncio
import base64
import os
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.audio import mp3
from tests.support.database import OwnMongod
from tests.support.faulty_store import faulty_store
from tests.support.program import program
from tests.support.retrying import PATIENCE_S
from tests.support.s3 import S3Server
from tests.support.service import Tenant, missed, sample
from tests.support.vendor import body as answered_with
from tests.support.vendor import raw, vendor_server
from tests.support.waiting import eventually

WRONG = "(416) 555-0199"
TEXT = {"Content-Type": "text/plain"}
"""Of a body that is refused although its content is a call: a replay takes it."""


async def refuse(tenant: Tenant, call: Any, status: int = 400, **options: Any) -> None:
    answer = await tenant.post_call(call, timeout=aiohttp.ClientTimeout(total=PATIENCE_S), **options)
    assert answer.status == status, answer.body


async def kept(admin: Tenant, count: int, query: str = "") -> list[dict[str, Any]]:
    async def are_there() -> bool:
        return bool((await admin.get(f"/api/deliveries{query}")).body["total"] == count)

    await eventually(are_there)
    return list((await admin.get(f"/api/deliveries?limit=200{query.replace('?', '&')}")).body["deliveries"])


async def calls_of(admin: Tenant) -> list[dict[str, Any]]:
    return list((await admin.get("/api/calls/history?limit=200")).body["calls"])


async def test_a_refusal_is_answered_while_mongodb_is_away_and_kept_when_it_is_back(mongod: OwnMongod, tmp_path: Path) -> None:
    async with program(tmp_path, mongod.uri) as running:
        admin = await running.tenant(role="admin")
        await refuse(admin, b"{")  # the key is known for some seconds from now on
        mongod.pause()
        await asyncio.gather(*(refuse(admin, missed(direction="sideways")) for _ in range(50)))
        mongod.resume()
        await kept(admin, 51)

        async def are_counted() -> bool:
            kept_count = await running.metric("tether_deliveries_kept_total")
            return kept_count == 51 and await running.metric("tether_deliveries_waiting_bytes") == 0

        await eventually(are_counted)


async def test_a_large_body_that_the_store_does_not_take_is_kept_without_its_body(
    s3_server: S3Server,
    mongodb_uri: str,
    tmp_path: Path,
) -> None:
    async with faulty_store(s3_server) as bucket, program(tmp_path, mongodb_uri, variables=bucket.variables) as running:
        admin = await running.tenant(role="admin")
        bucket.status = 503
        await refuse(admin, sample(fromNumber=WRONG, recording=base64.b64encode(mp3(200)).decode()))
        await refuse(admin, missed(fromNumber=WRONG))
        small, large = sorted(await kept(admin, 2), key=lambda one: int(one["bytes"]))
        assert (await admin.get(f"/api/deliveries/{small['id']}/body")).status == 200
        assert (await admin.get(f"/api/deliveries/{large['id']}")).body["delivery"]["code"] == large["code"]
        bucket.status = None
        replayed = (await admin.post(f"/api/deliveries/{large['id']}/replay")).body
        assert (replayed["verdict"], replayed["code"]) == ("refused", "body_not_kept")
        assert "delivery_body_not_kept" in {line["event"] for line in running.server.lines()}


async def test_refusals_are_written_before_a_server_ends(mongodb_uri: str, tmp_path: Path) -> None:
    async with program(tmp_path, mongodb_uri) as running:
        admin = await running.tenant(role="admin")
        await asyncio.gather(*(refuse(admin, missed(fromNumber=WRONG)) for _ in range(300)))
        assert await running.server.stop() == 0
        await running.server.start()
        await kept(admin, 300)


async def test_a_kill_in_the_middle_of_a_replay_stores_one_call(mongodb_uri: str, tmp_path: Path) -> None:
    """The replay fetches a recording when it is killed; its call has no id of the vendor's."""
    async with vendor_server() as vendor:
        url = vendor.serve("/a.mp3", raw(then="hang"))
        async with program(tmp_path, mongodb_uri, variables={"TETHER_PRIVATE_RECORDING_HOSTS": vendor.host}) as running:
            admin = await running.tenant(role="admin")
            await refuse(admin, sample(voice=False, recording=url, externalCallId=...), 415, headers=TEXT)
            (delivery,) = await kept(admin, 1)
            replay = f"/api/deliveries/{delivery['id']}/replay"
            replaying = asyncio.create_task(admin.post(replay))

            async def is_being_fetched() -> bool:
                return bool(vendor.requests)

            await eventually(is_being_fetched)
            await running.server.kill()
            with pytest.raises(aiohttp.ClientError):
                await replaying
            vendor.serve("/a.mp3", answered_with(mp3(1)))
            await running.server.start()
            answers = await asyncio.gather(*(admin.post(replay) for _ in range(3)))
            (stored,) = await calls_of(admin)
            assert sorted(answer.body["verdict"] for answer in answers) == ["created", "duplicate", "duplicate"]
            assert {answer.body["callId"] for answer in answers} == {stored["callId"]}


async def replay_until_done(admin: Tenant, query: dict[str, Any]) -> None:
    """Replay what is still refused until nothing is, whatever the server does meanwhile."""
    while True:
        try:
            answer = await admin.post("/api/deliveries/replay", {"filter": query, "plan": False})
        except aiohttp.ClientError:  # it is being killed and started again
            await asyncio.sleep(0.1)
            continue
        if answer.status == 200 and answer.body["replayed"] == answer.body["matching"]:
            return


async def test_kills_at_any_moment_of_many_replays_store_each_call_once(mongodb_uri: str, tmp_path: Path) -> None:
    async with program(tmp_path, mongodb_uri) as running:
        admin = await running.tenant(role="admin")
        calls = [missed(summary=f"{number}", externalCallId=...) for number in range(100)]
        await asyncio.gather(*(refuse(admin, call, 415, headers=TEXT) for call in calls))
        await kept(admin, 100)
        replaying = asyncio.create_task(replay_until_done(admin, {"code": "unsupported_media"}))
        for count in (10, 60):

            async def are_stored(least: int = count) -> bool:
                return await running.database["calls"].count_documents({"organizationId": admin.organization_id}) >= least

            await eventually(are_stored)
            await running.server.kill()
            await running.server.start()
        await replaying
        stored = await calls_of(admin)
        assert sorted(int(call["summary"]) for call in stored) == list(range(100))
        await eventually(partial(nothing_is_refused, admin))


async def nothing_is_refused(admin: Tenant) -> bool:
    return bool((await admin.get("/api/deliveries?verdict=refused")).body["total"] == 0)


async def test_two_processes_replay_a_delivery_once(mongodb_uri: str, tmp_path: Path) -> None:
    async with program(tmp_path, mongodb_uri, processes=2) as running:
        admin = await running.tenant(role="admin")
        for _ in range(5):
            await refuse(admin, missed(externalCallId=...), 415, headers=TEXT)
        deliveries = await kept(admin, 5)
        others = [Tenant(**{**vars(admin), "base_url": url}) for url in running.urls]
        answers = await asyncio.gather(
            *(one.post(f"/api/deliveries/{delivery['id']}/replay") for delivery in deliveries for one in others * 3)
        )
        verdicts = [answer.body["verdict"] for answer in answers]
        assert (verdicts.count("created"), verdicts.count("duplicate")) == (5, 25)
        assert len(await calls_of(admin)) == 5


async def test_nothing_of_a_refused_body_is_in_clear_text_on_a_disk(tmp_path: Path) -> None:
    """Looked for in every file of the private MongoDB, of the recordings and of the log."""
    async with program(tmp_path) as running:
        admin = await running.tenant(role="admin")
        large = mp3(200, salt=b"MARKER-OF-A-LARGE-RECORDING")
        encoded = base64.b64encode(large)
        await refuse(admin, sample(fromNumber=WRONG, summary="MARKER-OF-A-SUMMARY", recording=encoded.decode()))
        await refuse(admin, missed(fromNumber=WRONG, summary="MARKER-OF-A-SMALL-BODY"))
        await refuse(admin, b"MARKER-OF-TEXT " * 500_000)
        assert (await admin.post_call(missed(summary="MARKER-OF-A-CALL"))).status == 201
        for delivery in await kept(admin, 3):
            assert (await admin.get(f"/api/deliveries/{delivery['id']}/body")).status == 200
        assert len(files(running.server.folder / "var" / "deliveries")) == 2
        assert await running.server.stop() == 0
        words = (b"A-SUMMARY", b"A-SMALL-BODY", b"TEXT", b"A-LARGE-RECORDING", b"A-CALL")
        marks = (encoded[-4096:-3072], *(b"MARKER-OF-" + word for word in words))
        found = {mark for path in files(running.server.folder) for mark in marks if mark in path.read_bytes()}
        assert found == {b"MARKER-OF-A-CALL"}, "what was taken is there, so the search would find it"


def files(folder: Path) -> list[Path]:
    return [Path(root, name) for root, _, names in os.walk(folder) for name in names if not Path(root, name).is_socket()]
