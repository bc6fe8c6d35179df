"""The change stream is cut, killed, or loses its history: dashboards see no gap and no repeat."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.faults.load import load_on
from tests.support.database import OwnMongod
from tests.support.program import program
from tests.support.proxy import proxy_to_mongodb
from tests.support.waiting import eventually
from tether_rt.mongo import client as store


async def kill_change_streams(client: store.Client, database: str) -> int:
    """Kill the cursor of every change stream on the feed, from outside; return how many there were."""
    stages: list[dict[str, Any]] = [
        {"$currentOp": {"idleCursors": True, "allUsers": True}},
        {"$match": {"ns": f"{database}.feed", "cursor": {"$exists": True}}},
    ]
    found = [each["cursor"]["cursorId"] async for each in client.admin.aggregate(stages)]
    if found:
        await client[database].command("killCursors", "feed", cursors=found)
    return len(found)


@pytest.mark.parametrize("times", [3, pytest.param(30, marks=pytest.mark.soak)])
async def test_killed_change_streams_leave_no_gap_and_no_repeat(times: int, mongodb_uri: str, tmp_path: Path) -> None:
    async with program(tmp_path, mongodb_uri, processes=2) as running, load_on(running) as load:
        for _ in range(times):
            restarts = await running.metric("tether_feed_restarts_total")
            # Between two cursors there is nothing to kill.
            while await running.metric("tether_feed_restarts_total") == restarts:
                await kill_change_streams(running.database.client, running.database.name)
                await load.acknowledged_more(5)
            await running.ready()


@pytest.mark.parametrize("times", [3, pytest.param(30, marks=pytest.mark.soak)])
async def test_connections_to_mongodb_that_are_cut_over_and_over_leave_no_gap_and_no_repeat(
    times: int, mongodb_uri: str, tmp_path: Path
) -> None:
    async with (
        proxy_to_mongodb(mongodb_uri) as line,
        program(tmp_path, f"mongodb://127.0.0.1:{line.port}/?directConnection=true") as running,
        load_on(running) as load,
    ):
        for _ in range(times):
            restarts = await running.metric("tether_feed_restarts_total")
            # A cut between two reads of the stream is not noticed if the driver learnt of it on another connection.
            while await running.metric("tether_feed_restarts_total") == restarts:
                line.cut()
                await load.acknowledged_more(5)
            await running.ready()


async def outrun(client: store.Client) -> None:
    """Write until everything that is in MongoDB's oplog now has been removed from it."""
    oplog = client["local"]["oplog.rs"]

    async def end(order: int) -> Any:
        entry = await oplog.find_one(sort=[("$natural", order)])
        assert entry is not None
        return entry["ts"]

    newest = await end(-1)
    async with asyncio.timeout(60):
        while await end(1) <= newest:
            await client["other"]["junk"].insert_many({"junk": "x" * 100_000} for _ in range(40))


async def test_history_that_is_lost_while_a_process_hangs_is_mended_from_feed(forgetful: OwnMongod, tmp_path: Path) -> None:
    async with program(tmp_path, forgetful.uri, processes=2) as running, load_on(running) as load:
        # The vendor knows both processes, and uses the other one now.
        running.server.process.send_signal(signal.SIGSTOP)
        try:
            # MongoDB still answers the read that waits: with the first call from now on, which must leave the oplog as well.
            await load.acknowledged_more(5)
            await outrun(running.database.client)
            await load.acknowledged_more(20)
        finally:
            running.server.process.send_signal(signal.SIGCONT)
        await running.ready()
        await load.acknowledged_more(20)
        load.vendor.hung = 0  # the requests to the process that was stopped

        def history_was_lost() -> bool:
            reasons = [line["reason"] for line in running.server.lines() if line["event"] == "feed_ended"]
            return any("PositionLost" in reason or "HistoryLost" in reason for reason in reasons)

        await eventually(history_was_lost)
