"""Parts of vendors' calls in any order at two processes that are killed: each call is there once, with all its parts."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from tests.support.adapting import sample
from tests.support.program import Program, program
from tests.support.waiting import eventually
from tests.support.webhooks import VendorsDoor, vendors_door

CALLS_OF_EACH = 8


def elevenlabs_parts() -> list[Any]:
    key = f"conv_{uuid.uuid4().hex}"
    parts = [sample("elevenlabs-post_call_transcription.json"), sample("elevenlabs-post_call_audio.json")]
    for one in parts:
        one["data"]["conversation_id"] = key
    return parts


def retell_parts() -> list[Any]:
    key = f"call_{uuid.uuid4().hex}"
    parts = [sample("retell-call_ended.json"), sample("retell-call_analyzed.json")]
    for one in parts:
        one["call"]["call_id"] = key
        one["call"].pop("recording_url", None)
    return parts


PARTS: dict[str, Callable[[], list[Any]]] = {"elevenlabs": elevenlabs_parts, "retell": retell_parts}


async def insist(running: Program, door: VendorsDoor, payload: Any, first: int) -> None:
    """Send an event to one process after the other until it is taken."""
    body = orjson.dumps(payload)
    for attempt in range(200):
        url = running.urls[(first + attempt) % 2] + door.path
        headers = {"Content-Type": "application/json", **door.headers(body)}
        try:
            async with running.http.post(url, data=body, headers=headers, timeout=aiohttp.ClientTimeout(total=20)) as answer:
                if answer.status == 200:
                    return
                assert answer.status == 503, await answer.text()
        except (aiohttp.ClientError, OSError, TimeoutError):
            pass
        await asyncio.sleep(0.1)
    raise AssertionError("it was never taken")


async def test_parts_in_any_order_make_each_call_once_whoever_is_killed(mongodb_uri: str, tmp_path: Path) -> None:
    drawn = random.Random(20261130)
    async with program(tmp_path, mongodb_uri, processes=2) as running:
        tenant = await running.tenant(role="admin")
        doors = {kind: await vendors_door(tenant, kind) for kind in PARTS}
        sent = [
            (doors[kind], part)
            for kind, parts_of in PARTS.items()
            for _ in range(CALLS_OF_EACH)
            for part in parts_of()
            for _ in range(drawn.choice((1, 1, 2)))
        ]
        drawn.shuffle(sent)
        places = asyncio.Semaphore(6)

        async def send(number: int, door: VendorsDoor, part: Any) -> None:
            async with places:
                await insist(running, door, part, number)

        async with asyncio.TaskGroup() as group:
            for number, (door, part) in enumerate(sent):
                group.create_task(send(number, door, part))
            for which in (0, 1, 0):
                await asyncio.sleep(0.4)
                await running.servers[which].kill()
                await running.servers[which].start()
        await require_whole(running, tenant.organization_id)


async def require_whole(running: Program, organization_id: str) -> None:
    """Return once every delivery has its verdict and every call all its parts."""
    deliveries = running.database["deliveries"]

    async def nothing_waits() -> bool:
        # What a killed process left is looked at again after some seconds: do it now.
        await deliveries.update_many({"nextAt": {"$exists": True}}, {"$set": {"nextAt": datetime.now(UTC)}})
        await asyncio.sleep(0.2)
        return bool(await deliveries.count_documents({"verdict": "waiting"}) == 0)

    await eventually(nothing_waits)
    calls = await running.database["calls"].find({"organizationId": organization_id}).to_list(None)
    assert len(calls) == len({call["providerCallId"] for call in calls}) == CALLS_OF_EACH * len(PARTS)
    for call in calls:
        assert call["transcription"]
        assert call["summary"]
        assert len(call["recordings"]) == (1 if call["provider"] == "elevenlabs" else 0)
        verdicts = [one["verdict"] for one in await deliveries.find({"callId": call["_id"]}).to_list(None)]
        assert verdicts.count("created") == 1, verdicts
        assert set(verdicts) <= {"created", "merged", "duplicate"}, verdicts
    segments = await running.database["feed"].find({"organizationId": organization_id}).sort("first", 1).to_list(None)
    events = [json.loads(text) for segment in segments for text in segment["events"]]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    told = [event["data"]["callId"] for event in events if event["event"] == "call_initiated"]
    assert sorted(told) == sorted(call["_id"] for call in calls)
