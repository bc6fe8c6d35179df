"""Slots for fetches: limited in all, for each organization and each host, and handed out to organizations in turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recordings.fetch.fetching import RECORDING
from tests.support.vendor import Vendor, body, head, repeated, status
from tests.support.waiting import eventually
from tether_rt.errors import Unavailable
from tether_rt.recordings.fetch.fair_slots import FairSlots, SlotLimits
from tether_rt.recordings.fetch.fetcher import RecordingFetcher
from tether_rt.recordings.fetch.limits import Limits
from tether_rt.recordings.spool import Spool

A, B, C = ("a" * 24, "b" * 24, "c" * 24)
HOST = "host.example"


def slots(**changes: Any) -> FairSlots:
    limits = {"total": 4, "per_organization": 4, "per_host": 4, "waiting": 100, "waiting_per_organization": 50, "wait_s": 30.0}
    return FairSlots(SlotLimits(**{**limits, **changes}))


class Queue:
    """Those who wait for a slot, by name, and in which order they had theirs."""

    def __init__(self, slots: FairSlots) -> None:
        self.slots = slots
        self.served: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def ask(self, name: str, organization_id: str, host: str = HOST) -> asyncio.Task[None]:
        """Return once `name` waits for a slot, or had it."""

        async def hold() -> None:
            async with self.slots.slot(organization_id, host):
                self.served.append(name)

        task = asyncio.create_task(hold())
        self.tasks.append(task)
        await asyncio.sleep(0)
        return task

    async def all_served(self) -> None:
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def hold(stack: AsyncExitStack, slots: FairSlots, organization_id: str, count: int, host: str = HOST) -> None:
    for _ in range(count):
        await stack.enter_async_context(slots.slot(organization_id, host))


async def test_slots_are_handed_out_to_organizations_in_turn_and_in_order_within_one() -> None:
    queue = Queue(slots(total=1))
    async with queue.slots.slot(A, HOST):
        for number in range(20):
            await queue.ask(f"a{number}", A)
        for number in range(2):
            await queue.ask(f"b{number}", B)
        await queue.ask("c0", C)
    await queue.all_served()
    assert queue.served[:7] == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]
    assert queue.served[7:] == [f"a{number}" for number in range(4, 20)]
    assert (queue.slots.held, queue.slots.waiting) == (0, 0)


async def test_an_organization_that_waits_for_several_hosts_has_their_slots_in_turn() -> None:
    queue = Queue(slots(total=1))
    async with queue.slots.slot(A, HOST):
        for number in range(3):
            await queue.ask(f"slow{number}", A, "slow.example")
        await queue.ask("quick", A, "quick.example")
    await queue.all_served()
    assert queue.served == ["slow0", "quick", "slow1", "slow2"]


@pytest.mark.parametrize("limited", ["per_organization", "per_host"])
async def test_neither_an_organization_nor_a_host_can_take_every_slot(limited: str) -> None:
    queue = Queue(slots(**{limited: 2}))
    same: dict[str, str] = {"organization_id": A, "host": HOST}
    other = {**same, "organization_id" if limited == "per_organization" else "host": "other"}
    async with AsyncExitStack() as stack:
        await hold(stack, queue.slots, A, 2)
        await queue.ask("same", **same)
        await queue.ask("other", **other)
        assert queue.served == ["other"]
    await queue.all_served()
    assert queue.served == ["other", "same"]


async def test_who_waits_for_a_host_without_slots_does_not_hold_up_who_waits_for_another() -> None:
    queue = Queue(slots(total=3, per_host=2))
    async with AsyncExitStack() as stack:
        await hold(stack, queue.slots, A, 2, "slow.example")
        async with queue.slots.slot(A, HOST):
            await queue.ask("slow", A, "slow.example")
            await queue.ask("quick", A)
        await queue.tasks[1]
        assert queue.served == ["quick"]
    await queue.all_served()


async def test_how_many_wait_is_bounded_in_all_and_for_one_organization() -> None:
    queue = Queue(slots(total=1, waiting=5, waiting_per_organization=3))
    async with queue.slots.slot(C, HOST):
        for _ in range(3):
            await queue.ask("a", A)
        with pytest.raises(Unavailable, match="busy with other recordings") as refused:
            async with queue.slots.slot(A, HOST):
                raise AssertionError
        assert (refused.value.limit, refused.value.retry_after_s) == ("fetches", 5)
        for _ in range(2):
            await queue.ask("b", B)
        with pytest.raises(Unavailable):
            async with queue.slots.slot(B, HOST):
                raise AssertionError
        assert queue.slots.waiting == 5
    await queue.all_served()
    assert Counter(queue.served) == {"a": 3, "b": 2}


async def test_who_waits_too_long_is_told_so_and_leaves_the_queue() -> None:
    queue = Queue(slots(total=1, wait_s=0.05))
    async with queue.slots.slot(A, HOST):
        with pytest.raises(Unavailable, match="busy"):
            async with queue.slots.slot(B, HOST):
                raise AssertionError
        assert queue.slots.waiting == 0
    assert queue.slots.held == 0


async def test_who_leaves_the_queue_leaves_no_slot_behind() -> None:
    """Cancelled while waiting, in the moment in which the slot is handed over, and in the one before."""
    for moment in ("waiting", "handed over", "before"):
        queue = Queue(slots(total=1))
        async with queue.slots.slot(A, HOST):
            leaving = await queue.ask("leaving", B)
            await queue.ask("staying", B)
            if moment == "waiting":
                leaving.cancel()
                await asyncio.wait({leaving})
            elif moment == "before":
                leaving.cancel()
        if moment == "handed over":
            leaving.cancel()
        await queue.all_served()
        assert queue.served == ["staying"], moment
        assert (queue.slots.held, queue.slots.waiting) == (0, 0), moment


async def test_an_organization_gives_way_only_above_its_share_and_only_to_others() -> None:
    queue = Queue(slots(total=4))
    async with AsyncExitStack() as stack:
        await hold(stack, queue.slots, A, 3)
        await hold(stack, queue.slots, B, 1)
        assert not queue.slots.must_yield(A)
        await queue.ask("a", A)
        assert not queue.slots.must_yield(A)  # nobody else waits
        await queue.ask("c", C)
        assert [queue.slots.must_yield(one) for one in (A, B)] == [True, False]
    await queue.all_served()
    assert not queue.slots.must_yield(A)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from("xy"), st.sampled_from(["", "cancel"])), max_size=40))
def test_limits_hold_and_everybody_is_served_in_any_order(asked: list[tuple[str, str, str]]) -> None:
    async def run() -> None:
        fair = slots(total=3, per_organization=2, per_host=2)
        holding: Counter[str] = Counter()
        served = 0

        async def one(organization_id: str, host: str) -> None:
            nonlocal served
            async with fair.slot(organization_id, host):
                holding.update([organization_id, host, "all"])
                try:
                    assert holding["all"] <= 3
                    assert max(holding[key] for key in "ABCxy") <= 2
                    await asyncio.sleep(0)
                finally:
                    holding.subtract([organization_id, host, "all"])
            served += 1

        tasks = [asyncio.create_task(one(*key)) for *key, _ in asked]
        await asyncio.sleep(0)
        for task, (*_, fate) in zip(tasks, asked, strict=True):
            if fate:
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [result for result in results if isinstance(result, AssertionError)] == []
        assert served == len(asked) - sum(task.cancelled() for task in tasks)
        assert (fair.held, fair.waiting) == (0, 0)

    asyncio.run(run())


# ---------------------------------------------------------------------- with hosts


FEW = SlotLimits(total=4, per_organization=4, per_host=4, waiting=100, waiting_per_organization=50, wait_s=20.0)
SHORT = Limits(retry_s=0, share_s=0.2, share_bytes=2000)


async def fetch_for(fetcher: RecordingFetcher, spool: Spool, url: str, organization_id: str) -> int:
    async with spool.receiving() as receiver:
        return (await fetcher.fetch(url, organization_id, receiver)).size_bytes


@pytest.mark.parametrize("first", [head(200), b""], ids=["in its body", "before its answer"])
async def test_a_host_that_drips_gives_way_when_another_organization_waits(vendor: Vendor, spool: Spool, first: bytes) -> None:
    fetcher = RecordingFetcher([vendor.host], SHORT, slots=FEW)
    drip = vendor.serve("/drip", repeated(first, b"H" if not first else b"x", pause_s=0.02))
    dripping = [asyncio.create_task(fetch_for(fetcher, spool, drip, A)) for _ in range(8)]
    await eventually(lambda: len(vendor.requests) == 4)
    quick = vendor.serve("/quick", body(RECORDING))
    assert await fetch_for(fetcher, spool, quick, B) == len(RECORDING)
    results = await asyncio.gather(*dripping[:1], return_exceptions=True)
    assert isinstance(results[0], Unavailable)
    assert (results[0].limit, results[0].field) == ("fetches", "recording")
    assert "its host is slow, and others wait" in str(results[0])
    for task in dripping:
        task.cancel()
    await asyncio.gather(*dripping, return_exceptions=True)


async def test_a_host_to_which_others_redirect_has_the_slots_of_one_host(vendor: Vendor, spool: Spool) -> None:
    """A slot is held for one hop: the number of names that lead to a host gains it nothing."""
    most = now = 0

    async def count(request: object, writer: asyncio.StreamWriter) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        await body(RECORDING)(request, writer)  # type: ignore[arg-type]
        now -= 1

    vendor.serve("/there", count)
    limits = SlotLimits(total=20, per_organization=20, per_host=2, waiting=100, waiting_per_organization=100, wait_s=20.0)
    urls = []
    hosts = [f"localhost:{vendor.port}", vendor.host]
    for number in range(10):
        vendor.serve(f"/{number}", status(302, Location=vendor.url("/there")))
        urls.append(f"http://{hosts[number % 2]}/{number}")
    fetcher = RecordingFetcher(hosts, Limits(retry_s=0), slots=limits)
    sizes = await asyncio.gather(*(fetch_for(fetcher, spool, url, A) for url in urls))
    assert set(sizes) == {len(RECORDING)}
    assert most <= 2
