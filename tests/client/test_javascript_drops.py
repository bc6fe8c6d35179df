"""The package for JavaScript behind a network that cuts connections: a call is stored once, an event comes once."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import settings_on
from tests.support.cuts import Cut, Cuts
from tests.support.node import node, result_of
from tests.support.proxy import Passage, Proxy, proxy_to
from tests.support.service import Service, missed, running
from tests.support.waiting import eventually

SEND = """
import { json } from "node:stream/consumers";
import { Client } from "@tether-rt/client";

const client = new Client(process.env.TETHER_URL, { apiKey: process.env.TOKEN });
const calls = await json(process.stdin);
console.log(JSON.stringify(await Promise.all(calls.map((call) => client.send(call)))));
"""
FOLLOW = """
import { json } from "node:stream/consumers";
import { Client } from "@tether-rt/client";

const { after, count, followers } = await json(process.stdin);
const client = new Client(process.env.TETHER_URL, { token: process.env.TOKEN });
async function follow() {
  const events = [];
  for await (const event of client.follow({ after })) {
    if (events.push(event) === count) return events;
  }
}
console.log(JSON.stringify(await Promise.all(Array.from({ length: followers }, follow))));
"""
ENDURE = """
import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "@tether-rt/client";

const { TETHER_URL, API_KEY, TOKEN, CALL } = process.env;
const client = new Client(TETHER_URL, { apiKey: API_KEY, token: TOKEN });
let isOver = false;
process.stdin.on("end", () => (isOver = true)).resume();

const callIds = [];
async function send(line) {
  for (let number = 0; !isOver; number += 1) {
    const { callId } = await client.send({ ...JSON.parse(CALL), externalCallId: `${line}-${number}` });
    callIds.push(callId);
    await sleep(50);
  }
}
const stop = new AbortController();
setMaxListeners(0, stop.signal);
async function follow(seen) {
  for await (const { seq, id } of client.follow({ after: 0, signal: stop.signal })) seen.push([seq, id]);
}
const followers = Array.from({ length: 16 }, () => []);
const following = followers.map((seen) => follow(seen).catch((error) => stop.signal.aborted || Promise.reject(error)));
await Promise.all(["a", "b", "c", "d"].map(send));
while (followers.some((seen) => seen.length < 3 * callIds.length)) await sleep(50);
stop.abort();
await Promise.all(following);
console.log(JSON.stringify({ callIds, followers }));
"""
PRINT = """
import { Client } from "@tether-rt/client";

const client = new Client(process.env.TETHER_URL, { token: process.env.TOKEN });
for await (const event of client.follow()) console.log(event.seq);
"""
AT_ONCE = 500
"""Connections that are open at the same time: each is cut, since none can take another's."""
HOW_MANY = pytest.mark.parametrize("step", [13, pytest.param(1, marks=pytest.mark.soak)])


@asynccontextmanager
async def through_proxy(service: Service, plan: Iterable[Cut] = ()) -> AsyncIterator[tuple[Proxy, Cuts, str]]:
    """Run a proxy that cuts as planned; yield it, the cuts, and the server's address through it."""
    address = urlsplit(service.base_url)
    assert address.hostname is not None
    assert address.port is not None
    cuts = Cuts(plan)
    async with proxy_to(address.hostname, address.port) as proxy:
        proxy.look = cuts.look
        yield proxy, cuts, f"http://127.0.0.1:{proxy.port}"


def bytes_of(passed: dict[bool, int], step: int) -> list[Cut]:
    """Return the cuts of an exchange, behind every `step`-th byte."""
    return [Cut(up, after) for up in (True, False) for after in range(step // 2, passed[up] + 1, step)]


@HOW_MANY
async def test_a_call_whose_exchange_is_cut_at_any_byte_is_stored_once(
    step: int, service_on_disk: Service, javascript: Path
) -> None:
    tenant = await service_on_disk.tenant()

    async def send(how_many: int, plan: Iterable[Cut] = ()) -> tuple[Cuts, list[dict[str, Any]]]:
        calls = [missed() for _ in range(how_many)]
        async with through_proxy(service_on_disk, plan) as (_, cuts, url):
            return cuts, await result_of(javascript, SEND, calls, TETHER_URL=url, TOKEN=tenant.api_key)

    whole, sent = await send(1)
    plan = bytes_of(whole.passed_bytes, step)
    while plan:
        cuts, answers = await send(min(AT_ONCE, len(plan)), plan[:AT_ONCE])
        sent += answers
        plan = [cut for cut in plan if cut not in cuts.done]
    stored = await service_on_disk.database["calls"].count_documents({"organizationId": tenant.organization_id})
    assert len({each["callId"] for each in sent}) == len(sent) == stored
    assert any(each["deduplicated"] for each in sent), "an answer was lost"
    assert not any(each["differs"] for each in sent)


@HOW_MANY
async def test_a_stream_that_is_cut_at_any_byte_brings_each_event_once(
    step: int, service_on_disk: Service, javascript: Path
) -> None:
    tenant = await service_on_disk.tenant()
    dashboard = await tenant.dashboard()
    epoch = dashboard.hello["epoch"]
    assert (await tenant.post_call(missed())).status == 201
    expected = [event | {"position": f"{epoch}.{event['seq']}"} for event in await dashboard.events(3)]
    await dashboard.close()

    async def follow(followers: int, after: str, plan: Iterable[Cut] = ()) -> Cuts:
        given = {"after": after, "count": len(expected), "followers": followers}
        async with through_proxy(service_on_disk, plan) as (_, cuts, url):
            seen = await result_of(javascript, FOLLOW, given, TETHER_URL=url, TOKEN=tenant.token)
        assert seen == [expected] * followers
        return cuts

    whole = await follow(1, "0")
    plan = bytes_of(whole.passed_bytes, step)
    while plan:
        cuts = await follow(min(AT_ONCE, len(plan)), f"{epoch}.0", plan[:AT_ONCE])
        plan = [cut for cut in plan if cut not in cuts.done]


@pytest.mark.parametrize("drops", [60, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
async def test_random_drops_lose_no_call_and_no_event_and_repeat_none(
    drops: int, service_on_disk: Service, javascript: Path
) -> None:
    tenant = await service_on_disk.tenant()
    chance = random.Random(drops)
    plan = (Cut(True, chance.randrange(500)) if chance.random() < 0.1 else Cut(False, chance.randrange(6000)) for _ in count())
    variables = {"API_KEY": tenant.api_key, "TOKEN": tenant.token, "CALL": json.dumps(missed())}
    enough = asyncio.Event()
    async with (
        through_proxy(service_on_disk, plan) as (proxy, cuts, url),
        node(javascript, ENDURE, TETHER_URL=url, **variables) as process,
    ):

        async def look(passage: Passage, up: bool, piece: bytes) -> bool:
            if len(cuts.done) < drops:
                return await cuts.look(passage, up, piece)
            enough.set()
            return True

        proxy.look = look
        ended = {asyncio.ensure_future(enough.wait()), asyncio.ensure_future(process.wait())}
        await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
        out, errors = await process.communicate(b"")
    assert (process.returncode, errors.decode()) == (0, "")
    seen = json.loads(out)
    stored = await service_on_disk.database["calls"].distinct("_id", {"organizationId": tenant.organization_id})
    assert sorted(seen["callIds"]) == sorted(stored)
    events, *others = seen["followers"]
    assert [seq for seq, _ in events] == list(range(1, 3 * len(stored) + 1))
    assert {event_id.partition(":")[0] for _, event_id in events} == set(stored)
    assert all(other == events for other in others)


async def test_a_link_that_falls_silent_is_given_up(mongodb_uri: str, javascript: Path, tmp_path: Path) -> None:
    async with running(settings_on(mongodb_uri, tmp_path)) as service:
        tenant = await service.tenant()
        service.server.app.hub.heartbeat_s = 0.5
        silent: set[Passage] = set()

        async def look(passage: Passage, up: bool, piece: bytes) -> bool:
            if passage in silent:
                await asyncio.Event().wait()
            return True

        async with through_proxy(service) as (proxy, _, url):
            proxy.look = look
            variables = {"TETHER_URL": url, "TOKEN": tenant.token}
            async with node(javascript, PRINT, **variables) as process:
                assert process.stdout is not None
                await eventually(lambda: service.server.app.hub.dashboards)
                for number in range(2):
                    assert (await tenant.post_call(missed())).status == 201
                    lines = [await process.stdout.readline() for _ in range(3)]
                    assert [int(line) for line in lines] == [3 * number + 1, 3 * number + 2, 3 * number + 3]
                    silent |= proxy.passages
