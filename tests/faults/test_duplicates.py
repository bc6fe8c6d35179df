"""Vendors post the same calls repeatedly and concurrently to two processes: each call is stored once per vendor."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

from tests.support.program import mixed_calls, program
from tests.support.retrying import RetryingVendor
from tests.support.verify import verify
from tests.support.watcher import watching

CALLS = 20
TIMES = 3
AT_ONCE = 12


async def deliver_shuffled(vendor: RetryingVendor, calls: list[dict[str, Any]], chance: random.Random) -> None:
    """Post every call `TIMES` times, in shuffled order, to alternating processes."""
    posts = [(call, door) for call in calls for door in range(TIMES)]
    chance.shuffle(posts)
    waiting = iter(posts)

    async def line() -> None:
        for call, door in waiting:
            await vendor.post(call, door)

    await asyncio.gather(*(line() for _ in range(AT_ONCE)))


async def test_the_same_calls_from_two_vendors_shuffled_and_repeated_to_two_processes_are_each_one_call(
    mongodb_uri: str, tmp_path: Path
) -> None:
    chance = random.Random(20260515)
    async with program(tmp_path, mongodb_uri, processes=2) as running:
        one, two = await running.tenant("Shared desk"), await running.tenant("Shared desk")
        stranger = await running.tenant()
        assert one.organization_id == two.organization_id != stranger.organization_id
        calls = mixed_calls(CALLS, contacts=7)
        vendors = [running.vendor(tenant) for tenant in (one, two, stranger)]
        async with watching(running.urls, one.token, 4, keep=True) as watchers:
            await asyncio.gather(*(deliver_shuffled(vendor, calls, chance) for vendor in vendors))
            ledger = [delivery for vendor in vendors for delivery in vendor.ledger]
            found = await verify(running.database, ledger)
            await verify(running.database, vendors[0].ledger[:CALLS], one)
            events = found.events[one.organization_id]
            await asyncio.gather(*(watcher.until(len(events)) for watcher in watchers))
        assert len(found.calls) == len(vendors) * CALLS
        for vendor in vendors:
            assert vendor.busy == []
            assert vendor.statuses == {201: CALLS, 200: CALLS * (TIMES - 1)}
            assert (vendor.hung, vendor.broken, vendor.wrong) == (0, 0, [])
            by_key: dict[str, set[str | None]] = {}
            for delivery in vendor.ledger:
                by_key.setdefault(delivery.body["externalCallId"], set()).add(delivery.call_id)
            assert [len(ids) for ids in by_key.values()] == [1] * CALLS
        assert await running.database["contacts"].count_documents({}) == 2 * 7
        for watcher in watchers:
            assert [text.decode() for text in watcher.texts] == events


async def test_calls_that_differ_under_one_id_keep_the_first_and_say_so_to_the_others(mongodb_uri: str, tmp_path: Path) -> None:
    async with program(tmp_path, mongodb_uri, processes=2) as running:
        tenant = await running.tenant()
        vendor = running.vendor(tenant)
        firsts: dict[str, str] = {}
        for key in ("one", "two", "three"):
            variants = [{**call, "externalCallId": key, "summary": f"{n}"} for n, call in enumerate(mixed_calls(AT_ONCE))]
            answers = await asyncio.gather(*(vendor.post(call, door) for door, call in enumerate(variants)))
            (first,) = (number for number, (status, _) in enumerate(answers) if status == 201)
            repeats = [body for status, body in answers if status == 200]
            assert [body["payloadDiffers"] for body in repeats] == [True] * (AT_ONCE - 1)
            assert {body["callId"] for _, body in answers} == {answers[first][1]["callId"]}
            firsts[answers[first][1]["callId"]] = variants[first]["summary"]
        found = await verify(running.database)
        assert {call_id: call["summary"] for call_id, call in found.calls.items()} == firsts
        assert vendor.wrong == []
