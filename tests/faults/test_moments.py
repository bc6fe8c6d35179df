"""The server is killed, or loses its connection to MongoDB, between any two messages for one call."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.program import Program, mixed_calls, program
from tests.support.proxy import Passage, Proxy, proxy_to, proxy_to_mongodb
from tests.support.s3 import S3Server
from tests.support.service import Tenant
from tests.support.verify import verify
from tests.support.waiting import eventually
from tests.support.watcher import watching

# As in the driver's messages: the command's name is the first key of its BSON document.
COUNTER = b"findAndModify\0\x09\0\0\0counters\0"
CALL = b"insert\0\x06\0\0\0calls\0"
FEED = b"insert\0\x05\0\0\0feed\0"
COMMIT = b"commitTransaction\0"
NOT_ON_THE_WAY = (
    b"getMore\0",
    b"hello\0",
    b"ismaster\0",
    b"isMaster\0",
    b"endSessions\0",
    b"listCollections\0",
    b"counters\0\x03filter\0",
)
"""Commands that have nothing to do with a call: those of the change stream and of the driver itself."""


@pytest.fixture
async def line(mongodb_uri: str) -> AsyncIterator[Proxy]:
    """A proxy between the server and mongod."""
    async with proxy_to_mongodb(mongodb_uri) as proxy:
        yield proxy


def address(line: Proxy) -> str:
    return f"mongodb://127.0.0.1:{line.port}/?directConnection=true"


async def test_kill_between_upload_and_commit_leaves_no_half_call(
    mongodb_uri: str, s3_server: S3Server, tmp_path: Path
) -> None:
    bucket = s3_server.create_bucket()
    store = urlsplit(s3_server.endpoint_url)
    async with proxy_to(store.hostname or "", store.port or 0) as uploads:
        r2 = {
            "R2_ENDPOINT_URL": f"http://127.0.0.1:{uploads.port}",
            "R2_ACCESS_KEY_ID": S3Server.ACCESS_KEY_ID,
            "R2_SECRET_ACCESS_KEY": S3Server.SECRET_ACCESS_KEY,
            "R2_BUCKET": bucket,
        }
        async with program(tmp_path, mongodb_uri, variables=r2) as running:
            tenant = await running.tenant()
            vendor = running.vendor(tenant)
            (call,) = mixed_calls(1)

            async def kill_when_uploaded(passage: Passage, up: bool, piece: bytes) -> bool:
                if up and piece.startswith(b"PUT "):
                    passage.notes["put"] = 1
                elif not up and "put" in passage.notes:
                    await running.server.kill()
                    return False
                return True

            uploads.look = kill_when_uploaded
            assert await vendor.post(call) == (0, None)
            uploads.look = None
            (orphan,) = s3_server.keys(bucket)
            assert (await verify(running.database)).calls == {}

            await running.server.start()
            await vendor.deliver([call])
            (stored,) = (await verify(running.database, vendor.ledger, tenant)).calls.values()
            kept = [recording["key"] for recording in stored["recordings"]]
            assert orphan not in kept

            async def only_the_calls_own_is_left() -> bool:
                return s3_server.keys(bucket) == kept

            await eventually(only_the_calls_own_is_left)
            assert vendor.ledger[-1].statuses == [201]


async def kill_at(running: Program, line: Proxy, tenant: Tenant, command: bytes, *, answered: bool) -> None:
    """Kill the server when that command is about to reach MongoDB, or its answer the server, and post the call again."""
    vendor = running.vendor(tenant)
    (call,) = mixed_calls(1)
    before = len((await verify(running.database)).calls)

    async def kill(passage: Passage, up: bool, piece: bytes) -> bool:
        if up and command in piece:
            passage.notes["seen"] = 1
        if "seen" in passage.notes and up != answered:
            await running.server.kill()
            return False
        return True

    line.look = kill
    assert await vendor.post(call) == (0, None)
    line.look = None
    committed = command is COMMIT and answered
    assert len((await verify(running.database)).calls) == before + committed

    await running.server.start()
    await vendor.deliver([call])
    assert len((await verify(running.database, vendor.ledger, tenant)).calls) == before + 1
    assert vendor.ledger[-1].statuses[-1] == (200 if committed else 201)
    assert (vendor.hung, vendor.wrong) == (0, [])


async def test_kill_in_the_middle_of_a_transaction_leaves_the_whole_call_or_nothing(line: Proxy, tmp_path: Path) -> None:
    async with program(tmp_path, address(line)) as running:
        tenant = await running.tenant()
        await kill_at(running, line, tenant, CALL, answered=True)
        await kill_at(running, line, tenant, COMMIT, answered=True)


@pytest.mark.soak
async def test_kill_at_any_statement_leaves_the_whole_call_or_nothing(line: Proxy, tmp_path: Path) -> None:
    async with program(tmp_path, address(line)) as running:
        tenant = await running.tenant()
        for command in (COUNTER, CALL, FEED, COMMIT) * 5:
            for answered in (False, True):
                await kill_at(running, line, tenant, command, answered=answered)


async def test_a_message_lost_to_or_from_mongodb_is_not_noticed_by_the_vendor(line: Proxy, tmp_path: Path) -> None:
    async with program(tmp_path, address(line)) as running:
        tenant = await running.tenant()
        vendor = running.vendor(tenant)
        async with watching(running.urls, tenant.token, 1) as (watcher,):
            for way in ("question", "answer"):
                lost = 0
                while await lose(line, way, lost, vendor.post(mixed_calls(1)[0])):
                    lost += 1
                assert lost >= 4, "duplicate check, counter with contacts, everything else, commit"
            found = await verify(running.database, vendor.ledger, tenant)
            await watcher.until(len(found.events[tenant.organization_id]))
        assert vendor.statuses == {201: len(vendor.ledger)}
        assert len(found.calls) == len(vendor.ledger)


async def lose(line: Proxy, way: str, place: int, posting: Coroutine[Any, Any, object]) -> bool:
    """Post, cutting the connection at the message of that place; return whether there was one."""
    seen = itertools.count()
    cut = False

    async def look(passage: Passage, up: bool, piece: bytes) -> bool:
        nonlocal cut
        if up:
            passage.notes.pop("place", None)
            if not any(command in piece for command in NOT_ON_THE_WAY):
                passage.notes["place"] = next(seen)
        if passage.notes.get("place") == place and up == (way == "question"):
            cut = True
            return False
        return True

    line.look = look
    await posting
    line.look = None
    return cut


async def test_a_connection_that_swallows_a_batch_is_replaced_unnoticed_by_the_vendor(line: Proxy, tmp_path: Path) -> None:
    """As when a firewall has forgotten a connection: no error says that it is dead, and a new one works at once."""
    async with program(tmp_path, address(line)) as running:
        tenant = await running.tenant()
        vendor = running.vendor(tenant)
        await vendor.post(mixed_calls(1)[0])
        dead: list[Passage] = []

        async def swallow(passage: Passage, up: bool, piece: bytes) -> bool:
            if up and CALL in piece and not dead:
                dead.append(passage)
            while passage in dead:  # noqa: ASYNC110 - until the proxy ends
                await asyncio.sleep(0.1)
            return True

        line.look = swallow
        await vendor.post(mixed_calls(1)[0])
        assert dead
        assert vendor.statuses == {201: 2}
        assert len((await verify(running.database, vendor.ledger, tenant)).calls) == 2
        dead.clear()
