"""Calls that are sent, sent again, changed, replayed and completed later, in any order, at two processes that are killed."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.audio import mp3
from tests.support.call_model import (
    Amend,
    AmendTooEarly,
    CallModel,
    Insisting,
    Post,
    PostWithAddress,
    Step,
    add_beside,
    require_equal,
)
from tests.support.program import Program, program
from tests.support.vendor import body, vendor_server

VOICES = [base64.b64encode(mp3(0.05, salt=salt)).decode() for salt in (b"one", b"two")]
WORDS = [[{"role": "agent", "message": text, "timestamp": 0.5}] for text in ("Hello.", "Goodbye.")]
FIELDS: dict[str, Any] = {
    "summary": st.sampled_from(["One.", "Two.", "Three."]),
    "agentName": st.sampled_from(["Ann", "Ben"]),
    "callerName": st.sampled_from(["Tom", "Mia"]),
    "transcript": st.sampled_from(WORDS),
    "recording": st.sampled_from(VOICES),
}
FACTS: dict[str, Any] = {
    "duration": st.sampled_from([0, 5, 61.5]),
    "status": st.sampled_from(["no-answer", "busy", "failed"]),
    "callStartTime": st.sampled_from(["2026-05-15T09:10:00.000Z", "2026-05-15T09:11:00.000Z"]),
}
DOORS = st.integers(0, 1)
POSTS = st.builds(Post, st.fixed_dictionaries(FACTS, optional=FIELDS), DOORS)
CHANGES = st.fixed_dictionaries({}, optional={**FACTS, **FIELDS})
AMENDS = st.builds(Amend, CHANGES, DOORS, st.booleans())
TOO_EARLY = st.builds(AmendTooEarly, CHANGES, POSTS, DOORS)
LATE_VOICE = mp3(0.05, salt=b"late")


@dataclass(frozen=True)
class Plan:
    """What happens: the steps of each call, one after the other, all calls at once, and processes that are killed."""

    calls: list[list[Step]]
    beside: int
    kills: list[tuple[int, int]]
    """After how many answers, and which process."""


def plans(url: str) -> st.SearchStrategy[Plan]:
    """Return plans in which recordings are fetched from this address."""
    facts = st.fixed_dictionaries(FACTS)
    with_address = st.builds(PostWithAddress, facts, st.just(LATE_VOICE), st.just(url), DOORS)
    return st.builds(
        Plan,
        st.lists(st.lists(st.one_of(POSTS, AMENDS, TOO_EARLY, with_address), min_size=1, max_size=6), min_size=1, max_size=8),
        st.integers(0, 3),
        st.lists(st.tuples(st.integers(0, 30), DOORS), max_size=2),
    )


async def test_calls_are_what_their_vendors_made_of_them_in_any_order_and_whoever_is_killed(
    mongodb_uri: str, tmp_path: Path
) -> None:
    async with vendor_server() as host:
        url = host.serve("/late.mp3", body(LATE_VOICE))
        variables = {"TETHER_PRIVATE_RECORDING_HOSTS": host.host}
        async with program(tmp_path, mongodb_uri, processes=2, variables=variables) as running:
            await carry_out_each(running, plans(url))


async def carry_out_each(running: Program, any_plans: st.SearchStrategy[Plan]) -> None:
    loop = asyncio.get_running_loop()

    @settings(
        max_examples=10,
        deadline=None,
        database=None,
        phases=(Phase.generate,),  # which moment a kill hits is another one each time
        suppress_health_check=list(HealthCheck),
    )
    @given(any_plans)
    def any_plan(plan: Plan) -> None:
        asyncio.run_coroutine_threadsafe(carry_out(running, plan), loop).result()

    await asyncio.to_thread(any_plan)


async def carry_out(running: Program, plan: Plan) -> None:
    tenant = await running.tenant(role="admin")
    vendor = Insisting(tenant, running.urls)
    calls = [CallModel(uuid.uuid4().hex, f"+1416555{number:04d}") for number in range(len(plan.calls))]

    async def steps_of(call: CallModel, steps: list[Step]) -> None:
        # At the end the call is sent in any case, so that what is added beside the steps finds it.
        for step in (*steps, Post({"duration": 0, "status": "busy", "callStartTime": "2026-05-15T09:10:00.000Z"}, 0)):
            await step.take(vendor, call)

    async def killing() -> None:
        for after, which in sorted(plan.kills):
            if await vendor.was_answered(after):
                await running.servers[which].kill()
                await running.servers[which].start()

    killer = asyncio.create_task(killing())
    async with asyncio.TaskGroup() as everything:
        for call, steps in zip(calls, plan.calls, strict=True):
            everything.create_task(steps_of(call, steps))
            for name in ("one", "two"):
                everything.create_task(add_beside(vendor, call, name, plan.beside))
    await vendor.end()
    await killer
    segments = await running.database["feed"].find({"organizationId": tenant.organization_id}).sort("first", 1).to_list(None)
    events = [json.loads(text) for segment in segments for text in segment["events"]]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert await running.database["calls"].count_documents({"organizationId": tenant.organization_id}) == len(calls)
    for call in calls:
        answer = await tenant.get(f"/api/calls/{call.call_id}")
        require_equal(call, answer.body["call"], [event for event in events if event["data"]["callId"] == call.call_id])
        message = await running.database["messages"].find({"callId": call.call_id}, {"content": 1}).to_list(None)
        assert [one["content"] for one in message] == [call.values.get("summary") or ""]
