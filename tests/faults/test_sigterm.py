"""SIGTERM under load: every request that had arrived is answered, and every acknowledged call is stored."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.audio import mp3_of
from tests.support.database import OwnMongod
from tests.support.program import mixed_calls, program
from tests.support.raw import RawAnswer, RawConnection, connection
from tests.support.retrying import Delivery
from tests.support.service import Tenant, missed, sample
from tests.support.verify import verify
from tests.support.waiting import eventually
from tests.support.watcher import watching

KEEPING = 20
"""Vendors that post repeatedly on one connection."""
NEWCOMERS = 100
"""Vendors whose connections the server may not have accepted yet."""


@dataclass
class Postman:
    """One connection that posts calls until the server closes it, and records which request got no answer."""

    tenant: Tenant
    connection: RawConnection
    deliveries: list[Delivery] = field(default_factory=list)
    answers: list[RawAnswer] = field(default_factory=list)
    unanswered: Delivery | None = None
    """The delivery that was sent and has not been answered."""

    async def send(self) -> None:
        """Send one call as a whole."""
        (call,) = mixed_calls(1, voices=2)
        self.unanswered = Delivery(call, self.tenant.user_id, self.tenant.organization_id)
        self.deliveries.append(self.unanswered)
        await self.connection.request("POST /api/calls/ingest", headers(self.tenant), json.dumps(call).encode())

    async def hear(self) -> RawAnswer | None:
        """Return the answer, None when the connection ends without one."""
        try:
            answer = await self.connection.answer()
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        assert self.unanswered is not None
        if answer.status == 201:
            self.unanswered.call_id = answer.body["callId"]
        self.unanswered = None
        self.answers.append(answer)
        return answer

    async def post_on(self) -> None:
        """Post call after call until the connection ends or an answer says `Connection: close`."""
        answer: RawAnswer | None = None
        while answer is None or answer.headers.get("connection") != "close":
            await self.send()
            answer = await self.hear()
            if answer is None:
                return


def headers(tenant: Tenant) -> dict[str, str]:
    return {"Authorization": f"Bearer {tenant.api_key}", "Content-Type": "application/json"}


async def postmen_of(tenant: Tenant, count: int, stack: AsyncExitStack) -> list[Postman]:
    """Open `count` connections."""
    return [Postman(tenant, await stack.enter_async_context(connection(tenant.base_url))) for _ in range(count)]


async def test_sigterm_under_load_answers_every_request_and_loses_no_call(mongodb_uri: str, tmp_path: Path) -> None:
    async with program(tmp_path, mongodb_uri) as running, AsyncExitStack() as stack:
        tenant = await running.tenant()
        async with watching(running.urls, tenant.token, 3) as watchers:
            keeping = await postmen_of(tenant, KEEPING, stack)
            posting = [asyncio.create_task(postman.post_on()) for postman in keeping]
            await eventually(lambda: sum(len(postman.answers) for postman in keeping) >= 3 * KEEPING)
            newcomers = await postmen_of(tenant, NEWCOMERS, stack)
            slow = await stack.enter_async_context(connection(tenant.base_url))
            body = json.dumps(missed()).encode()
            promised = {**headers(tenant), "Content-Length": str(len(body)), "Expect": "100-continue"}
            await slow.request("POST /api/calls/ingest", promised, body[:-20])
            assert (await slow.answer()).status == 100  # its headers were judged before the server is asked to stop
            for postman in newcomers:
                await postman.send()

            everybody = [*keeping, *newcomers]
            in_flight = [postman.unanswered for postman in everybody]
            running.server.process.send_signal(signal.SIGTERM)
            await asyncio.gather(*posting, *(postman.hear() for postman in newcomers))
            await slow.send(body[-20:])
            last = await slow.answer()
            assert await asyncio.to_thread(running.server.process.wait, 60) == 0

        assert (last.status, last.headers["connection"]) == (201, "close")
        lost = [postman.unanswered for postman in everybody if postman.unanswered is not None]
        assert [delivery for delivery in lost if delivery in in_flight] == []
        told = [answer for postman in everybody for answer in postman.answers]
        assert {answer.status for answer in told} <= {201, 503}
        assert all(answer.headers["retry-after"].isdigit() for answer in told if answer.status == 503)

        deliveries = [delivery for postman in everybody for delivery in postman.deliveries]
        found = await verify(running.database, deliveries)
        events = found.events[tenant.organization_id]
        for watcher in watchers:
            assert (watcher.last, watcher.close_codes) == (len(events), [1001])
        await running.server.start()
        await verify(running.database, deliveries, tenant)


async def test_sigterm_answers_what_had_arrived_and_was_not_read_yet(mongodb_uri: str, tmp_path: Path) -> None:
    async with program(tmp_path, mongodb_uri) as running, AsyncExitStack() as stack:
        tenant = await running.tenant()
        postmen = await postmen_of(tenant, KEEPING, stack)
        for postman in postmen:
            await postman.send()
            assert await postman.hear() is not None
        running.server.process.send_signal(signal.SIGSTOP)
        postmen += await postmen_of(tenant, NEWCOMERS, stack)
        for postman in postmen:
            await postman.send()
        running.server.process.send_signal(signal.SIGTERM)
        running.server.process.send_signal(signal.SIGCONT)
        answers = await asyncio.gather(*(postman.hear() for postman in postmen))
        assert await asyncio.to_thread(running.server.process.wait, 60) == 0
        assert [number for number, answer in enumerate(answers) if answer is None or answer.status not in (201, 503)] == []
        await verify(running.database, [delivery for postman in postmen for delivery in postman.deliveries])


async def test_sigterm_while_mongodb_is_away_answers_503_and_ends_well(mongod: OwnMongod, tmp_path: Path) -> None:
    async with program(tmp_path, mongod.uri) as running, AsyncExitStack() as stack:
        tenant = await running.tenant()
        (first, *postmen) = await postmen_of(tenant, 20, stack)
        await first.send()
        assert await first.hear() is not None
        await mongod.kill()
        for postman in postmen:
            await postman.send()
        running.server.process.send_signal(signal.SIGTERM)
        answers = await asyncio.gather(*(postman.hear() for postman in postmen))
        assert [answer.status if answer is not None else None for answer in answers] == [503] * 19
        assert await asyncio.to_thread(running.server.process.wait, 60) == 0
        await mongod.start()
        assert len((await verify(running.database, first.deliveries)).calls) == 1


async def test_a_player_that_has_stopped_reading_keeps_no_dashboard_from_its_goodbye(mongodb_uri: str, tmp_path: Path) -> None:
    variables = {"TETHER_SHUTDOWN_S": "4"}
    async with program(tmp_path, mongodb_uri, variables=variables) as running, AsyncExitStack() as stack:
        tenant = await running.tenant()
        recording = base64.b64encode(mp3_of(20 * 1024 * 1024)).decode()
        stored = await tenant.post_call(sample(voice=False, recording=recording))
        assert stored.status == 201
        link = (await tenant.get(f"/api/calls/{stored.body['callId']}/recording")).body["audioUrl"]
        player = await stack.enter_async_context(connection(tenant.base_url))
        player.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await player.request(f"GET {link.removeprefix(tenant.base_url)}")
        async with watching(running.urls, tenant.token, 3) as watchers:
            later = await tenant.post_call(missed())
            assert later.status == 201
            running.server.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(running.server.process.wait, 60) == 0
            number = await running.last_number(tenant)
            assert [(watcher.last, watcher.close_codes) for watcher in watchers] == [(number, [1001])] * 3
        cut_off = [line["part"] for line in running.server.lines() if line["event"] == "drain_cut_off"]
        assert cut_off == ["downloads"], "it was still there"
